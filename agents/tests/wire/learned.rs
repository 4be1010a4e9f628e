//! What a provider tells of its limits comes with every answer, good or bad.

use callboard_agents::model::{Counted, Learned};
use callboard_trace::FailureCode;
use serde_json::json;

use crate::ask::{address, both, client, request};
use crate::endpoint::{Act, Endpoint};

fn limited(act: Act) -> Act {
    act.header("x-ratelimit-limit-requests", "600")
        .header("x-ratelimit-remaining-requests", "0")
        .header("x-ratelimit-reset-requests", "6m0s")
        .header("anthropic-ratelimit-tokens-remaining", "NaN")
}

fn told() -> Vec<Learned> {
    vec![Learned {
        what: Counted::Requests,
        limit: Some(600.0),
        window_s: None,
        remaining: Some(0.0),
        reset_s: Some(360.0),
        header: "x-ratelimit-limit-requests".to_owned(),
    }]
}

#[tokio::test]
async fn limits_come_with_replies() {
    for reply in both(limited(Act::say("hello"))).await {
        assert_eq!(reply.expect("a reply").learned, told());
    }
    for reply in both(Act::say("hello")).await {
        assert_eq!(reply.expect("a reply").learned, []);
    }
}

#[tokio::test]
async fn limits_come_with_refusals_and_with_replies_that_break() {
    for act in [Act::status(429), Act::status(500), Act::say("hello").cut_after(0), Act::garbage()]
    {
        for fault in both(limited(act)).await {
            assert_eq!(fault.expect_err("a fault").learned, told());
        }
    }
    let stalled = limited(Act::say("a b c d e f g h i j")).stalls_after(1);
    for fault in both(stalled).await {
        let fault = fault.expect_err("too late");
        assert_eq!((fault.code, fault.learned), (FailureCode::Timeout, told()));
    }
}

#[tokio::test]
async fn of_several_exchanges_the_last_that_told_counts() {
    let endpoint = Endpoint::start(|ask| match ask.nth {
        0 => {
            let told = json!({"error": {"message": "Unsupported parameter: 'stream_options'"}});
            Act::error(400, &told).header("x-ratelimit-limit", "1")
        }
        1 => limited(Act::say("hello")),
        _ => Act::say("hello"),
    })
    .await;
    let models = client(address(&endpoint.base_url(), true));
    let reply = models.ask("acme", &request()).await.expect("a reply");
    assert_eq!((reply.asked_again, reply.learned), (1, told()));
    assert_eq!(models.ask("acme", &request()).await.expect("a reply").learned, []);
}

#[tokio::test]
async fn limits_come_with_refused_embeddings() {
    let endpoint = Endpoint::start(|_| limited(Act::status(429))).await;
    let models = client(address(&endpoint.base_url(), true));
    let fault = models.embed("acme", "m1", &["a".to_owned()]).await.expect_err("refused");
    assert_eq!(fault.learned, told());
}
