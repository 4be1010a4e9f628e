//! The events of a stream put together again into the one message they are pieces of.
//!
//! Generic on purpose: a field nobody here knows must come back on the next turn as it came.

use serde_json::{Map, Value, json};

use super::decode::{Whole, finish_of, usage_of};

/// What has arrived of a message.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    message: Map<String, Value>,
    calls: Vec<Draft>,
    finish: Option<String>,
    usage: Option<Value>,
    /// The server sent the message whole instead of in pieces.
    whole: bool,
    events: usize,
}

/// A tool call that may still grow.
#[derive(Debug, Default)]
struct Draft {
    index: Option<u64>,
    fields: Map<String, Value>,
}

/// Strings that are said once, or said again in every event, and never in pieces.
const SAID_ONCE: &[&str] =
    &["role", "type", "id", "name", "format", "object", "model", "mime_type"];

impl Assembly {
    /// Takes one event that holds no error.
    pub(crate) fn take(&mut self, mut event: Value) {
        self.events += 1;
        if let Some(usage) = usage_of(&event) {
            self.usage = Some(usage);
        }
        let Some(choice) = first_choice(&mut event) else { return };
        if let Some(finish) = finish_of(choice) {
            self.finish = Some(finish);
        }
        if let Some(Value::Object(message)) = choice.get_mut("message").map(Value::take) {
            self.whole = true;
            self.message = message;
            self.calls.clear();
        }
        if let Some(Value::Object(mut delta)) = choice.get_mut("delta").map(Value::take) {
            if let Some(Value::Array(calls)) = delta.shift_remove("tool_calls") {
                calls.into_iter().for_each(|it| self.call(it));
            }
            merge_fields(&mut self.message, delta);
        }
    }

    /// Whether any event was seen at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Whether the end of the message was seen; `done` = the stream said so itself.
    pub(crate) fn is_complete(&self, done: bool) -> bool {
        done || self.whole || self.finish.is_some()
    }

    /// Whether nothing was said and nothing called, though the stream may be complete.
    pub(crate) fn is_silent(&self) -> bool {
        let text = |name: &str| match self.message.get(name) {
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            _ => false,
        };
        let said = ["content", "refusal", "tool_calls"].iter().any(|it| text(it));
        !said && self.calls.is_empty() && !self.message.contains_key("function_call")
    }

    /// The message, with its calls in the order they arrived.
    pub(crate) fn whole(mut self) -> Whole {
        if !self.calls.is_empty() {
            let calls = self.calls.into_iter().map(|it| Value::Object(it.fields)).collect();
            self.message.insert("tool_calls".to_owned(), calls);
        }
        Whole { message: self.message, finish: self.finish, usage: self.usage }
    }

    fn call(&mut self, piece: Value) {
        let Value::Object(mut piece) = piece else { return };
        let index = piece.shift_remove("index").as_ref().and_then(Value::as_u64);
        let at = self.draft(index, &piece).unwrap_or_else(|| {
            self.calls.push(Draft { index, fields: Map::new() });
            self.calls.len() - 1
        });
        merge_fields(&mut self.calls[at].fields, piece);
    }

    /// The draft that a piece continues: by index, else by id, else the last one. A piece that names
    /// a function begins a new call, unless it only repeats what its draft says.
    fn draft(&self, index: Option<u64>, piece: &Map<String, Value>) -> Option<usize> {
        let id = word(piece.get("id"));
        let name = word(name_of(piece));
        let by_index = || self.calls.iter().rposition(|it| it.index == index);
        let by_id = || self.calls.iter().rposition(|it| word(it.fields.get("id")) == id);
        let last = self.calls.len().checked_sub(1);
        let at = match (index, id) {
            (Some(_), _) => by_index()?,
            (None, Some(_)) => by_id().or_else(|| last.filter(|_| name.is_none()))?,
            (None, None) => last?,
        };
        let draft = &self.calls[at].fields;
        let (Some(name), Some(drafted)) = (name, word(name_of(draft))) else { return Some(at) };
        let repeats = match (id, word(draft.get("id"))) {
            (Some(id), Some(known)) => id == known,
            (Some(_), None) => false,
            (None, _) => name == drafted && !has_all_arguments(draft),
        };
        repeats.then_some(at)
    }
}

fn name_of(call: &Map<String, Value>) -> Option<&Value> {
    call.get("function").and_then(|it| it.get("name")).or_else(|| call.get("name"))
}

