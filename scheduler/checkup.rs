//! What the store of a team can be trusted with: asked for people who set one up, by no run.

use std::path::PathBuf;
use std::time::Duration;

use callboard_config::ExposeSecret;
use callboard_config::database::Database;
use callboard_store::copy::Place;
use callboard_store::{Address, Probe, StoreError, probe};
use futures::future::join_all;
use serde::Serialize;

use crate::clock::now;
use crate::refusal::Stored;
use crate::world::World;

/// The oldest version that is tested, as the server counts.
const VERSION: u32 = 150_000;
/// A step waits for a few round trips; beyond this they are most of what a quick step takes.
const LATENCY: Duration = Duration::from_millis(10);
/// Microseconds between the two clocks. Due times are the database's, and are looked at once a
/// second here: a smaller difference shows nowhere.
const CLOCK: u64 = 1_000_000;
/// The age of a transaction that holds the vacuum back: rows of the queue change all the time, and
/// what is not cleared away slows every claim.
const OLDEST: Duration = Duration::from_secs(300);
/// Connections that one process opens: one that writes, two that read, one that listens.
const OF_A_NODE: u32 = 4;

/// What was found where runs are kept.
#[derive(Clone, Debug, Serialize)]
pub struct Checkup {
    /// A file and its folder, or the address of the database without the password.
    pub address: String,
    /// What was found, one thing each.
    pub found: Vec<Finding>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How good it is.
    pub grade: Grade,
    /// What it is.
    pub said: String,
    /// The way out, if one is needed.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub help: &'static str,
}

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, and less is promised.
    Warning,
    /// It does not work, or what is promised does not hold.
    Error,
}

impl Checkup {
    /// Whether runs cannot be kept there, or not as is promised.
    pub fn is_broken(&self) -> bool {
        self.found.iter().any(|it| it.grade == Grade::Error)
    }
}

impl World {
    /// Looks at where runs are kept, a data folder and a database if the folder does not hold them,
    /// and at who works on them there.
    pub async fn checkup(&self, folder: PathBuf, database: Option<&Database>) -> Checkup {
        let (mut checkup, is_there) = match database {
            Some(database) => self.of_server(database).await,
            None => {
                let address = format!("a file in {}", folder.display());
                let place = Place { folder: folder.clone(), server: None };
                (Checkup { address, found: vec![] }, place.is_there())
            }
        };
        if !checkup.is_broken() {
            let (grade, said, help) = match is_there {
                true => self.at_work((folder, database.cloned())).await,
                false => fine("none; nothing is kept there yet"),
            };
            checkup.found.push(Finding { what: "processes".into(), grade, said, help });
        }
        checkup
    }

    /// Who works on what is there.
    async fn at_work(&self, kept: (PathBuf, Option<Database>)) -> Said {
        let asked = async { self.end(place(kept)?, false).await?.at_work().await };
        match asked.await {
            Ok(who) if who.is_empty() => fine("none at work on it"),
            Ok(who) => fine(who.join("; ")),
            Err(StoreError::Older { found, known }) => {
                fine(format!("not asked; the next brings it from format {found} to {known}"))
            }
            Err(error) => {
                let help = "until that is mended no process works on it, and no call is taken in";
                (Grade::Error, error.to_string(), help)
            }
        }
    }

    /// Looks at every host of a database, and tells of the one that takes writes; whether anything is
    /// kept there.
    async fn of_server(&self, database: &Database) -> (Checkup, bool) {
        let hosts = database.hosts();
        let looked = join_all(hosts.iter().map(look)).await;
        let mut found = all(&looked);
        if address(database).is_ok_and(|it| it.is_open()) {
            found.push(open());
        }
        for (host, looked) in hosts.iter().zip(&looked).filter(|_| hosts.len() > 1) {
            found.push(of_host(host, looked));
        }
        let has_tables = looked.iter().flatten().any(|it| it.may_write && it.tables.is_some());
        (Checkup { address: database.to_string(), found }, has_tables)
    }
}

/// What is told of the host that takes writes, else of the first that answers, else why none does.
fn all(looked: &[Stored<Probe>]) -> Vec<Finding> {
    let answer = || looked.iter().filter_map(|it| it.as_ref().ok());
    let told = answer().find(|it| it.may_write).or_else(|| answer().next());
    match (told, looked.iter().find_map(|it| it.as_ref().err())) {
        (Some(probe), _) => findings(probe),
        (None, Some(error)) => vec![away(error)],
        (None, None) => vec![],
    }
}

/// The address as the store takes it.
pub(crate) fn address(database: &Database) -> Stored<Address> {
    Address::parse(database.url.expose_secret())
}

/// Where a store is, as the store takes it.
pub(crate) fn place((folder, database): (PathBuf, Option<Database>)) -> Stored<Place> {
    Ok(Place { folder, server: database.as_ref().map(address).transpose()? })
}

async fn look(database: &Database) -> Stored<Probe> {
    probe(&address(database)?, now).await
}

fn away(error: &StoreError) -> Finding {
    let help = "look whether it runs, and whether this machine reaches it and may come in \
                (pg_hba.conf); nothing is kept in a file meanwhile";
    Finding { what: "address".into(), grade: Grade::Error, said: error.to_string(), help }
}

fn open() -> Finding {
    let said = "whoever is on the way to the server can read along, or answer in its place".into();
    let help = "write `?sslmode=verify-full` behind the address, with `sslrootcert=FILE` for a \
                certificate of your own";
    Finding { what: "encryption".into(), grade: Grade::Warning, said, help }
}

