//! Whether the records of a tree are still what was written: the chains, recomputed.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use callboard_trace::RunId;

use crate::Store;
use crate::blob;
use crate::chain::digest;
use crate::db::{Row, Tx};
use crate::error::Result;
use crate::journal::{Kept, kept, kept_of};

/// Records read in one go.
const PAGE: u32 = 512;
/// Blobs that are remembered, and the bytes that one of them may have.
const SHARED: usize = 64;
const SHARED_MAX: usize = 64 << 10;

/// What the check of a tree found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Runs looked at.
    pub runs: u64,
    /// Records looked at.
    pub records: u64,
    /// Where it does not hold, at most one place a run.
    pub breaks: Vec<Break>,
}

/// A place where the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The run.
    pub run: RunId,
    /// The record.
    pub seq: u64,
    /// What is wrong, as a lower-case fragment.
    pub why: String,
}

impl Store {
    /// Recomputes the chains of all runs of a root.
    pub async fn verify(&self, root: &RunId) -> Result<Verdict> {
        let root = root.clone();
        self.inner.db.read(move |tx| verify(tx, &root)).await
    }
}

/// The columns of a [`Chain`], in the order in which they are opened.
macro_rules! chain {
    ($rest:literal) => {
        concat!("SELECT id, parent, seq, head, root, turn FROM run ", $rest)
    };
}

/// What has been read of one run so far.
struct Chain {
    run: RunId,
    /// The place of its root.
    turn: i64,
    parent: Option<RunId>,
    seq: u64,
    head: String,
    hash: String,
    read: u64,
    broken: bool,
}

#[derive(Default)]
struct Check {
    chains: Vec<Chain>,
    by_run: HashMap<RunId, usize>,
    /// Every hash of a run that has children: a child's first record must name one.
    parents: HashMap<RunId, HashSet<String>>,
    /// Blobs that were found to be right: many records name the same ones.
    blobs: HashMap<String, String>,
    verdict: Verdict,
}

fn verify(tx: &mut dyn Tx, root: &RunId) -> Result<Verdict> {
    let mut check = Check::default();
    let sql = chain!("WHERE root = $1 ORDER BY pos");
    check.open(tx.query(sql, &[root.into()])?)?;
    let sql = kept!(
        "WHERE j.root = (SELECT pos FROM run WHERE id = $1) AND j.pos > $2 ORDER BY j.pos LIMIT $3"
    );
    let mut after = 0;
    loop {
        let rows = tx.query(sql, &[root.into(), after.into(), PAGE.into()])?;
        match check.take_all(tx, &rows)? {
            Some(last) if rows.len() == PAGE as usize => after = last.1,
            Some(_) | None => return Ok(check.close()),
        }
    }
}

/// Recomputes the chains of all roots whose place is in this range.
pub(crate) fn verify_range(tx: &mut dyn Tx, range: RangeInclusive<i64>) -> Result<Verdict> {
    let (first, last) = range.into_inner();
    let mut check = Check::default();
    let sql = chain!(
        "WHERE root IN (SELECT id FROM run WHERE pos >= $1 AND pos <= $2 AND root = id) ORDER BY pos"
    );
    check.open(tx.query(sql, &[first.into(), last.into()])?)?;
    let sql = kept!(
        "WHERE (j.root, j.pos) > ($1, $2) {in_parts_from} AND j.root <= $3
             ORDER BY j.root, j.pos LIMIT $4"
    );
    let mut after = (first, 0);
    loop {
        let args = [after.0.into(), after.1.into(), last.into(), PAGE.into()];
        let rows = tx.query(sql, &args)?;
        match check.take_all(tx, &rows)? {
            Some(last) if rows.len() == PAGE as usize => after = last,
            Some(_) | None => return Ok(check.close()),
        }
    }
}

