//! Whether the records of a tree are still what was written: the chains, recomputed.

use std::collections::{HashMap, HashSet};

use callboard_trace::RunId;

use crate::blob;
use crate::chain::digest;
use crate::db::Tx;
use crate::journal::{Kept, kept, kept_of};
use crate::{Store, StoreError};

/// Records read in one go.
const PAGE: u32 = 512;

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
    pub async fn verify(&self, root: &RunId) -> Result<Verdict, StoreError> {
        let root = root.clone();
        self.inner.db.read(move |tx| verify(tx, &root)).await
    }
}

/// What has been read of one run so far.
struct Chain {
    run: RunId,
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
    verdict: Verdict,
}

fn verify(tx: &mut dyn Tx, root: &RunId) -> Result<Verdict, StoreError> {
    let mut check = Check::default();
    check.open(tx, root)?;
    let sql = kept!(
        "WHERE j.root = (SELECT pos FROM run WHERE id = $1) AND j.pos > $2 ORDER BY j.pos LIMIT $3"
    );
    let mut after = 0;
    loop {
        let rows = tx.query(sql, &[root.into(), after.into(), PAGE.into()])?;
        for row in &rows {
            let kept = kept_of(row)?;
            after = kept.pos;
            check.take(tx, &kept)?;
        }
        if rows.len() < PAGE as usize {
            return Ok(check.close());
        }
    }
}

impl Check {
    fn open(&mut self, tx: &mut dyn Tx, root: &RunId) -> Result<(), StoreError> {
        let sql = "SELECT id, parent, seq, head FROM run WHERE root = $1 ORDER BY pos";
        for row in tx.query(sql, &[root.into()])? {
            let run = RunId::from_text(row.text(0)?);
            let parent = row.maybe_text(1).map(RunId::from_text);
            // A run without a parent under a root follows the root.
            let parent = parent.or_else(|| (run != *root).then(|| root.clone()));
            if let Some(parent) = &parent {
                self.parents.entry(parent.clone()).or_default();
            }
            self.by_run.insert(run.clone(), self.chains.len());
            let (seq, head) = (row.number(2)?, row.text(3)?);
            let hash = String::new();
            self.chains.push(Chain { run, parent, seq, head, hash, read: 0, broken: false });
        }
        self.verdict.runs = self.chains.len() as u64;
        Ok(())
    }

    fn take(&mut self, tx: &mut dyn Tx, kept: &Kept) -> Result<(), StoreError> {
        self.verdict.records += 1;
        let Some(&at) = self.by_run.get(&kept.run) else { return Ok(()) };
        let why = self.wrong(at, kept).or(bodies(tx, &kept.body)?);
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
}

/// Whether the long strings of a body are what their hashes say.
fn bodies(tx: &mut dyn Tx, body: &str) -> Result<Option<String>, StoreError> {
    if !blob::is_packed(body) {
        return Ok(None);
    }
    let Ok(mut packed) = serde_json::from_str(body) else {
        return Ok(Some("its body is no JSON".to_owned()));
    };
    let mut wrong = None;
    let opened = blob::unpack(&mut packed, &mut |hash| {
        let text = blob::fetch(tx, hash)?;
        if digest(text.as_bytes()) != hash && !blob::is_erased(tx, hash)? {
            wrong = Some(format!("blob {hash} was changed"));
        }
        Ok(text)
    });
    Ok(wrong.or_else(|| opened.err().map(|it| it.to_string())))
}
