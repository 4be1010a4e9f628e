//! One run driven by one lease: fold, ask what is next, write it down, perform it, again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use callboard_agents::{Outcome, Prepared, Run, perform};
use callboard_store::gates::{Amounts, Give, Take};
use callboard_store::{Lease, Next, StoreError};
use callboard_trace::{Event, Failure, FailureCode, Record, RunId, Spend};
use tokio::task::JoinSet;

use crate::ahead::Folded;
use crate::batch::{Batch, Rest};
use crate::house::{House, Wheel};
use crate::pause::{has_tries, retry_at};
use crate::refusal::Stored;
use crate::relay::{Relay, Taken};
use crate::told::{Heard, Told};
use crate::{World, begin, gates, journal};

/// How long a plan that waits is kept in hand, in microseconds: most often a step of it ends soon.
const LINGER: i64 = 250_000;

/// Between two writes of a plan's run, in microseconds: steps that end in the meantime are dealt with
/// together.
const GATHER: i64 = 2_000;

/// Drives a run until it ends, rests, or is taken from us. What it is doing then is dropped.
pub(crate) fn drive(
    house: Arc<House>,
    Taken { lease, folded }: Taken,
    wheel: Wheel,
    relay: Relay,
) -> impl Future<Output = ()> + Send {
    let (run, told) = (lease.run.clone(), wheel.told.clone());
    let (seat, is_plan) = (Seat { house: house.clone(), run, told }, lease.agent == begin::PLAN);
    // Boxed, as a future keeps room for each variable that was moved through it.
    let driven = Box::new(Drive {
        house,
        lease,
        wheel,
        relay,
        undone: None,
        inside: JoinSet::new(),
        held: BTreeMap::new(),
        gives: Vec::new(),
        told: Spend::default(),
        unused: 0,
        back: None,
        stepped: false,
        lingered: false,
        written: 0,
    });
    async move {
        let run = &seat.run;
        match driven.go(folded).await {
            Ok(()) => return,
            Err(StoreError::Fenced) => (),
            Err(error) => {
                tracing::warn!(%run, %error, "dropped a run; it goes on from its journal");
                seat.house.stray.notify_one();
            }
        }
        if is_plan {
            seat.house.folds.put(run, None);
            seat.house.heirs.forget(run);
        }
    }
}

/// A run under way here. Dropping it, by an end or by a panic, tells everybody who waits.
struct Seat {
    house: Arc<House>,
    run: RunId,
    told: Arc<Told>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.house.driven.remove(&self.run, &self.told);
        self.house.waiters.ring(&self.run);
        self.house.ready.notify_one();
    }
}

pub(crate) struct Drive {
    pub(crate) house: Arc<House>,
    pub(crate) lease: Lease,
    wheel: Wheel,
    /// The way for who takes its place.
    pub(crate) relay: Relay,
    /// Where a record that is folded was not known to be kept: how often writes had been undone before it.
    pub(crate) undone: Option<u64>,
    /// Steps being performed.
    inside: JoinSet<(u32, Outcome)>,
    /// What they hold.
    pub(crate) held: BTreeMap<u32, Vec<Take>>,
    /// What is given back with the next write.
    pub(crate) gives: Vec<Give>,
    /// What the run had spent when it was written last.
    pub(crate) told: Spend,
    /// Unused shares of the plan that were given back.
    pub(crate) unused: usize,
    /// What came back of shares, where the run spends of what is nobody's.
    pub(crate) back: Option<Box<Amounts>>,
    /// Whether a step was taken under this lease.
    pub(crate) stepped: bool,
    /// Whether nothing came while a plan that waits was kept in hand.
    lingered: bool,
    /// When it was written last, in microseconds since 1970.
    pub(crate) written: i64,
}

/// What comes after a write.
pub(crate) enum After {
    /// The run ended or was parked; whether it is folded up to its last record.
    Gone(bool),
    /// The rules are asked again before anything is waited for.
    Again,
    /// The run waits for what is performed, or until a time.
    On(Option<i64>),
}

