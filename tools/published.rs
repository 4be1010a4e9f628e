//! A tool as a client sees it in `tools/list`.

use serde::Serialize;
use serde_json::{Map, Value};

/// One tool of the list, in the protocol's own field names.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// `[a-z][a-z0-9_]{1,31}`.
    pub name: String,
    /// For models.
    pub description: String,
    /// Properties in the order in which a model should fill them.
    pub input_schema: Map<String, Value>,
    /// What is true of it and is not what clients assume anyway.
    #[serde(skip_serializing_if = "Annotations::says_nothing")]
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

impl Annotations {
    /// Of a tool that looks at what is here, and changes nothing.
    pub(crate) fn looks_only() -> Annotations {
        let (read_only_hint, idempotent_hint) = (Some(true), Some(true));
        Annotations { read_only_hint, idempotent_hint, ..Annotations::stays_here() }
    }

    /// Of a tool that changes only what is here.
    pub(crate) fn stays_here() -> Annotations {
        Annotations { open_world_hint: Some(false), ..Annotations::default() }
    }

    /// Whether all is as clients assume.
    pub fn says_nothing(&self) -> bool {
        *self == Annotations::default()
    }
}
