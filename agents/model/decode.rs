//! A whole answer, streamed or not, read with every field optional.

use callboard_trace::{Call, Finish};
use serde_json::{Map, Value};

use super::calls::calls;
use super::classify::{Asked, told};
use super::complaint::found;
use super::exchange::Reply;
use super::fault::Fault;
use super::usage::usage;

/// The parts of an answer that matter, as they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Whole {
    /// The assistant message with all its fields.
    pub(crate) message: Map<String, Value>,
    /// The provider's word for why it stopped; an empty one is none.
    pub(crate) finish: Option<String>,
    /// What it counted.
    pub(crate) usage: Option<Value>,
}

/// Takes the parts out of the body of an answer that was not streamed.
pub(crate) fn whole(asked: &Asked<'_>, mut body: Value) -> Result<Whole, Fault> {
    if let Some(error) = found(&body) {
        return Err(told(asked, error));
    }
    let Some(choice) = body.pointer_mut("/choices/0") else {
        return Err(asked.bad_reply(&lacks(asked, "no choices")));
    };
    let finish = finish_of(choice);
    let Some(Value::Object(message)) = choice.get_mut("message").map(Value::take) else {
        return Err(asked.bad_reply(&lacks(asked, "no message")));
    };
    Ok(Whole { message, finish, usage: usage_of(&body) })
}

/// The reason a choice stopped for; null and empty are none.
pub(crate) fn finish_of(choice: &Value) -> Option<String> {
    let reason = choice.get("finish_reason")?.as_str()?.trim();
    (!reason.is_empty()).then(|| reason.to_owned())
}

/// The counts of a body or an event, wherever a provider puts them.
pub(crate) fn usage_of(body: &Value) -> Option<Value> {
    let places = ["/usage", "/x_groq/usage", "/choices/0/usage"];
    let counts = |it: &&Value| it.is_object();
    places.iter().filter_map(|it| body.pointer(it)).find(counts).cloned()
}

/// What the answer means. `turn` names ids that are missing; `sent` is the prompt in bytes.
pub(crate) fn read(
    asked: &Asked<'_>,
    whole: Whole,
    turn: u32,
    sent: usize,
) -> Result<Reply, Fault> {
    let Whole { mut message, finish, usage: counted } = whole;
    if message.get("role").and_then(Value::as_str) != Some("assistant") {
        message.insert("role".to_owned(), Value::from("assistant"));
    }
    let mut calls = calls(&mut message, turn);
    let mut text = message.get("content").map(spoken).unwrap_or_default();
    let mut finish = meaning(asked, finish.as_deref())?;
    let refusal = message.get("refusal").and_then(Value::as_str).filter(|it| !it.is_empty());
    if let Some(refusal) = refusal.filter(|_| text.trim().is_empty()) {
        (text, finish) = (refusal.to_owned(), Finish::ContentFilter);
    }
    let finish = settled(asked, finish, text.trim().is_empty(), &mut calls)?;
    let raw = Value::Object(message);
    let usage = usage(counted.as_ref(), sent, raw.to_string().len());
    Ok(Reply { raw, text, calls, finish, usage, first_token_ms: 0, ms: 0 })
}

/// Whether the stop, the text and the calls fit together, and which of them wins.
fn settled(
    asked: &Asked<'_>,
    finish: Finish,
    is_silent: bool,
    calls: &mut Vec<Call>,
) -> Result<Finish, Fault> {
    match finish {
        Finish::ContentFilter => {
            calls.clear();
            Ok(finish)
        }
        Finish::Length if !calls.is_empty() => {
            let Asked { provider, model, .. } = asked;
            let message = format!(
                "\"{model}\" at provider \"{provider}\" ran out of output in the middle of a tool call; \
                 nothing was called, raise its max_output"
            );
            Err(asked.bad_reply(&message))
        }
        Finish::Length => Ok(finish),
        Finish::Stop | Finish::ToolCalls | Finish::Other(_) if !calls.is_empty() => {
            Ok(Finish::ToolCalls)
        }
        Finish::Stop | Finish::ToolCalls | Finish::Other(_) if is_silent => {
            Err(asked.bad_reply(&lacks(asked, "neither text nor a tool call")))
        }
        Finish::ToolCalls => Ok(Finish::Stop),
        Finish::Stop => Ok(finish),
        Finish::Other(ref reason) => {
            tracing::warn!(provider = asked.provider, %reason, "unknown finish reason, taken as a stop");
            Ok(finish)
        }
    }
}

fn meaning(asked: &Asked<'_>, reason: Option<&str>) -> Result<Finish, Fault> {
    let Some(reason) = reason else { return Ok(Finish::Stop) };
    Ok(match reason.to_lowercase().as_str() {
        "stop" | "end_turn" | "eos" | "eos_token" | "stop_sequence" | "end" | "completed" => {
            Finish::Stop
        }
        "tool_calls" | "tool_use" | "function_call" | "tool_call" => Finish::ToolCalls,
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => Finish::Length,
        "content_filter" | "refusal" | "safety" | "recitation" | "prohibited_content"
        | "blocklist" | "spii" | "sensitive" => Finish::ContentFilter,
        "error" | "abort" | "aborted" | "malformed_function_call" | "network_error" => {
            let name = asked.provider;
            let message = format!("provider \"{name}\" ended the reply with \"{reason}\"");
            return Err(asked.bad_reply(&message));
        }
        _ => Finish::Other(reason.chars().take(60).collect()),
    })
}

/// The text of a content: a string, or the text parts of a list; thoughts are not text.
fn spoken(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(part).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            part(content).unwrap_or_default().to_owned()
        }
    }
}

fn part(part: &Value) -> Option<&str> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    if ["thinking", "reasoning", "redacted_thinking"].contains(&kind) {
        return None;
    }
    part.as_str().or_else(|| part.get("text")?.as_str())
}

fn lacks(asked: &Asked<'_>, what: &str) -> String {
    format!("\"{}\" at provider \"{}\" gave a reply with {what}", asked.model, asked.provider)
}
