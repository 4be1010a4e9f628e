//! What an agent may do, by class of act and by tool, and what it may pass on of that.

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

impl Act {
    /// Every class of act.
    pub const ALL: [Act; 5] = [Act::Read, Act::Write, Act::Run, Act::Fetch, Act::External];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Act::Read => "read",
            Act::Write => "write",
            Act::Run => "run",
            Act::Fetch => "fetch",
            Act::External => "external",
        }
    }

    /// What holds where nothing is written.
    pub(crate) fn usual(self) -> Verdict {
        if self == Act::Read { Verdict::Allow } else { Verdict::Ask }
    }
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

impl Verdict {
    /// The lists of patterns, the most careful first.
    pub(crate) const LISTS: [(Verdict, &str); 3] =
        [(Verdict::Deny, "deny"), (Verdict::Ask, "ask"), (Verdict::Allow, "allow")];
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

/// A tool and what it may be used on: `Bash(git status:*)`, `Edit(docs/**)`, `mcp__files__*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// As it is written.
    pub text: String,
    /// What is answered where it fits.
    pub verdict: Verdict,
}

/// When and how long people are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// Seconds after which what nobody allowed is not allowed.
    pub expires_s: u64,
    /// Whether a run that read content of others asks before it changes things, also where that
    /// is allowed.
    pub asks_when_tainted: bool,
    /// The hosts that the owner named, which are fetched from also then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Whether a caller who is not the owner may give leave to its own runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_callers: bool,
}

impl Default for Approvals {
    fn default() -> Approvals {
        Approvals { expires_s: 86_400, asks_when_tainted: true, hosts: vec![], by_callers: false }
    }
}

impl Approvals {
    /// The same for a team that names its hosts.
    pub(crate) fn for_hosts(self, hosts: Option<&[String]>) -> Approvals {
        Approvals { hosts: hosts.unwrap_or_default().to_vec(), ..self }
    }

    /// Whether nothing about it was written.
    pub fn is_usual(&self) -> bool {
        *self == Approvals::default()
    }
}
