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
    let is_told = finish.is_some();
    let mut finish = meaning(asked, finish.as_deref())?;
    let is_whole = is_told && matches!(finish, Finish::Stop | Finish::ToolCalls);
    let mut calls = calls(&mut message, turn, is_whole);
    let mut text = message.get("content").map(spoken).unwrap_or_default();
    let refusal = message.get("refusal").and_then(Value::as_str).filter(|it| !it.is_empty());
    if let Some(refusal) = refusal.filter(|_| text.trim().is_empty()) {
        (text, finish) = (refusal.to_owned(), Finish::ContentFilter);
    }
    let finish = settled(asked, finish, text.trim().is_empty(), &mut calls)?;
    let raw = Value::Object(message);
    let usage = usage(counted.as_ref(), sent, raw.to_string().len());
    let learned = Vec::new();
    Ok(Reply { raw, text, calls, finish, usage, first_token_ms: 0, ms: 0, asked_again: 0, learned })
}

/// Whether the model was stopped before it could say anything, which asking again does not mend.
pub(crate) fn is_held_back(asked: &Asked<'_>, whole: &Whole) -> bool {
    let finish = meaning(asked, whole.finish.as_deref());
    matches!(finish, Err(_) | Ok(Finish::Length | Finish::ContentFilter))
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

/// What a provider's word for the stop means; some say that the reply failed.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use callboard_trace::FailureCode;

    use super::*;
    use crate::model::assembly::Assembly;
    use crate::model::classify::refused;
    use crate::model::complaint::Complaint;
    use crate::model::redact::Secrets;

    /// What came of a payload: text, names and arguments of calls, finish; or the code of a fault.
    type Got = Result<(String, Vec<String>, Finish), FailureCode>;

    fn on<T>(look: impl FnOnce(&Asked<'_>) -> T) -> T {
        let secrets = Secrets::default();
        let secrets = &secrets;
        look(&Asked { provider: "p", model: "m", key_source: None, has_key: true, secrets })
    }

    fn got(answer: Result<Reply, Fault>) -> Got {
        let reply = answer.map_err(|it| it.code)?;
        assert_eq!(reply.raw["role"], "assistant");
        let ids: Vec<&Value> =
            reply.raw["tool_calls"].as_array().into_iter().flatten().map(|it| &it["id"]).collect();
        assert_eq!(ids, reply.calls.iter().map(|it| it.id.as_str()).collect::<Vec<_>>());
        let call = |it: &Call| format!("{}{}", it.tool, it.arguments.clone().unwrap());
        Ok((reply.text, reply.calls.iter().map(call).collect(), reply.finish))
    }

    fn chat(body: &Value) -> Got {
        got(on(|asked| read(asked, whole(asked, body.clone())?, 1, 100)))
    }

    /// The event between another one and the end.
    fn stream(event: &Value) -> Got {
        got(on(|asked| {
            if let Some(error) = found(event) {
                return Err(told(asked, error));
            }
            let mut assembly = Assembly::default();
            assembly.take(json!({"choices": [{"delta": {"role": "assistant", "content": "-"}}]}));
            assembly.take(event.clone());
            read(asked, assembly.whole(), 1, 100)
        }))
    }

    fn payloads(kind: &str) -> Vec<(String, Value)> {
        let all: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/data/payloads.json")).unwrap();
        assert_eq!(all.len(), 53);
        let of_kind = all.into_iter().filter(|it| it["kind"] == kind);
        of_kind.map(|it| (it["name"].as_str().unwrap().to_owned(), it["body"].clone())).collect()
    }

    #[test]
    fn every_recorded_body_means_what_it_means() {
        let bad = Err(FailureCode::BadReply);
        for (name, body) in payloads("chat") {
            let said = |finish| Ok(("hi".to_owned(), vec![], finish));
            let called = |it: &str| Ok((String::new(), vec![it.to_owned()], Finish::ToolCalls));
            let expected = match name.as_str() {
                "200 with error body (openrouter)" | "tool_calls null" => bad.clone(),
                "finish_reason=\"error\"" | "finish_reason=\"abort\"" => bad.clone(),
                "finish_reason=\"malformed_function_call\"" => bad.clone(),
                "finish_reason=\"model_length\"" | "finish_reason=\"max_tokens\"" => {
                    said(Finish::Length)
                }
                "tool_call args object" => called("f{\"x\":1}"),
                name if name.starts_with("tool_call ") => called("f{}"),
                _ => said(Finish::Stop),
            };
            assert_eq!(chat(&body), expected, "{name}");
            if expected == said(Finish::Stop) {
                let mut odd = body.clone();
                odd["choices"][0]["finish_reason"] = Value::from("novel");
                assert_eq!(chat(&odd), said(Finish::Other("novel".to_owned())), "{name}");
            }
        }
    }

    #[test]
    fn every_recorded_event_means_what_it_means() {
        for (name, event) in payloads("stream") {
            let said = |text: &str| Ok((text.to_owned(), vec![], Finish::Stop));
            let expected = match name.as_str() {
                "mid-stream error (openrouter)" => Err(FailureCode::RateLimited),
                "error only (vllm/llama.cpp mid-stream)" => Err(FailureCode::BadReply),
                "baseline" | "role empty string" => said("-a"),
                "finish_reason empty" | "finish_reason eos" => said("-a"),
                name if name.starts_with("tool_call ") => {
                    Ok(("-".to_owned(), vec!["f{}".to_owned()], Finish::ToolCalls))
                }
                _ => said("-"),
            };
            assert_eq!(stream(&event), expected, "{name}");
            if event.get("error").is_none() {
                let mut assembly = Assembly::default();
                assembly.take(event);
                assert_eq!(assembly.is_complete(false), name == "finish_reason eos", "{name}");
            }
        }
    }

    #[test]
    fn every_recorded_error_is_one() {
        for (name, error) in payloads("error") {
            let inside = on(|asked| told(asked, &error));
            let body = json!({"error": error});
            assert_eq!(chat(&body), Err(inside.code), "{name}");
            let refusal = on(|it| refused(it, 400, &Complaint::of_body(&body.to_string()), None));
            assert_eq!((refusal.code, refusal.retryable), (FailureCode::BadRequest, false));
            let words = if name.starts_with("no message") { "INVALID_ARGUMENT" } else { "m" };
            assert_eq!(refusal.message, format!("provider \"p\" answered 400: {words}"));
        }
    }

    #[test]
    fn counts_are_found_wherever_they_stand() {
        for place in ["/usage", "/x_groq/usage"] {
            let counts = json!({"prompt_tokens": 3, "completion_tokens": 2});
            let mut body = json!({"choices": []});
            match place {
                "/usage" => body["usage"] = counts.clone(),
                _ => body["x_groq"] = json!({"usage": counts}),
            }
            assert_eq!(usage_of(&body), Some(counts), "{place}");
        }
        assert_eq!(usage_of(&json!({"usage": null})), None);
    }

    /// Any JSON, with the keys of a reply in any place.
    fn anything() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z{}\":é]{0,6}".prop_map(Value::from),
            Just(json!("{}")),
        ];
        let key = prop::sample::select(vec![
            "choices",
            "delta",
            "message",
            "tool_calls",
            "function",
            "name",
            "arguments",
            "id",
            "index",
            "content",
            "role",
            "finish_reason",
            "usage",
            "prompt_tokens",
            "refusal",
            "function_call",
            "x",
        ]);
        leaf.prop_recursive(6, 64, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key.clone(), inner, 0..6).prop_map(|it| {
                    Value::Object(it.into_iter().map(|(key, it)| (key.to_owned(), it)).collect())
                }),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn no_reply_however_odd_breaks_the_reading(
            message in anything(), body in anything(), deltas in proptest::collection::vec(anything(), 0..5),
        ) {
            let _ = chat(&body);
            let choices = json!({"choices": [{"message": message, "finish_reason": "stop"}]});
            let unparsed = |it: &Reply| it.calls.iter().all(|it| it.arguments.is_ok());
            let reply = on(|asked| read(asked, whole(asked, choices)?, 1, 9));
            if let Ok(reply) = reply.as_ref() {
                let ids: std::collections::BTreeSet<&str> = reply.calls.iter().map(|it| &*it.id).collect();
                proptest::prop_assert_eq!(ids.len(), reply.calls.len());
                let again = json!({"choices": [{"message": reply.raw, "finish_reason": "stop"}]});
                let again = on(|asked| read(asked, whole(asked, again)?, 2, 9)).unwrap();
                proptest::prop_assert_eq!(&again.raw, &reply.raw, "read once, read for ever");
                proptest::prop_assert_eq!(unparsed(&again), unparsed(reply));
            }
            let mut assembly = Assembly::default();
            for delta in deltas {
                assembly.take(json!({"choices": [{"delta": delta}]}));
                assembly.take(delta);
            }
            let _ = on(|asked| read(asked, assembly.whole(), 1, 9).map(drop));
        }
    }

    #[test]
    fn thoughts_are_not_text() {
        let parts = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "no"}]},
            {"type": "text", "text": "ye"}, "s", {"type": "image"}]);
        assert_eq!(spoken(&parts), "yes");
        for none in [json!(null), json!(7), json!({})] {
            assert_eq!(spoken(&none), "");
        }
    }
}
