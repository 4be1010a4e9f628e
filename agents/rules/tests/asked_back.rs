//! Tools that ask before they go on.

use callboard_trace::{Action, Event};
use serde_json::{Value, json};

use super::cast::{AgentMut, call};
use super::play::Play;
use crate::Run;

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "d", "inputSchema": {"type": "object"}, "sha256": "ab"})
}

/// A coder whose tool server told this, and who called one of its tools.
fn called(told: &Value, name: &str) -> (Play, Vec<String>) {
    let mut play = Play::with(|it| it.agent_mut().servers = vec!["files".into()]);
    play.go();
    play.returns("list:files", true, told.clone());
    play.go();
    let lines = play.wants(vec![call("c1", name, json!({}))]).go();
    (play, lines)
}

/// The same with a call that asks two things.
fn asking() -> Play {
    let (mut play, lines) = called(&json!({"tools": [tool("make")]}), "mcp__files__make");
    assert_eq!(lines, ["step 3 calls mcp__files__make {}", "waits"]);
    let form =
        |kind: &str| json!({"message": "which?", "schema": {"properties": {"a": {"type": kind}}}});
    let asks = json!({"forms": {"x": form("string"), "y": form("boolean")}, "state": "s",
        "declined": ["z"]});
    play.returns("c1", true, json!({ "asks": asks }));
    play
}

/// Answers the question that is open.
fn hears(play: &mut Play, answer: &str) {
    let question = play.run.questions[0].clone();
    play.happens(Event::QuestionClosed { question, answer: Some(answer.into()) });
}

#[test]
fn a_call_goes_on_with_what_a_person_answered_as_a_step_of_its_own() {
    let mut play = asking();
    let asked = play.go();
    let prompt = "asks: the tool `mcp__files__make` asks before it goes on: which?";
    assert!(asked[0].starts_with(prompt) && asked.len() == 2, "{asked:?}");
    hears(&mut play, "7");
    let asked = play.go();
    assert!(asked[0].ends_with("[true, false, decline]"), "{asked:?}");
    hears(&mut play, "decline");
    assert_eq!(play.go(), ["step 4 calls mcp__files__make {}", "waits"]);
    let given = play.run.asked_back["c1"].given(&play.run.id, &play.run.heard);
    assert_eq!(given.state.as_deref(), Some("s"));
    assert_eq!(
        json!(given.responses),
        json!({"x": {"action": "accept", "content": {"a": "7"}},
            "y": {"action": "decline"}, "z": {"action": "decline"}})
    );
    let again = Run::fold(&play.records).expect("a run");
    assert_eq!(again.asked_back, play.run.asked_back);
    play.returns("c1", true, json!("made"));
    assert_eq!(*play.told(), json!("made"));
    assert!(play.run.asked_back.is_empty());
    assert_eq!(play.go(), ["step 5 asks local/small", "waits"]);
}

#[test]
fn whoever_is_to_finish_asks_nobody_for_a_tool() {
    let mut play = asking();
    play.go();
    play.controls(Action::FinishNow, Value::Null);
    play.go();
    assert!(play.told()["error"].as_str().is_some_and(|it| it.contains("asked to finish now")));
    assert!(play.run.questions.is_empty());
}

#[test]
fn a_step_that_goes_on_and_is_lost_halts_like_any_other() {
    let mut play = asking();
    for _ in 0..2 {
        play.go();
        hears(&mut play, "decline");
    }
    play.go();
    let lines = play.loses().go();
    assert!(
        lines[0].contains("step 4 called mcp__files__make and its process went away"),
        "{lines:?}"
    );
}
