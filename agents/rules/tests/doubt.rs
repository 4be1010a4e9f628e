//! Steps whose process went away: repeated where that is safe, else a person is asked.

use callboard_trace::{Event, FailureCode, StepBegun, Work};
use serde_json::json;

use super::cast::{DEADLINE, call};
use super::play::Play;

/// A run whose tool step is begun; built-in tools can all be repeated, so this one says if it can.
fn using(repeatable: bool) -> Play {
    let mut play = Play::new();
    play.go();
    play.wants(vec![call("c1", "read", json!({"uri": "a_1"}))]);
    let (call, tool, arguments) = ("c1".into(), "read".into(), json!({"uri": "a_1"}));
    let work = Work::Tool { call, tool, arguments, repeatable, server: None };
    play.happens(Event::StepBegun(StepBegun::new(2, 1, work)));
    play
}

#[test]
fn a_lost_model_step_is_asked_again() {
    let mut play = Play::new();
    play.go();
    assert_eq!(play.loses().go(), ["step 1 asks local/small (attempt 2)", "waits"]);
}

#[test]
fn a_lost_tool_step_is_repeated_if_that_changes_nothing() {
    let mut play = using(true);
    assert_eq!(play.loses().go(), ["step 2 calls read {\"uri\":\"a_1\"} (attempt 2)", "waits"]);
    let lines = play.returns("c1", true, json!("text")).go();
    assert_eq!(lines, ["step 3 asks local/small", "waits"]);
}

#[test]
fn any_other_lost_tool_step_asks_a_person_once() {
    for code in [FailureCode::InDoubt, FailureCode::Cancelled] {
        let mut play = using(false);
        assert_eq!(play.go(), ["waits"], "it is not lost yet");
        let lines = play.fails(code, true, None).go();
        assert_eq!(
            lines,
            [
                "asks: step 2 called read and its process went away before an answer: it may have \
                 happened [rerun, skip, abort]",
                "waits"
            ]
        );
        assert_eq!(play.run.questions, ["q_a_2"]);
        assert_eq!(play.go(), ["waits"], "asked once");
        play.run.now = DEADLINE;
        assert_eq!(play.go(), ["ended failed (deadline): the deadline passed"]);
    }
}

#[test]
fn what_was_lost_three_times_in_a_row_is_not_tried_again() {
    let mut model = Play::new();
    model.go();
    for attempt in [2, 3] {
        let again = format!("step 1 asks local/small (attempt {attempt})");
        assert_eq!(model.loses().go(), [again.as_str(), "waits"]);
    }
    let question = |step: u32, options: &str| {
        format!("asks: step {step} was begun 3 times and its process never came back [{options}]")
    };
    assert_eq!(model.loses().go(), [question(1, "rerun, abort").as_str(), "waits"]);
    assert_eq!(model.go(), ["waits"]);
    let mut tool = using(true);
    tool.loses().go();
    tool.loses().go();
    assert_eq!(tool.loses().go(), [question(2, "rerun, skip, abort").as_str(), "waits"]);
}

/// A person's answer, as the desk writes it.
fn answered(play: &mut Play, step: u32, decision: &str) -> Vec<String> {
    let question = format!("q_a_{step}");
    play.happens(Event::QuestionClosed { question, answer: Some(decision.into()) });
    play.happens(Event::StepDecided { step, decision: decision.into() });
    play.go()
}

#[test]
fn a_persons_word_decides_what_becomes_of_a_step_in_doubt() {
    let in_doubt = || {
        let mut play = using(false);
        play.fails(FailureCode::InDoubt, true, None).go();
        play
    };
    let mut play = in_doubt();
    let again = ["step 2 calls read {\"uri\":\"a_1\"} (attempt 2)", "waits"];
    assert_eq!(answered(&mut play, 2, "rerun"), again);
    let asks = play.fails(FailureCode::InDoubt, true, None).go();
    assert!(asks[0].starts_with("asks: step 2 called read"), "one attempt an answer: {asks:?}");

    let skipped = answered(&mut in_doubt(), 2, "skip");
    assert_eq!(skipped.last().map(String::as_str), Some("waits"));
    assert!(skipped.iter().any(|it| it.contains("skipped by a person")), "{skipped:?}");
    assert!(skipped.iter().any(|it| it.contains("asks local/small")), "{skipped:?}");

    let aborted = answered(&mut in_doubt(), 2, "abort");
    assert_eq!(aborted.len(), 1);
    assert!(
        aborted[0].contains("ended failed (error): a step in doubt was given up"),
        "{aborted:?}"
    );
}

#[test]
fn a_lost_model_step_goes_on_at_a_persons_word_and_may_be_lost_anew() {
    let mut play = Play::new();
    play.go();
    for _ in 0..3 {
        play.loses().go();
    }
    assert_eq!(answered(&mut play, 1, "rerun"), ["step 1 asks local/small (attempt 4)", "waits"]);
    assert_eq!(play.loses().go(), ["step 1 asks local/small (attempt 5)", "waits"]);
}

#[test]
fn a_failure_in_between_breaks_the_row() {
    let mut play = Play::new();
    play.go();
    play.loses().go();
    play.loses().go();
    play.fails(FailureCode::Timeout, true, None).go();
    let lines = play.loses().go();
    assert_eq!(lines, ["step 1 asks local/small (attempt 5)", "waits"]);
}

#[test]
fn an_open_question_stops_everything_until_it_is_closed() {
    let mut play = Play::new();
    play.happens(Event::QuestionAsked {
        question: "q_x".into(),
        form: "text".into(),
        prompt: "which port?".into(),
        options: Vec::new(),
        act: None,
    });
    assert_eq!(play.go(), ["waits"]);
    play.happens(Event::QuestionClosed { question: "q_other".into(), answer: None });
    assert_eq!(play.go(), ["waits"]);
    play.happens(Event::QuestionClosed { question: "q_x".into(), answer: Some("80".into()) });
    assert_eq!(play.go(), ["step 1 asks local/small", "waits"]);
}

#[test]
fn a_tool_step_that_failed_by_itself_is_told_to_the_model() {
    let mut play = using(true);
    let lines = play.fails(FailureCode::ToolFailed, false, None).go();
    assert_eq!(lines, ["step 3 asks local/small", "waits"]);
    assert!(play.run.calls.is_empty() && play.run.tools.is_empty());
}
