//! One immutable fact, in its envelope.

use callboard_config::AgentName;
use serde::{Deserialize, Serialize};

use crate::{Event, RunId};

/// The version of the format that this program writes. Older ones open forever.
pub const FORMAT: u16 = 1;

/// One fact about one run (or about a node or the team, whose stream is then named in `run`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 1-based place in the run's own journal; the only order there is.
    pub seq: u64,
    /// Microseconds since 1970, by the database's clock. Told, never ordered by.
    pub at: i64,
    /// The format it was written in.
    pub v: u16,
    /// The walled area it belongs to.
    pub workspace: String,
    /// The root of the tree of runs.
    pub task: RunId,
    /// The run it is about.
    pub run: RunId,
    /// Which attempt of the run, 1-based.
    pub attempt: u32,
    /// Whose run it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The principal, agent or node that made it so.
    pub by: String,
    /// SHA-256 (hex) of the record before it in the same run; a run's first record names its
    /// parent's last, so a changed record breaks the chain of its whole tree.
    pub prev: String,
    /// What happened. Not flattened: events have fields of their own named `agent`, `run`, `task`.
    pub event: Event,
}

/// A fact before the store has given it its place, time and chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The principal, agent or node that makes it so.
    pub by: String,
    /// What happened.
    pub event: Event,
}

impl Fact {
    /// A fact made by someone.
    pub fn new(by: impl Into<String>, event: Event) -> Fact {
        Fact { by: by.into(), event }
    }
}
