//! An act as the Responses API tells it.

use serde_json::{Value, json};

use super::act::Act;
use super::pieces::strides;

/// The events of a response, or its one body in four pieces.
pub(super) fn pieces(act: &Act, message: &Value, streams: bool) -> Vec<Vec<u8>> {
    let whole = response(act, message);
    if !streams {
        let bytes = whole.to_string().into_bytes();
        return bytes.chunks(bytes.len().div_ceil(4)).map(<[u8]>::to_vec).collect();
    }
    let mut events = vec![json!({"type": "response.created",
        "response": {"object": "response", "status": "in_progress", "error": null, "output": []}})];
    for (at, item) in whole["output"].as_array().into_iter().flatten().enumerate() {
        events.extend(item_events(at, item));
    }
    let kind = whole["status"].as_str().unwrap_or("completed");
    events.push(json!({"type": format!("response.{kind}"), "response": whole}));
    let event = |it: &Value| {
        let kind = it["type"].as_str().unwrap_or_default();
        format!("event: {kind}\ndata: {it}\n\n").into_bytes()
    };
    events.iter().map(event).collect()
}

/// The message as output items, unless it has some of its own.
fn response(act: &Act, message: &Value) -> Value {
    let output = message.get("output").cloned().unwrap_or_else(|| items(message));
    let status = act.finish.as_deref().unwrap_or("completed");
    let mut response = json!({"id": "resp_scripted", "object": "response", "created_at": 1,
        "status": status, "error": null, "incomplete_details": null, "output": output});
    match status {
        "incomplete" => response["incomplete_details"] = json!({"reason": "max_output_tokens"}),
        "failed" => response["error"] = json!({"code": "server_error", "message": "scripted"}),
        _ => {}
    }
    if act.usage.is_some() {
        response["usage"] = json!({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15});
    }
    response
}

fn items(message: &Value) -> Value {
    let mut items = vec![json!({"type": "reasoning", "id": "rs_1", "summary": [],
        "encrypted_content": "gAAAAB+/=="})];
    if let Some(text) = message["content"].as_str().filter(|it| !it.is_empty()) {
        items.push(
            json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}),
        );
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        items.push(json!({"type": "function_call", "id": "fc_1", "call_id": call["id"],
            "name": call["function"]["name"], "arguments": call["function"]["arguments"],
            "status": "completed"}));
    }
    Value::Array(items)
}

fn item_events(at: usize, item: &Value) -> Vec<Value> {
    let event = |kind: &str, field: &str, value: Value| {
        let mut event = json!({"type": format!("response.{kind}"), "output_index": at});
        event[field] = value;
        event
    };
    let mut open = item.clone();
    let mut deltas = Vec::new();
    if let Some(text) = item["content"][0]["text"].as_str() {
        open["content"] = json!([]);
        let delta = |it: String| {
            let mut event = event("output_text.delta", "delta", json!(it));
            event["content_index"] = json!(0);
            event
        };
        deltas.extend(strides(text).into_iter().map(delta));
    }
    if let Some(arguments) = item["arguments"].as_str() {
        open["arguments"] = json!("");
        let delta = |it: String| event("function_call_arguments.delta", "delta", json!(it));
        deltas.extend(strides(arguments).into_iter().map(delta));
        deltas.push(event("function_call_arguments.done", "arguments", json!(arguments)));
    }
    let first = event("output_item.added", "item", open);
    let last = event("output_item.done", "item", item.clone());
    std::iter::once(first).chain(deltas).chain([last]).collect()
}