fn word(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|it| !it.is_empty())
}

fn has_all_arguments(call: &Map<String, Value>) -> bool {
    match call.get("function").and_then(|it| it.get("arguments")) {
        Some(Value::Object(_)) => true,
        Some(Value::String(text)) => serde_json::from_str::<Map<String, Value>>(text).is_ok(),
        _ => false,
    }
}

/// Choice 0; others are never asked for.
fn first_choice(event: &mut Value) -> Option<&mut Value> {
    let choices = event.get_mut("choices")?.as_array_mut()?;
    choices.iter_mut().find(|it| it.get("index").is_none_or(|it| it.is_null() || *it == 0))
}

fn merge_fields(into: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (key, piece) in delta {
        match into.get_mut(&key) {
            Some(present) => merge(&key, present, piece),
            None => {
                into.insert(key, piece);
            }
        }
    }
}

/// Strings grow, objects merge, lists grow by their items' `index`, anything else is replaced.
fn merge(key: &str, present: &mut Value, piece: Value) {
    match (present, piece) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) if SAID_ONCE.contains(&key) => {
            if text.is_empty() {
                *text = more;
            }
        }
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Object(fields), Value::Object(more)) => merge_fields(fields, more),
        (Value::Array(items), Value::Array(more)) => {
            more.into_iter().for_each(|it| merge_item(items, it));
        }
        (Value::Array(items), Value::String(more)) if key == "content" => items.push(part(&more)),
        (present @ Value::String(_), Value::Array(more)) if key == "content" => {
            let before = present.as_str().filter(|it| !it.is_empty()).map(part);
            *present = before.into_iter().chain(more).collect();
        }
        (present, piece) => *present = piece,
    }
}

fn merge_item(items: &mut Vec<Value>, piece: Value) {
    let index = piece.get("index").filter(|it| it.is_u64());
    let same = items.iter_mut().find(|it| index.is_some() && it.get("index") == index);
    match (same, piece) {
        (Some(Value::Object(fields)), Value::Object(more)) => merge_fields(fields, more),
        (_, piece) => items.push(piece),
    }
}

