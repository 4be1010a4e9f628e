//! Tool calls: what cannot be read is told, what can is done, and each is answered once.

use callboard_trace::{Call, Finish};
use serde_json::{Value, json};

use super::cast::{AgentMut, call, pass};
use super::play::Play;

/// What the model is told when it makes this one call in its first turn.
fn told(play: &mut Play, wanted: Call) -> String {
    play.go();
    play.wants(vec![wanted]).go();
    play.told()["error"].as_str().unwrap_or_default().to_string()
}

#[test]
fn what_cannot_be_read_is_told_with_the_way_out() {
    let broken = Call { id: "c".into(), tool: "read".into(), arguments: Err("{\"uri\":".into()) };
    for (wanted, expected) in [
        (
            call("c", "deploy", json!({})),
            "there is no tool `deploy`; there are: handoff, delegate, note, ask_owner, plan, read, \
             team_status",
        ),
        (broken, "the arguments are no JSON object: {\"uri\":"),
        (call("c", "read", json!({})), "the arguments: \"uri\" is a required property"),
        (call("c", "read", json!({"uri": 5})), "`/uri`: 5 is not of type \"string\""),
        (
            call("c", "note", json!({"slot": "diary", "key": "k", "text": "t"})),
            "not_allowed: coder may not write into `diary`; it may into: findings, implementation, \
             tests, reviews, notes",
        ),
        (
            call("c", "delegate", json!({"to": "tester"})),
            "the arguments: \"task\" is a required property",
        ),
        (
            call("c", "refuse_handoff", json!({"reason": "not my trade"})),
            "there is no tool `refuse_handoff`; there are: handoff, delegate, note, ask_owner, plan, \
             read, team_status",
        ),
    ] {
        let tool = wanted.tool.clone();
        assert_eq!(told(&mut Play::new(), wanted), expected, "{tool}");
    }
}

#[test]
fn tools_that_were_taken_away_are_not_there() {
    let mut play = Play::with(|it| it.agent_mut().disallowed_tools = vec!["delegate".into()]);
    let error = told(&mut play, pass("c", "delegate", "tester"));
    assert_eq!(
        error,
        "there is no tool `delegate`; there are: handoff, note, ask_owner, plan, read, team_status"
    );
    let mut play = Play::with(|it| it.agent_mut().disallowed_tools = vec!["delegate".into()]);
    let error = told(&mut play, pass("c", "Task", "tester"));
    assert_eq!(
        error,
        "there is no tool `Task`; there are: handoff, note, ask_owner, plan, read, team_status"
    );
    let mut play = Play::with(|it| it.agent_mut().handoffs.clear());
    let error = told(&mut play, pass("c", "handoff", "tester"));
    assert_eq!(error, "there is no tool `handoff`; there are: note, ask_owner, read, team_status");
}

#[test]
fn delegate_is_known_by_the_names_other_programs_give_it() {
    for tool in ["delegate", "Task", "Agent"] {
        let mut play = Play::new();
        play.go();
        let lines = play.wants(vec![pass("c", tool, "tester")]).go();
        assert!(lines[0].starts_with("delegated to tester"), "{tool}: {lines:?}");
    }
}

#[test]
fn a_note_becomes_an_artifact_at_once() {
    let mut play = Play::new();
    play.go();
    let value = json!({"case": "a", "result": "pass"});
    play.wants(vec![
        call("c1", "note", json!({"slot": "notes", "key": "k", "text": "t"})),
        call("c2", "note", json!({"slot": "tests", "key": "l", "value": value, "text": "x"})),
    ]);
    let lines = play.go();
    assert_eq!(lines[4..], ["step 4 asks local/small", "waits"]);
    assert_eq!(play.told()["noted"], true);
    let names: Vec<&str> = play.run.artifacts.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["notes/k", "tests/l"]);
    assert_eq!(
        play.run.artifacts[1].head, "{\"case\":\"a\",\"result\":\"pass\"}",
        "structure wins over text"
    );
    assert_eq!(play.told()["artifact"], play.run.artifacts[1].id.as_str());
}

#[test]
fn a_note_has_its_bound() {
    let note = |bytes: usize| {
        let text = "x".repeat(bytes - 2);
        call("c", "note", json!({"slot": "notes", "key": "k", "text": text}))
    };
    assert_eq!(told(&mut Play::new(), note(65_536)), "");
    assert_eq!(
        told(&mut Play::new(), note(65_537)),
        "a note holds at most 65536 bytes, this has 65537"
    );
}

