//! Texts as vectors, over real sockets.

use callboard_trace::FailureCode;
use serde_json::{Value, json};

use crate::ask::{KEY, address, client};
use crate::endpoint::{Act, Ask, Endpoint};

fn reply(data: &[Value]) -> Act {
    let body = json!({"object": "list", "data": data, "model": "e", "usage": {"prompt_tokens": 1}});
    Act::bytes("application/json", vec![body.to_string().into_bytes()])
}

/// A vector for each text: its length and its place, last first.
fn measured(ask: &Ask) -> Act {
    let texts = ask.body["input"].as_array().expect("texts").iter().enumerate();
    let vector = |(at, text): (usize, &Value)| {
        let length = text.as_str().expect("a text").len();
        json!({"object": "embedding", "index": at, "embedding": [length, at]})
    };
    let mut data: Vec<Value> = texts.map(vector).collect();
    data.reverse();
    reply(&data)
}

#[tokio::test]
async fn texts_become_vectors_in_their_order_and_in_portions() {
    let endpoint = Endpoint::start(measured).await;
    let texts: Vec<String> = (0..70).map(|it| "x".repeat(it)).collect();
    let client = client(address(&endpoint.base_url(), true));
    let vectors = client.embed("acme", "e", &texts).await.unwrap();
    let lengths: Vec<f32> = vectors.iter().map(|it| it[0]).collect();
    assert_eq!(lengths, (0..70_u16).map(f32::from).collect::<Vec<_>>());
    let seen = endpoint.requests();
    assert_eq!(seen.len(), 2);
    assert_eq!((&*seen[0].path, &seen[0].body["model"]), ("/embeddings", &json!("e")));
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {KEY}"));
    assert!(client.embed("acme", "e", &[]).await.unwrap().is_empty());
    assert_eq!(endpoint.requests().len(), 2);
}

#[tokio::test]
async fn a_field_it_does_not_know_is_left_out_from_then_on() {
    let endpoint = Endpoint::start(|ask| match ask.body.get("encoding_format") {
        Some(_) => {
            Act::error(400, &json!({"error": {"message": "unknown field `encoding_format`"}}))
        }
        None => measured(ask),
    })
    .await;
    let client = client(address(&endpoint.base_url(), true));
    for requests in [2, 3] {
        client.embed("acme", "e", &["x".to_owned()]).await.unwrap();
        assert_eq!(endpoint.requests().len(), requests);
    }
}

#[tokio::test]
async fn faults_have_the_same_names_as_those_of_a_question() {
    let two = |a: Value, b: Value| reply(&[json!({"embedding": a}), json!({"embedding": b})]);
    for (act, code, words) in [
        (Act::status(429), FailureCode::RateLimited, "429"),
        (Act::status(401), FailureCode::Unauthorized, "env:ACME_KEY"),
        (Act::status(500), FailureCode::ModelUnavailable, "500"),
        (Act::page(), FailureCode::BadReply, "web page"),
        (Act::garbage(), FailureCode::BadReply, "no JSON"),
        (Act::silence(), FailureCode::Timeout, "no byte"),
        (reply(&[]), FailureCode::BadReply, "too few"),
        (two(json!([1]), json!([1, 2])), FailureCode::BadReply, "different lengths"),
        (
            Act::bytes("application/json", vec![vec![b' '; 300_000]]),
            FailureCode::BadReply,
            "limits.reply_bytes",
        ),
    ] {
        let endpoint = Endpoint::start(move |_| act.clone()).await;
        let client = client(address(&endpoint.base_url(), true));
        let fault = client.embed("acme", "e", &["a".to_owned(), "b".to_owned()]).await.unwrap_err();
        assert_eq!(fault.code, code, "{fault:?}");
        assert!(fault.message.contains(words) && !fault.message.contains(KEY), "{fault:?}");
    }
    let nobody = client(address("http://127.0.0.1:9/v1", true));
    let fault = nobody.embed("other", "e", &["a".to_owned()]).await.unwrap_err();
    assert!(fault.message.contains("\"other\" is not in this team"), "{fault:?}");
}
