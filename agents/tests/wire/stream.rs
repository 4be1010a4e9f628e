//! Streams as real servers write them, down to the bytes.

use callboard_trace::FailureCode;
use serde_json::{Value, json};

use crate::ask::{ask, ms};
use crate::endpoint::Act;

const HELLO: &str = r#"{"choices":[{"index":0,"delta":{"content":"hel"}}]}"#;
const LO: &str = r#"{"choices":[{"index":0,"delta":{"content":"lo"}}]}"#;
const END: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn every_way_of_writing_events_is_read() {
    let streams = [
        format!("data: {HELLO}\n\ndata: {LO}\n\ndata: {END}\n\ndata: [DONE]\n\n"),
        format!("data: {HELLO}\r\n\r\ndata: {LO}\r\n\r\ndata: {END}\r\n\r\ndata: [DONE]\r\n\r\n"),
        format!("data: {HELLO}\r\rdata: {LO}\r\rdata: {END}\r\rdata: [DONE]\r\r"),
        format!("\u{feff}data: {HELLO}\n\ndata: {LO}\n\ndata: {END}\n\ndata: [DONE]\n\n"),
        format!("data:{HELLO}\n\ndata:{LO}\n\ndata:{END}\n\ndata:[DONE]\n\n"),
        format!(": OPENROUTER PROCESSING\n\ndata: {HELLO}\n\n:\n\ndata: {LO}\n\ndata: {END}\n\n"),
        format!("event: message\nid: 1\nretry: 5\ndata: {HELLO}\n\ndata: {LO}\n\ndata: {END}\n\n"),
        format!("data: {HELLO}\n\nevent: keepalive\ndata: {{}}\n\ndata: {LO}\n\ndata: [DONE]\n\n"),
        format!(
            "event: ping\ndata: {{\"type\":\"ping\"}}\n\ndata: {HELLO}\n\ndata: {LO}\n\ndata: [DONE]\n\n"
        ),
        format!("data: {HELLO}\n\ndata:\n\ndata: {LO}\n\ndata: {END}\n\n"),
        format!("data: {HELLO}\n\ndata: {LO}\n\ndata: {END}"),
        format!("data: {HELLO}\n\ndata: {LO}\n\ndata: [DONE]"),
        format!("data: {HELLO}\n\ndata: {LO}\n\ndata: [DONE] \n\n"),
        format!("data: {}\n\ndata: {LO}\n\ndata: {END}\n\n", HELLO.replace(',', ",\ndata: ")),
        format!("data: {HELLO}\n\ndata: {LO}\n\ndata: {END}\n\ndata: [DONE]\n\nafter the end"),
    ];
    for text in streams {
        let reply = ask(Act::events(&text), true).await;
        assert_eq!(reply.map(|it| it.text), Ok("hello".to_owned()), "{text:?}");
        let bytes = text.as_bytes().iter().map(|it| vec![*it]).collect();
        let reply = ask(Act::bytes("text/event-stream", bytes), true).await;
        assert_eq!(reply.map(|it| it.text), Ok("hello".to_owned()), "byte by byte: {text:?}");
    }
}

#[tokio::test]
async fn split_characters_are_joined_and_invalid_ones_replaced() {
    let text = format!("data: {}\n\ndata: {END}\n\n", HELLO.replace("hel", "h€l"));
    let bytes = text.as_bytes().iter().map(|it| vec![*it]).collect();
    let reply = ask(Act::bytes("text/event-stream", bytes), true).await.unwrap();
    assert_eq!(reply.text, "h€l");
    let mut bytes = text.into_bytes();
    let at = bytes.iter().position(|it| *it == 0xe2).unwrap();
    bytes[at] = 0xff;
    let reply = ask(Act::bytes("text/event-stream", vec![bytes]), true).await.unwrap();
    assert!(reply.text.starts_with("h\u{fffd}") && reply.text.ends_with('l'), "{}", reply.text);
}

#[tokio::test]
async fn a_body_in_place_of_a_stream_is_read() {
    let body = "{\n \"choices\": [{\"message\": {\"content\": \"hello\"}}]\n}";
    for kind in ["application/json", "text/event-stream"] {
        let act = Act::bytes(kind, vec![body.as_bytes().to_vec()]);
        assert_eq!(ask(act, true).await.unwrap().text, "hello");
    }
    let act =
        Act::bytes("application/json", vec![b"\xef\xbb\xbf".to_vec(), body.as_bytes().to_vec()]);
    assert_eq!(ask(act, false).await.unwrap().text, "hello");
}

#[tokio::test]
async fn an_open_stream_is_left_once_the_message_is_complete() {
    let act = Act::say("hello").stalls_after(3);
    let reply = ask(act, true).await.unwrap();
    assert_eq!(reply.text, "hello");
    assert!(reply.ms >= 900, "the counts are waited for: {reply:?}");
}

#[tokio::test]
async fn what_came_before_a_cut_is_never_a_reply() {
    let call = Act::call("f", json!({"path": "a rather long path to be cut in the middle"}));
    for pieces in 1..8 {
        for act in [call.clone().cut_after(pieces), call.clone().ends_after(pieces)] {
            let fault = ask(act.slowly(ms(2)), true).await.unwrap_err();
            assert_eq!((fault.code, fault.retryable), (FailureCode::BadReply, true), "{pieces}");
        }
    }
    let call = Act::call("f", json!({"path": "a"})).cut_after(2);
    let fault = ask(call, false).await.unwrap_err();
    assert_eq!((fault.code, fault.retryable), (FailureCode::BadReply, true), "{fault:?}");
}

#[tokio::test]
async fn every_recorded_event_is_taken_in_the_middle_of_a_stream() {
    let all: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/data/payloads.json")).unwrap();
    for payload in all.iter().filter(|it| it["kind"] == "stream") {
        let text = format!("data: {LO}\n\ndata: {}\n\ndata: {END}\n\n", payload["body"]);
        let answer = ask(Act::events(&text), true).await;
        match (payload["body"].get("error"), answer) {
            (Some(_), Err(_)) => {}
            (None, Ok(reply)) => assert!(reply.text.starts_with("lo"), "{payload}"),
            (_, answer) => panic!("{payload} gave {answer:?}"),
        }
    }
}
