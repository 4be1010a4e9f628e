//! A first step that begins with the write that takes its run from the queue.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use callboard_trace::RunId;

use crate::db::Tx;
use crate::gate::Barrier;
use crate::gates::{Amounts, Gate};
use crate::journal;
use crate::known::Known;
use crate::own::Own;
use crate::{Store, StoreError};

/// Steps by their runs.
pub type Openers = HashMap<RunId, Arc<Opener>>;

/// The step that a run begins with, decided on before it is taken.
pub struct Opener {
    /// The length of the journal it was decided by.
    seq: u64,
    barrier: Barrier,
    spent: AtomicBool,
}

impl Store {
    /// A step of a run whose journal is so long. It begins when the run is taken, if the journal is
    /// no longer then and its gate lets it at once; else it is not heard of.
    ///
    /// # Errors
    /// A record that cannot be kept.
    pub fn opener(&self, seq: u64, gate: Gate) -> Result<Opener, StoreError> {
        let barrier = Barrier::new(gate, &self.inner.ink)?;
        Ok(Opener { seq, barrier, spent: AtomicBool::new(false) })
    }
}

impl Opener {
    /// It never begins from here on: nobody is there to perform it.
    pub fn spend(&self) {
        self.spent.store(true, Ordering::Relaxed);
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
    ) -> Result<Option<Vec<(String, Amounts)>>, StoreError> {
        if self.spent.load(Ordering::Relaxed) || own.tail.seq != self.seq {
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
