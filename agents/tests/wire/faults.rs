//! Every fault of a model endpoint, streamed and not.

use std::time::Duration;

use callboard_agents::model::Fault;
use callboard_trace::FailureCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::ask::{KEY, address, both, client, ms, request};
use crate::endpoint::{Act, Endpoint};

/// The faults of both ways of asking, which have the same meaning.
async fn faults(act: Act) -> Fault {
    let [streamed, plain] = both(act.clone()).await;
    let (streamed, plain) = (streamed.expect_err("streamed"), plain.expect_err("plain"));
    assert_eq!(
        (streamed.code, streamed.retryable, streamed.retry_after),
        (plain.code, plain.retryable, plain.retry_after),
        "{act:?}: {streamed:?} and {plain:?}"
    );
    streamed
}

fn meaning(fault: &Fault) -> (FailureCode, bool) {
    (fault.code, fault.retryable)
}

#[tokio::test]
async fn a_429_says_when_to_come_back() {
    let date = |it: &'static str| ("Fri, 20 Nov 2026 10:00:00 GMT", it);
    let cases = [
        (date("2"), Some(2)),
        (date("Fri, 20 Nov 2026 10:00:07 GMT"), Some(7)),
        (date("999999"), Some(3_600)),
        (date("-1"), None),
        (date("abc"), None),
    ];
    for ((server, wanted), pause) in cases {
        let act = Act::status(429).header("date", server).header("retry-after", wanted);
        let fault = faults(act).await;
        assert_eq!(meaning(&fault), (FailureCode::RateLimited, true), "{wanted}");
        assert_eq!(fault.retry_after, pause.map(Duration::from_secs), "{wanted}");
    }
    let quota = json!({"error": {"message": "pay first", "type": "insufficient_quota"}});
    let fault = faults(Act::error(429, &quota).header("retry-after", "1")).await;
    assert_eq!((meaning(&fault), fault.retry_after), ((FailureCode::RateLimited, false), None));
    let page = Act::bytes("text/html", vec![b"<html>slow down</html>".to_vec()]);
    let fault = faults(page.with_status(429)).await;
    assert_eq!(meaning(&fault), (FailureCode::RateLimited, true));
}

#[tokio::test]
async fn servers_in_trouble_are_tried_again() {
    for status in [500, 502, 503, 529] {
        let fault = faults(Act::status(status)).await;
        assert_eq!(meaning(&fault), (FailureCode::ModelUnavailable, true), "{status}");
        assert_eq!(
            fault.message,
            format!("provider \"acme\" answered {status}: scripted {status}")
        );
    }
    for status in [408, 504] {
        assert_eq!(meaning(&faults(Act::status(status)).await), (FailureCode::Timeout, true));
    }
    for status in [409, 425] {
        let fault = faults(Act::status(status)).await;
        assert_eq!(meaning(&fault), (FailureCode::ModelUnavailable, true), "{status}");
    }
    let fault = faults(Act::status(503).header("retry-after-ms", "1500")).await;
    assert_eq!(meaning(&fault), (FailureCode::RateLimited, true));
    assert_eq!(fault.retry_after, Some(ms(1_500)));
}

#[tokio::test]
async fn requests_that_are_wrong_are_not() {
    for status in [302, 400, 402, 404, 422] {
        let fault = faults(Act::status(status).header("location", "http://127.0.0.1:1/")).await;
        assert_eq!(meaning(&fault), (FailureCode::BadRequest, false), "{status}");
    }
    let words = "This model's maximum context length is 8192 tokens";
    let overflow = json!({"error": {"message": words, "code": null}});
    let fault = faults(Act::error(400, &overflow)).await;
    assert_eq!(meaning(&fault), (FailureCode::ContextOverflow, false));
}

#[tokio::test]
async fn a_refused_key_is_named_by_its_source() {
    let told = format!("Incorrect API key provided: {KEY}. {}", "x".repeat(500));
    for status in [401, 403] {
        let fault = faults(Act::error(status, &json!({"error": {"message": told}}))).await;
        assert_eq!(meaning(&fault), (FailureCode::Unauthorized, false));
        assert!(fault.message.contains("\"acme\""), "{fault:?}");
    }
    let fault = faults(Act::status(401)).await;
    assert_eq!(
        fault.message,
        "provider \"acme\" refused the key (401); check the key in env:ACME_KEY"
    );
}

#[tokio::test]
async fn secrets_that_a_server_quotes_are_hidden() {
    let told = format!("bad\r\n\u{1b}[1mheader {KEY} and header-secret-456 and sk-abc****wxyz");
    let fault = faults(Act::error(500, &json!({"error": {"message": told}}))).await;
    assert_eq!(
        fault.message,
        "provider \"acme\" answered 500: bad [1mheader [redacted] and [redacted] and [redacted]"
    );
    let inside = json!({"error": {"message": format!("key {KEY} is bad"), "code": 502}});
    let act = Act::events(&format!("data: {inside}\n\n"));
    let fault = crate::ask::ask(act, true).await.unwrap_err();
    assert!(fault.message.contains("key [redacted] is bad"), "{fault:?}");
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let endpoint = Endpoint::start(|_| Act::say("")).await;
    let refused = endpoint.base_url();
    drop(endpoint);
    let unknown = "http://no-such-host.invalid/v1".to_owned();
    for base_url in [refused, unknown] {
        for stream in [true, false] {
            let asked = client(address(&base_url, stream)).ask("acme", &request()).await;
            let fault = asked.unwrap_err();
            assert_eq!(meaning(&fault), (FailureCode::ModelUnavailable, true), "{fault:?}");
            assert!(fault.message.contains("cannot be reached"), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_or_hangs_up_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4_096];
            let _ = socket.read(&mut buffer).await;
            let _ = socket.write_all(b"").await;
        }
    };
    let ask = async {
        for (scheme, words) in [("https", "cannot be reached"), ("http", "broke off")] {
            for stream in [true, false] {
                let base_url = format!("{scheme}://127.0.0.1:{port}/v1");
                let asked = client(address(&base_url, stream)).ask("acme", &request()).await;
                let fault = asked.unwrap_err();
                assert_eq!(meaning(&fault), (FailureCode::ModelUnavailable, true), "{fault:?}");
                assert!(fault.message.contains(words), "{fault:?}");
            }
        }
    };
    tokio::select! {
        () = serve => {}
        () = ask => {}
    }
}

