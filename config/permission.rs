//! What an agent may do, by class of act, and what it may pass on of that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an act does to the world.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Reads inside the workspace.
    Read,
    /// Writes inside the workspace.
    Write,
    /// Runs a program.
    Run,
    /// Fetches from the network.
    Fetch,
    /// Changes something outside the workspace.
    External,
}

/// What is answered when an agent wants to act.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Never.
    Deny,
    /// After a person agreed.
    Ask,
    /// At once.
    Allow,
}

/// What a run passes on of the permissions it received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grants {
    /// Cut to the agent's own permissions.
    #[default]
    Own,
    /// Uncut.
    Team,
    /// Cut to this list.
    Only(Vec<Act>),
}
