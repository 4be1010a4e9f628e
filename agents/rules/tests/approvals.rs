//! Checks that a person decides: asked once for each content, waited for, withdrawn.

use callboard_config::{Act, Verdict};
use callboard_trace::{Action, Event, Stop};
use serde_json::{Value, json};

use super::cast::*;
use super::checks::{guard, is_the_same_again, with};
use super::play::Play;
use crate::run::Word;

#[test]
fn what_a_person_allows_goes_on_and_what_they_deny_does_not() {
    for (answer, goes_on) in [("allow", true), ("deny: not like that", false)] {
        let mut play =
            with(vec![json!({"on": "input", "kind": "size", "max": 3, "on_fail": "ask"})]);
        let lines = play.go();
        assert!(
            lines[1].starts_with("asks: guardrail `g` asks before this input (14 letters"),
            "{lines:?}"
        );
        assert_eq!(lines[2], "waits");
        let question = play.run.approvals[0].question.clone();
        is_the_same_again(&play);
        play.happens(Event::QuestionClosed { question, answer: Some(answer.into()) });
        let lines = play.go();
        if goes_on {
            assert_eq!(lines[0], "checked input (g): pass: allowed by local");
            assert!(lines[1].starts_with("step 1 asks"), "{lines:?}");
        } else {
            assert_eq!(lines[0], "checked input (g): block: denied by local: not like that");
            assert_eq!(play.end().stop, Stop::Guardrail);
        }
    }
}

#[test]
fn one_leave_is_for_one_call_and_its_arguments() {
    let mut play = with(vec![
        json!({"on": "tool_call", "kind": "approval", "on_fail": "block", "tools": ["read"]}),
    ]);
    play.go();
    let read = |id, uri| call(id, "read", json!({"uri": uri}));
    play.wants(vec![read("c1", "a_1"), read("c2", "a_2")]);
    let lines = play.go();
    for (at, uri) in ["a_1", "a_2"].into_iter().enumerate() {
        let asks = format!("asks before this tool_call: {{\"uri\":\"{uri}\"}}");
        assert!(lines[at].contains(&asks), "each is asked about by itself: {lines:?}");
    }
    assert_eq!(lines[2], "waits");
    let asked = |at: usize| play.run.approvals[at].question.clone();
    let (first, second) = (asked(0), asked(1));
    play.happens(Event::QuestionClosed { question: first, answer: Some("allow".into()) });
    assert_eq!(play.go(), ["checked tool_call (g): pass: allowed by local", "waits"]);
    is_the_same_again(&play);
    play.happens(Event::QuestionClosed { question: second, answer: Some("deny".into()) });
    let lines = play.go();
    assert!(lines.iter().any(|it| it.contains("refused: not done: guardrail `g`")), "{lines:?}");
    assert!(lines.iter().any(|it| it.contains("calls read {\"uri\":\"a_1\"}")), "{lines:?}");
    assert!(!lines.iter().any(|it| it.contains("calls read {\"uri\":\"a_2\"}")), "{lines:?}");
}

#[test]
fn what_nobody_allows_in_time_does_not_pass() {
    let mut play = with(vec![json!({"on": "input", "kind": "approval", "on_fail": "block"})]);
    play.run.started.approvals.expires_s = 2;
    play.run.started.deadline = 10_000_000;
    let lines = play.go();
    assert_eq!(lines.last().map(String::as_str), Some("waits until 2000000"), "{lines:?}");
    play.run.now = 2_000_000;
    let lines = play.go();
    assert_eq!(lines[0], "question withdrawn");
    assert_eq!(lines[1], "checked input (g): block: nobody allowed it in time");
    assert_eq!(play.end().stop, Stop::Guardrail);
}

#[test]
fn a_call_is_checked_before_a_person_is_asked_for_leave() {
    let mut play = Play::with(|it| {
        let agent = it.agent_mut();
        agent.permissions.insert(Act::Write, Verdict::Ask);
        agent.hands = vec!["Write".into()];
        agent.guards = vec![
            guard(
                json!({"name": "words", "on": "tool_call", "kind": "banned", "words": ["passwd"],
                "on_fail": "block"}),
            ),
            guard(
                json!({"name": "ann", "on": "tool_call", "kind": "approval", "on_fail": "block"}),
            ),
        ];
    });
    play.go();
    let write = |id, text| call(id, "Write", json!({"file_path": "a.md", "content": text}));
    let lines = play.wants(vec![write("c1", "the passwd"), write("c2", "fine")]).go();
    assert_eq!(
        lines[0],
        "checked tool_call (words): block: it holds a word that may not stand there"
    );
    let asks = |lines: &[String], what: &str| lines.iter().any(|it| it.contains(what));
    assert!(asks(&lines, "asks: guardrail `ann` asks"), "{lines:?}");
    assert!(!asks(&lines, "asks: coder wants"), "not before it is checked: {lines:?}");
    let answer = |play: &mut Play| {
        let open = play.run.approvals.iter().find(|it| it.word == Word::Open).expect("one");
        let question = open.question.clone();
        play.happens(Event::QuestionClosed { question, answer: Some("allow".into()) });
        play.go()
    };
    let lines = answer(&mut play);
    assert_eq!(lines[0], "checked tool_call (ann): pass: allowed by local");
    assert!(asks(&lines, "asks: coder wants to use `Write`"), "{lines:?}");
    is_the_same_again(&play);
    let lines = answer(&mut play);
    assert!(asks(&lines, "calls Write"), "{lines:?}");
    assert_eq!(play.run.tools.len(), 1);
}

#[test]
fn who_is_to_finish_asks_about_no_call_and_who_hands_over_still_has_to_pass() {
    let mut play = with(vec![json!({"on": "tool_call", "kind": "approval", "on_fail": "block"})]);
    play.go();
    play.wants(vec![call("c", "read", json!({"uri": "a_1"}))]).go();
    let lines = play.controls(Action::FinishNow, Value::Null).go();
    assert_eq!(lines[0], "question withdrawn", "{lines:?}");
    assert!(lines[1].starts_with("checked tool_call (g): block"), "{lines:?}");

    let mut play = with(vec![json!({"on": "handoff", "kind": "approval", "on_fail": "block"})]);
    play.go();
    play.wants(vec![call("c", "read", json!({"uri": "a_1"}))]).go();
    let to = json!({"id": "h_x", "to": "tester", "task": "go on", "summary": summary()});
    play.returns("c", true, json!("text"));
    let lines = play.controls(Action::Redirect, to).go();
    assert!(lines[0].starts_with("asks: guardrail `g` asks before this handoff"), "{lines:?}");
    let question = play.run.approvals[0].question.clone();
    play.happens(Event::QuestionClosed { question, answer: Some("allow".into()) });
    let lines = play.go();
    assert!(lines[1].starts_with("handed off to tester"), "{lines:?}");
}

#[test]
fn an_answer_that_is_not_the_last_one_is_asked_about_no_more() {
    let mut play = with(vec![json!({"on": "output", "kind": "approval", "on_fail": "block"})]);
    play.go();
    play.answers("done", json!({})).go();
    let question = play.run.approvals[0].question.clone();
    let lines = play.controls(Action::Message, json!("one thing more")).go();
    assert_eq!(lines[0], "question withdrawn", "{lines:?}");
    assert!(lines[1].contains("asks local/small"), "{lines:?}");
    play.happens(Event::QuestionClosed { question, answer: Some("allow".into()) });
    let lines = play.answers("done with it", json!({})).go();
    assert!(lines[0].starts_with("asks: guardrail `g` asks before this output"), "{lines:?}");
    is_the_same_again(&play);
}
