//! A model endpoint that misbehaves, met by the whole house: every fault ends in a clear state.

mod endpoint;
mod stage;

use std::time::Duration;

use callboard_trace::{FailureCode, State, Stop};
use endpoint::{Act, Endpoint};
use serde_json::json;
use stage::{Stage, ask, play, told};

fn fine() -> Act {
    Act::answer(&json!({"summary": "done at last", "confidence": 0.8}))
}

/// The endpoint misbehaves on the first request and is well afterwards.
async fn recovers_from(bad: Act) -> String {
    let bad = std::sync::Mutex::new(Some(bad));
    let endpoint =
        Endpoint::start(move |_| bad.lock().ok().and_then(|mut it| it.take()).unwrap_or_else(fine))
            .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "write")).await;
    let story = told(&node.desk(), &view.run).await;
    assert_eq!(view.state, State::Completed, "{story}");
    assert_eq!(endpoint.requests().len(), 2, "{story}");
    node.stop().await;
    story
}

#[tokio::test]
async fn what_a_provider_breaks_once_is_tried_again() {
    let half_a_call = Act::call("note", json!({"slot": "notes", "key": "k", "text": "t"}));
    for (what, act, words) in [
        ("500", Act::status(500), "model_unavailable"),
        ("529", Act::status(529), "model_unavailable"),
        ("page", Act::page(), "bad_reply"),
        ("empty", Act::empty(), "bad_reply"),
        ("cut text", fine().cut_after(1), ""),
        ("cut call", half_a_call.cut_after(2), ""),
    ] {
        let story = recovers_from(act).await;
        assert!(story.contains("will be tried again"), "{what}: {story}");
        assert!(story.contains(words), "{what}: {story}");
        assert!(!story.contains("noted"), "{what}, half a call was executed: {story}");
    }
}

#[tokio::test]
async fn a_stream_with_nothing_readable_in_it_is_asked_for_again_in_one_piece() {
    let story = recovers_from(Act::garbage()).await;
    assert!(story.contains("model said"), "{story}");
}

#[tokio::test]
async fn a_429_waits_as_long_as_it_was_told() {
    let story = recovers_from(Act::status(429).header("retry-after", "1")).await;
    assert!(story.contains("rate_limited"), "{story}");
}

#[tokio::test]
async fn a_refused_key_names_where_it_should_be() {
    let endpoint = Endpoint::start(|_| Act::status(401)).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "write")).await;
    assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Error)));
    let error = view.error.expect("a reason");
    assert_eq!(error.code, FailureCode::Unauthorized);
    assert!(error.message.contains("endpoint"), "{error:?}");
    assert_eq!(endpoint.requests().len(), 1, "a refused key is not tried again");
    node.stop().await;
}

#[tokio::test]
async fn nobody_listening_is_a_clear_end() {
    let stage = Stage::at("http://127.0.0.1:9/v1", "");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "write")).await;
    assert_eq!(view.state, State::Failed);
    let error = view.error.expect("a reason");
    assert_eq!(error.code, FailureCode::ModelUnavailable);
    assert!(error.message.contains("3 attempts"), "{error:?}");
    assert!(error.hint.contains("base_url"), "{error:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_cancel_closes_the_stream_to_the_model() {
    let endpoint = Endpoint::start(|_| fine().stalls_after(1)).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("writer", "write")).await.expect("accepted").run;
    endpoint.until(|all| all.len() == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let control = callboard_trace::Control {
        action: callboard_trace::Action::Cancel,
        value: serde_json::Value::Null,
        reason: "the user changed their mind".into(),
    };
    let view = desk.control(&run, control, &stage::caller()).await.expect("cancelled");
    assert_eq!(view.state, State::Cancelled);
    endpoint.until(|all| all[0].left.is_some()).await;
    node.stop().await;
}

#[tokio::test]
async fn a_reply_is_sent_back_exactly_as_it_came() {
    let raw = json!({
        "role": "assistant", "content": null, "reasoning_content": "a thought, kept",
        "tool_calls": [{"id": "call_7", "type": "function",
            "extra_content": {"google": {"thought_signature": "c2lnbmF0dXJl"}},
            "function": {"name": "note", "arguments": "{\"slot\":\"notes\",\"key\":\"k\",\"text\":\"t\"}"}}],
    });
    let first = raw.clone();
    let endpoint = Endpoint::start(move |ask| match ask.turn() {
        1 => Act::message(first.clone()),
        _ => fine(),
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "write")).await;
    assert_eq!(view.state, State::Completed);
    let second = &endpoint.requests()[1].body["messages"];
    let echoed = second.as_array().and_then(|it| it.iter().find(|it| it["role"] == "assistant"));
    let echoed = echoed.expect("the reply goes along");
    assert_eq!(echoed["reasoning_content"], raw["reasoning_content"]);
    assert_eq!(echoed["tool_calls"][0]["extra_content"], raw["tool_calls"][0]["extra_content"]);
    assert_eq!(echoed["tool_calls"][0]["id"], "call_7");
    let headers = &endpoint.requests()[1].headers;
    let trace = headers.get("traceparent").and_then(|it| it.to_str().ok()).unwrap_or_default();
    assert_eq!(trace.len(), 55, "the trace context goes along: {trace:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_fallback_model_answers_when_the_first_is_spent() {
    let endpoint = Endpoint::start(|ask| match ask.body["model"].as_str() {
        Some("second") => fine(),
        _ => Act::status(500),
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    stage.write(
        "team.yaml",
        &format!(
            "providers:\n  endpoint: {{base_url: \"{}\"}}\nmodels:\n  \
             default: {{provider: endpoint, model: first, fallback: [spare]}}\n  \
             spare: endpoint/second\n",
            endpoint.base_url()
        ),
    );
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "write")).await;
    let story = told(&node.desk(), &view.run).await;
    assert_eq!(view.state, State::Completed, "{story}");
    assert!(story.contains("asks endpoint/second"), "{story}");
    node.stop().await;
}

#[tokio::test]
async fn no_secret_reaches_the_journal() {
    let secret = "sk-very-secret-0123456789";
    let endpoint = Endpoint::start(move |_| {
        Act::answer(&json!({"summary": format!("your key is {secret}"), "confidence": 0.1}))
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    stage.write("key", &format!("{secret}\n"));
    stage.write(
        "team.yaml",
        &format!(
            "providers:\n  endpoint: {{base_url: \"{}\", api_key: \"file:key\"}}\nmodels:\n  \
             default: endpoint/scripted\n",
            endpoint.base_url()
        ),
    );
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", &format!("my key is {secret}"))).await;
    let sent = endpoint.requests()[0].headers.get("authorization").cloned();
    assert_eq!(sent.expect("a key").to_str().ok(), Some(format!("Bearer {secret}").as_str()));
    assert_eq!(view.result.as_deref(), Some("your key is [secret]"));
    node.stop().await;
    for (place, bytes) in stage.everything().await {
        let found = bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
        assert!(!found, "the key stands in {place}");
    }
}
