//! Endpoints that serve the Responses API, alone or beside chat.

use callboard_agents::model::{Models, Request};
use callboard_trace::{FailureCode, Finish};
use serde_json::{Value, json};

use crate::ask::{address, client, exact, request, say};
use crate::endpoint::{Act, Ask, Endpoint};

/// Serves responses by the script, and no chat.
async fn only(script: impl Fn(&Ask) -> Act + Send + Sync + 'static) -> Endpoint {
    Endpoint::start(move |ask| match ask.path.as_str() {
        "/responses" => script(ask),
        _ => Act::error(404, &json!({"detail": "Not Found"})),
    })
    .await
}

fn over(endpoint: &Endpoint, chat: Option<bool>, stream: bool) -> Models {
    client(callboard_config::Endpoint { chat, ..address(&endpoint.base_url(), stream) })
}

fn paths(endpoint: &Endpoint) -> Vec<String> {
    endpoint.requests().into_iter().map(|it| it.path).collect()
}

#[tokio::test]
async fn an_endpoint_without_chat_is_asked_for_responses_and_remembered() {
    for stream in [true, false] {
        let endpoint = only(|_| Act::say("hello from the other side")).await;
        let client = over(&endpoint, None, stream);
        let reply = client.ask("acme", &request()).await.unwrap();
        assert_eq!((&*reply.text, reply.finish), ("hello from the other side", Finish::Stop));
        assert_eq!((reply.usage.input, reply.usage.output, reply.asked_again), (10, 5, 1));
        let other = Request { model: "m2".to_owned(), ..request() };
        assert_eq!(client.ask("acme", &other).await.unwrap().asked_again, 0);
        assert_eq!(paths(&endpoint), ["/chat/completions", "/responses", "/responses"]);
    }
}

#[tokio::test]
async fn one_model_without_chat_says_nothing_about_the_others() {
    let endpoint = Endpoint::start(|ask| match (ask.path.as_str(), ask.body["model"].as_str()) {
        ("/chat/completions", Some("m1")) => Act::error(
            404,
            &json!({"error": {"message":
            "This model is only supported in v1/responses and not in v1/chat/completions."}}),
        ),
        _ => Act::say("hi"),
    })
    .await;
    let client = over(&endpoint, None, true);
    client.ask("acme", &request()).await.unwrap();
    client.ask("acme", &Request { model: "m2".to_owned(), ..request() }).await.unwrap();
    client.ask("acme", &request()).await.unwrap();
    let expected = ["/chat/completions", "/responses", "/chat/completions", "/responses"];
    assert_eq!(paths(&endpoint), expected);
}

#[tokio::test]
async fn where_neither_is_served_chat_s_refusal_stands_and_nothing_is_learned() {
    let endpoint = Endpoint::start(|ask| match ask.path.as_str() {
        "/chat/completions" => Act::error(404, &json!({"detail": "no such page"})),
        _ => Act::status(405),
    })
    .await;
    let client = over(&endpoint, None, true);
    for _ in 0..2 {
        let fault = client.ask("acme", &request()).await.unwrap_err();
        assert_eq!((fault.code, fault.asked_again), (FailureCode::BadRequest, 1));
        assert!(fault.message.contains("no such page"), "{fault:?}");
    }
    assert_eq!(paths(&endpoint).len(), 4);
    let told = over(&endpoint, Some(true), true).ask("acme", &request()).await.unwrap_err();
    assert!(told.message.contains("no such page"), "{told:?}");
    assert_eq!(paths(&endpoint).len(), 5);
}

