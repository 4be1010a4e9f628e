//! How work comes in: the task from outside, and the start of each run under it.

use std::sync::Arc;

use callboard_config::budget::Caps;
use callboard_config::permit::{Approvals, Permit};
use callboard_config::{Agent, AgentName, Limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::memory::{Entries, Recall};
use crate::rank::Points;
use crate::{Handoff, RunId};

/// What was asked from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What to do.
    pub text: String,
    /// What the caller gave along.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Who asked.
    pub caller: Caller,
    /// The caller's idempotency key, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// 0..1000, if the caller set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Microseconds since 1970 at which the root ends.
    pub deadline: i64,
    /// W3C trace id, 32 hex: the caller's, or made at intake.
    pub trace: String,
    /// What it may spend, if the caller said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Caps>,
    /// The JSON Schema that the caller wants its answer in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// The caller's span, 16 hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span: Option<String>,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// Who asks, and through what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The authenticated caller; on stdio the local user.
    pub principal: String,
    /// The client program's own name.
    pub client: String,
    /// Its version.
    pub version: String,
    /// `stdio`, `cli`, `http`.
    pub transport: String,
}

/// One agent begins on one task. Everything the run needs to be folded again, anywhere, later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The agent as it was defined at that moment; the run keeps it, and shares it with others.
    pub agent: Arc<Agent>,
    /// The task of this run.
    pub task: String,
    /// The root's task, for triggers and for the prompt.
    pub root_task: String,
    /// What the root's caller gave along.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// The run that handed it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// How it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Box<Handoff>>,
    /// Nested delegations above it.
    pub depth: u32,
    /// Transfers above it.
    pub hops: u32,
    /// The agents from the root to this run, this one last.
    pub path: Vec<AgentName>,
    /// Base priority, 0..1000.
    pub priority: u16,
    /// What its priority is made of beside that.
    #[serde(default, skip_serializing_if = "Points::are_none")]
    pub points: Points,
    /// Microseconds since 1970 at which the root ends.
    pub deadline: i64,
    /// The bounds that rules look at.
    pub fuses: Fuses,
    /// What this run may spend.
    #[serde(default, skip_serializing_if = "Caps::is_unlimited")]
    pub budget: Caps,
    /// What was passed on to it: it may do what its agent and all of these allow. None = everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant: Vec<Permit>,
    /// When and how long a person is asked.
    #[serde(default, skip_serializing_if = "Approvals::is_usual")]
    pub approvals: Approvals,
    /// The budgets above it that it shares with other runs, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purses: Vec<Purse>,
    /// For each agent of `path` what there was to show when it got the work, as a hash: what
    /// stays the same from lap to lap is no progress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// The authenticated caller the work is for.
    pub principal: String,
    /// W3C trace id of the root, 32 hex.
    pub trace: String,
    /// Whether trigger words hand off by themselves.
    pub triggers: bool,
    /// The entry agent of the team, last resort of a failed handoff.
    pub entry: AgentName,
    /// What was noted so far under its root, as far as who began it knew.
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub slots: Entries,
    /// What it looks for before its first turn; absent where nothing is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
    /// The JSON Schema that the root's caller wants the answer in, where this run owes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
}

impl Started {
    /// The beginning of a root on a task, alone, without bounds and without a deadline.
    pub fn new(agent: Arc<Agent>, task: &str) -> Started {
        Started {
            task: task.to_owned(),
            root_task: task.to_owned(),
            path: vec![agent.name.clone()],
            priority: agent.class.priority(),
            deadline: i64::MAX,
            principal: "local".to_owned(),
            triggers: true,
            entry: agent.name.clone(),
            agent,
            ..Started::default()
        }
    }

    /// The schema that its answer has to meet: its caller's, or its agent's.
    pub fn answer_schema(&self) -> &Value {
        self.output_schema.as_ref().unwrap_or(&self.agent.output)
    }

    /// Whether it is a step of its caller's plan.
    pub fn is_step(&self) -> bool {
        self.handoff.as_ref().is_some_and(|it| it.step.is_some())
    }
}

