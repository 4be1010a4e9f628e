//! The tool calls of an assistant message: read from every shape, with ids that are there and unique.

use std::collections::BTreeSet;

use callboard_trace::Call;
use serde_json::{Map, Value, json};

use super::lenient;

/// Characters of arguments that are kept where they are no object.
const BROKEN_CHARS: usize = 4_096;

/// The calls of the message; ids that are missing or double are written into it, so that it can be
/// sent back with its results. Nothing else of it changes. `is_whole` = the provider said that the
/// message ended by itself.
pub(crate) fn calls(message: &mut Map<String, Value>, turn: u32, is_whole: bool) -> Vec<Call> {
    adopt_function_call(message);
    let Some(Value::Array(items)) = message.get_mut("tool_calls") else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let mut calls = Vec::new();
    for (nth, item) in (1..).zip(items.iter_mut().filter_map(Value::as_object_mut)) {
        let told = item.get("id").and_then(Value::as_str).filter(|it| !it.is_empty());
        let told = told.filter(|it| !seen.contains(*it)).map(str::to_owned);
        let id = told.unwrap_or_else(|| {
            let made = free(&seen, turn, nth);
            item.insert("id".to_owned(), Value::from(made.as_str()));
            made
        });
        seen.insert(id.clone());
        let function = item.get("function").and_then(Value::as_object).unwrap_or(item);
        let tool = function.get("name").and_then(Value::as_str).unwrap_or_default().trim();
        let arguments = arguments(function.get("arguments").unwrap_or(&Value::Null), is_whole);
        calls.push(Call { id, tool: tool.to_owned(), arguments });
    }
    calls
}

/// The older form of one call, which has no id.
fn adopt_function_call(message: &mut Map<String, Value>) {
    let listed = message.get("tool_calls").and_then(Value::as_array);
    if listed.is_some_and(|it| !it.is_empty())
        || !message.get("function_call").is_some_and(Value::is_object)
    {
        return;
    }
    if let Some(function) = message.shift_remove("function_call") {
        let call = json!([{"id": null, "type": "function", "function": function}]);
        message.insert("tool_calls".to_owned(), call);
    }
}

fn free(seen: &BTreeSet<String>, turn: u32, nth: usize) -> String {
    let name = |at: usize| format!("call_{turn}_{at}");
    let taken = |it: &usize| seen.contains(&name(*it));
    let at = (nth..).find(|it| !taken(it)).unwrap_or(nth);
    name(at)
}

/// An object as it is, or its text once or twice encoded, with the usual slips mended; an empty
/// text means no arguments.
fn arguments(told: &Value, is_whole: bool) -> Result<Value, String> {
    match told {
        Value::Object(_) => Ok(told.clone()),
        Value::Null => Ok(Value::Object(Map::new())),
        Value::String(text) if text.trim().is_empty() => Ok(Value::Object(Map::new())),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
            Ok(Value::Null) => Ok(Value::Object(Map::new())),
            Ok(Value::String(inner)) => object(&inner, is_whole).ok_or_else(|| kept(text)),
            Ok(_) => Err(kept(text)),
            Err(_) => object(text, is_whole).ok_or_else(|| kept(text)),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(kept(&told.to_string())),
    }
}

fn object(text: &str, is_whole: bool) -> Option<Value> {
    let strict = serde_json::from_str(text).ok().filter(Value::is_object);
    strict.or_else(|| lenient::object(text, is_whole).map(Value::Object))
}

fn kept(text: &str) -> String {
    text.chars().take(BROKEN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut message: Value) -> (Vec<Call>, Value) {
        let fields = message.as_object_mut().unwrap();
        let calls = calls(fields, 3, true);
        (calls, message)
    }

    #[test]
    fn ids_become_unique_and_the_message_says_the_same() {
        let call = |id: Value| json!({"id": id, "function": {"name": "f", "arguments": "{}"}});
        let items = vec![
            call(json!("a")),
            call(json!("a")),
            call(json!(null)),
            call(json!("")),
            call(json!("call_3_6")),
            call(json!(7)),
        ];
        let (calls, raw) = read(json!({"tool_calls": items}));
        let ids: Vec<&str> = calls.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["a", "call_3_2", "call_3_3", "call_3_4", "call_3_6", "call_3_7"]);
        let sent: Vec<&str> = raw["tool_calls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap())
            .collect();
        assert_eq!(sent, ids);
    }

    #[test]
    fn a_message_with_good_ids_is_not_touched() {
        let message = json!({"content": null, "tool_calls": [{"id": "a", "index": 0, "function": {"name": "f",
            "arguments": {"x": 1}}, "extra_content": {"google": {"thought_signature": "z"}}}]});
        let (calls, raw) = read(message.clone());
        assert_eq!(raw.to_string(), message.to_string());
        assert_eq!(calls[0].arguments, Ok(json!({"x": 1})));
    }

    #[test]
    fn arguments_are_an_object_or_the_text_that_is_none() {
        let cases = [
            (json!("{\"x\": 1}"), Ok(json!({"x": 1}))),
            (json!({"x": 1}), Ok(json!({"x": 1}))),
            (json!("\"{\\\"x\\\": 1}\""), Ok(json!({"x": 1}))),
            (json!(""), Ok(json!({}))),
            (json!(" \n"), Ok(json!({}))),
            (json!(null), Ok(json!({}))),
            (json!("null"), Ok(json!({}))),
            (json!("{\"x\": "), Err("{\"x\": ".to_owned())),
            (json!("[1]"), Err("[1]".to_owned())),
            (json!([1]), Err("[1]".to_owned())),
            (json!("{}{}"), Err("{}{}".to_owned())),
            (json!(7), Err("7".to_owned())),
        ];
        for (told, expected) in cases {
            assert_eq!(arguments(&told, true), expected, "{told}");
        }
    }

    #[test]
    fn slips_are_mended_and_a_cut_is_not() {
        let x = Ok(json!({"x": [1, null]}));
        assert_eq!(arguments(&json!("{'x': [1, None,],}"), false), x);
        assert_eq!(arguments(&json!("{\"x\": [1, null]"), true), x);
        for (text, is_whole) in [("{\"x\": [1, null]", false), ("{\"x\": \"rm -r b", true)] {
            assert_eq!(arguments(&json!(text), is_whole), Err(text.to_owned()));
        }
    }

    #[test]
    fn odd_shapes_of_calls_are_read() {
        let (calls, _) = read(
            json!({"tool_calls": [{"id": "a", "name": "flat", "arguments": "{}"}, "junk", {}]}),
        );
        let tools: Vec<&str> = calls.iter().map(|it| it.tool.as_str()).collect();
        assert_eq!(tools, ["flat", ""]);
        let (calls, raw) =
            read(json!({"function_call": {"name": "old", "arguments": "{\"x\":1}"}}));
        assert_eq!((calls[0].tool.as_str(), calls[0].id.as_str()), ("old", "call_3_1"));
        assert!(raw.get("function_call").is_none());
        for none in [
            json!({}),
            json!({"tool_calls": null}),
            json!({"tool_calls": "x"}),
            json!({"tool_calls": []}),
        ] {
            assert!(read(none).0.is_empty());
        }
    }
}
