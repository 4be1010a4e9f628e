//! What a database is like, before anything is entrusted to it.

use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::conn::{self, Fault};
use super::{Address, DEADLINE};
use crate::error::Result;

/// Round trips that are measured.
const TRIPS: usize = 9;

/// The first format with the table of marks.
const MARKED: u32 = 7;
/// What the mark says.
const CLOSED: &str = "SELECT CASE holder WHEN 0 THEN 'it was moved: all of it is in the store '
    ELSE 'it is not whole: a move has to be finished from the store ' END || shown FROM filling";

/// What was found out.
#[derive(Clone, Debug)]
pub struct Probe {
    /// `server_version_num`, such as 150018.
    pub version: u32,
    /// Whether it takes writes: it is no standby, and nothing made it read-only.
    pub may_write: bool,
    /// Rights that the role lacks, in the words of GRANT.
    pub missing: Vec<String>,
    /// The median of a few round trips.
    pub latency: Duration,
    /// Microseconds that its clock is ahead of the one that was handed in.
    pub clock_off: i64,
    /// How long the oldest open transaction of the database is open.
    pub oldest: Option<Duration>,
    /// Whether it follows a primary.
    pub is_standby: bool,
    /// The standbys that a commit waits for; `None` = it waits for none.
    pub synchronous: Option<String>,
    /// Whether a commit is on its disk when it answers.
    pub durable: bool,
    /// Connections that are open, and that there may be.
    pub connections: (u32, u32),
    /// The format of our tables; `None` = there are none yet.
    pub tables: Option<u32>,
    /// The parts that the journal is in; `None` = it is one table.
    pub parts: Option<u32>,
    /// Why nobody may use what is kept there.
    pub closed: Option<String>,
}

/// Connects to the first host that answers, a standby too, and looks. `clock` gives microseconds
/// since 1970. Changes nothing.
pub async fn probe(address: &Address, clock: fn() -> i64) -> Result<Probe> {
    let mut any = address.clone();
    any.config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::Any);
    let (client, driver) = conn::connect(&any).await.map_err(|it| it.error())?;
    let mut drives = JoinSet::new();
    drives.spawn(driver.map(|_| ()));
    let looked = timeout(DEADLINE, look(&client, clock)).await;
    looked.map_err(|_| Fault::silent().error())?.map_err(|it| conn::fault(&it).error())
}

async fn look(client: &Client, clock: fn() -> i64) -> Result<Probe, Error> {
    let (latency, clock_off) = trips(client, clock).await?;
    let missing = missing(client).await?;
    let number = |it: Option<String>| it.and_then(|it| it.parse::<u32>().ok());
    let setting = async |name: &str| one(client, &format!("SHOW {name}")).await;
    let is_standby = one(client, "SELECT pg_is_in_recovery()").await?.as_deref() == Some("t");
    let is_read_only = setting("transaction_read_only").await?.as_deref() == Some("on");
    let commit = setting("synchronous_commit").await?.unwrap_or_default();
    let durable = setting("fsync").await?.as_deref() != Some("off") && commit != "off";
    let oldest =
        "SELECT CAST(extract(epoch FROM max(clock_timestamp() - xact_start)) * 1000 AS BIGINT)
        FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let oldest = one(client, oldest).await?.and_then(|it| it.parse().ok());
    let sync = setting("synchronous_standby_names")
        .await?
        .filter(|it| !it.is_empty() && commit != "local");
    let used = "SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL";
    let used = number(one(client, used).await?);
    let most = number(setting("max_connections").await?);
    let found = "SELECT count(*) FROM information_schema.tables
        WHERE table_schema = current_schema() AND table_name = 'callboard'";
    let tables = match number(one(client, found).await?) {
        Some(1..) => number(one(client, "SELECT max(version) FROM callboard").await?),
        Some(0) | None => None,
    };
    let parts = "SELECT (SELECT count(*) FROM pg_inherits WHERE inhparent = c.oid)
        FROM pg_class c WHERE c.oid = to_regclass('journal') AND c.relkind = 'p'";
    let parts = number(one(client, parts).await?);
    let closed = match tables {
        Some(MARKED..) => one(client, CLOSED).await?,
        Some(_) | None => None,
    };
    Ok(Probe {
        version: number(setting("server_version_num").await?).unwrap_or_default(),
        may_write: !is_standby && !is_read_only,
        missing,
        latency,
        clock_off,
        oldest: oldest.map(Duration::from_millis),
        is_standby,
        synchronous: sync,
        durable,
        connections: (used.unwrap_or_default(), most.unwrap_or_default()),
        tables,
        parts,
        closed,
    })
}

/// The median round trip, and how far its clock is ahead in the quickest one.
async fn trips(client: &Client, clock: fn() -> i64) -> Result<(Duration, i64), Error> {
    let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
    let (mut times, mut best) = (Vec::with_capacity(TRIPS), (Duration::MAX, 0));
    for _ in 0..TRIPS {
        let (before, begun) = (clock(), Instant::now());
        let there: i64 = one(client, sql).await?.and_then(|it| it.parse().ok()).unwrap_or(before);
        let took = begun.elapsed();
        times.push(took);
        if took < best.0 {
            best = (took, there - before - i64::try_from(took.as_micros() / 2).unwrap_or_default());
        }
    }
    times.sort_unstable();
    Ok((times[TRIPS / 2], best.1))
}

async fn missing(client: &Client) -> Result<Vec<String>, Error> {
    let sql = "SELECT w.what FROM (VALUES
        ('CONNECT', has_database_privilege(current_database(), 'CONNECT')),
        ('USAGE ON SCHEMA ' || coalesce(current_schema(), 'public'),
          coalesce(has_schema_privilege(current_schema(), 'USAGE'), false)),
        ('CREATE ON SCHEMA ' || coalesce(current_schema(), 'public'),
          coalesce(has_schema_privilege(current_schema(), 'CREATE'), false))) AS w(what, has)
        WHERE NOT w.has";
    let answers = client.simple_query(sql).await?;
    Ok(answers.iter().filter_map(first).collect())
}

/// The first value of an answer's first row.
async fn one(client: &Client, sql: &str) -> Result<Option<String>, Error> {
    Ok(client.simple_query(sql).await?.iter().find_map(first))
}

fn first(message: &SimpleQueryMessage) -> Option<String> {
    match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    }
}
