//! Endpoints that do not take every field: learned once, within two further tries.

use callboard_trace::FailureCode;
use serde_json::{Value, json};

use crate::ask::{address, client, request};
use crate::endpoint::{Act, Ask, Endpoint};

/// A server that refuses these fields, one at a time, in the words of a real one.
fn picky(fields: &'static [&'static str]) -> impl Fn(&Ask) -> Act + Send + Sync + 'static {
    move |ask: &Ask| {
        let has = |field: &&&str| match **field {
            "developer" => ask.body["messages"][0]["role"] == "developer",
            field => ask.body.get(field).is_some_and(|it| *it != json!(false)),
        };
        match fields.iter().find(has) {
            None => Act::say("ok"),
            Some(field) => {
                let message =
                    format!("Unsupported parameter: '{field}' is not supported with this model.");
                Act::error(
                    400,
                    &json!({"error": {"message": message, "type": "invalid_request_error",
                        "param": field, "code": "unsupported_parameter"}}),
                )
            }
        }
    }
}

#[tokio::test]
async fn a_refused_field_is_learned_once() {
    let cases: [(&[&str], usize); 6] = [
        (&["stream_options"], 2),
        (&["max_tokens"], 2),
        (&["temperature", "reasoning_effort"], 3),
        (&["response_format"], 2),
        (&["developer"], 2),
        (&["stream"], 2),
    ];
    for (fields, tries) in cases {
        let endpoint = Endpoint::start(picky(fields)).await;
        let client = client(address(&endpoint.base_url(), true));
        let mut request = request();
        let mut messages = request.messages.all();
        messages[0]["role"] = Value::from("developer");
        request.messages = messages.into();
        (request.temperature, request.effort) = (Some(0.5), Some("low".to_owned()));
        request.response_format = Some(json!({"type": "json_object"}));
        assert_eq!(client.ask("acme", &request).await.unwrap().text, "ok", "{fields:?}");
        assert_eq!(endpoint.requests().len(), tries, "{fields:?}");
        client.clone().ask("acme", &request).await.unwrap();
        assert_eq!(endpoint.requests().len(), tries + 1, "learned for good: {fields:?}");
        let other = callboard_agents::model::Request { model: "m2".to_owned(), ..request };
        client.ask("acme", &other).await.unwrap();
        assert_eq!(endpoint.requests().len(), 2 * tries + 1, "not for others: {fields:?}");
    }
}

#[tokio::test]
async fn the_output_limit_goes_by_its_other_name() {
    let endpoint = Endpoint::start(picky(&["max_tokens"])).await;
    client(address(&endpoint.base_url(), true)).ask("acme", &request()).await.unwrap();
    assert_eq!(endpoint.requests()[1].body["max_completion_tokens"], 100);
}

#[tokio::test]
async fn after_two_lessons_the_refusal_stands() {
    let endpoint = Endpoint::start(picky(&["temperature", "reasoning_effort", "max_tokens"])).await;
    let client = client(address(&endpoint.base_url(), true));
    let mut request = request();
    (request.temperature, request.effort) = (Some(0.5), Some("low".to_owned()));
    let fault = client.ask("acme", &request).await.unwrap_err();
    assert_eq!((fault.code, fault.retryable), (FailureCode::BadRequest, false));
    assert_eq!(endpoint.requests().len(), 3);
}

#[tokio::test]
async fn other_refusals_are_not_tried_again() {
    let act = Act::error(400, &json!({"error": {"message": "messages must not be empty"}}));
    let endpoint = Endpoint::start(move |_| act.clone()).await;
    let fault =
        client(address(&endpoint.base_url(), true)).ask("acme", &request()).await.unwrap_err();
    assert_eq!(fault.message, "provider \"acme\" answered 400: messages must not be empty");
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn a_stream_that_loses_calls_is_asked_again_whole_and_then_at_once() {
    let script = |ask: &Ask| match ask.streams() {
        true => Act::say(""),
        false => Act::call("f", json!({"x": 1})),
    };
    let endpoint = Endpoint::start(script).await;
    let client = client(address(&endpoint.base_url(), true));
    let reply = client.ask("acme", &request()).await.unwrap();
    assert_eq!(reply.calls[0].tool, "f");
    assert_eq!(endpoint.requests().len(), 2);
    client.ask("acme", &request()).await.unwrap();
    let streams: Vec<bool> =
        endpoint.requests().iter().map(|it| it.body["stream"] == true).collect();
    assert_eq!(streams, [true, false, false]);
}

#[tokio::test]
async fn a_silent_stream_without_tools_is_a_bad_reply() {
    let endpoint = Endpoint::start(|_| Act::say("")).await;
    let request = callboard_agents::model::Request { tools: Vec::new().into(), ..request() };
    let fault =
        client(address(&endpoint.base_url(), true)).ask("acme", &request).await.unwrap_err();
    assert_eq!((fault.code, fault.retryable), (FailureCode::BadReply, true));
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn what_many_learn_at_once_is_learned_once() {
    for fields in [&["max_tokens"][..], &["temperature", "reasoning_effort"]] {
        let endpoint = Endpoint::start(picky(fields)).await;
        let client = client(address(&endpoint.base_url(), true));
        let mut request = request();
        (request.temperature, request.effort) = (Some(0.5), Some("low".to_owned()));
        let all = futures::future::join_all((0..20).map(|_| client.ask("acme", &request))).await;
        for reply in all {
            assert!(reply.unwrap().asked_again <= 2, "{fields:?}");
        }
        let seen = endpoint.requests().len();
        for _ in 0..5 {
            assert_eq!(client.ask("acme", &request).await.unwrap().asked_again, 0);
        }
        assert_eq!(endpoint.requests().len(), seen + 5);
        let last = endpoint.requests().pop().unwrap().body;
        assert_eq!(last.get("max_completion_tokens").is_some(), fields.contains(&"max_tokens"));
    }
}
