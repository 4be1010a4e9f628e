//! Everything that can happen: a closed list. A new kind is a change of the format.

use callboard_config::{Agent, AgentName, SourceFile};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::memory::{Entries, Provenance};
use crate::rank::{Ranked, Routed};
use crate::{
    Bound, Control, Failure, Finished, Handoff, ModelReplied, RunId, Started, StepBegun, Task,
    Totals, Touched, Waiting,
};

/// What happened. The tag is `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each kind says what its fields are")]
pub enum Event {
    /// A process came up on this store.
    NodeStarted { node: String, version: String },
    /// A process left.
    NodeStopped { node: String, reason: String },
    /// A team was read from its files.
    TeamLoaded { files: Vec<SourceFile>, agents: Vec<AgentName>, problems: Vec<String> },
    /// The node opened or shut its door for new runs.
    AdmissionChanged { open: bool, load_pct: f64, reason: String },
    /// A root task was accepted from outside.
    TaskAccepted(Task),
    /// Unaddressed work was routed.
    Routed(Box<Routed>),
    /// A graph of runs was declared; `steps` is a list of [`crate::PlanStep`], or the JSON text of
    /// a long one: as one body it is read without a value for each of its parts.
    PlanMade {
        plan: String,
        source: String,
        steps: Value,
        /// The agents of its steps as they were defined then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        agents: Vec<Agent>,
    },
    /// A running graph was changed.
    PlanChanged { plan: String, change: Value },
    /// An agent began to work on a task.
    RunStarted(Box<Started>),
    /// The run's base priority was set.
    RankSet(Box<Ranked>),
    /// A vector was computed.
    Embedded { subject: String, model: String, vector: String },
    /// A step waits at a gate.
    StepWaiting(Waiting),
    /// A step begins: from here on its effect may have happened.
    StepBegun(StepBegun),
    /// A model answered.
    ModelReplied(Box<ModelReplied>),
    /// A tool answered, well or badly.
    ToolReturned {
        step: u32,
        call: String,
        ok: bool,
        result: Value,
        ms: u64,
        /// Hashes of the files, pages and resources it brought.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        documents: Vec<String>,
        /// The files it read or wrote.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<Touched>,
    },
    /// A step ended without an outcome.
    StepFailed(Failure),
    /// A person decided what becomes of a step in doubt.
    StepDecided { step: u32, decision: String },
    /// A provider told its limits.
    LimitsLearned { resource: String, limit: Option<f64>, remaining: Option<f64>, header: String },
    /// A breaker changed its state.
    BreakerChanged { resource: String, from: String, to: String, failures: u32 },
    /// Work was passed on; the child's first records were written in the same transaction.
    HandedOff(Box<Handoff>),
    /// The receiver set to work.
    HandoffAccepted { handoff: String },
    /// The receiver declined.
    HandoffRefused {
        handoff: String,
        run: RunId,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        better: Option<AgentName>,
    },
    /// A handoff did not come about, or its receiver failed; `stage` 1..4 says what comes next.
    HandoffFailed { handoff: String, to: AgentName, stage: u8, reason: String },
    /// A child ended: told to its parent in the child's own last write.
    ChildEnded {
        child: RunId,
        agent: AgentName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handoff: Option<String>,
        end: Box<Finished>,
        #[serde(default, skip_serializing_if = "Totals::is_empty")]
        totals: Totals,
        /// What content of others reached the child.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taint: Option<String>,
        /// What was noted under it and its parent does not know.
        #[serde(default, skip_serializing_if = "Entries::is_empty")]
        slots: Entries,
        /// The circle that it failed by, from the root on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        circle: Vec<AgentName>,
    },
    /// Something was written into shared context or memory.
    Noted {
        slot: String,
        key: String,
        value: Value,
        /// `a_…`, from the hash of the value.
        artifact: String,
        confidence: Option<f64>,
        /// What content of others had reached who wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taint: Option<String>,
        /// Where it comes from; absent for what the engine left to be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provenance: Option<Box<Provenance>>,
        /// What it is about.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tags: Vec<String>,
        /// When it leaves memory, microseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<i64>,
    },
    /// A key of memory was erased.
    Forgotten { key: String },
    /// A judgement on content.
    Checked {
        check: String,
        place: String,
        verdict: String,
        reasons: Vec<String>,
        round: u32,
        /// What it is about: `input`, `call/<step>/<id>`, `result/<step>`, `answer/<step>`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        subject: String,
        /// 0..1, as a judge gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        score: Option<f64>,
    },
    /// The run asks a person.
    QuestionAsked {
        question: String,
        #[serde(rename = "type")]
        form: String,
        prompt: String,
        options: Vec<String>,
        /// The act that it is about, if it is an approval.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        act: Option<Bound>,
    },
    /// A question was answered, or withdrawn.
    QuestionClosed { question: String, answer: Option<String> },
    /// A share of a budget is used.
    BudgetAlerted {
        node: String,
        dimension: String,
        used: f64,
        limit: f64,
        pct: f64,
        /// What the step takes at least that did not fit any more, with the last turn behind it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needs: Option<f64>,
    },
    /// A budget was changed.
    BudgetSet { node: String, from: Value, to: Value },
    /// A count reached its limit.
    FuseBlown { fuse: String, value: u64, limit: u64, chain: Vec<AgentName> },
    /// Somebody outside acted on the run.
    Controlled(Control),
    /// A digest for people, restarts and prompts.
    Checkpointed { summary: String, done: Vec<u32>, next: Vec<String> },
    /// The run's attempt is over.
    RunEnded(Box<Finished>),
    /// A final result was written to its caller.
    Delivered { to: String, form: String },
    /// A caller stopped waiting.
    CallerLeft { after_s: f64 },
    /// An exporter has got this far.
    Exported { destination: String, up_to: u64 },
    /// A day's totals.
    DayClosed { day: String, totals: Value },
}

