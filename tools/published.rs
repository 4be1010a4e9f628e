//! A tool as a client sees it in `tools/list`.

use serde::Serialize;
use serde_json::{Map, Value};

/// One tool of the list, in the protocol's own field names.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// `[a-z][a-z0-9_]{1,31}`.
    pub name: String,
    /// For people.
    pub title: String,
    /// For models.
    pub description: String,
    /// Properties in the order in which a model should fill them.
    pub input_schema: Map<String, Value>,
    /// What is true of it and is not what clients assume anyway.
    pub annotations: Annotations,
}

/// What a client may assume about a tool; left out where it is the protocol's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    /// It changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// It may destroy something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// Doing it twice is like doing it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// It reaches beyond this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

/// `security_auditor` as people write it: `Security auditor`.
pub(crate) fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}
