//! The journal: how a line gets its number, time and chain, and how it is read back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use callboard_trace::{Event, FORMAT, Fact, Record, RunId};
use serde_json::Value;

use crate::StoreError;
use crate::blob;
use crate::chain::{Link, digest, link};
use crate::db::{Ask, Row, Tx};
use crate::error::Result;
use crate::ink::Line;
use crate::memory;

/// The end of one run's journal, with what is needed to write on.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    pub(crate) pos: i64,
    pub(crate) turn: i64,
    pub(crate) run: RunId,
    pub(crate) root: RunId,
    pub(crate) workspace: String,
    pub(crate) agent: String,
    pub(crate) attempt: u32,
    pub(crate) seq: u64,
    pub(crate) head: String,
    pub(crate) state: String,
    pub(crate) top: bool,
}

impl Tail {
    /// Whether it is a run that has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.state != "ended" && self.state != "stream"
    }

    /// Where its last record stands, which was written then.
    pub(crate) fn place(&self, at: i64) -> memory::Place<'_> {
        memory::Place {
            run: self.pos,
            name: self.run.as_str(),
            workspace: &self.workspace,
            is_stream: self.state == "stream",
            seq: self.seq,
            at,
        }
    }
}

/// Asks for a [`Tail`].
macro_rules! tail {
    ($rest:literal) => {
        concat!("SELECT ", $crate::journal::of_tail!(), " FROM run ", $rest)
    };
}

/// The columns of a [`Tail`], in its order.
macro_rules! of_tail {
    () => {
        "pos, turn, id, root, workspace, agent, attempt, seq, head, state, top"
    };
}
pub(crate) use {of_tail, tail};

/// Place, time and chain of a line that was written.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    seq: u64,
    at: i64,
    prev: String,
}

/// Reads a row of the columns above.
pub(crate) fn tail_of(row: &Row) -> Result<Tail> {
    Ok(Tail {
        pos: row.int(0)?,
        turn: row.int(1)?,
        run: RunId::from_text(row.text(2)?),
        root: RunId::from_text(row.text(3)?),
        workspace: row.text(4)?,
        agent: row.text(5)?,
        attempt: row.number(6)? as u32,
        seq: row.number(7)?,
        head: row.text(8)?,
        state: row.text(9)?,
        top: row.int(10)? == 1,
    })
}

/// Asks for the end of a run's journal.
pub(crate) fn named(run: &RunId) -> Ask {
    (tail!("WHERE id = $1"), vec![run.into()])
}

/// The end of a run's journal, held against other writers.
pub(crate) fn find(tx: &mut dyn Tx, run: &RunId) -> Result<Option<Tail>> {
    let (sql, args) = named(run);
    tx.one(sql, &args)?.as_ref().map(tail_of).transpose()
}

/// Writes lines behind the tail and moves it. The run's row is the caller's to update.
pub(crate) fn append(
    tx: &mut dyn Tx,
    tail: &mut Tail,
    at: i64,
    lines: &[Line],
) -> Result<Vec<Stamp>> {
    lines.iter().map(|line| append_one(tx, tail, at, line)).collect()
}

fn append_one(tx: &mut dyn Tx, tail: &mut Tail, at: i64, line: &Line) -> Result<Stamp> {
    for it in &line.blobs {
        blob::keep(tx, it)?;
        if it.apart {
            let sql = "INSERT INTO apart(hash, run) VALUES($1, $2) ON CONFLICT DO NOTHING";
            tx.put(sql, &[(&it.hash).into(), tail.pos.into()])?;
        }
    }
    let stamp = chain(tail, at, line);
    let sql = "INSERT INTO journal(run, root, seq, at, v, attempt, author, kind, prev, body)
        VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let args = [
        tail.pos.into(),
        tail.turn.into(),
        stamp.seq.into(),
        at.into(),
        u32::from(FORMAT).into(),
        tail.attempt.into(),
        (&line.author).into(),
        line.kind.into(),
        (&stamp.prev).into(),
        (&line.body).into(),
    ];
    tx.add(sql, &args)?;
    if let Some(touch) = &line.touch {
        memory::index(tx, tail.place(at), touch)?;
    }
    Ok(stamp)
}

/// Moves the tail behind a line.
fn chain(tail: &mut Tail, at: i64, line: &Line) -> Stamp {
    let stamp = Stamp { seq: tail.seq + 1, at, prev: std::mem::take(&mut tail.head) };
    tail.seq = stamp.seq;
    tail.head = link(&Link {
        prev: &stamp.prev,
        run: tail.run.as_str(),
        seq: stamp.seq,
        at,
        v: FORMAT,
        attempt: tail.attempt,
        author: &line.author,
        kind: line.kind,
        body: &line.digest,
    });
    stamp
}

