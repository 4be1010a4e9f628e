//! One write in the making: the records of a step, the children it starts, whom it tells.

use std::sync::Arc;

use callboard_agents::limits::{Afford, affords};
use callboard_agents::{Asked, Draft, Prepared, Run, Step, declined, prepare_model, prepare_tool};
use callboard_store::NewRun;
use callboard_trace::{
    Action, Control, EndState, Event, Fact, Failure, FailureCode, Finished, RunId, StepBegun, Stop,
    Trouble, Work,
};
use serde_json::{Value, json};

use crate::house::House;
use crate::pending::{Pending, What};
use crate::{begin, plan};

/// Steps decided on before anything is written; more would be a rule that never rests.
const STEPS_MAX: usize = 1_000;

/// Runs started by one write. A plan starts more with the writes after it: others come in between.
pub(crate) const SPAWN_MAX: usize = 16;

/// What goes into the next write.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) facts: Vec<Fact>,
    pub(crate) spawn: Vec<NewRun>,
    pub(crate) tell: Vec<(RunId, Fact)>,
    /// Who of those leads a plan, and so begins more work and does none.
    pub(crate) hurry: Vec<RunId>,
    pub(crate) state: Option<EndState>,
}

/// Whether the run rests, and until when.
pub(crate) enum Rest {
    /// Until something happens, or that time (microseconds since 1970).
    Wait(Option<i64>),
    /// For good.
    Over,
    /// Only until this is written.
    Written,
    /// Until its next step passes its gates.
    Gated(Box<Pending>),
}

impl Batch {
    /// Takes steps until the rules say wait: each is folded into the run at once.
    pub(crate) fn decide(&mut self, house: &House, root: &RunId, run: &mut Run) -> Rest {
        if self.state.is_some() {
            return Rest::Over;
        }
        for _ in 0..STEPS_MAX {
            if let Some(rest) = self.take(house, root, run, callboard_agents::next(run)) {
                return rest;
            }
            if self.spawn.len() >= SPAWN_MAX {
                return Rest::Written;
            }
        }
        self.end(run, restless());
        Rest::Over
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        let Batch { facts, spawn, tell, hurry, state } = self;
        facts.is_empty()
            && spawn.is_empty()
            && tell.is_empty()
            && hurry.is_empty()
            && state.is_none()
    }

    /// Writes down what happened.
    pub(crate) fn fact(&mut self, run: &mut Run, event: Event) {
        let by = run.name().to_string();
        self.fact_by(run, &by, event);
    }

    /// Writes down what happened, made so by someone else.
    pub(crate) fn fact_by(&mut self, run: &mut Run, by: &str, event: Event) {
        run.apply(by, &event);
        self.facts.push(Fact::new(by, event));
    }

    /// Takes one step; says so when the run rests.
    fn take(&mut self, house: &House, root: &RunId, run: &mut Run, step: Step) -> Option<Rest> {
        match step {
            Step::Wait(until) => return Some(Rest::Wait(until)),
            Step::End(end) => {
                self.end(run, end);
                return Some(Rest::Over);
            }
            Step::Ask(asked) if asked.not_before.is_some_and(|it| it > run.now) => {
                return Some(Rest::Wait(asked.not_before));
            }
            Step::Ask(asked) => return self.ask(house, run, asked),
            Step::Call { step, attempt, call, repeatable, server } => {
                let arguments = call.arguments.clone().unwrap_or_default();
                let (id, tool) = (call.id.clone(), call.tool);
                let work = Work::Tool { call: id, tool, arguments, repeatable, server };
                let prepared = prepare_tool(run, StepBegun::new(step, attempt, work));
                if let Afford::No(alert) = affords(run, &prepared) {
                    self.fact(run, *alert);
                    let result = json!({ "error": "the budget has no tool call left" });
                    self.answer(run, call.id, false, result);
                } else {
                    let events = vec![Event::StepBegun(prepared.begun().clone())];
                    return Some(Rest::Gated(Box::new(Pending {
                        events,
                        what: What::Tool(prepared),
                    })));
                }
            }
            Step::Answer { call, ok, result, also } => {
                for event in also {
                    self.fact(run, event);
                }
                self.answer(run, call, ok, result);
            }
            Step::HandOff(draft) => return self.hand_off(house, root, run, draft),
            Step::Record(event) => self.fact(run, event),
        }
        self.state.map(|_| Rest::Over)
    }

    /// Takes the step that a refused creation leads to.
    pub(crate) fn refused(&mut self, run: &mut Run, step: Step) {
        match step {
            Step::Answer { call, ok, result, also } => {
                also.into_iter().for_each(|it| self.fact(run, it));
                self.answer(run, call, ok, result);
            }
            Step::End(end) => self.end(run, end),
            Step::Record(event) => self.fact(run, event),
            Step::Ask(_) | Step::Call { .. } | Step::HandOff(_) | Step::Wait(_) => (),
        }
    }

    /// Prepares a model step, if the run's own budget bears it.
    pub(crate) fn ask(&mut self, house: &House, run: &mut Run, asked: Asked) -> Option<Rest> {
        let mut prepared = prepared(house, run, &asked);
        match affords(run, &prepared) {
            Afford::Yes => (),
            Afford::Cut(most) => {
                prepared.cut(most);
            }
            Afford::No(alert) => {
                self.fact(run, *alert);
                return None;
            }
            Afford::Unpriced(end) => {
                let Step::End(end) = *end else { return None };
                self.end(run, end);
                return Some(Rest::Over);
            }
        }
        let events = vec![Event::StepBegun(prepared.begun().clone())];
        Some(Rest::Gated(Box::new(Pending { events, what: What::Model(asked, prepared) })))
    }