impl Drive {
    async fn go(mut self: Box<Self>, folded: Option<Box<Folded>>) -> Stored<()> {
        let mut batch = Batch::default();
        let mut run = Box::pin(self.start(folded, &mut batch)).await?;
        loop {
            run.now = self.house.world.now();
            let root = self.lease.root.clone();
            let rest = batch.decide(&self.house, &root, &mut run);
            let taken = std::mem::take(&mut batch);
            let after = match rest {
                // The step begins where the run is taken next.
                Rest::Gated(_) if self.house.draining.is_cancelled() => {
                    if self.is_idle() {
                        return Box::pin(self.hand_back(&mut run, taken)).await;
                    }
                    Box::pin(self.write(&mut run, taken, Rest::Wait(None))).await?
                }
                // Boxed, so that a run that waits keeps no room for what it does not do.
                Rest::Gated(pending) => {
                    Box::pin(self.begin(&mut run, (taken, &mut batch), *pending)).await?
                }
                rest @ (Rest::Wait(_) | Rest::Over | Rest::Written) => {
                    Box::pin(self.write(&mut run, taken, rest)).await?
                }
            };
            let until = match after {
                After::Gone(is_whole) => {
                    let plan = run.plan.is_some().then(|| run.id.clone());
                    if let Some(name) = plan {
                        if run.end.is_some() {
                            self.house.heirs.forget(&name);
                        }
                        self.house.folds.put(&name, is_whole.then_some((self.seen(), run)));
                    }
                    return Ok(());
                }
                After::Again => continue,
                After::On(until) => until,
            };
            if !self.listen(&mut run, &mut batch, until).await? {
                return Box::pin(self.hand_back(&mut run, batch)).await;
            }
        }
    }

    /// An orderly leave: a model step cut off here is no lost one, and is simply asked again.
    async fn hand_back(mut self: Box<Self>, run: &mut Run, mut batch: Batch) -> Stored<()> {
        self.inside.shutdown().await;
        let open = run.open_models();
        if !(open.is_empty() && batch.facts.is_empty()) {
            for it in open {
                let message = "cut off: the process was asked to stop";
                let failure = Failure::of(it, FailureCode::Cancelled, message);
                let failure = Failure { retryable: true, ..failure };
                batch.fact_by(run, &self.house.node, Event::StepFailed(failure));
            }
            let advance = self.advance(run, batch, Next::Go)?;
            self.house.store.advance(&self.lease, advance).await?;
        }
        if run.plan.is_some() {
            self.house.folds.put(&run.id, None);
        }
        self.house.store.give_back(self.lease).await
    }

    /// Whether nothing of the run is in progress.
    pub(crate) fn is_idle(&self) -> bool {
        self.inside.is_empty()
    }

    /// Performs a step that has begun.
    pub(crate) fn perform(&mut self, step: u32, prepared: Prepared) {
        let hands = self.house.crew.hands();
        self.stepped = true;
        self.inside.spawn(async move { (step, perform(&hands, &prepared).await) });
    }

    /// A write after which no step begins.
    async fn write(&mut self, run: &mut Run, batch: Batch, rest: Rest) -> Stored<After> {
        let is_more = matches!(rest, Rest::Written);
        let (next, after, until) = match (rest, batch.state) {
            (Rest::Over, state) => {
                self.inside.abort_all();
                for (step, takes) in std::mem::take(&mut self.held) {
                    self.gives.extend(gates::let_go(step, takes));
                }
                let state = state.map_or("failed", outcome);
                (Next::End { state: state.into() }, After::Gone(false), None)
            }
            (Rest::Written, _) => (Next::Go, After::Again, None),
            (Rest::Wait(until), _) if !self.is_idle() => (Next::Go, After::On(until), until),
            (Rest::Wait(_), _) if run.plan.is_some() && !self.lingered => {
                let until = run.now + LINGER;
                (Next::Go, After::On(Some(until)), Some(until))
            }
            (Rest::Wait(until), _) => (Next::Park { until }, After::Gone(true), until),
            (Rest::Gated(_), _) => unreachable!("a gated step is begun"),
        };
        if batch.facts.is_empty() && matches!(after, After::On(_)) {
            self.acted(run);
            return Ok(after);
        }
        let own = batch.facts.len();
        let advance = self.advance(run, batch, next)?;
        let advanced = self.put(run, advance).await?;
        if !is_more {
            self.acted(run);
        }
        let slipped = &advanced.records[..advanced.records.len().saturating_sub(own)];
        slipped.iter().for_each(|it| self.hears(run, &it.event));
        let is_whole = slipped.iter().all(|it| run.takes_late(it));
        if let After::Gone(_) = after {
            if let Some(at) = until {
                self.house.alarm.set(at);
            }
            return Ok(After::Gone(is_whole));
        }
        if is_whole && slipped.is_empty() {
            return Ok(after);
        }
        if !is_whole {
            self.anew(run).await?;
        }
        Ok(After::Again)
    }

