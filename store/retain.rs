//! What is past its time: ended roots leave whole, oldest first, in small writes.

use std::collections::BTreeSet;
use std::time::Duration;

pub use crate::bodies::Swept;

use callboard_trace::{Event, Fact, Purse, RunId};

use crate::db::Tx;
use crate::error::Result;
use crate::journal::{self, kept, kept_of};
use crate::read::{row_of, run_row};
use crate::signal::stream_tail;
use crate::{RunRow, Store};

/// Roots that are looked at in one read.
const ROOTS: u32 = 200;
/// Runs, and records, after which a write takes no further root.
const RUNS_AT_ONCE: u64 = 200;
const RECORDS_AT_ONCE: u64 = 2_000;
/// The records of a root that has more leave after it, in writes of their own.
const RECORDS_MAX: u64 = 20_000;
/// Records of a root that are read at once.
const PAGE: u32 = 1_000;
/// What the stream of a workspace's closed days is called, before its name.
const DAYS: &str = "days/";
/// Such a row of `pace` names a root that left before all of its records did.
const LEFT: &str = "left ";

/// What one write let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Of the roots that were named, the first so many were looked at.
    pub looked_at: usize,
    /// Roots that are gone.
    pub roots: u64,
    /// Runs that are gone with them.
    pub runs: u64,
}

