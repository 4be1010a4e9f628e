//! One agent working on one task: everything known about it, folded from its records.

use callboard_config::AgentName;
use callboard_trace::{
    Action, ArtifactRef, Call, Control, Event, Failure, FailureCode, Finished, Handoff,
    ModelReplied, Purpose, Record, RunId, Started, StepBegun, Work,
};
use serde_json::Value;

use crate::{answer, prompt};

/// A run. `apply` is the only way it changes.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// How it began: agent, task, path, bounds.
    pub started: Started,
    /// The clock, handed in by the drive before it asks for the next step.
    pub now: i64,
    /// The number of the last step.
    pub steps: u32,
    /// Ordinary model turns so far.
    pub turns: u32,
    /// What was said so far, in the order the model sees it.
    pub dialogue: Vec<Said>,
    /// The model step that has no reply yet.
    pub asking: Option<Asking>,
    /// Tool steps begun and not returned.
    pub tools: Vec<OpenTool>,
    /// The last reply.
    pub reply: Option<Replied>,
    /// Calls of the last reply that are not answered yet.
    pub calls: Vec<Call>,
    /// Every child it ever had.
    pub children: Vec<Child>,
    /// What it noted, and what was handed to it.
    pub artifacts: Vec<ArtifactRef>,
    /// The last answer that met its schema, or text that may serve as one.
    pub kept: Option<Value>,
    /// Whether the receiver of a handoff set to work.
    pub accepted: bool,
    /// What was asked of it from outside.
    pub control: Controls,
    /// Counts that rules look at.
    pub tally: Tally,
    /// Questions a person has not answered.
    pub questions: Vec<String>,
    /// Its end.
    pub end: Option<Finished>,
}

/// One item of the dialogue with the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The assistant message exactly as it came.
    Model(Value),
    /// The result of one tool call.
    Tool { call: String, result: Value },
    /// Something the engine or a caller says.
    Note(String),
}

/// A model step without a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Asking {
    /// Its number.
    pub step: u32,
    /// Why the model is asked.
    pub purpose: Purpose,
    /// Which model of the agent's chain.
    pub model: usize,
    /// Attempts on this model that counted.
    pub attempts: u32,
    /// Attempts that were rate-limited.
    pub rate_limited: u32,
    /// Attempts whose process went away.
    pub lost: u32,
    /// Whether one is in progress.
    pub open: bool,
    /// Why the last one failed.
    pub failure: Option<Failure>,
}

/// A tool step in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTool {
    /// Its number.
    pub step: u32,
    /// The call it answers.
    pub call: Call,
    /// Doing it again changes nothing.
    pub repeatable: bool,
    /// Times its process went away.
    pub lost: u32,
    /// Whether one is in progress.
    pub open: bool,
}

/// The last reply and why the model had been asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Replied {
    /// Why.
    pub purpose: Purpose,
    /// What came.
    pub reply: ModelReplied,
}

/// A run this one handed work to.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// What was passed.
    pub handoff: Handoff,
    /// How it ended.
    pub end: Option<Finished>,
    /// Why it declined.
    pub refused: Option<Declined>,
    /// Whether its end was acted on.
    pub settled: bool,
}

/// A receiver's refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Declined {
    /// Why.
    pub reason: String,
    /// Who would be better.
    pub better: Option<AgentName>,
}

/// What was asked from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controls {
    /// Ended by whom, and why.
    pub cancelled: Option<(String, String)>,
    /// Paused by whom.
    pub paused: Option<String>,
    /// One finalisation turn is wanted.
    pub finish: bool,
    /// To be passed on to somebody else.
    pub redirect: Option<Value>,
}

/// Counts that end a run or change its course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Invalid summaries of handoffs so far.
    pub bad_summaries: u32,
    /// Turns in a row with only unknown tools or invalid arguments.
    pub bad_turns: u32,
    /// Creations refused by a fuse, in a row.
    pub refused_creations: u32,
    /// Repairs of the answer asked for.
    pub repairs: u32,
    /// Summaries asked for a trigger.
    pub summaries: u32,
    /// Handoffs that failed.
    pub failed_handoffs: u32,
}

impl Run {
    /// Folds a run from its whole journal. `None` if it does not begin with a `run_started`
    /// (after an optional `task_accepted`).
    pub fn fold(records: &[Record]) -> Option<Run> {
        let (at, first) = records.iter().enumerate().find_map(|(at, it)| match &it.event {
            Event::RunStarted(started) => Some((at, (it, started))),
            _ => None,
        })?;
        let (record, started) = first;
        let mut run = Run::new(record.run.clone(), (**started).clone());
        run.now = record.at;
        for record in &records[at + 1..] {
            run.apply(&record.by, &record.event);
        }
        Some(run)
    }

