//! A graph of runs as it stands: folded from the declaration and from what its steps came to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use callboard_config::budget::Caps;
use callboard_config::{Agent, AgentName};
use callboard_trace::rank::{Points, WAITERS_MAX};
use callboard_trace::{EndState, Finished, PlanStep, RunId, Trouble};
use serde_json::Value;

pub use crate::cycle::cycle;
use crate::words;

/// Characters kept of a result: for those who wait for it, and for the end.
const HEAD: usize = 1_500;
/// Results told in the end of a plan.
pub(crate) const RESULTS_MAX: usize = 50;

/// Steps told of that wait for one.
const HEIRS_MAX: usize = 16;

/// A plan. Steps are counted, not searched: a hundred thousand of them cost no more each.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    id: String,
    agents: Vec<Arc<Agent>>,
    places: Vec<Place>,
    by_id: HashMap<String, usize>,
    by_run: BTreeMap<RunId, usize>,
    /// Steps that may begin, the first of them first.
    ready: BTreeSet<Order>,
    counts: Counts,
    /// Results nobody waits for that are kept for the end.
    told: usize,
    /// What it may spend, of which steps have shares.
    pub(crate) whole: Caps,
    /// Steps with a share that will never begin.
    pub(crate) unused: Vec<usize>,
}

/// The most urgent first, then those with the longest way behind them, then as they were declared.
type Order = (u16, Reverse<u32>, usize);

/// How many steps stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Under way.
    pub open: usize,
    /// Ended with something usable.
    pub good: usize,
    /// Ended with nothing usable.
    pub bad: usize,
    /// Left out, because a step they needed came to nothing.
    pub left_out: usize,
}

/// One step and how it stands.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// As it was declared.
    pub step: PlanStep,
    /// Where it stands.
    pub standing: Standing,
    /// The run that does it.
    pub run: Option<RunId>,
    /// The beginning of its result, while somebody may ask for it.
    pub head: Option<String>,
    /// The confidence of its result, 0..1.
    pub confidence: f64,
    /// What content of others is in its result.
    pub taint: Option<String>,
    /// What went wrong.
    pub trouble: Option<Box<Trouble>>,
    /// The step for whose sake it was left out.
    pub blamed: Option<usize>,
    /// The steps that waited for it when the plan was made, as they count.
    pub points: Points,
    heirs: Vec<usize>,
    unmet: usize,
    waiting_heirs: usize,
    /// Steps on the longest way from this one to an end.
    way: u32,
}

/// A step among those that wait for each other.
#[derive(Clone, Copy, Debug)]
pub struct Heir {
    /// Its place in the plan.
    pub at: usize,
    /// How many steps it waits for, as far as the plan has heard.
    pub unmet: usize,
    /// Its priority as it counts, 0..1000.
    pub points: u16,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// For others to end.
    #[default]
    Waiting,
    /// May begin.
    Ready,
    /// Has a run.
    Open,
    /// Its run is over.
    Ended(EndState),
    /// Will never begin.
    LeftOut,
}

impl Plan {
    /// Reads a declaration that was checked when it came in. What is no list of steps has none.
    pub(crate) fn read(id: &str, steps: &Value, agents: &[Agent]) -> Plan {
        let steps = PlanStep::read(steps);
        let by_id = steps.iter().enumerate().map(|(at, it)| (it.id.clone(), at)).collect();
        let mut plan = Plan {
            id: id.to_string(),
            agents: agents.iter().cloned().map(Arc::new).collect(),
            places: steps.into_iter().map(Place::new).collect(),
            by_id,
            ..Plan::default()
        };
        for at in 0..plan.places.len() {
            let after = plan.places[at].step.after.clone();
            let needs: BTreeSet<usize> =
                after.iter().filter_map(|it| plan.by_id.get(it)).copied().collect();
            plan.places[at].unmet = needs.len();
            for need in needs {
                plan.places[need].heirs.push(at);
                plan.places[need].waiting_heirs += 1;
            }
        }
        plan.measure();
        for at in 0..plan.places.len() {
            plan.places[at].points.waiters = plan.waiters(at);
            plan.ready_if_met(at);
        }
        plan
    }

