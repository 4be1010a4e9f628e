//! What a model said goes back to it as it came, also from the journal; others see the standard part.

use std::time::Duration;

use callboard_trace::{Event, State};
use serde_json::{Value, json};

use crate::endpoint::{Act, Ask, Endpoint};
use crate::stage::{Stage, ask, end, play, records};

/// A reply with everything that providers want back.
fn signed(key: &str) -> Value {
    json!({
        "role": "assistant", "reasoning_content": "think, then  think", "content": null,
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz+/==", "index": 0}],
        "vendor": {"z": 1, "a": [1.5, null, "é€"]},
        "tool_calls": [{"id": format!("call_{key}"), "type": "function",
            "extra_content": {"google": {"thought_signature": "CkQB+/zz=="}},
            "function": {"name": "note",
                "arguments": format!("{{\"slot\":\"notes\",  \"key\":\"{key}\",\"text\":\"t\"}}")}}],
    })
}

fn done() -> Act {
    Act::answer(&json!({"summary": "done", "confidence": 0.8}))
}

fn said(ask: &Ask) -> Vec<Value> {
    ask.messages().iter().filter(|it| it["role"] == "assistant").cloned().collect()
}

#[tokio::test]
async fn a_reply_goes_back_byte_for_byte_after_a_restart() {
    for stream in [true, false] {
        let endpoint = Endpoint::start(|ask| match (ask.turn(), ask.nth) {
            (1, _) => Act::message(signed("k")),
            (2, 1) => Act::silence(),
            (2, _) => Act::message(signed("l")),
            _ => done(),
        })
        .await;
        let stage = Stage::at(&endpoint.base_url(), "");
        let provider = format!("{{base_url: \"{}\", stream: {stream}}}", endpoint.base_url());
        let team = format!("providers:\n  e: {provider}\nmodels: {{default: e/m}}\n");
        stage.write("team.yaml", &team);
        let first = stage.node().await;
        let run = first.desk().submit(ask("coder", "write")).await.expect("in").run;
        endpoint.until(|it| it.len() == 2).await;
        first.stop().await;
        let second = stage.node().await;
        assert_eq!(end(&second.desk(), &run).await.state, State::Completed);
        let all = endpoint.requests();
        assert_eq!(all.len(), 4, "stream {stream}");
        for (nth, keys) in [(1, &["k"][..]), (2, &["k"]), (3, &["k", "l"])] {
            let messages = all[nth].body["messages"].as_array().expect("messages");
            let said = messages.iter().filter(|it| it["role"] == "assistant");
            let sent: Vec<String> = said.map(ToString::to_string).collect();
            let whole: Vec<String> = keys.iter().map(|it| signed(it).to_string()).collect();
            assert_eq!(sent.len(), whole.len());
            for (sent, whole) in sent.iter().zip(&whole) {
                let (sent, whole) = (parsed(sent), parsed(whole));
                for (key, value) in whole.as_object().expect("an object") {
                    assert_eq!(sent[key].to_string(), value.to_string(), "{key}, stream {stream}");
                }
                assert_eq!(
                    sent.as_object().map(|it| it.len()),
                    whole.as_object().map(|it| it.len())
                );
            }
        }
        let before = all[1].body["messages"].to_string();
        let after = all[2].body["messages"].to_string();
        assert_eq!(
            before, after,
            "the prompt out of the journal is the one before, stream {stream}"
        );
        second.stop().await;
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn a_fallback_sees_the_standard_part_and_its_own_gets_the_raw_one_again() {
    let endpoint = Endpoint::start(|ask| match (ask.body["model"].as_str(), ask.turn()) {
        (Some("first"), 2) => Act::status(400),
        (Some("second"), 2) => Act::message(signed("second")),
        (Some("first"), 1) => Act::message(signed("first")),
        _ => done(),
    })
    .await;
    let stage = Stage::with_a_spare(&endpoint.base_url());
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "write")).await;
    assert_eq!(view.state, State::Completed);
    let all = endpoint.requests();
    let asks: Vec<Ask> =
        all.iter().map(|it| Ask { path: it.path.clone(), body: it.body.clone(), nth: 0 }).collect();
    let models: Vec<&str> = all.iter().filter_map(|it| it.body["model"].as_str()).collect();
    assert_eq!(models, ["first", "first", "second", "first"]);
    let plain = |key: &str| {
        let arguments = json!({"slot": "notes", "key": key, "text": "t"}).to_string();
        json!({"role": "assistant", "content": null, "tool_calls": [{"id": format!("call_{key}"),
            "type": "function", "function": {"name": "note", "arguments": arguments}}]})
    };
    assert_eq!(said(&asks[1]), [signed("first")]);
    assert_eq!(said(&asks[2])[0].to_string(), plain("first").to_string());
    assert_eq!(said(&asks[3])[0]["reasoning_details"], signed("first")["reasoning_details"]);
    assert_eq!(said(&asks[3])[1].to_string(), plain("second").to_string());
    node.stop().await;
}

