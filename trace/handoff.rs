//! The formal passing of work between two agents.

use callboard_config::{AgentName, Mode};
use serde::{Deserialize, Serialize};

use crate::RunId;

/// One handoff: who, to whom, what, why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handoff {
    /// `h_…`.
    pub id: String,
    /// The agent that passes it on, or `outside`.
    pub source: String,
    /// Who receives.
    pub target: AgentName,
    /// The receiver's run.
    pub run: RunId,
    /// The tool call that asked for it; none for a trigger or from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// What the receiver is to do, 1..8,000 characters.
    pub task: String,
    /// Who finishes.
    pub mode: Mode,
    /// What the receiver has to know.
    pub summary: Summary,
    /// What is passed by reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactRef>,
    /// `model`, `trigger:<word>`, `reroute`, `outside`, plus text.
    pub reason: String,
    /// Whether the model or the engine wrote the summary.
    pub made_by: MadeBy,
    /// The step of a plan that it begins; none for a handoff between agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What there was to show when it was passed on, as a hash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mark: String,
    /// What the receiver may do by its own file and may not here: classes of act, and patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// What content of others reached the source, if any did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taint: Option<String>,
}

/// What was done, what must be known, what is unsettled, what comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What was done.
    pub did: String,
    /// The one thing the receiver has to know.
    pub must_know: String,
    /// What is unsettled, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_questions: Vec<String>,
    /// What to do first.
    pub do_next: String,
}

/// A body named by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// `a_…`.
    pub id: String,
    /// Why it matters to the receiver, at most 200 characters.
    #[serde(default)]
    pub why: String,
    /// `slot/key` of the note that made it.
    #[serde(default)]
    pub name: String,
    /// Its whole size.
    #[serde(default)]
    pub bytes: usize,
    /// Its first 400 characters.
    #[serde(default)]
    pub head: String,
}

/// Who wrote a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MadeBy {
    /// The source's model.
    Model,
    /// The engine, from the run's records.
    Engine,
    /// A caller.
    Outside,
}