impl Store {
    /// Whether it is this node's turn to do what one of all nodes does once in so long.
    pub async fn turn(&self, what: &str, every: Duration) -> Result<bool> {
        let (what, every) = (what.to_owned(), every.as_micros() as i64);
        // A time that has not come yet was written before the clock was set back.
        let sql = "INSERT INTO pace(name, tat, at) VALUES($1, 0, $2) ON CONFLICT(name)
            DO UPDATE SET at = $2 WHERE pace.at <= $2 - $3 OR pace.at > $2";
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            tx.exec(sql, &[(&what).into(), at.into(), every.into()])
        });
        Ok(done.await? > 0)
    }

    /// The roots of a workspace that ended before then, out of a page of all roots behind a place in
    /// the order of acceptance, and the place to look on from. `None` = no later root is as old.
    pub async fn ended_before(
        &self,
        workspace: &str,
        before: i64,
        after: u64,
    ) -> Result<(Vec<RunRow>, Option<u64>)> {
        let sql = run_row!("WHERE top = 1 AND pos > $1 ORDER BY pos LIMIT $2");
        let read = self.inner.db.read(move |tx| {
            let rows = tx.query(sql, &[after.into(), ROOTS.into()])?;
            rows.iter().map(row_of).collect::<Result<Vec<_>, _>>()
        });
        let mut rows = read.await?;
        let more = rows.len() == ROOTS as usize && rows.iter().any(|it| it.created < before);
        let next = rows.last().map(|it| it.pos).filter(|_| more);
        let is_past = |it: &RunRow| it.ended.is_some_and(|at| at < before);
        rows.retain(|it| it.workspace == workspace && is_past(it));
        Ok((rows, next))
    }

    /// The places of the roots under which something was noted that is still remembered.
    pub async fn remembered_under(&self, workspace: &str) -> Result<BTreeSet<u64>> {
        let workspace = workspace.to_owned();
        let sql = "SELECT DISTINCT r.turn FROM memory m JOIN run r ON r.pos = m.run
            WHERE m.live = 1 AND m.workspace = $1 AND m.slot = 'memory'
            AND (m.expires IS NULL OR m.expires > $2)";
        let read = self.inner.db.read(move |tx| {
            let now = tx.now()?;
            let rows = tx.query(sql, &[(&workspace).into(), now.into()])?;
            rows.iter().map(|it| it.number(0)).collect()
        });
        read.await
    }

    /// How many runs a root has, itself included.
    pub async fn runs_under(&self, root: &RunId) -> Result<u64> {
        let root = root.clone();
        let sql = "SELECT count(*) FROM run WHERE root = $1";
        let read = self.inner.db.read(move |tx| tx.only(sql, &[(&root).into()])?.number(0));
        read.await
    }

    /// The steps that begin and the replies under a root, without their long texts, a page behind a
    /// place, and the place to look on from.
    pub async fn steps_under(&self, root: &RunId, after: u64) -> Result<(Vec<Event>, Option<u64>)> {
        let root = root.clone();
        let sql = kept!(
            "WHERE j.root = (SELECT pos FROM run WHERE id = $1) AND j.pos > $2
             AND j.kind IN ('step_begun', 'model_replied') ORDER BY j.pos LIMIT $3"
        );
        let read = self.inner.db.read(move |tx| {
            let rows = tx.query(sql, &[(&root).into(), after.into(), PAGE.into()])?;
            let last = rows.last().map(|it| it.number(0)).transpose()?;
            let next = last.filter(|_| rows.len() == PAGE as usize);
            let events = rows.iter().map(|row| kept_of(row)?.bare());
            Ok((events.collect::<Result<_, _>>()?, next))
        });
        read.await
    }

    /// The last day of a workspace whose totals are written.
    pub async fn last_closed(&self, workspace: &str) -> Result<Option<String>> {
        let stream = days(workspace);
        self.inner.db.read(move |tx| last_day(tx, &stream)).await
    }

    /// Writes a day's totals, once: `false` if that day, or a later one, is closed.
    pub async fn close_day(&self, workspace: &str, fact: Fact) -> Result<bool> {
        let Event::DayClosed { day, .. } = &fact.event else { return Ok(false) };
        let (stream, day) = (days(workspace), day.clone());
        let (_, line) = self.inner.ink.write(fact)?;
        let done = self.inner.db.write(move |tx| {
            if last_day(tx, &stream)?.is_some_and(|it| it >= day) {
                return Ok(false);
            }
            let at = tx.now()?;
            let mut tail = stream_tail(tx, &stream, at)?;
            journal::append(tx, &mut tail, at, std::slice::from_ref(&line))?;
            journal::moved(tx, &tail)?;
            Ok(true)
        });
        done.await
    }

    /// Lets go of the first of these roots, by their places: whole trees, in one write. One that goes
    /// on, ended later, or noted what is still remembered stays.
    pub async fn drop_roots(&self, roots: &[u64], before: i64) -> Result<Dropped> {
        let roots = roots.to_vec();
        self.inner.db.write(move |tx| drop_some(tx, &roots, before)).await
    }

    /// Lets go of some records of roots that left before them; answers whether there were any.
    pub async fn drop_left(&self) -> Result<bool> {
        let find = "SELECT name, tat FROM pace WHERE name > $1 AND name < 'left!' LIMIT 1";
        let look = self.inner.db.read(move |tx| tx.one(find, &[LEFT.into()]));
        if look.await?.is_none() {
            return Ok(false);
        }
        let sql = "DELETE FROM journal WHERE pos IN (
            SELECT pos FROM journal WHERE root = $1 ORDER BY pos LIMIT $2)";
        let done = self.inner.db.write(move |tx| {
            let Some(row) = tx.one(find, &[LEFT.into()])? else { return Ok(false) };
            if tx.exec(sql, &[row.int(1)?.into(), RECORDS_AT_ONCE.into()])? == 0 {
                tx.put("DELETE FROM pace WHERE name = $1", &[(&row.text(0)?).into()])?;
            }
            Ok(true)
        });
        done.await
    }
}

fn days(workspace: &str) -> RunId {
    RunId::from_text(format!("{DAYS}{workspace}"))
}

fn last_day(tx: &mut dyn Tx, stream: &RunId) -> Result<Option<String>> {
    let sql =
        kept!("WHERE j.run = (SELECT pos FROM run WHERE id = $1) ORDER BY j.seq DESC LIMIT 1");
    let Some(row) = tx.one(sql, &[stream.into()])? else { return Ok(None) };
    let record = kept_of(&row)?.record(tx)?;
    let Event::DayClosed { day, .. } = record.event else { return Ok(None) };
    Ok(Some(day))
}