/// Where the tail is behind these lines.
pub(crate) fn behind_lines(tail: &Tail, at: i64, lines: &[Line]) -> Tail {
    let mut end = tail.clone();
    for line in lines {
        chain(&mut end, at, line);
    }
    end
}

/// Writes the moved tail into the run's row.
pub(crate) fn moved(tx: &mut dyn Tx, tail: &Tail) -> Result<()> {
    let sql = "UPDATE run SET seq = $2, head = $3 WHERE pos = $1";
    tx.put(sql, &[tail.pos.into(), tail.seq.into(), (&tail.head).into()])
}

/// The records that the lines became.
pub(crate) fn records(tail: &Tail, stamps: Vec<Stamp>, said: Vec<Fact>) -> Vec<Record> {
    let agent = name(&tail.agent);
    let both = stamps.into_iter().zip(said);
    let record = |(stamp, said): (Stamp, Fact)| Record {
        seq: stamp.seq,
        at: stamp.at,
        v: FORMAT,
        workspace: tail.workspace.clone(),
        task: tail.root.clone(),
        run: tail.run.clone(),
        attempt: tail.attempt,
        agent: agent.clone(),
        by: said.by,
        prev: stamp.prev,
        event: said.event,
    };
    both.map(record).collect()
}

/// A line as it is stored, with its run's names.
pub(crate) struct Kept {
    pub(crate) pos: u64,
    pub(crate) run: RunId,
    root: RunId,
    workspace: String,
    agent: String,
    pub(crate) seq: u64,
    at: i64,
    v: u16,
    attempt: u32,
    author: String,
    kind: String,
    pub(crate) prev: String,
    pub(crate) body: String,
}

/// The columns of a [`Kept`], in its order.
macro_rules! kept {
    ($rest:literal) => {
        concat!(
            "SELECT j.pos, r.id, r.root, r.workspace, r.agent, j.seq, j.at, j.v, j.attempt, j.author,
               j.kind, j.prev, j.body FROM journal j JOIN run r ON r.pos = j.run ",
            $rest
        )
    };
}
pub(crate) use kept;

/// Reads a row of the columns above.
pub(crate) fn kept_of(row: &Row) -> Result<Kept> {
    Ok(Kept {
        pos: row.number(0)?,
        run: RunId::from_text(row.text(1)?),
        root: RunId::from_text(row.text(2)?),
        workspace: row.text(3)?,
        agent: row.text(4)?,
        seq: row.number(5)?,
        at: row.int(6)?,
        v: row.number(7)? as u16,
        attempt: row.number(8)? as u32,
        author: row.text(9)?,
        kind: row.text(10)?,
        prev: row.text(11)?,
        body: row.text(12)?,
    })
}

impl Kept {
    /// The hash that the next record has to name.
    pub(crate) fn hash(&self) -> String {
        link(&Link {
            prev: &self.prev,
            run: self.run.as_str(),
            seq: self.seq,
            at: self.at,
            v: self.v,
            attempt: self.attempt,
            author: &self.author,
            kind: &self.kind,
            body: &digest(self.body.as_bytes()),
        })
    }

    /// What happened, without the long strings: of kinds that can be read so.
    pub(crate) fn bare(&self) -> Result<Event> {
        let damaged = |it: serde_json::Error| {
            let Kept { seq, run, .. } = self;
            StoreError::Corrupt(format!("record {seq} of run {run} cannot be read: {it}"))
        };
        let mut body: Value = serde_json::from_str(&self.body).map_err(damaged)?;
        // Nested text is to be JSON.
        blob::unpack(&mut body, &mut |_| Ok("null".to_owned()))?;
        serde_json::from_value(body).map_err(damaged)
    }

    /// The record, with its long strings put back.
    pub(crate) fn record(self, tx: &mut dyn Tx) -> Result<Record> {
        self.record_with(tx, blob::fetch)
    }

