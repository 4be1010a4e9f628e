//! The playbook of docs/rehearsal.md does what the page says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use callboard_agents::model::{Fault, Models, Playbook, Reply, Request};
use callboard_config::{Limits, Provider, ProviderKind};
use callboard_trace::{FailureCode, Purpose};
use serde_json::{Value, json};

/// The example of the page.
fn example() -> &'static str {
    let page = include_str!("../../docs/rehearsal.md");
    let (_, after) = page.split_once("```yaml\n").expect("an example");
    after.split_once("```").expect("its end").0
}

async fn asked(request: &Request) -> Result<Reply, Fault> {
    let playbook = Some((PathBuf::from("play.yaml"), example().to_owned()));
    let kind = ProviderKind::Rehearsal { playbook };
    let provider = Provider::new("stage", kind);
    let providers = BTreeMap::from([("stage".to_owned(), provider)]);
    Models::new(&providers, &Limits::default(), std::sync::Arc::new(|| 0))
        .ask("stage", request)
        .await
}

fn request(agent: &str, task: &str) -> Request {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    Request {
        agent: agent.to_owned(),
        turn: 1,
        attempt: 1,
        run: "r_1".to_owned(),
        task: task.to_owned(),
        handed: false,
        purpose: Purpose::Turn,
        model: "any".to_owned(),
        messages: vec![json!({"role": "user", "content": task})].into(),
        tools: vec![tool("handoff"), tool("delegate"), tool("note")].into(),
        tool_choice: None,
        temperature: None,
        effort: None,
        max_output: 100,
        traceparent: None,
        response_format: None,
    }
}

/// One more message in the prompt.
fn say(request: &mut Request, message: Value) {
    request.messages = [request.messages.all(), vec![message]].concat().into();
}

fn calls(reply: &Reply) -> Vec<(&str, &Value)> {
    reply.calls.iter().map(|it| (&*it.tool, it.arguments.as_ref().expect("an object"))).collect()
}

#[test]
fn the_example_has_no_problem() {
    Playbook::parse(Path::new("play.yaml"), example()).unwrap();
}

#[tokio::test]
async fn the_researcher_fails_twice_then_notes_then_hands_off() {
    let mut request = request("researcher", "Explain ASYNC patterns");
    let fault = asked(&request).await.unwrap_err();
    assert_eq!(fault.code, FailureCode::RateLimited);
    assert_eq!(fault.retry_after.unwrap().as_secs(), 1);
    request.attempt = 2;
    assert_eq!(asked(&request).await.unwrap_err().code, FailureCode::Timeout);
    request.attempt = 3;
    let reply = asked(&request).await.unwrap();
    assert_eq!(reply.text, "I know enough.");
    assert_eq!((calls(&reply)[0].0, &calls(&reply)[0].1["slot"]), ("note", &json!("findings")));
    (request.turn, request.attempt) = (2, 1);
    say(&mut request, reply.raw.clone());
    let reply = asked(&request).await.unwrap();
    let (tool, arguments) = calls(&reply)[0];
    assert_eq!((tool, &arguments["to"]), ("handoff", &json!("coder")));
    assert_eq!(arguments["task"], "Implement an example of an async channel.");
    assert_eq!(arguments["summary"]["must_know"], "Futures do nothing until they are polled.");
}

#[tokio::test]
async fn the_coder_asks_two_at_once_and_then_answers() {
    let mut request = Request { handed: true, ..request("coder", "Implement an example") };
    let reply = asked(&request).await.unwrap();
    let to: Vec<&Value> = calls(&reply).iter().map(|(_, it)| &it["to"]).collect();
    assert_eq!(to, [&json!("tester"), &json!("reviewer")]);
    assert!(
        calls(&reply).iter().all(|(tool, it)| *tool == "delegate" && it["summary"].is_object())
    );
    request.turn = 2;
    say(&mut request, reply.raw.clone());
    let reply = asked(&request).await.unwrap();
    let answer: Value = serde_json::from_str(&reply.text).unwrap();
    assert_eq!(answer["confidence"], 0.9);
    assert!(reply.ms >= 20 && answer["findings"].is_array());
}

#[tokio::test]
async fn the_others_decline_and_look() {
    let reply = asked(&request("reviewer", "Review it")).await.unwrap();
    assert_eq!(
        (calls(&reply)[0].0, &calls(&reply)[0].1["better"]),
        ("refuse_handoff", &json!("tester"))
    );
    let mut request = request("tester", "Test it");
    let reply = asked(&request).await.unwrap();
    assert_eq!(calls(&reply), [("read", &json!({"uri": "a_1"}))]);
    request.turn = 2;
    say(&mut request, json!({"role": "tool", "tool_call_id": "x", "content": "Not found: a_1"}));
    assert_eq!(asked(&request).await.unwrap().text, "There is no such artifact.");
    say(&mut request, json!({"role": "user", "content": "Go on"}));
    let reply = asked(&request).await.unwrap();
    assert!(reply.text.contains("[rehearsal] tester took the task: Test it"), "{}", reply.text);
}
