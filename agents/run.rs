//! One agent working on one task: everything known about it, folded from its records.

use std::collections::{BTreeMap, BTreeSet};

use callboard_config::{AgentName, Kind};
use callboard_trace::memory::Entries;
use callboard_trace::{
    ArtifactRef, Bound, Call, EndState, Event, Fact, Failure, Finished, Handoff, Missing,
    ModelReplied, Purpose, RunId, Spend, Started, Stop, Taint, Totals, Trouble, Waiting,
};
use serde_json::Value;

use crate::advice::advice;
use crate::alert::Alert;
use crate::asked_back::AskedBack;
use crate::checks::Checks;
use crate::gathered::gathered;
use crate::loops::Loops;
use crate::plan::Plan;
use crate::shelf::Shelf;
use crate::slots::Slots;
use crate::words;

/// A run. `apply` is the only way it changes.
#[derive(Clone, Debug, Default)]
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
    pub reply: Option<Box<Replied>>,
    /// What the agent's tool servers said they can do.
    pub(crate) shelf: Shelf,
    /// What tools want to know before they go on with a call, by its id.
    pub(crate) asked_back: BTreeMap<String, AskedBack>,
    /// Calls of the last reply that are not answered yet.
    pub calls: Vec<Call>,
    /// Every child it ever had.
    pub children: Vec<Child>,
    /// What it noted, and what was handed to it.
    pub artifacts: Vec<ArtifactRef>,
    /// The last answer that met its schema, or text that may serve as one.
    pub kept: Option<Value>,
    /// The step that gave it.
    pub kept_by: u32,
    /// What was checked.
    pub(crate) checks: Checks,
    /// Whether the receiver of a handoff set to work.
    pub accepted: bool,
    /// What was asked of it from outside.
    pub control: Controls,
    /// Counts that rules look at.
    pub tally: Tally,
    /// What it did before, by which circles are known.
    pub(crate) loops: Loops,
    /// Questions a person has not answered, without those for leave.
    pub questions: Vec<String>,
    /// What a person was asked to allow.
    pub approvals: Vec<Approval>,
    /// What content of others reached it.
    pub tainted: Taint,
    /// What was answered to the others, but for those that stood in the place of a model step.
    pub(crate) heard: BTreeMap<String, String>,
    /// What was noted under its root, as far as it knows.
    pub(crate) slots: Slots,
    /// What it found in memory, once it has looked.
    pub(crate) recalled: Option<Value>,
    /// The graph it leads, if it leads one.
    pub plan: Option<Box<Plan>>,
    /// What it and its ended children used.
    pub totals: Totals,
    /// What its own steps spent, and what those in progress set aside.
    pub spent: Spend,
    /// What is told of budgets that are used for the most part.
    pub alerts: Vec<Alert>,
    /// The gate that its next step waits at.
    pub held: Option<Waiting>,
    /// Hashes of the documents it was shown.
    pub documents: BTreeSet<String>,
    /// The files that it read or wrote, with their hashes as it saw or left them last.
    pub files: BTreeMap<String, String>,
    /// Of them those that it wrote, as it left them.
    pub written: BTreeMap<String, String>,
    /// Its end.
    pub end: Option<Box<Finished>>,
    /// Whether its agent tries once more alone, if the team fails.
    pub falls_back: bool,
}

/// One item of the dialogue with the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// What a model answered.
    Model(Box<ModelReplied>),
    /// The result of one tool call.
    Tool {
        /// The call's id.
        call: String,
        /// What came of it.
        result: Value,
        /// The tool that brought content of others, if it did.
        source: Option<String>,
    },
    /// Something the engine or a caller says.
    Note(String),
}

/// A model step without a reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asking {
    /// Its number.
    pub step: u32,
    /// Why the model is asked.
    pub purpose: Purpose,
    /// Which model of the agent's chain.
    pub model: usize,
    /// Attempts begun, on any model.
    pub begun: u32,
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
    /// What the one in progress set aside.
    pub reserved: Spend,
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
    /// The key of the tool server it belongs to.
    pub server: Option<String>,
    /// Times its process went away.
    pub lost: u32,
    /// Of those, how many a person has forgiven by having it run again.
    pub forgiven: u32,
    /// A person said that it may run again, once.
    pub may_rerun: bool,
    /// A person said that it is not to run again.
    pub skipped: bool,
    /// Whether one is in progress.
    pub open: bool,
    /// What the one in progress set aside.
    pub reserved: Spend,
}

