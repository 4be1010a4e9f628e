//! What a run leaves to be read: every note, and every whole answer.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::memory::is_memory;
use crate::{Event, Record, RunId};

/// A body that can be read by its uri.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// `team://runs/{id}/artifacts/{n}`.
    pub uri: String,
    /// `slot/key` of a note, `agent/answer` of an answer.
    pub name: String,
    /// Its whole size.
    pub bytes: usize,
}

/// One that a record made, before it is known in whose list it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Whose record.
    pub run: RunId,
    /// What it is called.
    pub name: String,
    /// Its whole size.
    pub bytes: usize,
    /// `a_…`, of a note.
    pub id: Option<String>,
    /// The same body again has the same key: it is listed once.
    pub key: u64,
}

impl Record {
    /// The artifact that this record made, and its text.
    pub fn made(&self) -> Option<(Made, String)> {
        let (name, id, value) = if let Event::Noted { slot, key, value, artifact, .. } = &self.event
            && slot != Event::TODO
            && !is_memory(slot)
        {
            (format!("{slot}/{key}"), Some(artifact.clone()), value)
        } else if let Event::RunEnded(end) = &self.event {
            let agent = self.agent.as_ref().map_or("run", |it| it.as_str());
            (format!("{agent}/answer"), None, end.answer.as_ref()?)
        } else {
            return None;
        };
        let text = text(value);
        let (run, bytes, key) = (self.run.clone(), text.len(), key(&text));
        Some((Made { run, name, bytes, id, key }, text))
    }
}

/// A body as it is read: a text as it is, anything else as JSON on lines of its own.
fn text(value: &Value) -> String {
    let json = || serde_json::to_string_pretty(value).unwrap_or_default();
    value.as_str().map_or_else(json, str::to_owned)
}

fn key(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The key of a run's own answer, which its view shows.
pub(crate) fn key_of(answer: &Value) -> u64 {
    key(&text(answer))
}
