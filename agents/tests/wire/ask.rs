//! One place that touches the client's API, so that the tests need not.

use std::collections::BTreeMap;
use std::time::Duration;

use callboard_agents::model::{Fault, Models, Reply, Request};
use callboard_config::{Endpoint as Address, Limits, Provider, ProviderKind, SecretString};
use callboard_trace::Purpose;
use serde_json::{Value, json};

use crate::endpoint::{Act, Endpoint};

/// A key that may never be seen in a message.
pub(crate) const KEY: &str = "key-of-the-test-0123";

/// A secret header that may never be seen either.
pub(crate) const HEADER: &str = "Token header-secret-456";

/// 2026-11-20 10:00:00 UTC.
pub(crate) const NOW: i64 = 1_795_168_800_000_000;

/// An endpoint that is given up after a second without a byte and three in all.
pub(crate) fn address(base_url: &str, stream: bool) -> Address {
    let header = SecretString::from(HEADER.to_owned());
    Address {
        base_url: base_url.to_owned(),
        api_key: Some(SecretString::from(KEY.to_owned())),
        key_source: Some("env:ACME_KEY".to_owned()),
        headers: BTreeMap::from([("x-gateway".to_owned(), header)]),
        connect_s: 1,
        idle_s: 1,
        total_s: 3,
        stream,
        max_tokens_field: "max_tokens".to_owned(),
        chat: None,
    }
}

/// The client of a team with this one provider, named `acme`.
pub(crate) fn client(address: Address) -> Models {
    let kind = ProviderKind::OpenAi(address);
    let provider = Provider::new("acme", kind);
    let limits = Limits { reply_bytes: 200_000, event_bytes: 50_000, ..Limits::default() };
    Models::new(
        &BTreeMap::from([("acme".to_owned(), provider)]),
        &limits,
        std::sync::Arc::new(|| NOW),
    )
}

/// A question with one tool on offer.
pub(crate) fn request() -> Request {
    let tool =
        json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    Request {
        agent: "coder".to_owned(),
        turn: 1,
        attempt: 1,
        run: "r_1".to_owned(),
        task: "say hello".to_owned(),
        handed: false,
        purpose: Purpose::Turn,
        model: "m1".to_owned(),
        messages: vec![
            json!({"role": "system", "content": "You are a coder"}),
            json!({"role": "user", "content": "say hello"}),
        ]
        .into(),
        tools: vec![tool].into(),
        tool_choice: None,
        temperature: None,
        effort: None,
        max_output: 100,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        response_format: None,
    }
}

/// One more message in the prompt.
pub(crate) fn say(request: &mut Request, message: Value) {
    request.messages = [request.messages.all(), vec![message]].concat().into();
}

/// Asks an endpoint that does this one act, streamed or not.
pub(crate) async fn ask(act: Act, stream: bool) -> Result<Reply, Fault> {
    let endpoint = Endpoint::start(move |_| act.clone()).await;
    let answer = client(address(&endpoint.base_url(), stream)).ask("acme", &request()).await;
    if let Err(fault) = &answer {
        for secret in [KEY, HEADER, "header-secret-456"] {
            assert!(!fault.message.contains(secret), "{fault:?}");
        }
        assert!(fault.message.chars().count() <= 300 && !fault.message.contains('\n'), "{fault:?}");
        assert!(fault.message.contains("acme"), "{fault:?}");
    }
    answer
}

/// Both ways of asking for the same act, in parallel.
pub(crate) async fn both(act: Act) -> [Result<Reply, Fault>; 2] {
    let (streamed, plain) = tokio::join!(ask(act.clone(), true), ask(act, false));
    [streamed, plain]
}

/// A message as a text whose order of keys counts.
pub(crate) fn exact(message: &Value) -> String {
    message.to_string()
}

/// A short pause.
pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
