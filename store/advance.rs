//! The one write of a step: its records, its children, what it tells others, and what comes next.

use callboard_trace::{Fact, Record, RunId};

use crate::db::{Tx, Val};
use crate::ink::Line;
use crate::journal::{self, Stamp, Tail, tail};
use crate::submit::{Entry, admit};
use crate::{Lease, NewRun, Store, StoreError, Submitted};

/// One step of a run, to be kept whole or not at all.
#[derive(Clone, Debug)]
pub struct Advance {
    /// The length of the journal that the writer has folded.
    pub seen: u64,
    /// The run's own records, in order.
    pub facts: Vec<Fact>,
    /// Runs that start with this step.
    pub spawn: Vec<NewRun>,
    /// Records into the journals of other open runs; a waiting one wakes.
    pub tell: Vec<(RunId, Fact)>,
    /// What becomes of the run.
    pub next: Next,
}

/// What becomes of a run after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on, under the same lease.
    Go,
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
#[derive(Clone, Debug)]
pub struct Advanced {
    /// The length of the run's journal now.
    pub seq: u64,
    /// When it was written: microseconds since 1970, the database's clock.
    pub at: i64,
    /// Everything behind `seen`, in order: records from outside that had slipped in, then our own.
    pub records: Vec<Record>,
    /// The runs that started, in the order of `spawn`.
    pub children: Vec<Submitted>,
}

impl Store {
    /// Keeps a step. `Fenced` if the run is no longer the lease's, or if its journal is shorter
    /// than what the writer saw. A run that is parked while something slipped in stays ready.
    pub async fn advance(&self, lease: &Lease, write: Advance) -> Result<Advanced, StoreError> {
        let Advance { seen, facts, spawn, tell, next } = write;
        let ink = &self.inner.ink;
        let (said, lines) = ink.write_all(facts)?;
        let spawn = spawn.into_iter().map(|it| Entry::new(it, ink)).collect::<Result<_, _>>()?;
        let tell = tell.into_iter().map(|(run, it)| Ok((run, ink.write(it)?.1)));
        let tell = tell.collect::<Result<_, StoreError>>()?;
        let leaves = next != Next::Go;
        let step = Step {
            run: lease.run.clone(),
            token: lease.hold.token,
            seen,
            lines,
            spawn,
            tell,
            next,
        };
        if leaves {
            lease.hold.leave();
        }
        let done = self.inner.db.write(move |tx| step.write(tx)).await;
        if leaves && done.is_err() {
            lease.hold.stay();
        }
        let written = done?;
        self.ring();
        let mut records = written.slipped;
        records.extend(journal::records(&written.tail, written.stamps, said));
        let Tail { seq, .. } = written.tail;
        Ok(Advanced { seq, at: written.at, records, children: written.children })
    }
}

struct Step {
    run: RunId,
    token: i64,
    seen: u64,
    lines: Vec<Line>,
    spawn: Vec<Entry>,
    tell: Vec<(RunId, Line)>,
    next: Next,
}

struct Written {
    tail: Tail,
    at: i64,
    slipped: Vec<Record>,
    stamps: Vec<Stamp>,
    children: Vec<Submitted>,
}

impl Step {
    fn write(&self, tx: &mut dyn Tx) -> Result<Written, StoreError> {
        let at = tx.now()?;
        let sql = tail!("WHERE id = $1 AND lease = $2 AND state = 'running' {hold}");
        let row = tx.one(sql, &[(&self.run).into(), self.token.into()])?;
        let mut tail = journal::tail_of(&row.ok_or(StoreError::Fenced)?)?;
        if tail.seq < self.seen {
            return Err(StoreError::Fenced);
        }
        let slipped = if tail.seq > self.seen {
            journal::read(tx, &self.run, self.seen, u32::MAX)?
        } else {
            Vec::new()
        };
        let stamps = journal::append(tx, &mut tail, at, &self.lines)?;
        self.settle(tx, &tail, at, slipped.is_empty())?;
        let children = self.spawn.iter().map(|it| admit(tx, it, at)).collect::<Result<_, _>>()?;
        for (run, line) in &self.tell {
            tell(tx, run, line, at)?;
        }
        Ok(Written { tail, at, slipped, stamps, children })
    }

    /// The run's row after the step. Who has seen the whole journal has seen what was urgent.
    fn settle(
        &self,
        tx: &mut dyn Tx,
        tail: &Tail,
        at: i64,
        saw_all: bool,
    ) -> Result<(), StoreError> {
        let stays = i64::from(!saw_all);
        let mut args = vec![tail.pos.into(), tail.seq.into(), (&tail.head).into(), Val::Int(stays)];
        match &self.next {
            Next::Go => {
                let sql = "UPDATE run SET seq = $2, head = $3, stop = stop * $4 WHERE pos = $1";
                tx.exec(sql, &args)?;
            }
            Next::Park { until } => {
                let due = until.is_some_and(|it| it <= at);
                let state = if saw_all && !due { "waiting" } else { "ready" };
                let wake = until.filter(|_| state == "waiting");
                args.extend([state.into(), wake.into()]);
                let sql =
                    "UPDATE run SET seq = $2, head = $3, stop = stop * $4, state = $5, wake = $6,
                    node = NULL, lease = NULL WHERE pos = $1";
                tx.exec(sql, &args)?;
            }
            Next::End { state } => {
                args.extend([state.into(), at.into()]);
                let sql = "UPDATE run SET seq = $2, head = $3, stop = 0 * $4, state = 'ended', outcome = $5,
                    ended = $6, wake = NULL, node = NULL, lease = NULL WHERE pos = $1";
                tx.exec(sql, &args)?;
                journal::tally(tx, "ended", 1)?;
                if tail.top {
                    journal::tally(tx, "open_roots", -1)?;
                }
            }
        }
        Ok(())
    }
}

/// A record into another run's journal. One that has ended hears nothing any more.
fn tell(tx: &mut dyn Tx, run: &RunId, line: &Line, at: i64) -> Result<(), StoreError> {
    let open = journal::find(tx, run)?.filter(|it| it.state != "ended" && it.state != "stream");
    let Some(mut tail) = open else { return Ok(()) };
    journal::append(tx, &mut tail, at, std::slice::from_ref(line))?;
    journal::moved(tx, &tail)?;
    journal::wake(tx, &tail)
}