    /// How long the longest way is from each step to an end: the last steps first, then those that
    /// only wait for measured ones.
    fn measure(&mut self) {
        let mut needs: Vec<Vec<usize>> = vec![Vec::new(); self.places.len()];
        let mut left: Vec<usize> = Vec::with_capacity(self.places.len());
        for (at, place) in self.places.iter().enumerate() {
            place.heirs.iter().for_each(|heir| needs[*heir].push(at));
            left.push(place.heirs.len());
        }
        let mut measured: Vec<usize> = (0..left.len()).filter(|at| left[*at] == 0).collect();
        while let Some(at) = measured.pop() {
            let way = self.places[at].way + 1;
            for need in std::mem::take(&mut needs[at]) {
                let place = &mut self.places[need];
                place.way = place.way.max(way);
                left[need] -= 1;
                if left[need] == 0 {
                    measured.push(need);
                }
            }
        }
    }

    /// The steps that wait for one, directly or not: looked for until there are ten.
    fn waiters(&self, at: usize) -> u16 {
        let mut found: Vec<usize> = vec![at];
        let mut looked = 0;
        while let Some(here) = found.get(looked).copied() {
            for heir in &self.places[here].heirs {
                if found.len() > usize::from(WAITERS_MAX) {
                    return WAITERS_MAX;
                }
                if !found.contains(heir) {
                    found.push(*heir);
                }
            }
            looked += 1;
        }
        u16::try_from(found.len() - 1).unwrap_or(WAITERS_MAX)
    }

    /// `p_…`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// An agent as it was defined when the plan began.
    pub fn agent(&self, name: &AgentName) -> Option<&Arc<Agent>> {
        self.agents.iter().find(|it| it.name == *name)
    }

    /// Every step, as declared.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The runs of the steps under way.
    pub fn open_runs(&self) -> impl Iterator<Item = RunId> {
        self.by_run.keys().cloned()
    }

    /// The step of an open run, and the first of those that wait for it.
    pub fn heirs(&self, run: &RunId) -> Option<(Heir, Vec<Heir>)> {
        let at = *self.by_run.get(run)?;
        let heir = |at: usize| {
            let place = &self.places[at];
            Heir { at, unmet: place.unmet, points: place.urgency() }
        };
        Some((heir(at), self.places[at].heirs.iter().take(HEIRS_MAX).map(|it| heir(*it)).collect()))
    }

    /// How many stand where.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether steps are left that came to no end and are not left out.
    pub(crate) fn is_cut_off(&self) -> bool {
        let Counts { good, bad, left_out, .. } = self.counts;
        good + bad + left_out < self.places.len()
    }

    /// The step that may begin first.
    pub(crate) fn first_ready(&self) -> Option<&Place> {
        self.ready.first().map(|(_, _, at)| &self.places[*at])
    }

    /// The steps that one waits for, in its own order.
    pub(crate) fn needs(&self, step: &PlanStep) -> impl Iterator<Item = &Place> {
        step.after.iter().filter_map(|it| self.by_id.get(it)).map(|at| &self.places[*at])
    }

    /// What content of others is in what a step is given of the others.
    pub fn taint_before(&self, step: &str) -> Option<&String> {
        let place = &self.places[*self.by_id.get(step)?];
        self.needs(&place.step).find_map(|it| it.taint.as_ref())
    }

    /// A step by its place.
    pub(crate) fn place(&self, at: usize) -> &Place {
        &self.places[at]
    }

    /// A run began on a step.
    pub(crate) fn began(&mut self, step: &str, run: &RunId) {
        let Some(at) = self.by_id.get(step).copied() else { return };
        self.ready.remove(&self.places[at].order(at));
        self.places[at].standing = Standing::Open;
        self.places[at].run = Some(run.clone());
        self.by_run.insert(run.clone(), at);
        self.counts.open += 1;
        self.release_needs(at);
    }

