//! A reply as it goes back to a model on the next turn.

use std::cell::LazyCell;

use callboard_trace::{Call, ModelReplied};
use serde_json::{Map, Value, json};

use super::exchange::{Reply, Request};
use super::spoken::spoken;

/// Takes calls that were written as text for calls, where there are no others. The message stays
/// as it came.
pub(crate) fn adopt(reply: &mut Reply, request: &Request) {
    use callboard_trace::Finish::{ContentFilter, Length, Other, Stop, ToolCalls};
    let is_whole = match reply.finish {
        Stop | ToolCalls | Other(_) => true,
        Length | ContentFilter => false,
    };
    let may_call = request.tool_choice.as_ref().is_none_or(|it| it != "none");
    if !is_whole || !may_call || !reply.calls.is_empty() {
        return;
    }
    let tools = LazyCell::new(|| request.tools.all());
    let is_tool = |name: &str| tools.iter().any(|it| it["function"]["name"] == name);
    let Some(found) = spoken(&reply.text, is_tool) else { return };
    let call = |(nth, (tool, arguments)): (usize, (String, Map<String, Value>))| Call {
        id: format!("call_{}_{nth}", request.turn),
        tool,
        arguments: Ok(Value::Object(arguments)),
    };
    reply.calls = (1..).zip(found.calls).map(call).collect();
    reply.finish = ToolCalls;
}

/// The message as `provider` is to see it again: exactly as it came, if it came from there, else
/// with the fields that everybody knows. Calls that were made of its text are told as calls, since
/// results without a call are refused.
pub(crate) fn echoed(reply: &ModelReplied, provider: &str) -> Value {
    let is_own = reply.model.strip_prefix(provider).is_some_and(|it| it.starts_with('/'));
    let told = reply.reply.get("tool_calls").and_then(Value::as_array);
    let is_told = reply.calls.is_empty() || told.is_some_and(|it| !it.is_empty());
    if is_own && is_told {
        return reply.reply.clone();
    }
    let own = reply.reply.as_object().filter(|_| is_own);
    let bare = || Map::from_iter([("role".to_owned(), json!("assistant"))]);
    let mut message = own.cloned().unwrap_or_else(bare);
    let is_tool = |name: &str| reply.calls.iter().any(|it| it.tool == name);
    let words = match is_told {
        true => reply.text.as_str(),
        false => spoken(&reply.text, is_tool).map_or("", |it| it.words),
    };
    let is_silent = words.trim().is_empty() && !reply.calls.is_empty();
    message.insert("content".to_owned(), if is_silent { Value::Null } else { json!(words) });
    if !reply.calls.is_empty() {
        message.insert("tool_calls".to_owned(), reply.calls.iter().map(told_call).collect());
    }
    Value::Object(message)
}

/// A call in the standard form; arguments that are no object would be refused by others.
fn told_call(call: &Call) -> Value {
    let arguments = call.arguments.as_ref().map_or_else(|_| "{}".to_owned(), Value::to_string);
    let function = json!({"name": call.tool, "arguments": arguments});
    json!({"id": call.id, "type": "function", "function": function})
}

#[cfg(test)]
mod tests {
    use callboard_trace::{Finish, Usage};

    use super::*;

    fn reply(text: &str) -> Reply {
        Reply {
            raw: json!({"role": "assistant", "content": text, "reasoning_content": "why"}),
            text: text.to_owned(),
            calls: Vec::new(),
            finish: Finish::Stop,
            usage: Usage::default(),
            first_token_ms: 0,
            ms: 0,
            asked_again: 0,
            learned: Vec::new(),
        }
    }

    fn record(reply: Reply) -> ModelReplied {
        reply.recorded(1, "acme/m1".to_owned(), None)
    }

    const SPOKEN: &str =
        "first\n<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call>";

    fn request(tools: Value, tool_choice: Option<Value>) -> Request {
        Request {
            agent: String::new(),
            turn: 3,
            attempt: 1,
            run: String::new(),
            task: String::new(),
            handed: false,
            purpose: callboard_trace::Purpose::Turn,
            model: "m1".to_owned(),
            messages: Vec::new().into(),
            tools: tools.as_array().cloned().unwrap_or_default().into(),
            tool_choice,
            temperature: None,
            effort: None,
            max_output: 9,
            traceparent: None,
            response_format: None,
        }
    }

    fn offer() -> Value {
        json!([{"type": "function", "function": {"name": "f"}}])
    }

    #[test]
    fn a_spoken_call_becomes_one_and_the_message_stays() {
        let mut it = reply(SPOKEN);
        let raw = it.raw.to_string();
        adopt(&mut it, &request(offer(), None));
        assert_eq!((it.raw.to_string(), it.finish.clone()), (raw, Finish::ToolCalls));
        let call = Call { id: "call_3_1".into(), tool: "f".into(), arguments: Ok(json!({"x": 1})) };
        assert_eq!(it.calls, [call]);
        let told = json!([{"id": "call_3_1", "type": "function",
            "function": {"name": "f", "arguments": "{\"x\":1}"}}]);
        let record = record(it);
        let own = json!({"role": "assistant", "content": "first", "reasoning_content": "why",
            "tool_calls": told});
        assert_eq!(echoed(&record, "acme"), own);
        let other = json!({"role": "assistant", "content": "first", "tool_calls": told});
        assert_eq!(echoed(&record, "acm"), other);
    }

    #[test]
    fn a_cut_reply_or_one_without_tools_calls_nothing() {
        for finish in [Finish::Length, Finish::ContentFilter] {
            let mut it = Reply { finish, ..reply(SPOKEN) };
            adopt(&mut it, &request(offer(), None));
            assert!(it.calls.is_empty());
        }
        for request in [request(json!([]), None), request(offer(), Some(json!("none")))] {
            let mut it = reply(SPOKEN);
            adopt(&mut it, &request);
            assert!(it.calls.is_empty() && it.finish == Finish::Stop);
        }
    }

    #[test]
    fn others_see_the_fields_that_everybody_knows() {
        let mut it = record(reply("hello"));
        assert_eq!(echoed(&it, "acme"), it.reply);
        assert_eq!(echoed(&it, "spare"), json!({"role": "assistant", "content": "hello"}));
        it.reply = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function",
            "function": {"name": "f", "arguments": "{x"}, "extra_content": {"google": 1}}]});
        it.text = String::new();
        it.calls = vec![Call { id: "a".into(), tool: "f".into(), arguments: Err("{x".into()) }];
        assert_eq!(echoed(&it, "acme"), it.reply);
        let plain = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "a",
            "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
        assert_eq!(echoed(&it, "spare"), plain);
    }
}