/// A budget that several runs spend from: a row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purse {
    /// `task/<root>`, `share/<root>/<step>` for the share of one step of a plan, or `pool/<root>`
    /// for what is nobody's share.
    pub node: String,
    /// What all of them may spend together.
    pub caps: Caps,
}

impl Purse {
    /// What a root may spend with all under it.
    pub const TASK: &str = "task";
    /// What one step of a plan may, with all under it.
    pub const SHARE: &str = "share";
    /// What the steps without a share may, all together, and what came back of the shares.
    pub const POOL: &str = "pool";
    /// From so many per cent of any budget on, nothing but a last turn is asked for.
    pub const LANDING: f64 = 95.0;

    /// The budget of a root.
    pub fn task(root: &RunId, caps: Caps) -> Purse {
        Purse { node: format!("{}/{root}", Purse::TASK), caps }
    }

    /// The share of a step.
    pub fn share(root: &RunId, step: &str, caps: Caps) -> Purse {
        Purse { node: format!("{}/{root}/{step}", Purse::SHARE), caps }
    }

    /// The rest.
    pub fn pool(root: &RunId, caps: Caps) -> Purse {
        Purse { node: format!("{}/{root}", Purse::POOL), caps }
    }

    /// Where it is counted what came back of the shares.
    pub fn back(root: &RunId) -> String {
        format!("back/{root}")
    }

    /// Whether it is of that kind.
    pub fn is(&self, kind: &str) -> bool {
        self.node.split('/').next() == Some(kind)
    }
}

/// The counts that end a run or refuse growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fuses {
    /// Nested delegations.
    pub depth: u32,
    /// Transfers along a path.
    pub hops: u32,
    /// Children of one run.
    pub fan_out: u32,
    /// Model turns of this run.
    pub turns: u32,
    /// Tool calls taken from one reply.
    pub parallel_calls: u32,
    /// Attempts of one step.
    pub attempts: u32,
    /// Rate-limited attempts of one step.
    pub rate_limited: u32,
    /// How many runs agents may create.
    #[serde(default, skip_serializing_if = "Growth::is_usual")]
    pub growth: Growth,
    /// How often the same may come again.
    #[serde(default, skip_serializing_if = "Repeats::is_usual")]
    pub repeats: Repeats,
}

/// How many runs agents may create.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Under one root.
    pub tasks_per_root: u32,
    /// Open ones in the workspace.
    pub tasks_per_workspace: u32,
    /// Under one root at a stretch.
    pub burst: u32,
    /// Under one root in ten seconds after that.
    pub rate: u32,
}

/// How often the same may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Laps of one path of agents, each with something new.
    pub laps: u32,
    /// Calls of one tool with the same arguments in a row.
    pub calls: u32,
    /// The same in the whole run.
    pub calls_all: u32,
    /// Identical replies in a row.
    pub replies: u32,
}

impl Fuses {
    /// The limits of a team, for an agent with so many turns.
    pub fn of(limits: &Limits, turns: u32) -> Fuses {
        Fuses {
            depth: limits.depth,
            hops: limits.hops,
            fan_out: limits.fan_out,
            turns,
            parallel_calls: limits.parallel_calls,
            attempts: limits.attempts,
            rate_limited: limits.rate_limited,
            growth: Growth {
                tasks_per_root: limits.tasks_per_root,
                tasks_per_workspace: limits.tasks_per_workspace,
                burst: limits.spawn_burst,
                rate: limits.spawn_rate,
            },
            repeats: Repeats {
                laps: limits.laps,
                calls: limits.repeat_calls,
                calls_all: limits.repeat_calls_all,
                replies: limits.repeat_replies,
            },
        }
    }
}

impl Default for Fuses {
    fn default() -> Fuses {
        let limits = Limits::default();
        Fuses::of(&limits, limits.turns)
    }
}

impl Default for Growth {
    fn default() -> Growth {
        Fuses::default().growth
    }
}

impl Default for Repeats {
    fn default() -> Repeats {
        Fuses::default().repeats
    }
}

impl Growth {
    fn is_usual(&self) -> bool {
        *self == Growth::default()
    }
}

impl Repeats {
    fn is_usual(&self) -> bool {
        *self == Repeats::default()
    }
}