impl Check {
    fn open(&mut self, rows: Vec<Row>) -> Result<()> {
        for row in rows {
            let (run, root) = (RunId::from_text(row.text(0)?), RunId::from_text(row.text(4)?));
            let parent = row.maybe_text(1).map(RunId::from_text);
            // A run without a parent under a root follows the root.
            let parent = parent.or_else(|| (run != root).then_some(root));
            if let Some(parent) = &parent {
                self.parents.entry(parent.clone()).or_default();
            }
            self.by_run.insert(run.clone(), self.chains.len());
            let (seq, head, turn) = (row.number(2)?, row.text(3)?, row.int(5)?);
            let hash = String::new();
            self.chains.push(Chain { run, turn, parent, seq, head, hash, read: 0, broken: false });
        }
        self.verdict.runs = self.chains.len() as u64;
        Ok(())
    }

    /// Takes records in; answers the places of the last one's root and of itself, unless one stands
    /// where it does not belong.
    fn take_all(&mut self, tx: &mut dyn Tx, rows: &[Row]) -> Result<Option<(i64, i64)>> {
        let mut last = None;
        for row in rows {
            let kept = kept_of(row)?;
            self.verdict.records += 1;
            let Some(&at) = self.by_run.get(&kept.run) else {
                let (run, seq) = (kept.run, kept.seq);
                let why = "it stands among the records of another root".to_owned();
                self.verdict.breaks.push(Break { run, seq, why });
                return Ok(None);
            };
            self.take(tx, at, &kept)?;
            last = Some((self.chains[at].turn, row.int(0)?));
        }
        Ok(last)
    }

    fn take(&mut self, tx: &mut dyn Tx, at: usize, kept: &Kept) -> Result<()> {
        let why = self.wrong(at, kept).or(self.bodies(tx, &kept.body)?);
        let hash = kept.hash();
        if let Some(all) = self.parents.get_mut(&kept.run) {
            all.insert(hash.clone());
        }
        let chain = &mut self.chains[at];
        (chain.read, chain.hash) = (kept.seq, hash);
        if let Some(why) = why {
            self.broken(at, kept.seq, why);
        }
        Ok(())
    }

    fn wrong(&self, at: usize, kept: &Kept) -> Option<String> {
        let chain = &self.chains[at];
        if kept.seq != chain.read + 1 {
            return Some(format!("record {} is missing", chain.read + 1));
        }
        let follows = match (&chain.parent, kept.seq) {
            (Some(parent), 1) => self.parents.get(parent).is_some_and(|it| it.contains(&kept.prev)),
            (None, 1) | (_, 2..) | (_, 0) => kept.prev == chain.hash,
        };
        (!follows)
            .then(|| "it does not follow the record before it; one of them was changed".to_owned())
    }

    fn broken(&mut self, at: usize, seq: u64, why: String) {
        let chain = &mut self.chains[at];
        if !std::mem::replace(&mut chain.broken, true) {
            self.verdict.breaks.push(Break { run: chain.run.clone(), seq, why });
        }
    }

    fn close(mut self) -> Verdict {
        for at in 0..self.chains.len() {
            let chain = &self.chains[at];
            let (seq, read) = (chain.seq, chain.read);
            if read != seq {
                self.broken(
                    at,
                    read + 1,
                    format!("{seq} records were written and {read} are there"),
                );
            } else if seq > 0 && chain.head != chain.hash {
                self.broken(at, seq, "it is not the record that was written last".to_owned());
            }
        }
        self.verdict
    }

    /// Whether the long strings of a body are what their hashes say.
    fn bodies(&mut self, tx: &mut dyn Tx, body: &str) -> Result<Option<String>> {
        if !blob::is_packed(body) {
            return Ok(None);
        }
        let Ok(mut packed) = serde_json::from_str(body) else {
            return Ok(Some("its body is no JSON".to_owned()));
        };
        let mut wrong = None;
        let opened = blob::unpack(&mut packed, &mut |hash| {
            if let Some(text) = self.blobs.get(hash) {
                return Ok(text.clone());
            }
            let Some(text) = blob::find(tx, hash)? else { return Ok(blob::GONE.to_owned()) };
            if digest(text.as_bytes()) != hash && !blob::is_erased(tx, hash)? {
                wrong = Some(format!("blob {hash} was changed"));
            } else if text.len() <= SHARED_MAX {
                if self.blobs.len() == SHARED {
                    self.blobs.clear();
                }
                self.blobs.insert(hash.to_owned(), text.clone());
            }
            Ok(text)
        });
        Ok(wrong.or_else(|| opened.err().map(|it| it.to_string())))
    }
}
