//! A run taken again from its records: no step reaches the outside, each waits until somebody
//! hands it what it brought the first time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callboard_trace::{Event, Record, RunId, StepBegun};
use tokio::sync::{Notify, oneshot};

use crate::outcome::Outcome;
use crate::run::Run;
use crate::step::Draft;

/// The names of a record's runs, and the steps that wait for their outcome.
#[derive(Default)]
pub struct Recorded {
    /// The children of each run with their handoffs: those of a plan by its steps, the others by
    /// the order they came to be in.
    children: HashMap<(RunId, Place), (RunId, String)>,
    waiting: Mutex<Vec<Waiting>>,
    bell: Notify,
}

#[derive(PartialEq, Eq, Hash)]
enum Place {
    Step(String),
    Nth(usize),
}

struct Waiting {
    run: RunId,
    begun: StepBegun,
    answer: oneshot::Sender<Outcome>,
}

impl Recorded {
    /// Knows the names in these records.
    pub fn of(records: &[Record]) -> Recorded {
        let mut counts: HashMap<&RunId, usize> = HashMap::new();
        let mut children = HashMap::new();
        for record in records {
            let Event::HandedOff(handoff) = &record.event else { continue };
            let count = counts.entry(&record.run).or_default();
            let place = handoff.step.clone().map_or(Place::Nth(*count), Place::Step);
            *count += usize::from(handoff.step.is_none());
            let named = (handoff.run.clone(), handoff.id.clone());
            children.insert((record.run.clone(), place), named);
        }
        Recorded { children, ..Recorded::default() }
    }

    /// What a run's next child was called, and its handoff.
    pub fn child(&self, parent: &Run, draft: &Draft) -> Option<(RunId, String)> {
        let step = draft.plan.as_ref().map(|it| Place::Step(it.step.clone()));
        let place = step.unwrap_or(Place::Nth(parent.children.len()));
        self.children.get(&(parent.id.clone(), place)).cloned()
    }

    /// The steps that wait, in the order they began.
    pub fn waiting(&self) -> Vec<(RunId, StepBegun)> {
        self.inside().iter().map(|it| (it.run.clone(), it.begun.clone())).collect()
    }

    /// Hands a waiting step its outcome, told under its own number, after what it left to be read.
    /// `false` if it does not wait.
    pub fn answer(&self, run: &RunId, step: u32, left: Option<&Event>, event: &Event) -> bool {
        let mut waiting = self.inside();
        let found = waiting.iter().position(|it| it.run == *run && it.begun.step == step);
        let Some(found) = found.map(|at| waiting.remove(at)) else { return false };
        found.answer.send(outcome(&found.begun, left, event)).is_ok()
    }

    /// Resolves when another step waits.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Waits for the outcome of a step.
    pub(crate) async fn perform(&self, run: RunId, begun: StepBegun) -> Outcome {
        let (answer, told) = oneshot::channel();
        let step = begun.step;
        self.inside().push(Waiting { run: run.clone(), begun, answer });
        self.bell.notify_one();
        let _gone = Gone { recorded: self, run, step };
        match told.await {
            Ok(outcome) => outcome,
            Err(_) => std::future::pending().await,
        }
    }

    fn inside(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a step that nobody waits for any more off the list.
struct Gone<'a> {
    recorded: &'a Recorded,
    run: RunId,
    step: u32,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let is_it = |it: &Waiting| it.run == self.run && it.begun.step == self.step;
        self.recorded.inside().retain(|it| !is_it(it));
    }
}

/// The outcome as that of this step. A failure is tried again at once.
fn outcome(begun: &StepBegun, left: Option<&Event>, event: &Event) -> Outcome {
    let mut event = event.clone();
    if let Event::StepFailed(mut failure) = event {
        (failure.step, failure.attempt, failure.retry_at) = (begun.step, begun.attempt, None);
        let (retry_after, learned) = (Some(Duration::ZERO), Vec::new());
        return Outcome::Failed { failure, retry_after, learned };
    }
    if let Event::ModelReplied(reply) = &mut event {
        reply.step = begun.step;
    }
    if let Event::ToolReturned { step, .. } = &mut event {
        *step = begun.step;
    }
    Outcome::done(left.cloned().into_iter().chain([event]).collect())
}
