//! Tool servers tell what they have before the first turn; their tools are called like others.

use callboard_trace::{Action, Event, Purpose};
use serde_json::{Value, json};

use super::cast::{AgentMut, call};
use super::play::Play;
use crate::{Run, prompt};

/// A coder with two tool servers, one of them its own.
fn with_servers() -> Play {
    Play::with(|it| it.agent_mut().servers = vec!["coder/git".into(), "files".into()])
}

fn tools() -> Value {
    let text = json!({"type": "object", "required": ["path"],
        "properties": {"path": {"type": "string"}}});
    json!({"tools": [
        {"name": "read", "description": "Reads.", "inputSchema": text, "readOnlyHint": true},
        {"name": "write", "description": "Writes.", "inputSchema": text},
    ]})
}

/// Both servers have answered, one badly.
fn listed() -> Play {
    let mut play = with_servers();
    play.go();
    play.returns("list:files", true, tools());
    play.returns("list:coder/git", false, json!({"error": "it said: no repository"}));
    play.go();
    play
}

#[test]
fn every_server_is_asked_side_by_side_before_the_model() {
    let mut play = with_servers();
    let asked = ["step 1 asks coder/git for tools/list", "step 2 asks files for tools/list"];
    assert_eq!(play.go(), [asked[0], asked[1], "waits"]);
    play.returns("list:files", true, tools());
    assert_eq!(play.go(), ["waits"], "for the other one");
    play.returns("list:coder/git", true, json!({"tools": []}));
    assert_eq!(play.go(), ["step 3 asks local/small", "waits"]);
    play.answers("done", json!({})).go();
    assert_eq!(play.end().summary(), "done");
}

#[test]
fn an_agent_without_servers_takes_no_step_for_them() {
    assert_eq!(Play::new().go(), ["step 1 asks local/small", "waits"]);
}

#[test]
fn a_lost_listing_is_asked_again() {
    let mut play = with_servers();
    play.go();
    play.returns("list:files", true, tools());
    play.loses();
    assert_eq!(play.go(), ["step 1 asks coder/git for tools/list (attempt 2)", "waits"]);
}

#[test]
fn the_model_is_told_of_tools_and_of_what_is_missing() {
    let play = listed();
    let tools = prompt::tools(&play.run, &Purpose::Turn).0.all();
    let names: Vec<&str> = tools.iter().filter_map(|it| it["function"]["name"].as_str()).collect();
    assert!(names.ends_with(&["mcp__files__read", "mcp__files__write"]), "{names:?}");
    let messages = prompt::messages(&play.run, 9, &Purpose::Turn, "local");
    let system = messages[0]["content"].as_str().expect("text");
    assert!(system.contains("- `git`: it said: no repository"), "{system}");
    assert_eq!(messages.len(), 2, "a listing is no part of the dialogue");
}

#[test]
fn the_hint_of_a_tool_decides_what_becomes_of_a_lost_call() {
    for (tool, line) in [
        ("mcp__files__read", "step 4 calls mcp__files__read {\"path\":\"a\"} (attempt 2)"),
        (
            "mcp__files__write",
            "asks: step 4 called mcp__files__write and its process went away before an answer: it \
             may have happened [rerun, skip, abort]",
        ),
    ] {
        let mut play = listed();
        play.wants(vec![call("c1", tool, json!({"path": "a"}))]).go();
        assert_eq!(play.loses().go(), [line, "waits"]);
        assert_eq!(Run::fold(&play.records).map(|it| it.tools), Some(play.run.tools.clone()));
    }
}

#[test]
fn arguments_off_the_schema_never_reach_the_server() {
    let mut play = listed();
    play.wants(vec![call("c1", "mcp__files__read", json!({"path": 7}))]).go();
    assert!(play.told()["error"].as_str().is_some_and(|it| it.contains("`/path`")));
    assert!(play.run.tools.is_empty());
}

#[test]
fn whoever_is_to_finish_at_once_asks_nobody() {
    let mut play = with_servers();
    play.controls(Action::FinishNow, Value::Null);
    assert_eq!(play.go(), ["step 1 asks local/small for its last turn", "waits"]);
}

#[test]
fn a_server_that_may_not_be_asked_is_gone_without() {
    let mut play = Play::with(|it| it.agent_mut().servers = vec!["files".into()]);
    assert_eq!(play.run.steps, 0);
    let (call, result) = ("list:files".to_owned(), json!({"error": "it is left alone"}));
    let (documents, files) = (vec![], vec![]);
    play.happens(Event::ToolReturned { step: 1, call, ok: false, result, ms: 0, documents, files });
    assert_eq!(play.go(), ["step 2 asks local/small", "waits"], "it is not asked again and again");
    assert_eq!(play.run.shelf.absent().collect::<Vec<_>>(), [("files", "it is left alone")]);
}

#[test]
fn a_tool_that_changed_is_no_tool_and_the_model_is_told_why() {
    let mut play = Play::with(|it| it.agent_mut().servers = vec!["files".into()]);
    play.go();
    play.returns("list:files", true, json!({"tools": [{"name": "make"}], "changed": ["read"]}));
    play.go();
    play.wants(vec![call("c1", "mcp__files__read", json!({}))]).go();
    let error = play.told()["error"].as_str().expect("a refusal").to_owned();
    assert!(
        error.contains("changed by its server") && error.contains("callboard trust"),
        "{error}"
    );
    let (tools, _) = prompt::tools(&play.run, &Purpose::Turn);
    assert!(!tools.all().iter().any(|it| it.to_string().contains("mcp__files__read")));
    let messages = prompt::messages(&play.run, 9, &Purpose::Turn, "local");
    let system = messages[0]["content"].as_str().expect("text");
    assert!(system.contains("- `files`: 1 of its tools changed"), "{system}");
}

#[test]
fn arguments_that_a_check_would_take_for_ever_for_are_refused() {
    let twice =
        json!({"type": "object", "properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
    let mut play = with_servers();
    play.go();
    play.returns("list:coder/git", true, json!({"tools": []}));
    play.returns("list:files", true, json!({"tools": [{"name": "make", "inputSchema": twice}]}));
    play.go();
    let deep = (0..40).fold(json!({}), |inner, _| json!({ "a": inner }));
    play.wants(vec![call("c1", "mcp__files__make", deep)]).go();
    assert!(play.told()["error"].as_str().is_some_and(|it| it.contains("nested too deeply")));
}
