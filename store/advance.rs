//! The one write of a step: its records, its children, what it tells others, and what comes next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callboard_trace::{Fact, RunId};
use tokio::time::{Instant, sleep};

use crate::claim::{Taken, Wanted, leases};
use crate::db::{Tx, Val};
use crate::error::Result;
use crate::gate::{Barrier, Opened};
use crate::gates::{Give, Ruling};
use crate::ink::{Ink, Line};
use crate::journal::{self, Stamp, Tail};
use crate::known::Known;
use crate::ledger::{Return, Spent};
use crate::own::Own;
use crate::step::{Advance, Advanced, Next};
use crate::store::Inner;
use crate::submit::{Entry, admit_new};
use crate::{Lease, Store, StoreError, holds};

/// For how long a step waits for a database that is away before it counts as not recorded.
const AWAY: Duration = Duration::from_secs(300);
/// Between two tries.
const REST: Duration = Duration::from_millis(500);

impl Store {
    /// Keeps a step. `Fenced` if the run is no longer the lease's, or if its journal is shorter
    /// than what the writer saw. A run that is parked while something slipped in stays ready.
    pub async fn advance(&self, lease: &Lease, write: Advance) -> Result<Advanced> {
        let (step, said) = self.step(lease, write)?;
        let asking = step.takes.as_ref().map(|it| self.inner.held.ask(it.1));
        let leaves = step.next != Next::Go || step.barrier.as_ref().is_some_and(Barrier::parks);
        if leaves {
            lease.hold.leave();
        }
        let done = self.keep(step).await;
        if leaves && !done.as_ref().is_ok_and(|it| it.left) {
            lease.hold.stay();
        }
        let Written { mut advanced, tail, stamps, taken, .. } = done?;
        advanced.taken = asking.map(|it| leases(it, taken)).unwrap_or_default();
        self.ring();
        advanced.records.extend(journal::records(&tail, stamps, said));
        Ok(advanced)
    }

    /// The step as it is written, and what its own records say.
    fn step(&self, lease: &Lease, write: Advance) -> Result<(Step, Vec<Fact>)> {
        let Advance { seen, facts, spawn, tell, hurry, next, gives, spent, .. } = write;
        let ink = &self.inner.ink;
        let (said, lines) = ink.write_all(facts)?;
        let told = |(run, fact)| ink.write(fact).map(|(said, line)| (run, line, said));
        let step = Step {
            run: lease.run.clone(),
            token: lease.hold.token,
            seen,
            lines,
            spawn,
            tell: tell.into_iter().map(told).collect::<Result<_, _>>()?,
            hurry,
            next,
            gives,
            spent,
            returns: write.returns,
            barrier: write.gate.map(|it| Barrier::new(it, ink)).transpose()?,
            takes: write.takes.filter(|_| !self.is_left()).map(|it| (it, self.token())),
            undone: write.undone,
        };
        Ok((step, said))
    }

    /// Writes it, and tells of it.
    async fn keep(&self, step: Step) -> Result<Written> {
        let (step, begun) = (Arc::new(step), Instant::now());
        loop {
            let (own, inner) = (step.clone(), self.inner.clone());
            let write = move |tx: &mut dyn Tx| own.write(tx, &inner);
            let (own, inner) = (step.clone(), self.inner.clone());
            let tells = move |written: &Written, undone| {
                let told = own.tell.iter().zip(&written.told);
                let told = told.filter_map(|((run, _, fact), seq)| Some((run, (*seq)?, fact)));
                inner.ears.tell(told, undone);
            };
            match self.inner.db.step(write, tells).await {
                // Its outcome exists nowhere else, and the fence holds for as long as this takes.
                Err(StoreError::Away(_)) if begun.elapsed() < AWAY => sleep(REST).await,
                done => return done,
            }
        }
    }
}

struct Step {
    run: RunId,
    token: i64,
    seen: u64,
    lines: Vec<Line>,
    spawn: Vec<Entry>,
    tell: Vec<(RunId, Line, Fact)>,
    hurry: Vec<RunId>,
    next: Next,
    gives: Vec<Give>,
    spent: Vec<Spent>,
    returns: Vec<Return>,
    barrier: Option<Barrier>,
    /// With the token they are taken under.
    takes: Option<(Wanted, i64)>,
    undone: Option<u64>,
}

