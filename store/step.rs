//! A step as it is asked to be kept, and what became of it.

use callboard_trace::{Event, Fact, Record, RunId};

use crate::claim::Wanted;
use crate::gate::Ruling;
use crate::gates::{Gate, Give};
use crate::ledger::{Amounts, Return, Spent};
use crate::submit::Entry;
use crate::{Lease, Submitted};

/// One step of a run, to be kept whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Advance {
    /// The length of the journal that the writer has folded.
    pub seen: u64,
    /// The run's own records, in order.
    pub facts: Vec<Fact>,
    /// Runs that start with this step.
    pub spawn: Vec<Entry>,
    /// Records into the journals of other open runs; a waiting one wakes.
    pub tell: Vec<(RunId, Fact)>,
    /// Of those that are told: who has work to begin and does none, and so needs no seat.
    pub hurry: Vec<RunId>,
    /// What becomes of the run.
    pub next: Next,
    /// What its steps give back whose outcome is among the records.
    pub gives: Vec<Give>,
    /// What was spent beyond what was set aside, in the budgets above the run.
    pub spent: Vec<Spent>,
    /// Shares that are needed no more.
    pub returns: Vec<Return>,
    /// The step that is to begin with this write, if it may.
    pub gate: Option<Gate>,
    /// Runs that are taken from the queue with this write: so no seat stays empty for a write of its
    /// own.
    pub takes: Option<Wanted>,
    /// What [`Store::hears`](crate::Store::hears) said of the first record that was folded and was not
    /// known to be kept: if any was undone since, neither is the step kept.
    pub undone: Option<u64>,
}

impl Advance {
    /// Records and what becomes of the run; nothing else.
    pub fn new(seen: u64, facts: Vec<Fact>, next: Next) -> Advance {
        Advance { seen, facts, next, ..Advance::default() }
    }
}

/// What becomes of a run after a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// It goes on, under the same lease.
    #[default]
    Go,
    /// It goes on later: it is in the queue, and somebody more urgent may go first.
    Yield,
    /// It waits for a record from outside, or for a time in microseconds since 1970.
    Park {
        /// When it wakes by itself.
        until: Option<i64>,
    },
    /// It is over, with this outcome.
    End {
        /// How it ended, in the words of the record.
        state: String,
    },
}

/// What the step became.
#[derive(Debug)]
pub struct Advanced {
    /// The length of the run's journal now.
    pub seq: u64,
    /// When it was written: microseconds since 1970, the database's clock.
    pub at: i64,
    /// Everything behind `seen`, in order: records from outside that had slipped in, then our own.
    pub records: Vec<Record>,
    /// The runs that started, in the order of `spawn`, then those of the gate.
    pub children: Vec<Submitted>,
    /// What the gate said, if there was one.
    pub ruling: Option<Ruling>,
    /// The record that says that the step waits, if one was written.
    pub waits: Option<Event>,
    /// What the budgets stand at that `spent` and the gate's charges name.
    pub ledger: Vec<(String, Amounts)>,
    /// What is to be told of the resources that were given back.
    pub turned: Vec<Event>,
    /// The runs that were taken.
    pub taken: Vec<Lease>,
}
