//! Which texts of a record are kept so that they can be erased.

use serde_json::Value;

use crate::memory::{MEMORY, REMEMBER, spelt};
use crate::{Call, Event, Work};

impl Event {
    /// The strings in it that are kept as bodies of their own whatever their length, so that they
    /// can be erased: texts of memory, and whatever a model said along with the call that wrote one.
    pub fn erasable(&self) -> Vec<&str> {
        let mut found = Vec::new();
        if let Event::Noted { slot, value, .. } = self {
            found.extend(value.as_str().filter(|_| slot == MEMORY));
        } else if let Event::ToolReturned { call, result, .. } = self {
            let result = Some(result).filter(|_| call == Work::LOOK);
            let told = result
                .and_then(|it| it.get(MEMORY))
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            found.extend(told.filter_map(|it| it.get("body")?.as_str()));
        } else if let Event::ModelReplied(reply) = self {
            for text in reply.calls.iter().filter_map(written) {
                let spelt = spelt(text);
                let tells = |it: &&str| it.contains(text) || it.contains(&spelt);
                found.push(text);
                found.extend(Some(reply.text.as_str()).filter(tells));
                strings(&reply.reply, &mut |it| found.extend(Some(it).filter(tells)));
            }
        }
        found
    }
}

/// The text that a call writes into memory.
fn written(call: &Call) -> Option<&str> {
    let given = call.arguments.as_ref().ok().filter(|_| call.tool == REMEMBER)?;
    given.get("text")?.as_str().filter(|it| !it.is_empty())
}

fn strings<'a>(value: &'a Value, take: &mut impl FnMut(&'a str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(items) => items.iter().for_each(|it| strings(it, take)),
        Value::Object(map) => map.values().for_each(|it| strings(it, take)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}