    /// A run that has only begun.
    pub fn new(id: RunId, started: Started) -> Run {
        let artifacts = started.handoff.as_ref().map_or_else(Vec::new, |it| it.artifacts.clone());
        Run {
            id,
            started,
            now: 0,
            steps: 0,
            turns: 0,
            dialogue: Vec::new(),
            asking: None,
            tools: Vec::new(),
            reply: None,
            calls: Vec::new(),
            children: Vec::new(),
            artifacts,
            kept: None,
            accepted: false,
            control: Controls::default(),
            tally: Tally::default(),
            questions: Vec::new(),
            end: None,
        }
    }

    /// The agent's own name.
    pub fn name(&self) -> &AgentName {
        &self.started.agent.name
    }

    /// The child whose end decides over this run, if there is one that was not acted on.
    pub fn transferred(&self) -> Option<&Child> {
        self.children
            .iter()
            .find(|it| !it.settled && it.handoff.mode == callboard_config::Mode::Transfer)
    }

    /// Whether any step is in progress.
    pub fn is_busy(&self) -> bool {
        self.asking.as_ref().is_some_and(|it| it.open) || self.tools.iter().any(|it| it.open)
    }

    /// Takes in what happened.
    pub fn apply(&mut self, by: &str, event: &Event) {
        match event {
            Event::StepBegun(step) => self.begun(step),
            Event::ModelReplied(reply) => self.replied(reply),
            Event::ToolReturned { step, call, ok, result, .. } => {
                self.steps = self.steps.max(*step);
                self.returned(call, *ok, result);
            }
            Event::StepFailed(failure) => self.failed(failure),
            Event::HandedOff(handoff) => self.handed_off(handoff),
            Event::HandoffAccepted { .. } => self.accepted = true,
            Event::HandoffRefused { handoff, reason, better, .. } => {
                if let Some(child) = self.child(handoff) {
                    child.refused =
                        Some(Declined { reason: reason.clone(), better: better.clone() });
                }
            }
            Event::HandoffFailed { handoff, .. } => {
                self.tally.failed_handoffs += 1;
                if let Some(child) = self.child(handoff) {
                    child.settled = true;
                }
            }
            Event::ChildEnded { child, end, .. } => {
                let found = self.children.iter_mut().find(|it| it.handoff.run == *child);
                if let Some(found) = found {
                    found.end = Some((**end).clone());
                }
            }
            Event::Noted { slot, key, value, artifact, .. } => {
                self.artifacts.push(answer::artifact(slot, key, value, artifact));
            }
            Event::QuestionAsked { question, .. } => self.questions.push(question.clone()),
            Event::QuestionClosed { question, .. } => self.questions.retain(|it| it != question),
            Event::FuseBlown { .. } => self.tally.refused_creations += 1,
            Event::Controlled(control) => self.controlled(by, control),
            Event::RunEnded(end) => self.end = Some((**end).clone()),
            Event::NodeStarted { .. }
            | Event::NodeStopped { .. }
            | Event::TeamLoaded { .. }
            | Event::AdmissionChanged { .. }
            | Event::TaskAccepted(_)
            | Event::Routed { .. }
            | Event::PlanMade { .. }
            | Event::PlanChanged { .. }
            | Event::RunStarted(_)
            | Event::RankSet { .. }
            | Event::Embedded { .. }
            | Event::StepWaiting(_)
            | Event::StepDecided { .. }
            | Event::LimitsLearned { .. }
            | Event::BreakerChanged { .. }
            | Event::Forgotten { .. }
            | Event::Checked { .. }
            | Event::BudgetAlerted { .. }
            | Event::BudgetSet { .. }
            | Event::Checkpointed { .. }
            | Event::Delivered { .. }
            | Event::CallerLeft { .. }
            | Event::Exported { .. }
            | Event::DayClosed { .. } => (),
        }
    }

