//! The Responses API: our messages and tools as its input, its output as an assistant message.

use serde_json::{Map, Value, json};

use super::body::{lenient, role};
use super::classify::{Asked, told};
use super::complaint::found;
use super::decode::Whole;
use super::exchange::{ITEMS, Request};
use super::fault::Fault;
use super::manners::Manners;

/// The request as JSON. Nothing is kept on the other side; what a model must see again is asked
/// for in its encrypted form and sent back.
pub(crate) fn body(request: &Request, manners: &Manners, stream: bool) -> Map<String, Value> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() && !manners.dropped.contains(name) {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", json!(request.model));
    put("input", request.messages.all().iter().flat_map(|it| items(it, manners)).collect());
    if !request.tools.is_empty() {
        put("tools", request.tools.all().iter().map(|it| tool(it, manners)).collect());
        put("tool_choice", request.tool_choice.as_ref().map_or(Value::Null, choice));
    }
    put("max_output_tokens", json!(request.max_output));
    put("temperature", json!(request.temperature));
    put("reasoning", request.effort.as_ref().map_or(Value::Null, |it| json!({"effort": it})));
    put("text", request.response_format.as_ref().map_or(Value::Null, |it| form(it, manners)));
    put("store", json!(false));
    put("include", json!(["reasoning.encrypted_content"]));
    put("stream", json!(stream));
    body
}

/// One message as input items; its own items go back as they came.
fn items(message: &Value, manners: &Manners) -> Vec<Value> {
    let content = &message["content"];
    match message["role"].as_str() {
        Some("assistant") => said(message),
        Some("tool") => vec![json!({"type": "function_call_output",
            "call_id": message["tool_call_id"], "output": content})],
        Some(_) | None => vec![json!({"role": role(message, manners), "content": content})],
    }
}

fn said(message: &Value) -> Vec<Value> {
    let mut calls = message["tool_calls"].as_array().into_iter().flatten();
    let mut items = message[ITEMS].as_array().cloned().unwrap_or_default();
    if items.is_empty() && message["content"].as_str().is_some_and(|it| !it.is_empty()) {
        items.push(json!({"role": "assistant", "content": message["content"]}));
    }
    for item in items.iter_mut().filter(|it| it["type"] == "function_call") {
        let id = calls.next().map(|it| &it["id"]).filter(|it| **it != item["call_id"]);
        if let (Some(id), Some(fields)) = (id, item.as_object_mut()) {
            fields.insert("call_id".to_owned(), id.clone());
        }
    }
    items.extend(calls.map(|it| {
        let function = &it["function"];
        json!({"type": "function_call", "call_id": it["id"], "name": function["name"],
            "arguments": function["arguments"]})
    }));
    items
}

/// A tool whose description is not wrapped; not strict unless it says so.
fn tool(tool: &Value, manners: &Manners) -> Value {
    let mut flat = Map::from_iter([("type".to_owned(), json!("function"))]);
    let wrapped = lenient(tool, manners);
    flat.extend(wrapped["function"].as_object().cloned().unwrap_or_default());
    if !manners.has_no_strict {
        flat.entry("strict").or_insert(Value::Bool(false));
    }
    Value::Object(flat)
}

fn choice(choice: &Value) -> Value {
    match choice.pointer("/function/name") {
        Some(name) => json!({"type": "function", "name": name}),
        None => choice.clone(),
    }
}

fn form(format: &Value, manners: &Manners) -> Value {
    let format = lenient(format, manners);
    let mut flat = Map::from_iter([("type".to_owned(), format["type"].clone())]);
    flat.extend(format["json_schema"].as_object().cloned().unwrap_or_default());
    json!({"format": flat})
}

/// Takes the parts out of a response object that is over.
pub(crate) fn whole(asked: &Asked<'_>, mut response: Value) -> Result<Whole, Fault> {
    if let Some(error) = found(&response) {
        return Err(told(asked, error));
    }
    let Asked { provider, model, .. } = asked;
    let Some(Value::Array(items)) = response.get_mut("output").map(Value::take) else {
        let message = format!("\"{model}\" at provider \"{provider}\" gave a reply with no output");
        return Err(asked.bad_reply(&message));
    };
    let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
    let cut = |it: &Value| it["type"] == "function_call" && it["status"] == "incomplete";
    let finish = match response["status"].as_str() {
        Some("completed") | None if items.iter().any(cut) => "max_output_tokens",
        Some("completed") | None => "stop",
        Some("incomplete") => reason.unwrap_or("max_output_tokens"),
        Some(status) => {
            let message = format!("provider \"{provider}\" left its response {status}");
            return Err(asked.bad_reply(&message));
        }
    };
    let finish = Some(finish.to_owned());
    let usage = response.get("usage").filter(|it| it.is_object()).cloned();
    Ok(Whole { message: message(items), finish, usage })
}