    /// The same, the strings found in this way.
    fn record_with(
        self,
        tx: &mut dyn Tx,
        mut fetch: impl FnMut(&mut dyn Tx, &str) -> Result<String>,
    ) -> Result<Record> {
        let (run, seq) = (self.run.clone(), self.seq);
        let damaged = |it: serde_json::Error| {
            StoreError::Corrupt(format!("record {seq} of run {run} cannot be read: {it}"))
        };
        let event = if blob::is_packed(&self.body) {
            let mut body: Value = serde_json::from_str(&self.body).map_err(damaged)?;
            blob::unpack(&mut body, &mut |hash| fetch(tx, hash))?;
            serde_json::from_value(body).map_err(damaged)?
        } else {
            serde_json::from_str(&self.body).map_err(damaged)?
        };
        Ok(Record {
            seq: self.seq,
            at: self.at,
            v: self.v,
            workspace: self.workspace,
            task: self.root,
            run: self.run,
            attempt: self.attempt,
            agent: name(&self.agent),
            by: self.author,
            prev: self.prev,
            event,
        })
    }
}

/// The agent's name in a record; a stream has none. Its type is another room's, read through serde.
fn name<T: serde::de::DeserializeOwned>(agent: &str) -> Option<T> {
    let text = (!agent.is_empty()).then(|| Value::from(agent))?;
    serde_json::from_value(text).ok()
}

/// A run's records behind a number, oldest first.
pub(crate) fn read(tx: &mut dyn Tx, run: &RunId, after: u64, limit: u32) -> Result<Vec<Record>> {
    let (sql, args) = behind(run, after, limit);
    let rows = tx.query(sql, &args)?;
    rows.iter().map(|row| kept_of(row)?.record(tx)).collect()
}

/// Asks for them.
fn behind(run: &RunId, after: u64, limit: u32) -> Ask {
    let sql = kept!(
        "WHERE j.run = (SELECT pos FROM run WHERE id = $1) {in_part_of_id} AND j.seq > $2
         ORDER BY j.seq LIMIT $3"
    );
    (sql, vec![run.into(), after.into(), limit.into()])
}

/// The first records of several runs, oldest first. Texts that several have are asked for once.
pub(crate) fn first(tx: &mut dyn Tx, runs: &[RunId], limit: u32) -> Result<Vec<Vec<Record>>> {
    let asked: Vec<Ask> = runs.iter().map(|run| behind(run, 0, limit)).collect();
    let mut texts = HashMap::new();
    let mut fetch = |tx: &mut dyn Tx, hash: &str| match texts.entry(hash.to_owned()) {
        Entry::Occupied(known) => Ok(String::clone(known.get())),
        Entry::Vacant(new) => Ok(new.insert(blob::fetch(tx, hash)?).clone()),
    };
    let found = tx.all(&asked)?;
    let mut read = |row: &Row| kept_of(row)?.record_with(tx, &mut fetch);
    found.iter().map(|rows| rows.iter().map(&mut read).collect()).collect()
}

/// One record, by the place of its run and its number.
pub(crate) fn at(tx: &mut dyn Tx, run: i64, seq: u64) -> Result<Option<Record>> {
    let sql = kept!("WHERE j.run = $1 AND j.seq = $2 {in_part_of_pos}");
    let row = tx.one(sql, &[run.into(), seq.into()])?;
    row.map(|it| kept_of(&it)?.record(tx)).transpose()
}

/// The end of the journal of the run in that place.
pub(crate) fn tail_at(tx: &mut dyn Tx, run: i64) -> Result<Tail> {
    tail_of(&tx.only(tail!("WHERE pos = $1"), &[run.into()])?)
}

/// Writes the moved tail into the row of a run that was told something: one that waits goes back into
/// the queue, and if it is urgent it is handed out at once.
pub(crate) fn heard(tx: &mut dyn Tx, tail: &Tail, urgent: bool) -> Result<()> {
    let sql = match tail.state.as_str() {
        "waiting" => {
            "UPDATE run SET seq = $2, head = $3, stop = CASE WHEN $4 = 1 THEN 1 ELSE stop END,
            state = 'ready', wake = NULL WHERE pos = $1"
        }
        _ => {
            "UPDATE run SET seq = $2, head = $3, stop = CASE WHEN $4 = 1 THEN 1 ELSE stop END
            WHERE pos = $1"
        }
    };
    let urgent = i64::from(urgent);
    tx.put(sql, &[tail.pos.into(), tail.seq.into(), (&tail.head).into(), urgent.into()])
}

/// Counters that several processes must agree on at once.
pub(crate) fn tally(tx: &mut dyn Tx, name: &'static str, by: i64) -> Result<()> {
    tx.put("UPDATE tally SET n = n + $2 WHERE name = $1", &[name.into(), by.into()])
}
