//! What a model is told of a tool that reaches the machine, and how its arguments are taken out.

use serde_json::{Value, json};

/// A tool's name, what it does, and the shape of its arguments.
pub(crate) struct Card {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) schema: Value,
}

impl Card {
    pub(crate) fn new(
        name: &'static str,
        description: &'static str,
        properties: Value,
        required: &[&str],
    ) -> Card {
        let schema = json!({"type": "object", "properties": properties, "required": required});
        Card { name, description, schema }
    }
}

/// A text among a call's arguments; empty if it is not there.
pub(crate) fn text<'a>(arguments: &'a Value, key: &str) -> &'a str {
    arguments.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number among them.
pub(crate) fn number(arguments: &Value, key: &str) -> Option<u64> {
    arguments.get(key).and_then(Value::as_u64)
}

/// Whether a switch is set among them.
pub(crate) fn is_set(arguments: &Value, key: &str) -> bool {
    arguments.get(key).and_then(Value::as_bool).unwrap_or(false)
}
