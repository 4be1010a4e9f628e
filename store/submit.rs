//! How a run comes in: once for each key, within the bound, on disk before the answer.

use callboard_trace::rank::POINT;
use callboard_trace::{Fact, RunId};

use crate::callers::{self, NO, YES};
use crate::db::{Ask, Tx};
use crate::error::Result;
use crate::ink::{Ink, Line};
use crate::journal::{self, Tail};
use crate::{Listens, NewRun, Store, StoreError, Submitted};

/// How long a key means the same run, in microseconds: a day.
const KEY_LASTS: i64 = 86_400 * 1_000_000;

/// A base and what comes on top of it, as it counts.
macro_rules! counts {
    ($sum:literal) => {
        concat!("(CASE WHEN ", $sum, " > 1000 THEN 1000 ELSE ", $sum, " END)")
    };
}
pub(crate) use counts;

/// A run whose first records are ready to be kept: see [`Store::entry`].
#[derive(Clone, Debug)]
pub struct Entry {
    new: NewRun,
    lines: Vec<Line>,
    /// Who is to hear of its end: the words of the column `heard`.
    pub(crate) heard: String,
    /// It may join the run that an equal call left behind.
    pub(crate) rejoins: bool,
}

impl Store {
    /// A run that is to start with a step.
    ///
    /// # Errors
    /// A record of it is too long or too deep.
    pub fn entry(&self, new: NewRun) -> Result<Entry> {
        Entry::new(new, &self.inner.ink)
    }

    /// Takes a run in; it is durable when this returns. The same key, or the same name, joins the
    /// run that has it.
    pub async fn submit(&self, new: NewRun) -> Result<Submitted> {
        let entry = Entry::new(new, &self.inner.ink)?;
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            admit(tx, &entry, at)
        });
        let submitted = done.await?;
        if !submitted.joined {
            self.ring();
        }
        Ok(submitted)
    }

    /// Takes a run in for a call, as [`Store::submit`] does, or joins the one that an equal call
    /// left behind. `left` are runs whose calls at this node have gone, though that is not written
    /// yet.
    pub async fn call(&self, new: NewRun, listens: Listens, left: Vec<RunId>) -> Result<Submitted> {
        let node = self.inner.node.clone();
        let mut entry = Entry::new(new, &self.inner.ink)?;
        entry.rejoins = listens.rejoins;
        if listens.waits {
            entry.heard.clone_from(&node);
        }
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            callers::have_left(tx, &left, &node)?;
            admit(tx, &entry, at)
        });
        let submitted = done.await?;
        if !submitted.joined {
            self.ring();
        }
        Ok(submitted)
    }
}

impl Entry {
    /// Its name.
    pub fn run(&self) -> &RunId {
        &self.new.run
    }

    /// Its first records, as they will be kept.
    pub fn facts(&self) -> &[Fact] {
        &self.new.facts
    }

    pub(crate) fn new(mut new: NewRun, ink: &Ink) -> Result<Entry> {
        let lines;
        (new.facts, lines) = ink.write_all(new.facts)?;
        let heard = if new.root.is_none() { NO } else { YES };
        Ok(Entry { new, lines, heard: heard.to_owned(), rejoins: false })
    }
}

/// Keeps the run, or finds the one it joins.
pub(crate) fn admit(tx: &mut dyn Tx, entry: &Entry, at: i64) -> Result<Submitted> {
    if let Some(run) = find(tx, entry, at)? {
        callers::listen(tx, &run, &entry.heard)?;
        return Ok(Submitted { run, joined: true });
    }
    admit_new(tx, std::slice::from_ref(entry), at)?.pop().ok_or(StoreError::Closed)
}

/// Keeps runs that have no key another one may have, on one way.
pub(crate) fn admit_new(tx: &mut dyn Tx, entries: &[Entry], at: i64) -> Result<Vec<Submitted>> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let lines = lineages(tx, entries)?;
    let both = || entries.iter().zip(&lines);
    let mut tails: Vec<Tail> = both().map(|(it, line)| tail(&it.new, line.as_ref())).collect();
    let asked: Vec<Ask> =
        both().zip(&tails).map(|((it, line), tail)| insert(it, line.as_ref(), tail, at)).collect();
    let mut all = Vec::with_capacity(entries.len());
    for ((entry, tail), rows) in entries.iter().zip(&mut tails).zip(tx.all(&asked)?) {
        let new = &entry.new;
        let Some(row) = rows.first() else {
            all.push(join_by_name(tx, new)?);
            continue;
        };
        tail.pos = row.int(0)?;
        if tail.top {
            count_root(tx, new.queue_cap)?;
            tail.turn = tail.pos;
            tx.put("UPDATE run SET turn = $1 WHERE pos = $1", &[tail.pos.into()])?;
        }
        journal::append(tx, tail, at, &entry.lines)?;
        all.push(Submitted { run: new.run.clone(), joined: false });
    }
    Ok(all)
}

/// What a run inherits: when its root was accepted, in which order, and the record it follows.
#[derive(Clone)]
struct Lineage {
    root_at: i64,
    turn: i64,
    head: String,
}

