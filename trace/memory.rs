//! Shared context and memory: where a note comes from, what of it crosses a handoff, and how what is
//! remembered is kept.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::RunId;

/// The slot of what a workspace remembers.
pub const MEMORY: &str = "memory";
/// The slot of what tasks came to.
pub const OUTPUTS: &str = "outputs";
/// The slot of what agents came to that worked under another.
pub const WORK: &str = "work";
/// The tool that writes into memory.
pub const REMEMBER: &str = "remember";
/// What stands in the place of what was erased.
pub const ERASED: &str = "[forgotten]";

/// Whether a note of that slot is memory, and no artifact of its task.
pub fn is_memory(slot: &str) -> bool {
    [MEMORY, OUTPUTS, WORK].contains(&slot)
}

/// Where an entry comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The run that wrote it.
    pub run: RunId,
    /// The step in it.
    pub step: u32,
    /// Its agent; empty if the owner wrote it.
    pub agent: String,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Whether untrusted content had reached who wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taint: bool,
    /// Whose word it is.
    pub source: Source,
}

/// Whose word an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A model's.
    Model,
    /// A tool's.
    Tool,
    /// The owner's.
    Owner,
    /// The engine's.
    Engine,
}

/// An entry of a task's shared context as it crosses to another run: all but its body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub slot: String,
    /// What it is called there.
    pub key: String,
    /// `a_…`, its body.
    pub artifact: String,
    /// What it says, in one line.
    pub line: String,
    /// What comes first in its slot: failures, the last round, what is surest.
    pub weight: i64,
    /// 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// The versions its writer knew, which it takes the place of, by their bodies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<String>,
}

/// Entries that cross to another run. They are written as one text, so that many runs that are
/// given the same keep it once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entries(pub Vec<Entry>);

impl Entries {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Entries, D::Error> {
        let text = String::deserialize(from)?;
        serde_json::from_str(&text).map(Entries).map_err(serde::de::Error::custom)
    }
}

/// What a run looks for before its first turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Exchanges of it that are shown.
    #[serde(default)]
    pub exchanges: u32,
    /// Whether it looks for what the workspace remembers.
    #[serde(default)]
    pub workspace: bool,
}

/// A text of memory as it is kept: with the run and step that wrote it, so that no two notes share a
/// body, and erasing one erases no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// What is remembered.
    pub text: String,
    /// `r_…/step` of who wrote it, or a name of its own.
    pub of: String,
}

impl Body {
    /// The value of a note.
    pub fn value(&self) -> Value {
        Value::String(serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads the value of a note; `None` if it was erased.
    pub fn read(value: &Value) -> Option<Body> {
        serde_json::from_str(value.as_str()?).ok()
    }
}

/// A text as it stands inside JSON.
pub fn spelt(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