    /// Answers a call at once.
    pub(crate) fn answer(&mut self, run: &mut Run, call: String, ok: bool, result: Value) {
        let step = run.steps + 1;
        let (documents, files) = (Vec::new(), Vec::new());
        self.fact(run, Event::ToolReturned { step, call, ok, result, ms: 0, documents, files });
    }

    pub(crate) fn hand_off(
        &mut self,
        house: &House,
        root: &RunId,
        run: &mut Run,
        mut draft: Draft,
    ) -> Option<Rest> {
        let also = std::mem::take(&mut draft.also);
        let team = house.crew.team();
        let declared = run.plan.as_ref().and_then(|it| it.agent(&draft.to)).cloned();
        let leads = std::mem::take(&mut draft.leads);
        let leader = (!leads.is_empty()).then(|| Arc::new(plan::leader()));
        let member = || team.agents.get(&draft.to).cloned().map(Arc::new);
        let Some(agent) = declared.or(leader).or_else(member) else {
            also.into_iter().for_each(|it| self.fact(run, it));
            let message = format!("{} is no longer in the team", draft.to);
            self.nobody(run, draft, message);
            return self.state.map(|_| Rest::Over);
        };
        let recorded = house.crew.hands().recorded.clone();
        let named = recorded.and_then(|it| it.child(run, &draft));
        let (name, id) = named.unzip();
        let id = draft.id.take().or(id).unwrap_or_else(|| house.world.name("h_"));
        let named = (name.unwrap_or_else(|| house.world.run()), id);
        let (mut new, handoff) = begin::child(&team, &agent, run, root, draft.clone(), named);
        let mut events = also;
        events.push(Event::HandedOff(Box::new(handoff)));
        if !leads.is_empty() {
            let made = plan::made_by_agent(&team, house.world.name("p_"), leads);
            new.facts.push(Fact::new(run.name().as_str(), made));
        }
        // The steps of a plan that an agent made are growth, each of them.
        if draft.plan.is_none() || run.started.parent.is_some() {
            return Some(Rest::Gated(Box::new(Pending {
                events,
                what: What::HandOff(draft, new),
            })));
        }
        // A declared step is no growth: its plan was taken in as a whole.
        self.spawn.push(new);
        events.into_iter().for_each(|it| self.fact(run, it));
        None
    }

    /// The receiver left the team since this run began, or takes no new work.
    pub(crate) fn nobody(&mut self, run: &mut Run, draft: Draft, message: String) {
        match draft.call {
            Some(call) => {
                let result = json!({ "error": message });
                self.answer(run, call, false, result);
            }
            None => match (draft.plan, &run.plan) {
                (Some(declared), Some(plan)) => {
                    let change = json!({ "step": declared.step, "failed": message });
                    let plan = plan.id().to_string();
                    self.fact(run, Event::PlanChanged { plan, change });
                }
                _ => self.end(run, gone(run, message)),
            },
        }
    }

    /// A child that began while the cancel was on its way has not heard of it.
    fn cancel_children(&mut self, run: &Run) {
        for child in run.open_children() {
            let reason = format!("{} was cancelled", run.id);
            let control = Control { action: Action::Cancel, value: Value::Null, reason };
            self.tell.push((child, Fact::new(run.name().as_str(), Event::Controlled(control))));
        }
    }

    /// The end of a run: its last record, and its parent's word of it, in one write.
    pub(crate) fn end(&mut self, run: &mut Run, end: Finished) {
        for failure in unfinished(run) {
            self.fact(run, Event::StepFailed(failure));
        }
        if let Some(noted) = run.came_to(&end) {
            self.fact(run, noted);
        }
        if let Some(parent) = run.started.parent.clone() {
            if let (Some(handoff), Some(refusal)) = (&run.started.handoff, declined(run)) {
                let event = Event::HandoffRefused {
                    handoff: handoff.id.clone(),
                    run: run.id.clone(),
                    reason: refusal.reason,
                    better: refusal.better,
                };
                self.tell.push((parent.clone(), Fact::new(run.name().as_str(), event)));
            }
            if run.started.is_step() {
                self.hurry.push(parent.clone());
            }
            self.tell.push((parent, run.told_end(&end)));
        }
        if end.state == EndState::Cancelled {
            self.cancel_children(run);
        }
        self.state = Some(end.state);
        self.fact(run, Event::RunEnded(Box::new(end)));
    }
}

/// A model step as its team prices it.
pub(crate) fn prepared(house: &House, run: &Run, asked: &Asked) -> Prepared {
    let model = &run.models_for(&asked.purpose)[asked.model];
    let price = house.crew.team().prices.of(&model.provider, &model.model);
    prepare_model(run, asked, price)
}

/// The steps that the end cuts off.
fn unfinished(run: &Run) -> Vec<Failure> {
    let models = run.open_models();
    let tools = run.tools.iter().filter(|it| it.open).map(|it| (it.step, it.lost + 1));
    let cut_off = |it| Failure::of(it, FailureCode::Cancelled, "cut off by the end of the run");
    models.into_iter().chain(tools).map(cut_off).collect()
}

fn gone(run: &Run, message: String) -> Finished {
    run.stopped(
        Stop::Error,
        Trouble::of(
            FailureCode::HandoffFailed,
            message,
            "call an agent that is in the team and takes work",
        ),
    )
}

fn restless() -> Finished {
    Finished::failed(
        Stop::Error,
        Trouble::of(
            FailureCode::Internal,
            format!("the rules named {STEPS_MAX} steps without a rest"),
            "this is a fault of the program; its trace shows the steps",
        ),
    )
}