    fn begun(&mut self, step: &StepBegun) {
        self.steps = self.steps.max(step.step);
        match &step.work {
            Work::Model { purpose, provider, model, .. } => {
                self.asked(step.step, purpose, provider, model);
            }
            Work::Tool { call, repeatable, .. } => {
                if let Some(tool) = self.tools.iter_mut().find(|it| it.step == step.step) {
                    tool.open = true;
                } else if let Some(call) = self.calls.iter().find(|it| it.id == *call) {
                    let (call, repeatable) = (call.clone(), *repeatable);
                    self.tools.push(OpenTool {
                        step: step.step,
                        call,
                        repeatable,
                        lost: 0,
                        open: true,
                    });
                }
            }
        }
    }

    fn asked(&mut self, step: u32, purpose: &Purpose, provider: &str, model: &str) {
        if let Some(asking) = self.asking.as_mut().filter(|it| it.step == step) {
            asking.open = true;
            let chain = &self.started.agent.models;
            let at = chain.iter().position(|it| it.provider == provider && it.model == model);
            if let Some(at) = at.filter(|at| *at != asking.model) {
                (asking.model, asking.attempts, asking.rate_limited) = (at, 0, 0);
            }
            return;
        }
        match purpose {
            Purpose::Repair { .. } => self.tally.repairs += 1,
            Purpose::Summarise { .. } => self.tally.summaries += 1,
            Purpose::Turn | Purpose::Finalise => (),
        }
        self.dialogue.extend(prompt::note(purpose).map(Said::Note));
        self.asking = Some(Asking {
            step,
            purpose: purpose.clone(),
            model: 0,
            attempts: 0,
            rate_limited: 0,
            lost: 0,
            open: true,
            failure: None,
        });
    }

    fn replied(&mut self, reply: &ModelReplied) {
        let asking = self.asking.take();
        let purpose = asking.map_or(Purpose::Turn, |it| it.purpose);
        if purpose == Purpose::Turn {
            self.turns += 1;
        }
        self.dialogue.push(Said::Model(reply.reply.clone()));
        self.calls = reply.calls.clone();
        let answers = reply.calls.is_empty() && !matches!(purpose, Purpose::Summarise { .. });
        if let Some(answer) = answer::read(&reply.text).filter(|_| answers) {
            self.kept = Some(answer);
        }
        self.tally.bad_turns = if reply.calls.is_empty() { 0 } else { self.tally.bad_turns + 1 };
        self.reply = Some(Replied { purpose, reply: reply.clone() });
    }

    fn returned(&mut self, call: &str, ok: bool, result: &Value) {
        if ok {
            self.tally.bad_turns = 0;
        } else if result.get("field").is_some() {
            self.tally.bad_summaries += 1;
        }
        self.calls.retain(|it| it.id != call);
        self.tools.retain(|it| it.call.id != call);
        for child in &mut self.children {
            if child.handoff.call.as_deref() == Some(call) {
                child.settled = true;
            }
        }
        self.dialogue.push(Said::Tool { call: call.to_string(), result: result.clone() });
    }

    fn failed(&mut self, failure: &Failure) {
        let lost = failure.code == FailureCode::InDoubt;
        if let Some(tool) = self.tools.iter_mut().find(|it| it.step == failure.step) {
            tool.open = false;
            tool.lost += u32::from(lost);
        }
        let Some(asking) = self.asking.as_mut().filter(|it| it.step == failure.step) else {
            return;
        };
        asking.open = false;
        match failure.code {
            FailureCode::InDoubt => asking.lost += 1,
            FailureCode::RateLimited => asking.rate_limited += 1,
            _ => asking.attempts += 1,
        }
        asking.failure = Some(failure.clone());
    }

    fn handed_off(&mut self, handoff: &Handoff) {
        self.tally.refused_creations = 0;
        self.tally.bad_turns = 0;
        self.control.redirect = None;
        self.children.push(Child {
            handoff: handoff.clone(),
            end: None,
            refused: None,
            settled: false,
        });
    }

    fn controlled(&mut self, by: &str, control: &Control) {
        match control.action {
            Action::Cancel => {
                self.control.cancelled = Some((by.to_string(), control.reason.clone()));
            }
            Action::Pause => self.control.paused = Some(by.to_string()),
            Action::Resume => self.control.paused = None,
            Action::FinishNow => self.control.finish = true,
            Action::Redirect => self.control.redirect = Some(control.value.clone()),
            Action::Message => {
                let text = control.value.as_str().unwrap_or_default();
                self.dialogue.push(Said::Note(prompt::message(by, text)));
            }
            Action::Retry | Action::SetPriority => (),
        }
    }

    fn child(&mut self, handoff: &str) -> Option<&mut Child> {
        self.children.iter_mut().find(|it| it.handoff.id == handoff)
    }
}
