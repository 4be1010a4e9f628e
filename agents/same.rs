//! What makes a call or a reply the same as an earlier one, whatever its wording.

use callboard_trace::{Call, ModelReplied};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::toolbox::{self, Kind};
use crate::words;

/// A call by its tool and its arguments, work given to an agent by the words of its task. `None`
/// for what may come again: to look at what the team did costs little, and a handoff that failed has
/// stages of its own.
pub(crate) fn call(call: &Call) -> Option<String> {
    let given = call.arguments.as_ref().ok()?;
    match toolbox::kind(&call.tool) {
        Some(Kind::Delegate) => {
            let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
            let mut stems = words::stems(text("task"));
            stems.sort();
            stems.dedup();
            Some(short(&format!("delegate {} {}", text("to").to_lowercase(), stems.join(" "))))
        }
        Some(Kind::HandOff | Kind::Refuse) => None,
        Some(_) if toolbox::looks(&call.tool) => None,
        Some(_) | None => Some(short(&format!("{} {}", call.tool, plain(given)))),
    }
}

/// A reply by its text and its calls. `None` where it asks for nothing, or passes work on, which
/// has counts of its own.
pub(crate) fn reply(reply: &ModelReplied) -> Option<String> {
    let passes = |it: &Call| {
        matches!(
            toolbox::kind(&it.tool),
            Some(Kind::HandOff | Kind::Delegate | Kind::Plan | Kind::Refuse)
        )
    };
    if reply.calls.is_empty() || reply.calls.iter().any(passes) {
        return None;
    }
    let told = |it: &Call| match &it.arguments {
        Ok(given) => format!("{} {}", it.tool, plain(given)),
        Err(text) => format!("{} {text}", it.tool),
    };
    let calls: Vec<String> = reply.calls.iter().map(told).collect();
    Some(short(&format!("{}\n{}", reply.text.trim(), calls.join("\n"))))
}

/// The first letters of a hash.
pub(crate) fn short(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|it| format!("{it:02x}")).collect()
}

/// Arguments with their keys in order, single spaces, and nothing that is null.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            Value::String(text.split_whitespace().collect::<Vec<&str>>().join(" "))
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().filter(|it| !it.1.is_null()).collect();
            sorted.sort_by_key(|it| it.0);
            let fields = sorted.into_iter().map(|(key, value)| (key.clone(), plain(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
