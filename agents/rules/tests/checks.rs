//! Guardrails: each action at each border, judges, persons, and the same end from every cut.

use callboard_config::guards::Guard;
use callboard_trace::{EndState, Event, FailureCode, Stop};
use serde_json::{Value, json};

use super::cast::*;
use super::play::Play;
use crate::run::Run;
use crate::{next, prompt};

pub(super) fn guard(written: Value) -> Guard {
    let mut whole = json!({"name": "g", "timeout_s": 60});
    for (key, value) in written.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).expect("a check")
}

/// The coder with these checks.
pub(super) fn with(guards: Vec<Value>) -> Play {
    Play::with(|it| it.agent_mut().guards = guards.into_iter().map(guard).collect())
}

pub(super) fn judge(name: &str, on: &str, on_fail: &str) -> Value {
    let model =
        |name| json!({"provider": "local", "model": name, "max_output": 500, "context": 8000});
    json!({"name": name, "on": on, "kind": "judge", "by": "critic", "criteria": "is it good",
        "pass": 0.7, "models": [model("critic"), model("spare")], "on_fail": on_fail})
}

pub(super) fn personal(on: &str, on_fail: &str) -> Value {
    json!({"on": on, "kind": "personal", "on_fail": on_fail})
}

/// What the model was shown last, as one text.
pub(super) fn shown(play: &Play) -> String {
    let purpose = callboard_trace::Purpose::Turn;
    let messages = prompt::messages(&play.run, 99, &purpose, "local");
    serde_json::to_string(&messages).expect("messages")
}

/// Folded again from its journal the run says the same.
pub(super) fn is_the_same_again(play: &Play) {
    let again = Run::fold(&play.records).expect("a run");
    assert_eq!(next(&again), next(&play.run));
}

#[test]
fn input_that_is_blocked_ends_the_run_before_any_model_is_asked() {
    for on_fail in ["block", "stop"] {
        let mut play =
            with(vec![json!({"on": "input", "kind": "size", "max": 3, "on_fail": on_fail})]);
        let lines = play.go();
        assert_eq!(lines[0], format!("checked input (g): {on_fail}: 14 letters, at most 3"));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!((play.end().state, play.end().stop), (EndState::Failed, Stop::Guardrail));
        assert_eq!(play.trouble().0, FailureCode::CheckBlocked);
        assert!(play.trouble().1.contains("guardrail `g` stopped the input"));
    }
}

#[test]
fn input_is_redacted_flagged_or_passes() {
    let mut play = with(vec![personal("input", "redact")]);
    play.run.started.task = "write to ann@mail.example".into();
    play.run.started.root_task = play.run.started.task.clone();
    assert!(play.go()[0].starts_with("checked input (g): redact: it holds an e-mail address"));
    assert!(shown(&play).contains("write to [redacted]") && !shown(&play).contains("ann@"));
    let mut play = with(vec![json!({"on": "input", "kind": "size", "max": 3, "on_fail": "flag"})]);
    let lines = play.go();
    assert!(lines[0].starts_with("checked input (g): flag"), "{lines:?}");
    assert!(lines[1].starts_with("step 1 asks local/small"), "{lines:?}");
    let mut play =
        with(vec![json!({"on": "input", "kind": "size", "max": 99, "on_fail": "block"})]);
    assert_eq!(play.go()[0], "checked input (g): pass");
}