fn drop_some(tx: &mut dyn Tx, roots: &[u64], before: i64) -> Result<Dropped> {
    let (now, mut done, mut records) = (tx.now()?, Dropped::default(), 0);
    for &pos in roots {
        if done.runs >= RUNS_AT_ONCE || records >= RECORDS_AT_ONCE {
            break;
        }
        done.looked_at += 1;
        let sql = "SELECT id, workspace FROM run WHERE pos = $1 AND top = 1 AND ended < $2";
        let Some(row) = tx.one(sql, &[pos.into(), before.into()])? else { continue };
        let root = RunId::from_text(row.text(0)?);
        if is_needed(tx, &root, now)? {
            continue;
        }
        let (runs, lines) = drop_root(tx, pos, &root)?;
        (done.roots, done.runs, records) = (done.roots + 1, done.runs + runs, records + lines);
        crate::bodies::are_to_be_swept(tx, &row.text(1)?)?;
    }
    Ok(done)
}

/// Whether something of it is open or remembered.
fn is_needed(tx: &mut dyn Tx, root: &RunId, now: i64) -> Result<bool> {
    let open = "SELECT 1 FROM run WHERE root = $1 AND ended IS NULL LIMIT 1";
    let noted = "SELECT 1 FROM run r JOIN memory m ON m.run = r.pos WHERE r.root = $1
        AND m.live = 1 AND m.slot = 'memory' AND (m.expires IS NULL OR m.expires > $2) LIMIT 1";
    Ok(tx.one(open, &[root.into()])?.is_some()
        || tx.one(noted, &[root.into(), now.into()])?.is_some())
}

/// Runs, records, and every row that is of one of them; answers how many runs and records that was.
fn drop_root(tx: &mut dyn Tx, pos: u64, root: &RunId) -> Result<(u64, u64)> {
    let sql = "SELECT CAST(sum(seq) AS {int}) FROM run WHERE root = $1";
    let records = tx.one(sql, &[root.into()])?.map_or(Ok(0), |it| it.number(0))?;
    for sql in [
        "DELETE FROM memory_text WHERE rowid IN (
            SELECT m.pos FROM run r JOIN memory m ON m.run = r.pos WHERE r.root = $1)",
        "DELETE FROM memory WHERE run IN (SELECT pos FROM run WHERE root = $1)",
        "DELETE FROM apart WHERE run IN (SELECT pos FROM run WHERE root = $1)",
    ] {
        tx.put(sql, &[root.into()])?;
    }
    tx.put("DELETE FROM gauge WHERE name = $1", &[(&format!("created {root}")).into()])?;
    let [task, pool, share] =
        [Purse::TASK, Purse::POOL, Purse::SHARE].map(|it| format!("{it}/{root}"));
    let sql = "DELETE FROM ledger WHERE node IN ($1, $2, $3) OR (node > $4 AND node < $5)";
    let shares = [format!("{share}/"), format!("{share}0")];
    let nodes = [task, pool, Purse::back(root)];
    tx.put(sql, &nodes.iter().chain(&shares).map(Into::into).collect::<Vec<_>>())?;
    if records > RECORDS_MAX {
        let sql = "INSERT INTO pace(name, tat, at) VALUES($1, $2, 0)";
        tx.put(sql, &[(&format!("{LEFT}{pos}")).into(), pos.into()])?;
    } else {
        tx.put("DELETE FROM journal WHERE root = $1", &[pos.into()])?;
    }
    let runs = tx.exec("DELETE FROM run WHERE root = $1", &[root.into()])?;
    journal::tally(tx, "ended", -i64::try_from(runs).unwrap_or_default())?;
    Ok((runs, records))
}