/// What a person was asked to allow, and said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// `q_…`.
    pub question: String,
    /// The one act it is for, and until when.
    pub act: Bound,
    /// Whether a check asks, and not the permissions: the act is what it is about.
    pub is_check: bool,
    /// How it stands.
    pub word: Word,
    /// Whose word it is; empty as long as there is none.
    pub by: String,
}

/// A person's word on an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// None yet.
    Open,
    /// It may be done, once.
    Allowed,
    /// It may not, and why.
    Denied(String),
    /// It was not given in time, or is not wanted any more.
    Withdrawn,
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
    /// What content of others is in its answer.
    pub taint: Option<String>,
    /// Why it declined.
    pub refused: Option<Declined>,
    /// Whether its end was acted on.
    pub settled: bool,
    /// What was noted under it, one line each.
    pub(crate) noted: Vec<String>,
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
    /// A step in doubt was not to be taken again, nor the run to go on; by whom.
    pub aborted: Option<String>,
    /// Paused by whom.
    pub paused: Option<String>,
    /// One finalisation turn is wanted.
    pub finish: bool,
    /// To be passed on to somebody else.
    pub redirect: Option<Value>,
    /// What callers said, by whom: quoted in the next new model step.
    pub messages: Vec<(String, String)>,
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
    /// A run that has only begun.
    pub fn new(id: RunId, started: Started) -> Run {
        let tainted = Taint::of(&started);
        let artifacts = started.handoff.as_ref().map_or_else(Vec::new, |it| it.artifacts.clone());
        let slots = Slots::of(&started.slots);
        Run { id, artifacts, tainted, slots, started, ..Run::default() }
    }

    /// What was noted under its root, as a run is given it that begins now.
    pub fn passed_slots(&self) -> Entries {
        self.slots.passed()
    }

    /// The word of its end, as its parent is told it.
    pub fn told_end(&self, end: &Finished) -> Fact {
        let has_circled = end.stop == Stop::Loop && end.state == EndState::Failed;
        let circle = self.loops.circle().filter(|_| has_circled);
        let event = Event::ChildEnded {
            child: self.id.clone(),
            agent: self.name().clone(),
            handoff: self.started.handoff.as_ref().map(|it| it.id.clone()),
            end: Box::new(end.clone()),
            totals: self.totals,
            taint: self.tainted.by().map(str::to_owned),
            slots: self.slots.own(),
            circle: circle.cloned().unwrap_or_default(),
        };
        Fact::new(self.name().as_str(), event)
    }

    /// The agent's own name.
    pub fn name(&self) -> &AgentName {
        &self.started.agent.name
    }

    /// Whether a person does the work.
    pub fn is_human(&self) -> bool {
        self.started.agent.kind == Kind::Human
    }

    /// The runs it started that are not over.
    pub fn open_children(&self) -> Vec<RunId> {
        let handed = self.children.iter().filter(|it| it.end.is_none());
        let handed = handed.map(|it| it.handoff.run.clone());
        handed.chain(self.plan.as_deref().into_iter().flat_map(Plan::open_runs)).collect()
    }

    /// The child whose end decides over this run, if there is one that was not acted on.
    pub fn transferred(&self) -> Option<&Child> {
        self.children
            .iter()
            .find(|it| !it.settled && it.handoff.mode == callboard_config::Mode::Transfer)
    }

    /// An end before the answer: partial if there is something to keep, else failed; with what to
    /// do about it.
    pub fn stopped(&self, stop: Stop, trouble: Trouble) -> Finished {
        let advice = advice(&trouble);
        if let Some(plan) = &self.plan {
            let mut end = gathered(plan);
            end.recommendations.splice(0..0, advice);
            return Finished { stop, error: Some(trouble), ..end };
        }
        // What was not checked to the end is not shown.
        let kept = self.kept.clone().filter(|_| self.is_cleared(None));
        let is_part = kept.is_some();
        let rest = || Missing {
            agent: self.name().clone(),
            error: trouble.message.clone(),
            impact: format!("not done to the end: {}", words::cut(&self.started.task, 200)),
        };
        Finished {
            state: if is_part { EndState::Partial } else { EndState::Failed },
            stop,
            answer: kept,
            missing: is_part.then(rest).into_iter().collect(),
            recommendations: advice.into_iter().collect(),
            error: Some(trouble),
        }
    }

    /// Whether any step is in progress.
    pub fn is_busy(&self) -> bool {
        !self.open_models().is_empty() || self.tools.iter().any(|it| it.open)
    }
}
