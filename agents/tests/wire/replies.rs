//! What comes back when the server behaves, and what went out to it.

use callboard_trace::Finish;
use serde_json::{Value, json};

use crate::ask::{HEADER, KEY, address, ask, both, client, exact, ms, request, say};
use crate::endpoint::{Act, Endpoint};

#[tokio::test]
async fn a_text_arrives_whole() {
    for reply in both(Act::say("hello, wörld €, from here")).await {
        let reply = reply.unwrap();
        assert_eq!(reply.text, "hello, wörld €, from here");
        assert_eq!(reply.finish, Finish::Stop);
        assert_eq!(
            exact(&reply.raw),
            r#"{"role":"assistant","content":"hello, wörld €, from here"}"#
        );
        assert_eq!((reply.usage.input, reply.usage.output, reply.usage.estimated), (10, 5, false));
    }
}

#[tokio::test]
async fn parallel_calls_arrive_whole() {
    let calls = [("f", json!({"path": "a b c d e f g"})), ("g", json!({})), ("f", json!({"n": 1}))];
    for reply in both(Act::calls(&calls)).await {
        let reply = reply.unwrap();
        assert_eq!(reply.finish, Finish::ToolCalls);
        let got: Vec<(&str, Value)> =
            reply.calls.iter().map(|it| (&*it.tool, it.arguments.clone().unwrap())).collect();
        assert_eq!(got, calls);
        assert_eq!(reply.raw["tool_calls"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn calls_win_over_a_stop_and_odd_reasons_are_kept() {
    for reply in both(Act::call("f", json!({})).finish("stop")).await {
        assert_eq!(reply.unwrap().finish, Finish::ToolCalls);
    }
    for reply in both(Act::say("hi").finish("weird_new_reason")).await {
        assert_eq!(reply.unwrap().finish, Finish::Other("weird_new_reason".to_owned()));
    }
    for reply in both(Act::say("hi").finish("model_length")).await {
        assert_eq!(reply.unwrap().finish, Finish::Length);
    }
}

#[tokio::test]
async fn a_refusal_is_no_empty_success() {
    let refusal = json!({"role": "assistant", "content": null, "refusal": "I will not"});
    for reply in both(Act::message(refusal)).await {
        let reply = reply.unwrap();
        assert_eq!((&*reply.text, reply.finish), ("I will not", Finish::ContentFilter));
    }
    for reply in both(Act::say("so far").finish("content_filter")).await {
        let reply = reply.unwrap();
        assert_eq!((&*reply.text, reply.finish), ("so far", Finish::ContentFilter));
    }
}

#[tokio::test]
async fn what_a_provider_wants_back_goes_back_byte_for_byte() {
    let signed = json!({"id": "a", "type": "function",
        "function": {"name": "f", "arguments": "{\"z\": 1, \"a\":  2}"},
        "extra_content": {"google": {"thought_signature": "CkQB+/zz=="}}});
    let message = json!({"role": "assistant", "reasoning_content": "think, think  and think", "content": null,
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz", "index": 0}],
        "tool_calls": [signed]});
    for stream in [true, false] {
        let (first, second) = (Act::message(message.clone()), Act::say("done"));
        let endpoint =
            Endpoint::start(move |ask| if ask.nth == 0 { first.clone() } else { second.clone() })
                .await;
        let client = client(address(&endpoint.base_url(), stream));
        let mut request = request();
        let reply = client.ask("acme", &request).await.unwrap();
        say(&mut request, reply.raw.clone());
        say(&mut request, json!({"role": "tool", "tool_call_id": "a", "content": "ok"}));
        client.ask("acme", &request).await.unwrap();
        let sent = &endpoint.requests()[1].body["messages"];
        assert_eq!(exact(&sent[2]), exact(&reply.raw));
        let keys = ["reasoning_content", "reasoning_details", "tool_calls"];
        for key in keys {
            assert_eq!(exact(&sent[2][key]), exact(&message[key]), "{key}, stream {stream}");
        }
        assert_eq!(sent[3]["content"], "ok");
    }
}

#[tokio::test]
async fn ids_that_are_missing_are_told_to_both_sides() {
    let call = json!({"type": "function", "function": {"name": "f", "arguments": {"x": 1}}});
    let message = json!({"role": "assistant", "tool_calls": [call, call]});
    for reply in both(Act::message(message)).await {
        let reply = reply.unwrap();
        let ids: Vec<&str> = reply.calls.iter().map(|it| &*it.id).collect();
        assert_eq!(ids, ["call_1_1", "call_1_2"]);
        assert_eq!(reply.raw["tool_calls"][1]["id"], "call_1_2");
        assert_eq!(reply.calls[0].arguments, Ok(json!({"x": 1})));
    }
}

#[tokio::test]
async fn counts_that_make_no_sense_are_estimated() {
    for usage in [
        json!(null),
        json!({"prompt_tokens": -5, "completion_tokens": 1e30}),
        json!({"prompt_tokens": null}),
    ] {
        for reply in both(Act::say("hello hello hello").usage(usage)).await {
            let usage = reply.unwrap().usage;
            assert!(usage.estimated && usage.input > 10 && usage.output > 4, "{usage:?}");
        }
    }
}

#[tokio::test]
async fn headers_carry_the_key_the_extra_ones_and_the_trace() {
    for stream in [true, false] {
        let endpoint = Endpoint::start(|_| Act::say("hi")).await;
        client(address(&endpoint.base_url(), stream)).ask("acme", &request()).await.unwrap();
        let seen = &endpoint.requests()[0];
        assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(seen.headers["x-gateway"], HEADER);
        assert_eq!(seen.headers["traceparent"], request().traceparent.unwrap());
        assert!(!seen.headers.contains_key("openai-organization"));
        assert_eq!(seen.body["stream"], stream);
        assert_eq!(seen.body["max_tokens"], 100);
        assert!(seen.answered);
    }
}

#[tokio::test]
async fn without_a_key_there_is_no_authorization_at_all() {
    let endpoint = Endpoint::start(|_| Act::say("hi")).await;
    let mut address = address(&endpoint.base_url(), true);
    (address.api_key, address.key_source) = (None, None);
    client(address).ask("acme", &request()).await.unwrap();
    assert!(!endpoint.requests()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn the_first_byte_is_timed_apart_from_the_last() {
    let act = Act::say("hello hello hello").after(ms(150)).slowly(ms(40));
    let reply = ask(act, true).await.unwrap();
    assert!(reply.first_token_ms >= 150, "{reply:?}");
    assert!(reply.ms >= reply.first_token_ms + 100, "{reply:?}");
}

#[tokio::test]
async fn calls_written_as_text_are_made_and_the_message_stays_as_it_came() {
    let text =
        "I call it.\n<tool_call>\n{'name': 'f', 'arguments': {'x': [1, True,]}}\n</tool_call>";
    for reply in both(Act::say(text)).await {
        let reply = reply.unwrap();
        assert_eq!(reply.finish, Finish::ToolCalls);
        assert_eq!((&*reply.calls[0].tool, &*reply.calls[0].id), ("f", "call_1_1"));
        assert_eq!(reply.calls[0].arguments, Ok(json!({"x": [1, true]})));
        assert_eq!(exact(&reply.raw), exact(&json!({"role": "assistant", "content": text})));
    }
    for reply in both(Act::say(&text.replace("'f'", "'g'"))).await {
        assert!(reply.unwrap().calls.is_empty(), "nobody offered g");
    }
    for reply in both(Act::say(text).finish("length")).await {
        assert!(reply.unwrap().calls.is_empty(), "it may have been cut");
    }
}

#[tokio::test]
async fn arguments_with_the_usual_slips_are_mended_and_a_cut_is_not() {
    let call = |arguments: &str| {
        let function = json!({"name": "f", "arguments": arguments});
        Act::message(json!({"role": "assistant", "content": null,
            "tool_calls": [{"id": "a", "type": "function", "function": function}]}))
    };
    for (arguments, expected) in [
        ("{'x': 1,}", Ok(json!({"x": 1}))),
        ("{\"x\": {\"y\": \"z\"}", Ok(json!({"x": {"y": "z"}}))),
        ("{\"x\": \"rm -r bui", Err("{\"x\": \"rm -r bui".to_owned())),
        ("{\"x\": 1", Err("{\"x\": 1".to_owned())),
    ] {
        for reply in both(call(arguments)).await {
            let reply = reply.unwrap();
            assert_eq!(reply.calls[0].arguments, expected);
            assert_eq!(reply.raw["tool_calls"][0]["function"]["arguments"], arguments);
        }
    }
}
