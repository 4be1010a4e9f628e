//! The next thing to be done for a run.

use callboard_config::budget::Caps;
use callboard_config::{AgentName, Mode};
use callboard_trace::{
    ArtifactRef, Call, Event, Finished, Handoff, MadeBy, PlanStep, Purpose, RunId, Summary,
};
use serde_json::Value;

/// One step. The scheduler takes it; the rules only name it.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Ask a model.
    Ask(Asked),
    /// Call a tool that has to be waited for.
    Call {
        /// The step's number.
        step: u32,
        /// 1-based.
        attempt: u32,
        /// The call.
        call: Call,
        /// Doing it again changes nothing.
        repeatable: bool,
        /// The key of the tool server it belongs to.
        server: Option<String>,
    },
    /// Answer a tool call at once, with the records that its effect consists of.
    Answer {
        /// The call's id.
        call: String,
        /// Whether it did what was asked.
        ok: bool,
        /// What the model is told.
        result: Value,
        /// What else is written in the same breath.
        also: Vec<Event>,
    },
    /// Pass work on: the child's first records are part of the same write.
    HandOff(Draft),
    /// Write down a fact.
    Record(Event),
    /// The run is over.
    End(Finished),
    /// Nothing to do until something happens, or until that time (microseconds since 1970).
    Wait(Option<i64>),
}

/// A model step.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The step's number.
    pub step: u32,
    /// 1-based, over all models.
    pub attempt: u32,
    /// Why.
    pub purpose: Purpose,
    /// Which model of the agent's chain.
    pub model: usize,
    /// Microseconds since 1970 before which it is not taken.
    pub not_before: Option<i64>,
}

/// A handoff before it has its names.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// `h_…`, if it was named before.
    pub id: Option<String>,
    /// Who receives.
    pub to: AgentName,
    /// The tool call that asked for it.
    pub call: Option<String>,
    /// What the receiver is to do.
    pub task: String,
    /// Who finishes.
    pub mode: Mode,
    /// What the receiver has to know.
    pub summary: Summary,
    /// What is passed by reference.
    pub artifacts: Vec<ArtifactRef>,
    /// Why.
    pub reason: String,
    /// Who wrote the summary.
    pub made_by: MadeBy,
    /// What there is to show, as a hash.
    pub mark: String,
    /// What else is written in the same breath, before it.
    pub also: Vec<Event>,
    /// The step of a plan that it begins.
    pub plan: Option<Declared>,
    /// The steps of a plan that it makes, and its receiver leads.
    pub leads: Vec<PlanStep>,
}

impl Draft {
    /// One that the engine thought of, with nothing beside it.
    pub(crate) fn plain(to: AgentName, task: String, mode: Mode, summary: Summary) -> Draft {
        Draft {
            id: None,
            to,
            call: None,
            task,
            mode,
            summary,
            artifacts: Vec::new(),
            reason: String::new(),
            made_by: MadeBy::Engine,
            mark: String::new(),
            also: Vec::new(),
            plan: None,
            leads: Vec::new(),
        }
    }

    /// The handoff that it becomes: whose work it was, the run that receives it, and its own name.
    pub fn handoff(self, source: &AgentName, run: RunId, id: String) -> Handoff {
        Handoff {
            id,
            source: source.to_string(),
            target: self.to,
            run,
            call: self.call,
            task: self.task,
            mode: self.mode,
            summary: self.summary,
            artifacts: self.artifacts,
            reason: self.reason,
            made_by: self.made_by,
            step: self.plan.map(|it| it.step),
            mark: self.mark,
            dropped: Vec::new(),
            taint: None,
        }
    }
}

/// A step that its caller declared, other than a handoff that an agent thought of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its id in the plan.
    pub step: String,
    /// 0..1000, if the caller set it.
    pub priority: Option<u16>,
    /// Steps that wait for it, directly or not, at most ten.
    pub waiters: u16,
    /// What it may spend, if it has a share of its plan's budget.
    pub share: Option<Caps>,
}
