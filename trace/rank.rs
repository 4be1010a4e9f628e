//! How a run got its place in the queue, and a root its agent.

use callboard_config::AgentName;
use serde::{Deserialize, Serialize};

/// The built-in agent that leads plans. Its runs begin work of others and do none: they hold no seat.
pub const LEADER: &str = "plan";

/// What a point of priority is worth in the rank, in microseconds of waiting: so nothing starves.
pub const POINT: i64 = 1_000_000;

/// Points for each unfinished run that waits for another.
const UNBLOCKING: u16 = 80;
/// Waiting runs that count.
pub const WAITERS_MAX: u16 = 10;

/// What a run's priority is made of, beside its base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Points {
    /// The base is a number that a caller gave: what is under the run gets it as it is.
    #[serde(skip_serializing_if = "is_usual")]
    pub given: bool,
    /// Unfinished runs that wait for it, directly or not, at most ten.
    #[serde(skip_serializing_if = "is_usual")]
    pub waiters: u16,
    /// 0..300, for how well its task fits the team's goal.
    #[serde(skip_serializing_if = "is_usual")]
    pub fit: u16,
}

impl Points {
    /// Points for those who wait for it, 0..800.
    pub fn unblocking(&self) -> u16 {
        UNBLOCKING * self.waiters.min(WAITERS_MAX)
    }

    pub(crate) fn are_none(&self) -> bool {
        *self == Points::default()
    }
}

fn is_usual<T: Default + PartialEq>(it: &T) -> bool {
    *it == T::default()
}

/// A base priority that a model gave, or that was found again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// 0..1000.
    pub base: u16,
    /// `model`, `cache`, or `rule` where the model said nothing of this run.
    pub source: String,
    /// A hash of what the task is about, for whom, and to what end.
    pub key: Option<String>,
    /// What the model said, where that was out of range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    /// How far the task is from the one whose score it got: 0 = the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// Until when others may get this score, microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// A hash of workspace, goal and agent: scores are reused within it only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// What the task is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concepts: Vec<String>,
}

/// The reason of a handoff to an agent that tries alone what its team failed at.
pub const FALLBACK: &str = "fallback: alone";

/// Who got work that nobody was named for, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Routed {
    /// `auto`, `simple` or `team`.
    pub mode: String,
    /// The agent it went to.
    pub to: AgentName,
    /// 0..1, how complex the task is.
    pub score: f64,
    /// `team` or `simple`: the side of the comparison it stands on.
    pub arm: String,
    /// Agents with a capability that the task names, the best first.
    pub candidates: Vec<AgentName>,
    /// How many words of its capabilities the task names, for each candidate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<u32>,
    /// `one_agent`, `two_levels` or `full_team`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub way: String,
    /// Domains of capability that the task names, at least 1.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub domains: u32,
    /// Separate things it asks for, at least 1.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub asks: u32,
    /// Tokens of task and context, estimated.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub tokens: u64,
    /// Whether its agent tries once more alone if the team fails.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub falls_back: bool,
    /// The model that judged how complex the task is; none where nobody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<RouteJudge>,
}

/// A model that was asked how complex a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteJudge {
    /// `provider/model`.
    pub model: String,
    /// Why its word does not count, and the formula does; none where it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