    /// A run ended; whether it was one of the plan's.
    pub(crate) fn ended(&mut self, run: &RunId, end: &Finished, taint: Option<&String>) -> bool {
        let Some(at) = self.by_run.remove(run) else { return false };
        self.counts.open -= 1;
        let is_good = matches!(end.state, EndState::Completed | EndState::Partial);
        let place = &mut self.places[at];
        place.standing = Standing::Ended(end.state);
        place.taint = taint.cloned();
        place.confidence = end.confidence().unwrap_or(0.5);
        place.trouble = end.error.clone().map(Box::new);
        if is_good {
            self.counts.good += 1;
            self.keep_result(at, end.summary());
            for heir in self.places[at].heirs.clone() {
                self.places[heir].unmet -= 1;
                self.ready_if_met(heir);
            }
        } else {
            self.counts.bad += 1;
            self.leave_out_heirs(at);
        }
        true
    }

    /// A step was given up before it had a run.
    pub(crate) fn changed(&mut self, change: &Value) {
        let text = |name: &str| change.get(name).and_then(Value::as_str);
        let Some(at) = text("step").and_then(|it| self.by_id.get(it)).copied() else { return };
        if self.places[at].standing != Standing::Ready {
            return;
        }
        self.ready.remove(&self.places[at].order(at));
        self.places[at].standing = Standing::Ended(EndState::Failed);
        self.places[at].trouble = text("failed").map(|it| Box::new(gone(it)));
        self.counts.bad += 1;
        self.is_unused(at);
        self.release_needs(at);
        self.leave_out_heirs(at);
    }

    fn is_unused(&mut self, at: usize) {
        if self.places[at].step.share.is_some() {
            self.unused.push(at);
        }
    }

    fn ready_if_met(&mut self, at: usize) {
        let place = &mut self.places[at];
        if place.standing == Standing::Waiting && place.unmet == 0 {
            place.standing = Standing::Ready;
            let order = place.order(at);
            self.ready.insert(order);
        }
    }

    /// A result is kept for the steps that wait for it, and the first ones for the end.
    fn keep_result(&mut self, at: usize, result: &str) {
        let is_last = self.places[at].heirs.is_empty();
        let is_few = self.places.len() <= RESULTS_MAX;
        if is_few || (is_last && self.told < RESULTS_MAX) {
            self.told += 1;
        } else if self.places[at].waiting_heirs == 0 {
            return;
        }
        self.places[at].head = Some(words::cut(result, HEAD));
    }

    /// A step needs its needs' results no more.
    fn release_needs(&mut self, at: usize) {
        let is_few = self.places.len() <= RESULTS_MAX;
        let after = self.places[at].step.after.clone();
        let needs: BTreeSet<usize> =
            after.iter().filter_map(|it| self.by_id.get(it)).copied().collect();
        for need in needs {
            let place = &mut self.places[need];
            place.waiting_heirs = place.waiting_heirs.saturating_sub(1);
            if place.waiting_heirs == 0 && !is_few {
                place.head = None;
            }
        }
    }

    /// Everything that waits for a step that came to nothing, directly or not.
    fn leave_out_heirs(&mut self, at: usize) {
        let mut todo: Vec<usize> = self.places[at].heirs.clone();
        while let Some(heir) = todo.pop() {
            if self.places[heir].standing != Standing::Waiting {
                continue;
            }
            self.places[heir].standing = Standing::LeftOut;
            self.places[heir].blamed = Some(at);
            self.counts.left_out += 1;
            self.is_unused(heir);
            self.release_needs(heir);
            todo.extend(self.places[heir].heirs.iter().copied());
        }
    }
}

impl Place {
    fn new(step: PlanStep) -> Place {
        Place { step, ..Place::default() }
    }

    /// Its priority as it counts.
    fn urgency(&self) -> u16 {
        (self.step.priority.unwrap_or(100) + self.points.unblocking()).min(1_000)
    }

    fn order(&self, at: usize) -> Order {
        (1_000 - self.urgency(), Reverse(self.way), at)
    }
}

fn gone(message: &str) -> Trouble {
    Trouble::of(
        callboard_trace::FailureCode::HandoffFailed,
        message,
        "name an agent that is in the team",
    )
}
