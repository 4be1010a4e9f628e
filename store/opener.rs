//! A first step that begins with the write that takes its run from the queue.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use callboard_trace::RunId;

use crate::Store;
use crate::db::Tx;
use crate::error::Result;
use crate::gate::Barrier;
use crate::gates::{Amounts, Gate};
use crate::journal;
use crate::known::Known;
use crate::own::Own;

/// Steps by their runs, as they are when a write takes those.
#[derive(Debug, Default)]
pub struct Openers(Mutex<HashMap<RunId, Arc<Opener>>>);

impl Openers {
    /// The run begins with that step.
    pub fn put(&self, run: RunId, opener: Arc<Opener>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run, opener);
    }

    /// The step of that run, which it begins with no more.
    pub fn remove(&self, run: &RunId) -> Option<Arc<Opener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(run)
    }

    pub(crate) fn get(&self, run: &RunId) -> Option<Arc<Opener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }
}

/// Nobody began it.
const FRESH: u8 = 0;
/// A write began it; whether that is kept is not known here.
const BEGUN: u8 = 1;
/// It never begins.
const SPENT: u8 = 2;

/// The step that a run begins with, decided on before it is taken.
pub struct Opener {
    /// The length of the journal it was decided by.
    seq: u64,
    barrier: Barrier,
    state: AtomicU8,
}

impl Store {
    /// A step of a run whose journal is so long. It begins when the run is taken, if the journal is
    /// no longer then and its gate lets it at once; else it is not heard of.
    ///
    /// # Errors
    /// A record that cannot be kept.
    pub fn opener(&self, seq: u64, gate: Gate) -> Result<Opener> {
        let barrier = Barrier::new(gate, &self.inner.ink)?;
        Ok(Opener { seq, barrier, state: AtomicU8::new(FRESH) })
    }
}

impl Opener {
    /// It never begins from here on, for nobody is there to perform it; or it has begun, and that is
    /// the answer.
    pub fn spend(&self) -> bool {
        self.becomes(SPENT) == BEGUN
    }

    /// What it is from here on: this, unless it is something already.
    fn becomes(&self, state: u8) -> u8 {
        let became =
            self.state.compare_exchange(FRESH, state, Ordering::Relaxed, Ordering::Relaxed);
        became.map_or_else(|it| it, |_| state)
    }

    /// The resources and the budgets that it looks at.
    pub(crate) fn looks_at(
        &self,
    ) -> (impl Iterator<Item = &String>, impl Iterator<Item = &String>) {
        self.barrier.looks_at()
    }

    /// Begins the step of a run that was taken just now. Answers what the budgets stand at that were
    /// charged.
    pub(crate) fn open(
        &self,
        tx: &mut dyn Tx,
        (own, known): (&mut Own, &mut Known),
        at: i64,
    ) -> Result<Option<Vec<(String, Amounts)>>> {
        if own.tail.seq != self.seq || self.becomes(BEGUN) != BEGUN {
            return Ok(None);
        }
        let begun = self.barrier.at_once(tx, (own, known), at)?;
        if begun.is_some() {
            journal::moved(tx, &own.tail)?;
        }
        Ok(begun)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a first step behind record {}", self.seq)
    }
}
