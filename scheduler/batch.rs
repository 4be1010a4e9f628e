//! One write in the making: the records of a step, the children it starts, whom it tells.

use callboard_agents::{Draft, Prepared, Run, Step, declined, prepare_model, prepare_tool};
use callboard_store::NewRun;
use callboard_trace::{
    Action, Control, EndState, Event, Fact, Failure, FailureCode, Finished, RunId, StepBegun, Stop,
    Trouble, Work,
};
use serde_json::{Value, json};

use crate::begin;
use crate::house::House;

/// Steps decided on before anything is written; more would be a rule that never rests.
const STEPS_MAX: usize = 1_000;

/// What goes into the next write, and what is performed after it.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) facts: Vec<Fact>,
    pub(crate) spawn: Vec<NewRun>,
    pub(crate) tell: Vec<(RunId, Fact)>,
    pub(crate) perform: Vec<Prepared>,
    pub(crate) state: Option<EndState>,
}

/// Whether the run rests, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Until something happens, or that time (microseconds since 1970).
    Wait(Option<i64>),
    /// For good.
    Over,
}

impl Batch {
    /// Takes steps until the rules say wait: each is folded into the run at once.
    pub(crate) fn decide(&mut self, house: &House, root: &RunId, run: &mut Run) -> Rest {
        for _ in 0..STEPS_MAX {
            if let Some(rest) = self.take(house, root, run, callboard_agents::next(run)) {
                return rest;
            }
        }
        self.end(run, restless());
        Rest::Over
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
            Step::Ask(asked) => {
                let prepared = prepare_model(run, &asked);
                self.fact(run, Event::StepBegun(prepared.begun().clone()));
                self.perform.push(prepared);
            }
            Step::Call { step, attempt, call, repeatable, server } => {
                let arguments = call.arguments.clone().unwrap_or_default();
                let (call, tool) = (call.id.clone(), call.tool);
                let work = Work::Tool { call, tool, arguments, repeatable, server };
                let begun = StepBegun::new(step, attempt, work);
                self.fact(run, Event::StepBegun(begun.clone()));
                self.perform.push(prepare_tool(run, begun));
            }
            Step::Answer { call, ok, result, also } => {
                for event in also {
                    self.fact(run, event);
                }
                let step = run.steps + 1;
                self.fact(
                    run,
                    Event::ToolReturned { step, call, ok, result, ms: 0, documents: vec![] },
                );
            }
            Step::HandOff(draft) => self.hand_off(house, root, run, draft),
            Step::Record(event) => self.fact(run, event),
        }
        self.state.map(|_| Rest::Over)
    }

    fn hand_off(&mut self, house: &House, root: &RunId, run: &mut Run, mut draft: Draft) {
        for event in std::mem::take(&mut draft.also) {
            self.fact(run, event);
        }
        let team = house.crew.team();
        let declared = run.plan.as_ref().and_then(|it| it.agent(&draft.to)).cloned();
        let Some(agent) = declared.or_else(|| team.agents.get(&draft.to).cloned()) else {
            return self.nobody(run, draft);
        };
        let recorded = house.crew.hands().recorded;
        let named = recorded.and_then(|it| it.child(run, &draft));
        let (name, id) = named.unzip();
        let id = draft.id.take().or(id).unwrap_or_else(|| house.world.name("h_"));
        let named = (name.unwrap_or_else(|| house.world.run()), id);
        let (new, handoff) = begin::child(&team, &agent, run, root, draft, named);
        self.spawn.push(new);
        self.fact(run, Event::HandedOff(Box::new(handoff)));
    }

    /// The receiver left the team since this run began.
    fn nobody(&mut self, run: &mut Run, draft: Draft) {
        let message = format!("{} is no longer in the team", draft.to);
        match draft.call {
            Some(call) => {
                let (step, result) = (run.steps + 1, json!({ "error": message }));
                self.fact(
                    run,
                    Event::ToolReturned { step, call, ok: false, result, ms: 0, documents: vec![] },
                );
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
    fn end(&mut self, run: &mut Run, end: Finished) {
        for failure in unfinished(run) {
            self.fact(run, Event::StepFailed(failure));
        }
        if let Some(parent) = run.started.parent.clone() {
            let handoff = run.started.handoff.as_ref().map(|it| it.id.clone());
            if let (Some(handoff), Some(refusal)) = (handoff.clone(), declined(run)) {
                let event = Event::HandoffRefused {
                    handoff,
                    run: run.id.clone(),
                    reason: refusal.reason,
                    better: refusal.better,
                };
                self.tell.push((parent.clone(), Fact::new(run.name().as_str(), event)));
            }
            let event = Event::ChildEnded {
                child: run.id.clone(),
                agent: run.name().clone(),
                handoff,
                end: Box::new(end.clone()),
                totals: run.totals,
            };
            self.tell.push((parent, Fact::new(run.name().as_str(), event)));
        }
        if end.state == EndState::Cancelled {
            self.cancel_children(run);
        }
        self.perform.clear();
        self.state = Some(end.state);
        self.fact(run, Event::RunEnded(Box::new(end)));
    }
}

/// The steps that the end cuts off.
fn unfinished(run: &Run) -> Vec<Failure> {
    let model = run.asking.as_ref().filter(|it| it.open).map(|it| (it.step, it.begun));
    let tools = run.tools.iter().filter(|it| it.open).map(|it| (it.step, it.lost + 1));
    let cut_off = |(step, attempt)| Failure {
        step,
        attempt,
        code: FailureCode::Cancelled,
        message: "cut off by the end of the run".into(),
        retryable: false,
        retry_at: None,
        ms: 0,
        asked_again: 0,
    };
    model.into_iter().chain(tools).map(cut_off).collect()
}

fn gone(run: &Run, message: String) -> Finished {
    run.stopped(
        Stop::Error,
        Trouble {
            code: FailureCode::HandoffFailed,
            message,
            retryable: false,
            hint: "call an agent that is in the team".into(),
        },
    )
}

fn restless() -> Finished {
    Finished {
        state: EndState::Failed,
        stop: Stop::Error,
        answer: None,
        missing: Vec::new(),
        recommendations: Vec::new(),
        error: Some(Trouble {
            code: FailureCode::Internal,
            message: format!("the rules named {STEPS_MAX} steps without a rest"),
            retryable: false,
            hint: "this is a fault of the program; its trace shows the steps".into(),
        }),
    }
}