impl Event {
    /// The slot of a run's own list of what is to be done: a `noted` of it is no artifact.
    pub const TODO: &'static str = "todo";

    /// The tag, as it stands in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::NodeStarted { .. } => "node_started",
            Event::NodeStopped { .. } => "node_stopped",
            Event::TeamLoaded { .. } => "team_loaded",
            Event::AdmissionChanged { .. } => "admission_changed",
            Event::TaskAccepted(_) => "task_accepted",
            Event::Routed(_) => "routed",
            Event::PlanMade { .. } => "plan_made",
            Event::PlanChanged { .. } => "plan_changed",
            Event::RunStarted(_) => "run_started",
            Event::RankSet(_) => "rank_set",
            Event::Embedded { .. } => "embedded",
            Event::StepWaiting(_) => "step_waiting",
            Event::StepBegun(_) => "step_begun",
            Event::ModelReplied(_) => "model_replied",
            Event::ToolReturned { .. } => "tool_returned",
            Event::StepFailed(_) => "step_failed",
            Event::StepDecided { .. } => "step_decided",
            Event::LimitsLearned { .. } => "limits_learned",
            Event::BreakerChanged { .. } => "breaker_changed",
            Event::HandedOff(_) => "handed_off",
            Event::HandoffAccepted { .. } => "handoff_accepted",
            Event::HandoffRefused { .. } => "handoff_refused",
            Event::HandoffFailed { .. } => "handoff_failed",
            Event::ChildEnded { .. } => "child_ended",
            Event::Noted { .. } => "noted",
            Event::Forgotten { .. } => "forgotten",
            Event::Checked { .. } => "checked",
            Event::QuestionAsked { .. } => "question_asked",
            Event::QuestionClosed { .. } => "question_closed",
            Event::BudgetAlerted { .. } => "budget_alerted",
            Event::BudgetSet { .. } => "budget_set",
            Event::FuseBlown { .. } => "fuse_blown",
            Event::Controlled(_) => "controlled",
            Event::Checkpointed { .. } => "checkpointed",
            Event::RunEnded(_) => "run_ended",
            Event::Delivered { .. } => "delivered",
            Event::CallerLeft { .. } => "caller_left",
            Event::Exported { .. } => "exported",
            Event::DayClosed { .. } => "day_closed",
        }
    }
}
