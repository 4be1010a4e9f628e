//! What may be asked of the desk, and what it answers with.

use std::collections::BTreeMap;

use callboard_config::AgentName;
use callboard_config::budget::Caps;
use callboard_trace::{ArtifactRef, Caller, Record, RunId, State, Summary};
use serde::Serialize;
use serde_json::Value;

/// A task for one agent.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who gets it.
    pub to: AgentName,
    /// What to do.
    pub task: String,
    /// What else there is to know.
    pub context: String,
    /// 0..1000; `None` = the agent's class.
    pub priority: Option<u16>,
    /// The same key joins the run it started for 24 hours.
    pub key: Option<String>,
    /// Starts anew whatever the key says.
    pub fresh: bool,
    /// Seconds until the root ends; `None` = the team's limit.
    pub deadline_s: Option<u64>,
    /// What the task may spend with all its runs; never more than the team's limit.
    pub budget: Option<Caps>,
    /// The JSON Schema that the answer has to meet; `None` = the agent's own form.
    pub output_schema: Option<Value>,
    /// How many tasks it stands for: those of a plan, else 1.
    pub tasks: u64,
    /// W3C trace context of the caller.
    pub traceparent: Option<String>,
    /// The conversation it belongs to: what came of its last tasks is shown to this one.
    pub session: Option<String>,
    /// Who asks.
    pub caller: Caller,
}

/// A graph of tasks.
#[derive(Clone, Debug)]
pub struct PlanAsk {
    /// The tasks, in the caller's order.
    pub tasks: Vec<TaskAsk>,
    /// Shares of what the plan may spend, 0..1, by task or by agent; an agent's is divided among its
    /// tasks. What is nobody's share is for all others.
    pub split: BTreeMap<String, f64>,
    /// Priority, key, context and caller, as of any task; `to` and `task` are not read.
    pub ask: Ask,
}

/// One task of a graph.
#[derive(Clone, Debug, Default)]
pub struct TaskAsk {
    /// Unique in the plan; `None` = its place, counted from 1.
    pub id: Option<String>,
    /// Who does it; `None` = the team's entry agent.
    pub to: Option<String>,
    /// What is to be done.
    pub task: String,
    /// The tasks whose good end it waits for.
    pub after: Vec<String>,
    /// 0..1000.
    pub priority: Option<u16>,
    /// What it means for the caller if the task comes to nothing; `None` = a sentence is built.
    pub impact_if_missing: Option<String>,
    /// Its share of what the plan may spend, 0..1.
    pub share: Option<f64>,
}

/// The run that was started or joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its name.
    pub run: RunId,
    /// Whether it was there already.
    pub joined: bool,
}

/// A handoff asked for from outside.
#[derive(Clone, Debug)]
pub struct HandoffAsk {
    /// Who receives.
    pub to: AgentName,
    /// What the receiver has to know.
    pub summary: Summary,
    /// What the receiver is to do.
    pub task: String,
    /// A live run is redirected, an ended one continued; without one a new root starts.
    pub run: Option<RunId>,
    /// What is passed by reference.
    pub artifacts: Vec<ArtifactRef>,
}

/// A handoff that was accepted at the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandedOver {
    /// The run to look at from now on.
    pub run: RunId,
    /// `h_…`.
    pub handoff: String,
    /// Who had the work before: an agent, or `outside`.
    pub from: String,
    /// Who has it now.
    pub to: AgentName,
}

/// A page of a run's whole tree, oldest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// Each record with its place in the tree.
    pub records: Vec<(u64, Record)>,
    /// Ask again with `after` = this, while there is more.
    pub next: Option<u64>,
}

/// The team at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Board {
    /// What ended while nobody listened, newest first, at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<RunLine>,
    /// The team's name.
    pub team: String,
    /// Every agent.
    pub agents: Vec<AgentLine>,
    /// What waits.
    pub queue: QueueLine,
    /// What the workspace has spent; absent where its day has no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetLine>,
    /// The caller's most recent runs, newest first, at most 20.
    pub runs: Vec<RunLine>,
    /// What is wrong with the team's files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// One agent on the board.
#[derive(Clone, Debug, Serialize)]
pub struct AgentLine {
    /// Its name.
    pub name: AgentName,
    /// `idle`, `busy`, `degraded` (fewer than half of its last runs completed), `open` (its model is
    /// left alone after failures), `paused` or `draining`.
    pub state: &'static str,
    /// Runs with a step in progress.
    pub active: u64,
    /// Runs that wait for a seat, or for something that is shared.
    pub queued: u64,
    /// Of its last 20 ended runs that nobody cancelled, the part that completed; absent below 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
    /// Seconds that 95 % of them did not exceed, from being accepted to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_s: Option<f64>,
    /// What is left alone after failures, and for how long, where its state is `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_alone: Option<String>,
    /// What went wrong with the newest of them that did not complete; told where agents are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The queue on the board.
#[derive(Clone, Debug, Serialize)]
pub struct QueueLine {
    /// Runs ready and waiting for a seat.
    pub depth: u64,
    /// Seats taken, over all processes on this store.
    pub seats_taken: u64,
    /// Seats there are.
    pub seats: u32,
    /// Runs that wait for a provider, a resource, a tool server or a paused agent.
    pub in_line: u64,
    /// How long the oldest ready one has waited.
    pub oldest_s: f64,
}

/// The workspace's budget on the board.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetLine {
    /// Since midnight UTC.
    pub today: Vec<UsedLine>,
}

/// How far one limit is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsedLine {
    /// `usd`, `tokens`, `seconds`, `model_calls`, `tool_calls` or `documents`.
    pub of: &'static str,
    /// So much is spent and set aside.
    pub used: f64,
    /// Of so much.
    pub limit: f64,
}

/// One run on the board.
#[derive(Clone, Debug, Serialize)]
pub struct RunLine {
    /// Its name.
    pub run: RunId,
    /// The agent that entered it.
    pub agent: AgentName,
    /// Where it stands.
    pub state: State,
    /// The first 80 characters of its task.
    pub task: String,
    /// Whose it is, where it is somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Seconds since it was accepted.
    pub age_s: f64,
}
