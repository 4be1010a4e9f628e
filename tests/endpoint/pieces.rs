//! An act as the pieces of bytes that go over the wire.

use serde_json::{Value, json};

use super::act::{Act, Body};
use super::ask::Ask;
use super::responses;

/// The content type and the pieces of an act's body.
pub(super) fn pieces(act: &Act, ask: &Ask) -> (String, Vec<Vec<u8>>) {
    let (model, streams) = (&ask.body["model"], ask.streams());
    match &act.body {
        Body::Bytes { kind, pieces } => (kind.clone(), pieces.clone()),
        Body::Message(message) if ask.path == "/responses" => {
            let kind = if streams { "text/event-stream" } else { "application/json" };
            (kind.to_owned(), responses::pieces(act, message, streams))
        }
        Body::Message(message) if streams => {
            ("text/event-stream".to_owned(), events(act, message, model))
        }
        Body::Message(message) => ("application/json".to_owned(), body(act, message, model)),
    }
}

/// Characters of a text that one event carries.
const STRIDE: usize = 7;

fn reason(act: &Act, message: &Value) -> Value {
    let calls = message["tool_calls"].as_array().is_some_and(|it| !it.is_empty());
    let usual = if calls { "tool_calls" } else { "stop" };
    json!(act.finish.as_deref().unwrap_or(usual))
}

/// One JSON body in four pieces.
fn body(act: &Act, message: &Value, model: &Value) -> Vec<Vec<u8>> {
    let choice = json!({"index": 0, "message": message, "finish_reason": reason(act, message)});
    let mut body = json!({"id": "chatcmpl-scripted", "object": "chat.completion", "created": 1,
        "model": model, "choices": [choice]});
    if let Some(usage) = &act.usage {
        body["usage"] = usage.clone();
    }
    let bytes = body.to_string().into_bytes();
    bytes.chunks(bytes.len().div_ceil(4)).map(<[u8]>::to_vec).collect()
}

/// One event a piece: the role, each field in strides, the reason, the counts, `[DONE]`.
fn events(act: &Act, message: &Value, model: &Value) -> Vec<Vec<u8>> {
    let chunk = |choices: Value| {
        json!({"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1,
            "model": model, "choices": choices})
    };
    let choice = |delta: Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]))
    };
    let mut events: Vec<Value> =
        deltas(message).into_iter().map(|it| choice(it, Value::Null)).collect();
    events.push(choice(json!({}), reason(act, message)));
    if let Some(usage) = &act.usage {
        let mut tail = chunk(json!([]));
        tail["usage"] = usage.clone();
        events.push(tail);
    }
    let mut pieces: Vec<Vec<u8>> =
        events.iter().map(|it| format!("data: {it}\n\n").into_bytes()).collect();
    if act.has_done {
        pieces.push(b"data: [DONE]\n\n".to_vec());
    }
    pieces
}

fn deltas(message: &Value) -> Vec<Value> {
    let mut deltas = vec![json!({"role": "assistant"})];
    for (key, value) in message.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("role", _) => {}
            ("tool_calls", Value::Array(calls)) => {
                let calls = (0..).zip(calls).flat_map(|(index, it)| call_deltas(index, it));
                deltas.extend(calls.map(|it| json!({"tool_calls": [it]})));
            }
            (key, Value::String(text)) => {
                deltas.extend(strides(text).into_iter().map(|it| json!({key: it})));
            }
            (key, value) => deltas.push(json!({key: value})),
        }
    }
    deltas
}

/// The call with everything but its arguments, which follow in strides.
fn call_deltas(index: usize, call: &Value) -> Vec<Value> {
    let mut first = call.clone();
    first["index"] = json!(index);
    let Some(arguments) = call["function"]["arguments"].as_str() else { return vec![first] };
    first["function"]["arguments"] = json!("");
    let rest = strides(arguments).into_iter();
    let rest = rest.map(|it| json!({"index": index, "function": {"arguments": it}}));
    std::iter::once(first).chain(rest).collect()
}

pub(super) fn strides(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(STRIDE).map(|it| it.iter().collect()).collect()
}