#[test]
fn a_call_that_is_blocked_is_told_and_not_performed() {
    let banned = |on_fail: &str| {
        let words = ["passwd"];
        json!({"on": "tool_call", "kind": "banned", "words": words, "on_fail": on_fail})
    };
    let mut play = with(vec![banned("block")]);
    play.go();
    let read = call("c", "read", json!({"uri": "/etc/passwd"}));
    play.wants(vec![
        read.clone(),
        call("n", "note", json!({"slot": "notes", "key": "k", "text": "x"})),
    ]);
    let lines = play.go();
    assert_eq!(lines[0], "checked tool_call (g): block: it holds a word that may not stand there");
    assert!(lines.iter().any(|it| it.contains("noted notes/k")), "{lines:?}");
    assert!(!lines.iter().any(|it| it.contains("calls read")), "{lines:?}");
    let mut play = with(vec![banned("stop")]);
    play.go();
    play.wants(vec![read]);
    play.go();
    assert_eq!((play.end().stop, play.trouble().0), (Stop::Guardrail, FailureCode::CheckBlocked));
}

#[test]
fn of_what_a_tool_brought_the_model_sees_what_passed() {
    for (on_fail, sees) in [
        ("redact", "mail [redacted]"),
        ("block", "withheld by guardrail `g`"),
        ("flag", "ann@mail.example"),
    ] {
        let mut play = with(vec![personal("tool_result", on_fail)]);
        play.go();
        play.wants(vec![call("c", "read", json!({"uri": "a_1"}))]).go();
        play.returns("c", true, json!({"text": "mail ann@mail.example"}));
        let lines = play.go();
        assert!(lines[0].starts_with(&format!("checked tool_result (g): {on_fail}")), "{lines:?}");
        assert!(shown(&play).contains(sees), "{on_fail}: {}", shown(&play));
        assert_eq!(shown(&play).contains("ann@"), on_fail == "flag");
        is_the_same_again(&play);
    }
    let mut play = with(vec![personal("tool_result", "stop")]);
    play.go();
    play.wants(vec![call("c", "read", json!({"uri": "a_1"}))]).go();
    play.returns("c", true, json!({"text": "mail ann@mail.example"})).go();
    assert_eq!(play.end().stop, Stop::Guardrail);
}

#[test]
fn a_handoff_that_is_blocked_is_told_to_its_source() {
    let mut play = with(vec![
        json!({"on": "handoff", "kind": "banned", "words": ["parser"], "on_fail": "block"}),
    ]);
    play.go();
    play.wants(vec![pass("h", "handoff", "tester")]);
    let lines = play.go();
    assert_eq!(lines[0], "checked handoff (g): block: it holds a word that may not stand there");
    assert!(play.told()["error"].as_str().is_some_and(|it| it.contains("guardrail `g`")));
    assert!(play.run.children.is_empty());
}

#[test]
fn a_handoff_that_words_fired_is_checked_too() {
    let mut play =
        with(vec![json!({"on": "handoff", "kind": "size", "max": 1, "on_fail": "block"})]);
    play.go();
    play.answers("done", json!({"do_next": "test it"})).go();
    let summary = json!({"did": "wrote it all", "must_know": "empty input is an \
        error", "do_next": "test it"});
    play.says(&summary.to_string()).go();
    assert_eq!((play.end().stop, play.trouble().0), (Stop::Guardrail, FailureCode::CheckBlocked));
    assert!(play.run.children.is_empty());
}

#[test]
fn an_answer_goes_back_twice_with_the_failing_cases_and_is_then_partial() {
    let mut play = with(vec![json!({"on": "output", "kind": "tests_pass", "on_fail": "retry"})]);
    play.go();
    let failing = json!({"case": "empty input", "result": "fail", "message": "it panics"});
    play.wants(vec![call("n", "note", json!({"slot": "tests", "key": "unit", "value": failing}))])
        .go();
    for _ in 0..2 {
        let lines = play.answers("done", json!({})).go();
        assert_eq!(lines[0], "checked output (g): retry: test `empty input` failed: it panics");
        assert!(lines[1].contains("asks local/small"), "{lines:?}");
        is_the_same_again(&play);
    }
    assert!(shown(&play).contains("test `empty input` failed: it panics"));
    let lines = play.answers("done", json!({})).go();
    assert_eq!(lines[0], "checked output (g): block: test `empty input` failed: it panics");
    assert_eq!((play.end().state, play.end().stop), (EndState::Partial, Stop::Guardrail));
    assert_eq!(play.end().answer.as_ref().expect("kept")["summary"], "done");
    let checked = play.records.iter().filter(|it| matches!(it.event, Event::Checked { .. }));
    assert_eq!(checked.count(), 3);
}