/// That of each, asked for once for those of one parent; none for a root.
fn lineages(tx: &mut dyn Tx, entries: &[Entry]) -> Result<Vec<Option<Lineage>>> {
    let mut last = None;
    let mut line = |new: &NewRun| {
        let Some(root) = &new.root else { return Ok(None) };
        let above = (new.parent.clone().unwrap_or_else(|| root.clone()), root.clone());
        if last.as_ref().is_none_or(|(known, _)| *known != above) {
            let line = lineage(tx, (&above.0, root))?;
            last = Some((above, line));
        }
        Ok(last.as_ref().map(|it| it.1.clone()))
    };
    entries.iter().map(|it| line(&it.new)).collect()
}

fn lineage(tx: &mut dyn Tx, (parent, root): (&RunId, &RunId)) -> Result<Lineage> {
    let sql = "SELECT root_at, turn, head FROM run WHERE id = $1 AND root = $2";
    let Some(row) = tx.one(sql, &[parent.into(), root.into()])? else {
        return Err(StoreError::Db(format!(
            "there is no run {parent} under {root} to start a run from"
        )));
    };
    Ok(Lineage { root_at: row.int(0)?, turn: row.int(1)?, head: row.text(2)? })
}

/// The end of its journal before its first record. Where it stands is not known yet.
fn tail(new: &NewRun, line: Option<&Lineage>) -> Tail {
    Tail {
        pos: 0,
        turn: line.map_or(0, |it| it.turn),
        run: new.run.clone(),
        root: new.root.as_ref().unwrap_or(&new.run).clone(),
        workspace: new.workspace.clone(),
        agent: new.agent.clone(),
        attempt: 1,
        seq: 0,
        head: line.map(|it| it.head.clone()).unwrap_or_default(),
        state: "ready".to_owned(),
        top: line.is_none(),
    }
}

/// Asks for its row, and for where that stands: one behind its first records.
fn insert(entry: &Entry, line: Option<&Lineage>, tail: &Tail, at: i64) -> Ask {
    let (new, end) = (&entry.new, journal::behind_lines(tail, at, &entry.lines));
    let root_at = line.map_or(at, |it| it.root_at);
    let (boost, fit) = (i64::from(new.points.unblocking()), i64::from(new.points.fit));
    let rank = root_at - (i64::from(new.priority) + boost + fit).min(1_000) * POINT;
    let sql = "INSERT INTO run(id, root, parent, top, agent, workspace, principal, once, fingerprint, state,
          priority, root_at, rank, turn, seq, head, attempt, stop, created, deadline, heard,
          boost, fit, unscored)
        VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, 'ready', $10, $11, $12, $13, $14, $15, 1, 0, $16, $17, $18,
          $19, $20, $21)
        ON CONFLICT(id) DO NOTHING RETURNING pos";
    let args = vec![
        (&new.run).into(),
        (&tail.root).into(),
        new.parent.as_ref().into(),
        i64::from(tail.top).into(),
        (&new.agent).into(),
        (&new.workspace).into(),
        (&new.principal).into(),
        new.key.as_ref().into(),
        (&new.fingerprint).into(),
        i64::from(new.priority).into(),
        root_at.into(),
        rank.into(),
        tail.turn.into(),
        end.seq.into(),
        (&end.head).into(),
        at.into(),
        new.deadline.into(),
        (&entry.heard).into(),
        boost.into(),
        fit.into(),
        i64::from(new.unscored).into(),
    ];
    (sql, args)
}

/// The run that has the key, or else the one that an equal call left behind.
fn find(tx: &mut dyn Tx, entry: &Entry, at: i64) -> Result<Option<RunId>> {
    match find_by_key(tx, &entry.new, at)? {
        None if entry.rejoins => callers::find_left(tx, &entry.new, at),
        found => Ok(found),
    }
}

fn find_by_key(tx: &mut dyn Tx, new: &NewRun, at: i64) -> Result<Option<RunId>> {
    let Some(key) = &new.key else { return Ok(None) };
    let sql = "SELECT id, fingerprint, created, pos FROM run WHERE principal = $1 AND once = $2";
    let Some(row) = tx.one(sql, &[(&new.principal).into(), key.into()])? else { return Ok(None) };
    if row.int(2)? < at - KEY_LASTS {
        tx.put("UPDATE run SET once = NULL WHERE pos = $1", &[row.int(3)?.into()])?;
        return Ok(None);
    }
    same(RunId::from_text(row.text(0)?), &row.text(1)?, new).map(Some)
}

/// A submission whose answer was lost is made again under the same name.
fn join_by_name(tx: &mut dyn Tx, new: &NewRun) -> Result<Submitted> {
    let sql = "SELECT fingerprint FROM run WHERE id = $1 AND principal = $2";
    let Some(row) = tx.one(sql, &[(&new.run).into(), (&new.principal).into()])? else {
        return Err(StoreError::Conflict { run: new.run.clone() });
    };
    let run = same(new.run.clone(), &row.text(0)?, new)?;
    Ok(Submitted { run, joined: true })
}

fn same(run: RunId, fingerprint: &str, new: &NewRun) -> Result<RunId> {
    if fingerprint == new.fingerprint { Ok(run) } else { Err(StoreError::Conflict { run }) }
}

fn count_root(tx: &mut dyn Tx, cap: u32) -> Result<()> {
    let open = tx.only("SELECT n FROM tally WHERE name = 'open_roots'", &[])?.number(0)?;
    let cap = u64::from(cap);
    if open >= cap {
        return Err(StoreError::OverCapacity { open, cap });
    }
    journal::tally(tx, "open_roots", 1)
}