/// The assistant message that the items are, with the items themselves.
fn message(items: Vec<Value>) -> Map<String, Value> {
    let parts = |kind: &str, field: &str| -> String {
        let messages = items.iter().filter(|it| it["type"] == "message");
        let parts = messages.flat_map(|it| it["content"].as_array().into_iter().flatten());
        parts.filter(|it| it["type"] == kind).filter_map(|it| it[field].as_str()).collect()
    };
    let (text, refusal) = (parts("output_text", "text"), parts("refusal", "refusal"));
    let calls: Vec<Value> = items
        .iter()
        .filter(|it| it["type"] == "function_call")
        .map(|it| {
            json!({"id": it["call_id"], "type": "function",
                "function": {"name": it["name"], "arguments": it["arguments"]}})
        })
        .collect();
    let mut message = Map::from_iter([("role".to_owned(), json!("assistant"))]);
    let content = if text.is_empty() { Value::Null } else { json!(text) };
    message.insert("content".to_owned(), content);
    if !refusal.is_empty() {
        message.insert("refusal".to_owned(), json!(refusal));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    message.insert(ITEMS.to_owned(), Value::Array(items));
    message
}

#[cfg(test)]
mod tests {
    use callboard_trace::{FailureCode, Finish};

    use super::*;
    use crate::model::decode::read;
    use crate::model::redact::Secrets;

    fn answer(response: Value) -> Result<crate::model::Reply, Fault> {
        let secrets = Secrets::default();
        let asked =
            Asked { provider: "p", model: "m", key_source: None, has_key: true, secrets: &secrets };
        read(&asked, whole(&asked, response)?, 4, 100)
    }

    fn items() -> Value {
        json!([{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAA=="},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "hi", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"x\": 1}",
             "status": "completed"}])
    }

    #[test]
    fn output_becomes_a_message_and_goes_back_verbatim() {
        let usage = json!({"input_tokens": 7, "input_tokens_details": {"cached_tokens": 3},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}});
        let reply = answer(json!({"status": "completed", "output": items(), "usage": usage,
            "error": null, "incomplete_details": null}))
        .unwrap();
        assert_eq!((&*reply.text, &reply.finish), ("hi", &Finish::ToolCalls));
        assert_eq!(reply.calls[0].arguments, Ok(json!({"x": 1})));
        let counts = &reply.usage;
        let counts = (counts.input, counts.cached, counts.output, counts.reasoning);
        assert_eq!(counts, (7, 3, 5, 2));
        let sent = super::said(&reply.raw);
        assert_eq!(Value::Array(sent).to_string(), items().to_string());
    }

    #[test]
    fn a_call_without_an_id_gets_one_on_both_sides() {
        let call = json!({"type": "function_call", "name": "f", "arguments": "{}"});
        let reply = answer(json!({"output": [call, call]})).unwrap();
        let sent = super::said(&reply.raw);
        let ids: Vec<&Value> = sent.iter().map(|it| &it["call_id"]).collect();
        assert_eq!(ids, ["call_4_1", "call_4_2"]);
    }

    #[test]
    fn an_end_that_is_none_is_told() {
        let cut = json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
            "output": items()});
        assert_eq!(answer(cut).unwrap_err().code, FailureCode::BadReply);
        let mut half = items();
        half[2]["status"] = json!("incomplete");
        assert!(answer(json!({"status": "completed", "output": half})).is_err());
        let filtered = json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"},
            "output": items()});
        let filtered = answer(filtered).unwrap();
        assert!(filtered.calls.is_empty() && filtered.finish == Finish::ContentFilter);
        let refusal = json!({"output": [{"type": "message",
            "content": [{"type": "refusal", "refusal": "no"}]}]});
        assert_eq!(answer(refusal).unwrap().text, "no");
        let failed = json!({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"},
            "output": []});
        assert_eq!(answer(failed).unwrap_err().code, FailureCode::RateLimited);
        for none in [
            json!({"status": "completed", "output": []}),
            json!({"status": "in_progress", "output": items()}),
            json!({"status": "queued", "output": []}),
            json!({"choices": []}),
            json!(null),
        ] {
            assert_eq!(answer(none).unwrap_err().code, FailureCode::BadReply);
        }
    }

    #[test]
    fn messages_of_others_become_items() {
        let message = json!({"role": "assistant", "content": "look", "tool_calls": [{"id": "a",
            "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
        let sent = super::said(&message);
        assert_eq!(sent[0], json!({"role": "assistant", "content": "look"}));
        let call = json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"});
        assert_eq!(sent[1], call);
        let result = json!({"role": "tool", "tool_call_id": "a", "content": "ok"});
        let output = json!({"type": "function_call_output", "call_id": "a", "output": "ok"});
        assert_eq!(super::items(&result, &Manners::default()), [output]);
    }
}
