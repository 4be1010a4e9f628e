//! Answers: taken, sent back to be mended, kept for what they are, or declined.

use callboard_trace::{EndState, FailureCode, Finish, Stop};
use serde_json::json;

use super::cast::AgentMut;
use super::play::Play;

const OFF: &str = "{\"summary\": \"half\", \"confidence\": 0.5, \"verdict\": \"maybe\"}";

fn asked() -> Play {
    let mut play = Play::new();
    play.go();
    play
}

#[test]
fn an_answer_that_meets_its_schema_is_the_end() {
    let mut play = asked();
    let lines = play.answers("it works", json!({"verdict": "good"})).go();
    assert_eq!(lines, ["ended completed (done): it works"]);
    assert_eq!(play.end().answer.as_ref().expect("it is there")["verdict"], "good");
    assert_eq!(play.end().error, None);
}

#[test]
fn plain_text_is_an_answer_where_the_schema_asks_for_no_more() {
    let mut play = asked();
    assert_eq!(play.says("It works.").go(), ["ended completed (done): It works."]);
    assert_eq!(play.end().confidence(), Some(0.5));
    let mut play =
        Play::with(|it| it.agent_mut().output["required"] = json!(["summary", "verdict"]));
    play.go();
    let lines = play.says("It works.").go();
    assert!(lines[0].contains("to mend its answer: the answer: \"verdict\""), "{lines:?}");
}

#[test]
fn an_answer_off_its_schema_is_sent_back_twice_and_then_kept() {
    let mut play = asked();
    let mend = |step: u32| {
        format!(
            "step {step} asks local/small to mend its answer: `/verdict`: \"maybe\" is none of \
             [\"good\",\"bad\"]"
        )
    };
    assert_eq!(play.says(OFF).go(), [mend(2).as_str(), "waits"]);
    assert_eq!(play.says(OFF).go(), [mend(3).as_str(), "waits"]);
    assert_eq!(play.says(OFF).go(), ["ended partial (error): half"]);
    assert_eq!((play.end().stop, play.trouble().0), (Stop::Error, FailureCode::BadReply));
    assert!(play.trouble().1.contains("`/verdict`"), "{}", play.trouble().1);
}

#[test]
fn a_mended_answer_is_the_end() {
    let mut play = asked();
    play.says(OFF).go();
    assert_eq!(play.answers("whole", json!({})).go(), ["ended completed (done): whole"]);
}

#[test]
fn an_empty_reply_is_sent_back_too() {
    let mut play = asked();
    let empty = "asks local/small to mend its answer: the reply was empty";
    assert_eq!(play.says(" \n").go(), [format!("step 2 {empty}").as_str(), "waits"]);
    assert_eq!(play.says("").go(), [format!("step 3 {empty}").as_str(), "waits"]);
    let lines = play.says("").go();
    assert_eq!(lines.len(), 1);
    assert_eq!((play.end().state, play.end().answer.as_ref()), (EndState::Failed, None));
}

#[test]
fn a_reply_that_was_cut_off_is_no_answer() {
    let cut = "{\"summary\": \"it wor";
    let mut play = asked();
    let lines = play.replies(cut, Vec::new(), Finish::Length).go();
    assert!(lines[0].contains("to mend its answer: it was cut off"), "{lines:?}");
    assert_eq!(play.answers("short", json!({})).go(), ["ended completed (done): short"]);

    let whole = "{\"summary\": \"it works\", \"confidence\": 1}";
    let lines = asked().replies(whole, Vec::new(), Finish::Length).go();
    assert_eq!(lines, ["ended completed (done): it works"], "whole after all");

    let mut play = asked();
    for _ in 0..3 {
        play.replies(cut, Vec::new(), Finish::Length).go();
    }
    assert_eq!(play.end().state, EndState::Partial, "never a success");
}

#[test]
fn a_model_that_declines_ends_the_run_with_its_words() {
    for (text, said) in [
        ("I cannot help with that.", "I cannot help with that."),
        ("", "the provider blocked the reply"),
    ] {
        let mut play = asked();
        let lines = play.replies(text, Vec::new(), Finish::ContentFilter).go();
        assert_eq!(lines, [format!("ended failed (refused): {said}")]);
        assert_eq!(play.end().answer, None);
    }
}

#[test]
fn words_of_a_refusal_are_never_kept_as_an_answer() {
    let mut play = Play::with(|it| it.fuses.turns = 0);
    play.go();
    let lines = play.replies("I cannot.", Vec::new(), Finish::ContentFilter).go();
    assert_eq!(lines, ["ended failed (turns): used all 0 turns"]);
}

#[test]
fn an_unknown_reason_to_stop_is_a_stop() {
    let answer = "{\"summary\": \"so\", \"confidence\": 1}";
    let lines = asked().replies(answer, Vec::new(), Finish::Other("eos".into())).go();
    assert_eq!(lines, ["ended completed (done): so"]);
}

#[test]
fn an_answer_too_deep_to_be_recorded_is_taken_as_text() {
    let deep = |levels: usize| {
        let inner = (0..levels).fold(json!(1), |inner, _| json!([inner]));
        let text = json!({"summary": "s", "confidence": 1, "x": inner}).to_string();
        let mut play = asked();
        play.says(&text).go();
        play.end().summary().to_string()
    };
    assert_eq!(deep(63), "s");
    assert!(deep(64).starts_with("{\"summary\""), "as the model wrote it");
}