#[test]
fn of_too_many_calls_the_last_ones_are_not_taken() {
    let mut play = Play::with(|it| it.fuses.parallel_calls = 2);
    play.go();
    let read = |id: &str| call(id, "read", json!({"uri": "a_1"}));
    let lines = play.wants(vec![read("c1"), read("c2"), read("c3"), read("c4")]).go();
    let refused = "refused: more than 2 calls in one turn: ask for the rest in the next";
    assert_eq!(
        lines,
        [
            format!("step 2 {refused}").as_str(),
            &format!("step 3 {refused}"),
            "step 4 calls read {\"uri\":\"a_1\"}",
            "step 5 calls read {\"uri\":\"a_1\"}",
            "waits",
        ]
    );
    let ids: Vec<&str> = play.run.calls.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["c1", "c2"]);
}

#[test]
fn calls_in_the_last_turn_are_not_taken() {
    let mut play = Play::with(|it| it.fuses.turns = 1);
    play.go();
    play.wants(vec![call("c1", "team_status", json!({}))]).go();
    let lines = play.returns("c1", true, json!({})).go();
    assert_eq!(lines, ["step 3 asks local/small for its last turn", "waits"]);
    let wanted = vec![call("c2", "team_status", json!({}))];
    let lines = play.replies("{\"summary\": \"half\"}", wanted, Finish::ToolCalls).go();
    assert_eq!(lines, ["step 4 refused: no tools in the last turn", "ended partial (turns): half"]);
}

#[test]
fn a_model_may_name_the_calls_of_each_turn_alike() {
    let mut play = Play::new();
    play.go();
    for turn in 1..=3 {
        let mut call = pass("call_0", "delegate", "tester");
        call.arguments.as_mut().expect("an object")["task"] = json!(format!("part {turn}"));
        let lines = play.wants(vec![call]).go();
        assert!(lines[0].starts_with("delegated to tester"), "turn {turn}: {lines:?}");
        let lines = play.child_ends(turn, super::cast::done("so")).go();
        assert!(lines[0].contains("returned"), "turn {turn}: {lines:?}");
        assert!(lines[1].contains("asks local/small"), "turn {turn}: {lines:?}");
    }
    let lines = play.wants(vec![pass("call_0", "handoff", "tester")]).go();
    assert!(lines[0].starts_with("handed off to tester"), "{lines:?}");
}

#[test]
fn three_turns_of_unusable_calls_are_the_end() {
    let bad = || vec![call("c", "deploy", json!({})), call("d", "read", json!({"uri": ""}))];
    let mut play = Play::new();
    play.go();
    play.wants(bad()).go();
    play.wants(bad()).go();
    let lines = play.wants(bad()).go();
    assert_eq!(lines[2], "ended failed (error): 3 turns in a row with no usable tool call");
}

#[test]
fn one_usable_call_in_between_starts_the_count_anew() {
    let bad = || vec![call("c", "deploy", json!({}))];
    let read = || call("r", "read", json!({"uri": "a_1"}));
    for ok in [true, false] {
        let mut play = Play::new();
        play.go();
        play.wants(bad()).go();
        play.wants(bad()).go();
        play.wants(vec![call("c", "deploy", json!({})), read()]).go();
        let result = if ok { json!("text") } else { json!({"error": "nothing is called a_1"}) };
        play.returns("r", ok, result).go();
        play.wants(bad()).go();
        let lines = play.wants(bad()).go();
        assert!(lines[1].contains("asks local/small"), "a tool that failed was usable: {lines:?}");
        let lines = play.wants(bad()).go();
        assert!(lines[1].starts_with("ended failed"), "{lines:?}");
    }
}

#[test]
fn a_tool_that_keeps_failing_is_bounded_by_the_turns_alone() {
    let mut play = Play::with(|it| it.fuses.turns = 6);
    play.go();
    for turn in 0..6 {
        assert!(play.run.end.is_none());
        let uri = format!("a_{turn}");
        play.wants(vec![call("r", "read", json!({ "uri": uri }))]).go();
        play.returns("r", false, json!({"error": "nothing is called a_1"})).go();
    }
    let lines = play.says("").go();
    assert_eq!(lines, ["ended failed (turns): used all 6 turns"]);
}

#[test]
fn nothing_but_an_object_is_taken_for_arguments() {
    for odd in [json!([]), json!("text"), Value::Null] {
        let error = told(&mut Play::new(), call("c", "read", odd));
        assert!(error.contains("is not of type \"object\""), "{error}");
    }
}

#[test]
fn an_empty_note_is_told_and_no_schema_combines_at_its_top() {
    let play = &mut Play::new();
    let error = told(play, call("c", "note", json!({"slot": "notes", "key": "k"})));
    assert!(error.contains("give its `text`"), "{error}");
    // Large providers refuse a tool whose schema combines others at its top level.
    for tool in crate::toolbox::tools_of(&play.run) {
        for word in ["anyOf", "oneOf", "allOf", "not", "enum"] {
            assert!(tool.schema.get(word).is_none(), "{}: {word}", tool.name);
        }
    }
}
