//! Judges: asked side by side, heard, not heard, and the same from every cut of the journal.

use callboard_trace::{EndState, Event, FailureCode, Stop};
use serde_json::json;

use super::cast::*;
use super::checks::{is_the_same_again, judge, personal, shown, with};
use super::play::Play;
use crate::next;
use crate::run::Run;

/// A judge answers the question that is open.
fn judges(play: &mut Play, text: &str) -> Vec<String> {
    let step = play.run.checks.judging.iter().find(|it| it.open).expect("one is asked").step;
    play.judged(step, text);
    play.go()
}

#[test]
fn judges_of_one_border_are_asked_side_by_side_after_what_needs_no_model() {
    let mut play = with(vec![
        judge("fair", "output", "retry"),
        judge("kind", "output", "flag"),
        json!({"name": "short", "on": "output", "kind": "size", "max": 99, "on_fail": "block"}),
    ]);
    play.go();
    let lines = play.answers("it works", json!({})).go();
    assert_eq!(
        lines,
        [
            "checked output (short): pass",
            "step 2 asks local/critic to judge the output (fair)",
            "step 3 asks local/critic to judge the output (kind)",
            "waits"
        ]
    );
    is_the_same_again(&play);
    let lines = judges(&mut play, "{\"score\": 0.9, \"pass\": true, \"reasons\": []}");
    assert_eq!(lines[0], "checked output (fair): pass");
    let lines = judges(&mut play, "It is so: {\"score\": 0.2, \"reasons\": [\"it is rude\"]}");
    assert_eq!(lines[0], "checked output (kind): flag: it is rude");
    assert_eq!(play.end().state, EndState::Completed);
    assert_eq!(play.run.turns, 1, "a judge's word is no turn");
}

#[test]
fn a_judge_is_shown_no_more_than_the_model() {
    let mut play = with(vec![personal("input", "redact"), judge("fair", "input", "block")]);
    play.run.started.task = "write to ann@mail.example".into();
    play.run.started.root_task = play.run.started.task.clone();
    play.go();
    let records = serde_json::to_string(&play.records[1..]).expect("records");
    assert!(records.contains("write to [redacted]") && !records.contains("ann@"), "{records}");
}

#[test]
fn a_low_score_sends_the_answer_back_with_the_reasons() {
    let mut play = with(vec![judge("fair", "output", "retry")]);
    play.go();
    play.answers("it works", json!({})).go();
    let lines = judges(&mut play, "{\"score\": 0.69, \"pass\": true, \"reasons\": []}");
    assert_eq!(lines[0], "checked output (fair): retry: its judge gave 0.69, and 0.7 passes");
    assert!(shown(&play).contains("its judge gave 0.69"));
    let prompt = serde_json::to_string(&play.records).expect("records");
    assert!(prompt.contains("\"content\":{\"summary\":\"it works\""), "the question is on record");
}

#[test]
fn a_judge_that_is_not_heard_blocks() {
    let mut play = with(vec![judge("fair", "output", "flag")]);
    play.go();
    play.answers("it works", json!({})).go();
    let step = play.run.checks.judging[0].step;
    for model in ["critic", "critic", "spare"] {
        let lines = play.judge_fails(step, FailureCode::ModelUnavailable, true).go();
        assert!(lines[0].contains(&format!("local/{model} to judge")), "{lines:?}");
    }
    play.judge_fails(step, FailureCode::Unauthorized, false);
    let lines = play.go();
    assert_eq!(lines[0], "checked output (fair): block: its judge was not heard: it failed");
    assert_eq!((play.end().state, play.end().stop), (EndState::Partial, Stop::Guardrail));
    assert!(play.end().summary().starts_with("withheld"), "{}", play.end().summary());
    let mut play = with(vec![judge("fair", "input", "flag")]);
    play.go();
    let lines = judges(&mut play, "I would say it is fine.");
    assert_eq!(lines[0], "checked input (fair): block: its judge gave no verdict that can be read");
    assert_eq!(play.end().state, EndState::Failed);
}

#[test]
fn a_judge_cut_off_is_asked_again_and_three_times_lost_is_a_no() {
    let mut play = with(vec![judge("fair", "input", "block")]);
    play.go();
    let step = play.run.checks.judging[0].step;
    for _ in 0..2 {
        let lines = play.judge_fails(step, FailureCode::InDoubt, true).go();
        assert!(lines[0].contains("local/critic to judge the input (fair)"), "{lines:?}");
        is_the_same_again(&play);
    }
    play.judge_fails(step, FailureCode::InDoubt, true).go();
    assert_eq!(play.end().stop, Stop::Guardrail);
}

#[test]
fn whoever_folds_the_journal_anywhere_comes_to_the_same_end() {
    let mut play = with(vec![
        personal("input", "redact"),
        json!({"name": "calls", "on": "tool_call", "kind": "banned", "words": ["x"], "on_fail": "block"}),
        json!({"name": "results", "on": "tool_result", "kind": "personal", "on_fail": "redact"}),
        judge("fair", "output", "retry"),
        json!({"name": "short", "on": "output", "kind": "size", "max": 20, "on_fail": "retry"}),
    ]);
    play.go();
    play.wants(vec![call("c", "read", json!({"uri": "a_1"}))]).go();
    play.returns("c", true, json!({"text": "ann@mail.example"})).go();
    play.answers("much too long an answer", json!({})).go();
    play.answers("short", json!({})).go();
    judges(&mut play, "{\"score\": 1, \"pass\": true, \"reasons\": []}");
    assert_eq!(play.end().state, EndState::Completed);
    // Between any two records: what comes next is what came next.
    for cut in 1..play.records.len() {
        let run = Run::fold(&play.records[..cut]).expect("a run");
        let next_is_check = |it: &Event| matches!(it, Event::Checked { .. });
        if let crate::Step::Record(step) = next(&run)
            && next_is_check(&play.records[cut].event)
        {
            assert_eq!(step, play.records[cut].event, "after record {cut}");
        }
    }
}