struct Written {
    /// Without its own records, and without leases.
    advanced: Advanced,
    tail: Tail,
    stamps: Vec<Stamp>,
    /// The place of each record that others were told, if their run is open.
    told: Vec<Option<u64>>,
    /// Whether the run is no longer ours.
    left: bool,
    taken: Vec<Taken>,
}

impl Step {
    fn write(&self, tx: &mut dyn Tx, inner: &Inner) -> Result<Written> {
        let Inner { ink, node, db, .. } = inner;
        if self.undone.is_some_and(|it| it != db.undone.load(Ordering::Relaxed)) {
            return Err(StoreError::Db("it was told of a write that was undone".to_owned()));
        }
        let at = tx.now()?;
        let mut known = Known::new(at);
        let Seen { mut own, held, mut others } = self.look(tx, &mut known)?;
        if own.tail.seq < self.seen {
            return Err(StoreError::Fenced);
        }
        let slipped = if own.tail.seq > self.seen {
            journal::read(tx, &self.run, self.seen, u32::MAX)?
        } else {
            Vec::new()
        };
        let stamps = journal::append(tx, &mut own.tail, at, &self.lines)?;
        let mut turned = Vec::new();
        for give in &self.gives {
            turned.extend(give.give(tx, &mut known, (own.tail.pos, &held), at)?);
        }
        let mut ledger = known.count(tx, self.spent.iter().map(|it| (&it.node, &it.add)))?;
        known.give_back(tx, &self.returns)?;
        let opened = self.open(tx, (&mut own, &mut known), at, (ink, slipped.is_empty()))?;
        let next = self.next(opened.as_ref());
        self.settle(tx, &mut own, at, (slipped.is_empty(), &next))?;
        if matches!(self.next, Next::Park { .. } | Next::End { .. }) {
            own.leave_line(tx, &[])?;
        }
        let mut children = admit_new(tx, &self.spawn, at)?;
        let ruling = opened.as_ref().map(|it| it.ruling.clone());
        if let (Some(barrier), Some(Ruling::Passed)) = (&self.barrier, &ruling) {
            children.extend(barrier.start(tx, &mut known, at)?);
        }
        let mut told = Vec::with_capacity(self.tell.len());
        for (run, line, _) in &self.tell {
            let Some(tail) = others.get_mut(run) else {
                told.push(None);
                continue;
            };
            tell(tx, tail, line, (at, self.hurry.contains(run)))?;
            told.push(Some(tail.seq));
        }
        let waits = opened.map(|it| {
            ledger.extend(it.ledger);
            it.waits
        });
        let waits = waits.flatten().map(|it| it.0);
        let left = next != Next::Go;
        let taken = match &self.takes {
            Some((wanted, token)) => wanted.seat(tx, (node, *token), (&mut known, at))?,
            None => Vec::new(),
        };
        let tail = own.tail;
        let (seq, records, leases) = (tail.seq, slipped, Vec::new());
        let advanced =
            Advanced { seq, at, records, children, ruling, waits, ledger, turned, taken: leases };
        Ok(Written { advanced, tail, stamps, told, left, taken })
    }

    /// Asks for all that the step needs to know, on one way.
    fn look(&self, tx: &mut dyn Tx, known: &mut Known) -> Result<Seen> {
        let mut asked = vec![Own::held(&self.run, self.token)];
        asked.extend((!self.gives.is_empty()).then(|| holds::of_run(&self.run)));
        let mut names: Vec<&RunId> = self.tell.iter().map(|it| &it.0).collect();
        names.sort_unstable();
        names.dedup();
        asked.extend(names.iter().map(|it| journal::named(it)));
        let gauges = self.gives.iter().map(|it| &it.take.name);
        let nodes = self.spent.iter().map(|it| &it.node);
        let nodes = nodes.chain(self.returns.iter().flat_map(|it| [&it.node, &it.to]));
        let mut found = known.ask(tx, gauges, nodes, asked)?.into_iter();
        let own = found.next().unwrap_or_default();
        let own = Own::of(own.first().ok_or(StoreError::Fenced)?)?;
        let mut held = Vec::new();
        if !self.gives.is_empty() {
            for row in found.next().unwrap_or_default() {
                held.push((row.int(0)?, row.text(1)?));
            }
        }
        let mut others = HashMap::new();
        for (run, rows) in names.into_iter().zip(found) {
            let Some(row) = rows.first() else { continue };
            let tail = journal::tail_of(row)?;
            if tail.is_open() {
                others.insert(run.clone(), tail);
            }
        }
        Ok(Seen { own, held, others })
    }