#[tokio::test]
async fn silence_stalls_and_drips_end_in_time() {
    let text = Act::say("hello hello hello hello hello hello");
    let cases = [
        ("never answers", Act::silence(), "no byte for 1 s"),
        ("stalls after half", text.clone().stalls_after(2), "no byte for 1 s"),
        ("answers too late", text.clone().after(Duration::from_secs(9)), "no byte for 1 s"),
        ("drips", drip(), "not done in 3 s"),
    ];
    let asked = cases.map(|(name, act, words)| async move {
        let fault = faults(act).await;
        assert_eq!(meaning(&fault), (FailureCode::Timeout, true), "{name}: {fault:?}");
        assert!(fault.message.contains(words), "{name}: {fault:?}");
        assert!(fault.ms < 3_500, "{name}: {fault:?}");
    });
    futures::future::join_all(asked).await;
}

/// One byte at a time, for ever as far as a test is concerned.
fn drip() -> Act {
    let bytes = std::iter::repeat_n(vec![b' '], 1_000);
    Act::bytes("application/json", bytes.collect()).slowly(ms(100))
}

#[tokio::test]
async fn replies_that_are_none_are_bad_and_tried_again() {
    let choices = |it: Value| Act::bytes("application/json", vec![it.to_string().into_bytes()]);
    let cases = [
        ("a page", Act::page(), "web page"),
        ("nothing", Act::empty(), ""),
        ("garbage", Act::garbage(), "no JSON"),
        ("no choices", choices(json!({"choices": []})), ""),
        ("null", choices(json!(null)), ""),
        ("another API", choices(json!({"output": "hi"})), ""),
        (
            "no content",
            choices(json!({"choices": [{"message": {"content": null}, "finish_reason": "stop"}]})),
            "neither text nor a tool call",
        ),
        (
            "a broken body",
            Act::bytes("application/json", vec![b"{\"choices\": [".to_vec()]),
            "no JSON",
        ),
        (
            "an error in a 200",
            choices(json!({"error": {"message": "Provider returned error", "code": 502}})),
            "Provider returned error",
        ),
        ("an end in error", Act::say("hi").finish("error"), "\"error\""),
        ("a cut call", Act::call("f", json!({"x": 1})).finish("length"), "max_output"),
    ];
    for (name, act, words) in cases {
        let fault = faults(act).await;
        assert_eq!(meaning(&fault), (FailureCode::BadReply, true), "{name}: {fault:?}");
        assert!(fault.message.contains(words), "{name}: {fault:?}");
    }
}

#[tokio::test]
async fn replies_without_end_are_cut_at_their_caps() {
    let event = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(60_000));
    let fault = crate::ask::ask(Act::events(&event), true).await.unwrap_err();
    assert!(fault.message.contains("limits.event_bytes"), "{fault:?}");
    let tokens = "data: {\"choices\":[{\"delta\":{\"content\":\"token \"}}]}\n\n".repeat(5_000);
    let fault = crate::ask::ask(Act::events(&tokens), true).await.unwrap_err();
    assert!(fault.message.contains("limits.reply_bytes"), "{fault:?}");
    let body = vec![vec![b' '; 64 << 10]; 10];
    let fault = crate::ask::ask(Act::bytes("application/json", body), false).await.unwrap_err();
    assert!(fault.message.contains("limits.reply_bytes"), "{fault:?}");
    let flood = Act::bytes("text/plain", vec![vec![b'x'; 64 << 10]; 100]).with_status(500);
    assert_eq!(meaning(&faults(flood).await), (FailureCode::ModelUnavailable, true));
}

#[tokio::test]
async fn a_rate_limit_in_the_middle_of_a_stream_is_one() {
    let told = json!({"error": {"code": 429, "message": "rate"},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]});
    let act = Act::events(&format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}]}}\n\ndata: {told}\n\n"
    ));
    let fault = crate::ask::ask(act, true).await.unwrap_err();
    assert_eq!(meaning(&fault), (FailureCode::RateLimited, true));
}

#[tokio::test]
async fn a_key_that_no_header_carries_is_a_fault_not_a_panic() {
    let mut address = address("http://127.0.0.1:1/v1", true);
    address.api_key = Some(callboard_config::SecretString::from("a\u{1}b".to_owned()));
    let fault = client(address).ask("acme", &request()).await.unwrap_err();
    assert_eq!(meaning(&fault), (FailureCode::Unauthorized, false));
    assert_eq!(
        fault.message,
        "provider \"acme\" has a key that no header can carry; check env:ACME_KEY"
    );
}

#[tokio::test]
async fn an_unknown_provider_is_named() {
    let fault = client(address("http://127.0.0.1:1/v1", true)).ask("acne", &request()).await;
    let fault = fault.unwrap_err();
    assert_eq!(meaning(&fault), (FailureCode::ModelUnavailable, false));
    assert!(fault.message.contains("\"acne\""), "{fault:?}");
}