    /// Waits for an outcome, a signal or a time. `false` when the process is to go.
    async fn listen(
        &mut self,
        run: &mut Run,
        batch: &mut Batch,
        until: Option<i64>,
    ) -> Stored<bool> {
        let until = until.unwrap_or(run.started.deadline).min(run.started.deadline);
        let is_idle = self.is_idle();
        tokio::select! {
            biased;
            () = self.house.stopping.cancelled() => return Ok(false),
            () = self.house.draining.cancelled(), if is_idle => return Ok(false),
            () = self.wheel.lost.cancelled() => return Err(StoreError::Fenced),
            () = self.wheel.told.rings() => Box::pin(self.told(run)).await?,
            Some(outcome) = self.inside.join_next() => {
                self.take_in(run, batch, outcome);
                while let Some(more) = self.inside.try_join_next() {
                    self.take_in(run, batch, more);
                }
            }
            () = tokio::time::sleep(from_now(&self.house.world, until)) => self.lingered = true,
        }
        Ok(true)
    }

    /// Waits for more that a plan may hear together.
    async fn gather(&self, run: &Run) {
        if run.plan.is_some() {
            let next = self.written + GATHER;
            tokio::time::sleep(from_now(&self.house.world, next)).await;
        }
    }

    /// Takes in what others write into the journal: as it is told, else as it is read.
    async fn told(&mut self, run: &mut Run) -> Stored<()> {
        let Some(is_kept) = self.wheel.told.more() else { return Ok(()) };
        self.lingered = false;
        // What is not kept yet is gathered by the commit it waits for.
        if is_kept {
            self.gather(run).await;
        }
        self.take_told(run);
        if self.wheel.told.more().is_none() {
            return Ok(());
        }
        let store = &self.house.store;
        let records: Vec<Record> =
            store.journal(&self.lease.run, self.seen(), journal::PAGE).await?;
        for record in &records {
            run.apply(&record.by, &record.event);
            self.hears(run, &record.event);
            self.sees(record.seq);
        }
        // What was told beyond a gap may come next by now.
        self.take_told(run);
        Ok(())
    }

    fn take_told(&mut self, run: &mut Run) {
        for Heard { fact, undone, .. } in self.wheel.told.take() {
            run.apply(&fact.by, &fact.event);
            self.hears(run, &fact.event);
            self.undone = self.undone.or(undone);
        }
    }

    /// The place up to which the journal is folded.
    pub(crate) fn seen(&self) -> u64 {
        self.wheel.told.seen()
    }

    /// The journal is folded up to that place.
    pub(crate) fn sees(&self, seq: u64) {
        self.wheel.told.sees(seq);
    }

    fn take_in(
        &mut self,
        run: &mut Run,
        batch: &mut Batch,
        outcome: Result<(u32, Outcome), tokio::task::JoinError>,
    ) {
        let outcome = outcome.map(|(step, outcome)| {
            let takes = self.held.remove(&step).unwrap_or_default();
            self.gives.extend(gates::gives(step, takes, &outcome));
            outcome
        });
        match outcome {
            Ok(Outcome::Done { events, learned: _ }) => {
                let store = &self.house.store;
                events.into_iter().for_each(|it| batch.fact(run, store.told(it)))
            }
            Ok(Outcome::Failed { mut failure, retry_after, learned: _ }) => {
                let again = failure.retryable && has_tries(run, failure.step, failure.code);
                failure.retry_at =
                    again.then(|| retry_at(&self.house.world, run, failure.step, retry_after));
                batch.fact(run, self.house.store.told(Event::StepFailed(failure)));
            }
            // A broken invariant: this run is dropped, folded anew by whoever claims it, and its
            // step counts as lost; after three times it halts.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => (),
        }
    }
}

fn from_now(world: &World, until: i64) -> Duration {
    let micros = until.saturating_sub(world.now()).max(0);
    // Far deadlines are looked at again each hour: the clock may be set meanwhile.
    Duration::from_micros(micros.unsigned_abs()).min(Duration::from_secs(3_600))
}

fn outcome(state: callboard_trace::EndState) -> &'static str {
    match state {
        callboard_trace::EndState::Completed => "completed",
        callboard_trace::EndState::Partial => "partial",
        callboard_trace::EndState::Failed => "failed",
        callboard_trace::EndState::Cancelled => "cancelled",
    }
}