    /// Asks the gate, if there is one and nobody wrote in between.
    fn open(
        &self,
        tx: &mut dyn Tx,
        (own, known): (&mut Own, &mut Known),
        at: i64,
        (ink, saw_all): (&Ink, bool),
    ) -> Result<Option<Opened>> {
        let Some(barrier) = &self.barrier else { return Ok(None) };
        if !saw_all {
            return Ok(Some(Opened::shut(Ruling::Overtaken)));
        }
        let opened = barrier.pass(tx, (own, known), at, ink)?;
        if let Some((_, line)) = &opened.waits {
            journal::append(tx, &mut own.tail, at, std::slice::from_ref(line))?;
        }
        Ok(Some(opened))
    }

    /// What becomes of the run: one whose step waits rests.
    fn next(&self, opened: Option<&Opened>) -> Next {
        let parks = self.barrier.as_ref().is_some_and(Barrier::parks);
        match opened.map(|it| &it.ruling) {
            Some(Ruling::Held(wait)) if parks => Next::Park { until: Some(wait.again) },
            _ => self.next.clone(),
        }
    }

    /// The run's row after the step. Who has seen the whole journal has seen what was urgent.
    fn settle(
        &self,
        tx: &mut dyn Tx,
        own: &mut Own,
        at: i64,
        (saw_all, next): (bool, &Next),
    ) -> Result<()> {
        let (tail, stays) = (&own.tail, i64::from(!saw_all));
        let mut args = vec![tail.pos.into(), tail.seq.into(), (&tail.head).into(), Val::Int(stays)];
        match next {
            Next::Go => {
                let sql = "UPDATE run SET seq = $2, head = $3, stop = stop * $4 WHERE pos = $1";
                tx.put(sql, &args)?;
            }
            Next::Yield => {
                let sql = "UPDATE run SET seq = $2, head = $3, stop = stop * $4, state = 'ready',
                    node = NULL, lease = NULL WHERE pos = $1";
                tx.put(sql, &args)?;
            }
            Next::Park { until } => {
                let due = until.is_some_and(|it| it <= at);
                let state = if saw_all && !due { "waiting" } else { "ready" };
                let wake = until.filter(|_| state == "waiting");
                args.extend([state.into(), wake.into()]);
                let sql =
                    "UPDATE run SET seq = $2, head = $3, stop = stop * $4, state = $5, wake = $6,
                    node = NULL, lease = NULL WHERE pos = $1";
                tx.put(sql, &args)?;
            }
            Next::End { state } => {
                args.extend([state.into(), at.into()]);
                let sql = "UPDATE run SET seq = $2, head = $3, stop = 0 * $4, state = 'ended', outcome = $5,
                    ended = $6, wake = NULL, node = NULL, lease = NULL WHERE pos = $1";
                tx.put(sql, &args)?;
                journal::tally(tx, "ended", 1)?;
                if tail.top {
                    journal::tally(tx, "open_roots", -1)?;
                }
                own.is_over(tx)?;
            }
        }
        Ok(())
    }
}

/// What a step needs to know before it is written.
struct Seen {
    own: Own,
    /// What the run's steps hold: their numbers, and the names of the resources.
    held: Vec<(i64, String)>,
    /// The open ones of those that are told something.
    others: HashMap<RunId, Tail>,
}

/// A record into another run's journal.
fn tell(tx: &mut dyn Tx, tail: &mut Tail, line: &Line, (at, hurry): (i64, bool)) -> Result<()> {
    journal::append(tx, tail, at, std::slice::from_ref(line))?;
    journal::heard(tx, tail, hurry)
}