/// One of several hosts: one that is away is what the others are for.
fn of_host(host: &Database, probe: &Stored<Probe>) -> Finding {
    let (grade, said) = match probe {
        Ok(it) if it.is_standby => (Grade::Ok, format!("a standby, {}", version(it.version))),
        Ok(it) => (Grade::Ok, format!("a primary, {}", version(it.version))),
        Err(error) => (Grade::Warning, error.to_string()),
    };
    let help = match grade {
        Grade::Ok => "",
        Grade::Warning | Grade::Error => "while it is away, nobody can take over in its place",
    };
    Finding { what: format!("host {host}"), grade, said, help }
}

/// All that a database says of itself.
fn findings(probe: &Probe) -> Vec<Finding> {
    let looked = [
        ("version", of_version(probe.version)),
        ("writes", writes(probe)),
        ("privileges", privileges(&probe.missing)),
        ("tables", tables(probe)),
        ("durable", durable(probe.durable)),
        ("standby", standby(probe)),
        ("latency", latency(probe.latency)),
        ("clock", clock(probe.clock_off)),
        ("transactions", transactions(probe.oldest)),
        ("connections", connections(probe.connections)),
    ];
    let told = |(what, (grade, said, help)): (&str, Said)| {
        let what = what.to_owned();
        Finding { what, grade, said, help }
    };
    looked.map(told).into_iter().collect()
}

/// How good it is, what it is, and the way out.
type Said = (Grade, String, &'static str);

fn fine(said: impl Into<String>) -> Said {
    (Grade::Ok, said.into(), "")
}

fn version(number: u32) -> String {
    format!("PostgreSQL {}.{}", number / 10_000, number % 10_000)
}

fn of_version(number: u32) -> Said {
    match number >= VERSION {
        true => fine(version(number)),
        false => (Grade::Error, version(number), "use PostgreSQL 15 or newer"),
    }
}

fn writes(probe: &Probe) -> Said {
    match (probe.may_write, probe.is_standby) {
        (true, _) => fine("taken"),
        (false, true) => (
            Grade::Error,
            "a standby answers, and takes none".into(),
            "name the host of the primary too, with a comma: whichever takes writes is used",
        ),
        (false, false) => (
            Grade::Error,
            "sessions of this role may only read".into(),
            "set `default_transaction_read_only` off for the role and the database",
        ),
    }
}

fn privileges(missing: &[String]) -> Said {
    match missing {
        [] => fine("all that are needed"),
        some => (
            Grade::Error,
            format!("the role lacks {}", some.join(", ")),
            "make the role the owner of a database of its own",
        ),
    }
}

fn tables(probe: &Probe) -> Said {
    if let Some(why) = &probe.closed {
        let help = "every process refuses it: finish the move, or use the store that is named";
        return (Grade::Error, why.clone(), help);
    }
    match (probe.tables, probe.parts) {
        (None, _) => fine("none yet; the first process makes them"),
        (Some(version), None) => fine(format!("format {version}; the journal is one table")),
        (Some(version), Some(parts)) => {
            fine(format!("format {version}; the journal is in {parts} partitions"))
        }
    }
}

fn durable(is_durable: bool) -> Said {
    match is_durable {
        true => fine("a commit is on disk before it is told"),
        false => (
            Grade::Error,
            "fsync or synchronous_commit is off: what callers were told may be lost".into(),
            "set `fsync = on`, and `synchronous_commit = on` also for the role and the database",
        ),
    }
}

fn standby(probe: &Probe) -> Said {
    match &probe.synchronous {
        _ if probe.is_standby => fine("this server is one"),
        Some(names) => fine(format!("synchronous: {names}")),
        None => (
            Grade::Warning,
            "none is synchronous: if this host is lost for good and a standby takes over, what was \
             acknowledged in the last moments is lost"
                .into(),
            "name one in `synchronous_standby_names`, with `synchronous_commit = on`, or live with it; a \
             restart loses nothing",
        ),
    }
}

fn latency(took: Duration) -> Said {
    let said = format!("{:.1} ms a round trip", took.as_secs_f64() * 1_000.0);
    match took > LATENCY {
        true => (Grade::Warning, said, "run it near the database: each step takes a few of them"),
        false => fine(said),
    }
}

fn clock(ahead: i64) -> Said {
    let seconds = Duration::from_micros(ahead.unsigned_abs()).as_secs_f64();
    let word = if ahead < 0 { "behind" } else { "ahead of" };
    let said = format!("the server's is {seconds:.3} s {word} this machine's");
    match ahead.unsigned_abs() > CLOCK {
        true => (
            Grade::Warning,
            said,
            "keep both right with NTP: due times are the database's, and deadlines of calls this \
             machine's",
        ),
        false => fine(said),
    }
}

fn transactions(oldest: Option<Duration>) -> Said {
    let Some(oldest) = oldest else { return fine("none is open for long") };
    let said = format!("the oldest is open for {} s", oldest.as_secs());
    match oldest > OLDEST {
        true => (
            Grade::Warning,
            format!("{said}, and nothing that changed since is cleared away"),
            "look for it in pg_stat_activity by `xact_start` and end it",
        ),
        false => fine(said),
    }
}

fn connections((used, most): (u32, u32)) -> Said {
    let free = most.saturating_sub(used);
    let nodes = free / OF_A_NODE;
    let said = format!("{used} of {most} taken; a process takes {OF_A_NODE}");
    match nodes {
        0 => (
            Grade::Error,
            format!("{said}: there is no room for one"),
            "raise `max_connections`, or end what holds them",
        ),
        1 => (
            Grade::Warning,
            format!("{said}: there is room for one"),
            "raise `max_connections` before more processes come",
        ),
        nodes => fine(format!("{said}: there is room for {nodes}")),
    }
}

#[cfg(test)]
mod tests;