#[test]
fn mended_tests_let_the_answer_pass() {
    let mut play = with(vec![json!({"on": "output", "kind": "tests_pass", "on_fail": "retry"})]);
    play.go();
    let note = |result: &str| {
        let value = json!({"case": "empty input", "result": result});
        call("n", "note", json!({"slot": "tests", "key": "unit", "value": value}))
    };
    play.wants(vec![note("fail")]).go();
    play.answers("done", json!({})).go();
    play.wants(vec![note("pass")]).go();
    let lines = play.answers("mended", json!({})).go();
    assert_eq!(lines, ["checked output (g): pass", "ended completed (done): mended"]);
}

#[test]
fn an_answer_is_redacted_withheld_or_stopped() {
    let mut play = with(vec![personal("output", "redact")]);
    play.go();
    play.answers("ask ann@mail.example", json!({})).go();
    assert_eq!(play.end().state, EndState::Completed);
    assert_eq!(play.end().summary(), "ask [redacted]");
    let mut play = with(vec![personal("output", "block")]);
    play.go();
    play.answers("ask ann@mail.example", json!({"verdict": "good"})).go();
    assert_eq!(play.end().state, EndState::Partial);
    assert_eq!(play.end().summary(), "ask [redacted]");
    assert_eq!(play.end().missing[0].impact, "withheld: /summary");
    for whole in [
        json!({"on": "output", "kind": "size", "max": 3, "on_fail": "block"}),
        personal("output", "stop"),
    ] {
        let mut play = with(vec![whole]);
        play.go();
        play.answers("ask ann@mail.example", json!({})).go();
        assert_eq!((play.end().state, play.end().stop), (EndState::Partial, Stop::Guardrail));
        assert!(
            play.end().summary().starts_with("withheld: guardrail `g`"),
            "{}",
            play.end().summary()
        );
    }
}

#[test]
fn what_was_not_checked_to_the_end_is_never_shown() {
    let mut play = with(vec![judge("fair", "output", "retry")]);
    play.go();
    play.answers("ask ann", json!({})).go();
    play.run.now = DEADLINE;
    play.go();
    assert_eq!((play.end().state, play.end().stop), (EndState::Failed, Stop::Deadline));
    assert_eq!(play.end().answer, None);
}

#[test]
fn the_answer_of_a_last_turn_is_checked_and_not_sent_back() {
    let mut play = Play::with(|it| {
        it.agent_mut().guards =
            vec![guard(json!({"on": "output", "kind": "size", "max": 3, "on_fail": "retry"}))];
        it.fuses.turns = 1;
    });
    play.go();
    play.wants(vec![call("n", "note", json!({"slot": "notes", "key": "k", "text": "x"}))]).go();
    let lines = play.answers("too long", json!({})).go();
    assert!(lines[0].starts_with("checked output (g): block"), "{lines:?}");
    assert_eq!(play.end().stop, Stop::Guardrail);
}

#[test]
fn an_answer_with_a_secret_says_so_without_being_told_to() {
    let mut play = with(vec![]);
    play.go();
    let lines = play.answers("the key is [secret]", json!({})).go();
    assert_eq!(lines[0], "checked output (secrets): redact: it held a secret, which was taken out");
    assert_eq!(play.end().state, EndState::Completed);
    let mut play = with(vec![json!({"on": "output", "kind": "secrets", "on_fail": "block"})]);
    play.go();
    play.answers("the key is [secret]", json!({})).go();
    assert_eq!(
        (play.end().state, play.end().summary()),
        (EndState::Partial, "the key is [secret]")
    );
}