fn part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(deltas: &[Value]) -> Value {
        let mut assembly = Assembly::default();
        for delta in deltas {
            assembly.take(json!({"choices": [{"index": 0, "delta": delta}]}));
        }
        Value::Object(assembly.whole().message)
    }

    fn tools(raw: &Value) -> Vec<String> {
        let text = |it: &Value| {
            let function = &it["function"];
            format!("{} {} {}", it["id"], function["name"], function["arguments"]).replace('"', "")
        };
        raw["tool_calls"].as_array().unwrap().iter().map(text).collect()
    }

    fn piece(index: Value, id: Value, name: Value, arguments: &str) -> Value {
        let mut call = json!({"type": "function", "function": {"arguments": arguments}});
        for (key, value) in [("index", index), ("id", id)] {
            if !value.is_null() {
                call[key] = value;
            }
        }
        if !name.is_null() {
            call["function"]["name"] = name;
        }
        json!({"tool_calls": [call]})
    }

    #[test]
    fn text_and_unknown_fields_grow_and_once_said_ones_stay() {
        let raw = of(&[
            json!({"role": "assistant", "content": "", "reasoning_content": "th"}),
            json!({"role": "assistant", "content": "he", "reasoning_content": "ink"}),
            json!({"content": "llo", "reasoning_content": null, "x": {"deep": "a", "n": 1}}),
            json!({"x": {"deep": "b", "n": 2, "more": true}}),
        ]);
        assert_eq!(
            raw.to_string(),
            json!({"role": "assistant", "content": "hello", "reasoning_content": "think",
                "x": {"deep": "ab", "n": 2, "more": true}})
            .to_string()
        );
    }

    #[test]
    fn lists_grow_by_index_or_by_arrival() {
        let raw = of(&[
            json!({"reasoning_details": [
                {"index": 0, "type": "reasoning.text", "text": "a", "format": "f"}]}),
            json!({"reasoning_details": [
                {"index": 0, "type": "reasoning.text", "text": "b", "format": "f"}]}),
            json!({"reasoning_details": [{"index": 1, "type": "reasoning.encrypted", "data": "zz"}]}),
            json!({"annotations": [{"url": "u"}]}),
            json!({"annotations": [{"url": "v"}]}),
        ]);
        assert_eq!(
            raw["reasoning_details"][0],
            json!({"index": 0, "type": "reasoning.text", "text": "ab", "format": "f"})
        );
        assert_eq!(raw["reasoning_details"][1]["data"], "zz");
        assert_eq!(raw["annotations"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn content_may_change_from_text_to_parts_and_back() {
        let raw = of(&[
            json!({"content": "a"}),
            json!({"content": [{"type": "text", "text": "b"}]}),
            json!({"content": "c"}),
        ]);
        let texts: String = raw["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["text"].as_str().unwrap())
            .collect();
        assert_eq!(texts, "abc");
    }

    #[test]
    fn calls_are_told_apart_however_they_are_numbered() {
        let none = Value::Null;
        let by_index = of(&[
            piece(json!(0), json!("a"), json!("f"), ""),
            piece(json!(1), json!("b"), json!("g"), "{\"y\":"),
            piece(json!(0), none.clone(), none.clone(), "{\"x\":1}"),
            piece(json!(1), json!(""), none.clone(), "2}"),
        ]);
        assert_eq!(tools(&by_index), ["a f {\\x\\:1}", "b g {\\y\\:2}"]);
        let all_zero = of(&[
            piece(json!(0), json!("a"), json!("f"), "{}"),
            piece(json!(0), json!("b"), json!("f"), "{\"n\":"),
            piece(json!(0), none.clone(), none.clone(), "1}"),
            piece(json!(0), json!("c"), json!("g"), "{}"),
        ]);
        assert_eq!(tools(&all_zero), ["a f {}", "b f {\\n\\:1}", "c g {}"]);
        let no_index = of(&[
            piece(none.clone(), json!("a"), json!("f"), "{"),
            piece(none.clone(), none.clone(), none.clone(), "}"),
            piece(none.clone(), json!("b"), json!("g"), "{}"),
            piece(none.clone(), json!("a"), none.clone(), " "),
        ]);
        assert_eq!(tools(&no_index), ["a f {} ", "b g {}"]);
        let no_ids = of(&[
            piece(json!(0), none.clone(), json!("f"), "{}"),
            piece(json!(0), none.clone(), json!("f"), "{}"),
            piece(json!(0), none.clone(), json!("g"), "{}"),
        ]);
        assert_eq!(tools(&no_ids), ["null f {}", "null f {}", "null g {}"]);
        let name_repeated = of(&[
            piece(json!(0), json!("a"), json!("f"), "{\"x\""),
            piece(json!(0), json!("a"), json!("f"), ":1"),
            piece(json!(0), none.clone(), json!("f"), "}"),
        ]);
        assert_eq!(tools(&name_repeated), ["a f {\\x\\:1}"]);
        let gaps = of(&[
            piece(json!(5), json!("a"), json!("f"), "{}"),
            piece(json!(2), json!("b"), json!("g"), "{}"),
        ]);
        assert_eq!(tools(&gaps), ["a f {}", "b g {}"]);
    }

    #[test]
    fn fields_beside_a_call_are_kept_and_its_index_is_not() {
        let raw = of(&[
            json!({"tool_calls": [{"index": 0, "id": "a", "type": "function",
                "function": {"name": "f", "arguments": ""},
                "extra_content": {"google": {"thought_signature": "zzz=="}}}]}),
            json!({"tool_calls": [{"index": 0, "type": "", "function": {"arguments": "{}"}}]}),
        ]);
        assert_eq!(
            raw["tool_calls"][0].to_string(),
            json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"},
                "extra_content": {"google": {"thought_signature": "zzz=="}}})
            .to_string()
        );
    }

    #[test]
    fn an_end_is_a_finish_reason_a_whole_message_or_the_word_of_the_stream() {
        let mut assembly = Assembly::default();
        assembly.take(json!({"choices": [{"delta": {"content": "a"}, "finish_reason": ""}]}));
        assert!(!assembly.is_complete(false));
        assert!(assembly.is_complete(true));
        assembly.take(json!({"choices": [{"finish_reason": "eos"}]}));
        assert!(assembly.is_complete(false));
        let mut whole = Assembly::default();
        whole.take(
            json!({"choices": [{"message": {"content": "all"}}], "usage": {"prompt_tokens": 1}}),
        );
        assert!(whole.is_complete(false) && !whole.is_silent());
        assert_eq!(whole.whole().message["content"], "all");
    }
}