#[tokio::test]
async fn a_conversation_goes_on_with_every_item_as_it_came() {
    for stream in [true, false] {
        let endpoint = only(|ask| match ask.messages().len() {
            2 => Act::call("f", json!({"path": "a rather long path"})),
            _ => Act::say("done"),
        })
        .await;
        let client = over(&endpoint, Some(false), stream);
        let mut request = request();
        request.tool_choice = Some(json!({"type": "function", "function": {"name": "f"}}));
        request.effort = Some("low".to_owned());
        request.response_format = Some(json!({"type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": false}}));
        let reply = client.ask("acme", &request).await.unwrap();
        assert_eq!(reply.calls[0].arguments, Ok(json!({"path": "a rather long path"})));
        say(&mut request, reply.raw.clone());
        let id = reply.calls[0].id.as_str();
        say(&mut request, json!({"role": "tool", "tool_call_id": id, "content": "ok"}));
        assert_eq!(client.ask("acme", &request).await.unwrap().text, "done");
        let seen = endpoint.requests();
        let (first, second) = (&seen[0].body, &seen[1].body["input"]);
        assert_eq!(first["store"], false);
        assert_eq!(first["include"], json!(["reasoning.encrypted_content"]));
        assert_eq!(first["max_output_tokens"], 100);
        assert_eq!(first["reasoning"], json!({"effort": "low"}));
        assert_eq!(
            first["tools"],
            json!([{"type": "function", "name": "f",
            "parameters": {"type": "object"}, "strict": false}])
        );
        assert_eq!(first["tool_choice"], json!({"type": "function", "name": "f"}));
        assert_eq!(first["text"]["format"]["type"], "json_schema");
        assert_eq!(first["text"]["format"]["name"], "answer");
        assert_eq!(second[0], json!({"role": "system", "content": "You are a coder"}));
        let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [],
            "encrypted_content": "gAAAAB+/=="});
        assert_eq!(exact(&second[2]), exact(&reasoning));
        assert_eq!(second[3]["id"], "fc_1");
        let result = json!({"type": "function_call_output", "call_id": "call_f_0", "output": "ok"});
        assert_eq!(second[4], result);
        assert!(seen[0].headers.contains_key("traceparent"));
    }
}

#[tokio::test]
async fn what_came_before_a_cut_is_never_a_reply() {
    let call = Act::call("f", json!({"path": "a rather long path to be cut in the middle"}));
    let events = 14;
    for pieces in 1..events {
        for act in [call.clone().cut_after(pieces), call.clone().ends_after(pieces)] {
            let endpoint = only(move |_| act.clone()).await;
            let asked = over(&endpoint, Some(false), true).ask("acme", &request()).await;
            let fault = asked.unwrap_err();
            assert_eq!((fault.code, fault.retryable), (FailureCode::BadReply, true), "{pieces}");
        }
    }
}

#[tokio::test]
async fn ends_that_are_none_are_told_for_streams_and_bodies_alike() {
    let call = || Act::call("f", json!({"x": 1}));
    for (act, code, words) in [
        (call().finish("incomplete"), FailureCode::BadReply, "max_output"),
        (call().finish("failed"), FailureCode::BadReply, "scripted"),
        (Act::status(503), FailureCode::ModelUnavailable, "503"),
        (Act::page(), FailureCode::BadReply, "web page"),
        (Act::message(json!({"output": []})), FailureCode::BadReply, "neither"),
    ] {
        for stream in [true, false] {
            let act = act.clone();
            let endpoint = only(move |_| act.clone()).await;
            let asked = over(&endpoint, Some(false), stream).ask("acme", &request()).await;
            let fault = asked.unwrap_err();
            assert_eq!(fault.code, code, "stream {stream}: {fault:?}");
            assert!(fault.message.contains(words), "stream {stream}: {fault:?}");
        }
    }
    let error = json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow"});
    let endpoint = only(move |_| Act::events(&format!("event: error\ndata: {error}\n\n"))).await;
    let fault = over(&endpoint, Some(false), true).ask("acme", &request()).await.unwrap_err();
    assert_eq!(fault.code, FailureCode::RateLimited);
}

#[tokio::test]
async fn an_output_that_the_last_event_leaves_out_is_put_together() {
    let item = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""});
    let text: String = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"x\""}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": ":1}"}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message"}}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "h"}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "i"}),
        json!({"type": "response.completed", "response": {"status": "completed", "output": []}}),
    ]
    .iter()
    .map(|it| format!("data: {it}\n\n"))
    .collect();
    let endpoint = only(move |_| Act::events(&text)).await;
    let reply = over(&endpoint, Some(false), true).ask("acme", &request()).await.unwrap();
    assert_eq!(reply.calls[0].arguments, Ok(json!({"x": 1})));
    assert_eq!(reply.text, "hi");
}

#[tokio::test]
async fn what_it_does_not_take_is_left_out_as_for_chat() {
    let endpoint = only(|ask| match ask.body.get("include").map(Value::is_array) {
        Some(true) => Act::error(
            400,
            &json!({"error": {"param": "include",
            "message": "Encrypted content is not supported with this model."}}),
        ),
        _ => Act::say("ok"),
    })
    .await;
    let client = over(&endpoint, Some(false), true);
    assert_eq!(client.ask("acme", &request()).await.unwrap().asked_again, 1);
    assert_eq!(client.ask("acme", &request()).await.unwrap().asked_again, 0);
}