#[tokio::test]
async fn calls_written_as_text_are_done_and_told_as_calls() {
    let text = "I write it down.\n<tool_call>\n{\"name\": \"note\", \"arguments\": {\"slot\": \"notes\", \
                \"key\": \"k\", \"text\": \"t\",}}\n</tool_call>";
    let endpoint =
        Endpoint::start(move |ask| if ask.turn() == 1 { Act::say(text) } else { done() }).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "write")).await;
    assert_eq!(view.state, State::Completed);
    let all = records(&node.desk(), &view.run).await;
    let reply = all.iter().find_map(|it| {
        let Event::ModelReplied(reply) = &it.event else { return None };
        Some(reply.clone())
    });
    let reply = reply.expect("a reply");
    assert_eq!(reply.reply, json!({"role": "assistant", "content": text}), "kept as it came");
    assert_eq!((&*reply.calls[0].tool, &*reply.calls[0].id), ("note", "call_1_1"));
    assert!(all.iter().any(|it| matches!(it.event, Event::Noted { .. })));
    let second = &endpoint.requests()[1].body["messages"];
    assert_eq!(second[2]["content"], "I write it down.");
    assert_eq!(second[2]["tool_calls"][0]["id"], "call_1_1");
    assert_eq!(second[3]["tool_call_id"], "call_1_1");
    node.stop().await;
}

#[tokio::test]
async fn an_endpoint_with_responses_only_carries_a_run_through_a_restart() {
    let endpoint = Endpoint::start(|ask| match (ask.path.as_str(), ask.nth) {
        ("/responses", 1) => Act::call("note", json!({"slot": "notes", "key": "k", "text": "t"})),
        ("/responses", 2) => Act::silence(),
        ("/responses", _) => done(),
        _ => Act::error(404, &json!({"detail": "Not Found"})),
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let first = stage.node().await;
    let run = first.desk().submit(ask("coder", "write")).await.expect("in").run;
    endpoint.until(|it| it.len() == 3).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.stop().await;
    let second = stage.node().await;
    assert_eq!(end(&second.desk(), &run).await.state, State::Completed);
    let all = endpoint.requests();
    let paths: Vec<&str> = all.iter().map(|it| it.path.as_str()).collect();
    let chat = "/chat/completions";
    assert_eq!(paths, [chat, "/responses", "/responses", chat, "/responses"]);
    assert_eq!(all[2].body["input"].to_string(), all[4].body["input"].to_string());
    let input = all[4].body["input"].as_array().expect("items");
    assert_eq!(input[2]["encrypted_content"], "gAAAAB+/==");
    let chat = all[3].body["messages"].to_string();
    assert!(!chat.contains("encrypted_content"), "chat knows no items: {chat}");
    second.stop().await;
}
