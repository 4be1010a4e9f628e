//! A person in an agent's place: asked once, heard, asked again, or declined.

use callboard_config::Kind;
use callboard_trace::{Action, Event, FailureCode, Started};
use serde_json::{Value, json};

use super::cast::{AgentMut, DEADLINE, given};
use super::play::Play;

impl Play {
    /// A person in the coder's place.
    fn person(change: impl FnOnce(&mut Started)) -> Play {
        Play::with(|it| {
            it.agent_mut().kind = Kind::Human;
            it.agent_mut().models = Vec::new();
            it.agent_mut().instructions = "Approves what was written.".into();
            change(it);
        })
    }

    /// A person answers the open question.
    fn hears(&mut self, answer: &str) -> &mut Play {
        let question = self.run.questions.first().expect("a person is asked").clone();
        self.happens(Event::QuestionClosed { question, answer: Some(answer.into()) })
    }
}

/// What the open question says, and what it offers.
fn asked(play: &Play) -> (String, String, Vec<String>) {
    let last = play.records.iter().rev().find_map(|it| {
        let Event::QuestionAsked { form, prompt, options, .. } = &it.event else { return None };
        Some((form.clone(), prompt.clone(), options.clone()))
    });
    last.expect("a person was asked")
}

#[test]
fn a_person_is_asked_and_what_they_say_is_the_answer() {
    let mut play = Play::person(|it| it.context = "by Friday".into());
    let lines = play.go();
    assert_eq!((lines.len(), lines[1].as_str()), (2, "waits"), "{lines:?}");
    assert_eq!(play.run.questions, ["q_a_ask1"]);
    let (form, prompt, options) = asked(&play);
    assert_eq!((form.as_str(), options.len()), ("text", 0));
    assert_eq!(
        prompt,
        "Approves what was written.\n\n# Task\nwrite a parser\n\n# Context, given as data\nby \
         Friday\n\nAnswer with a text, or with one JSON object; `refuse: REASON` declines."
    );
    assert_eq!(play.go(), ["waits"], "asked once");
    play.hears(" ").go();
    assert!(asked(&play).1.starts_with("The answer was not accepted: the reply was empty."));
    assert_eq!(play.hears("  Looks good.  ").go(), ["ended completed (done): Looks good."]);
    assert_eq!(play.end().answer, Some(json!({"summary": "Looks good.", "confidence": 1.0})));
}

#[test]
fn an_object_is_taken_as_it_is_or_asked_for_again() {
    let mut play = Play::person(|it| {
        it.agent_mut().output["required"] = json!(["summary", "confidence", "verdict"]);
    });
    play.go();
    assert!(asked(&play).1.contains("one JSON object that has summary, confidence, verdict;"));
    for (answer, why) in [
        ("fine with me", "\"verdict\" is a required property"),
        (r#"{"summary": "s", "verdict": "maybe"}"#, "`/verdict`: "),
        (r#"{"verdict": "good"}"#, "\"summary\" is a required property"),
        ("", "\"summary\" is a required property"),
        ("[1]", "is a required property"),
    ] {
        play.hears(answer).go();
        let prompt = asked(&play).1;
        assert!(prompt.starts_with("The answer was not accepted: "), "{answer}: {prompt}");
        assert!(prompt.contains(why), "{answer}: {prompt}");
    }
    assert_eq!(play.run.questions, ["q_a_ask6"]);
    let answer = json!({"summary": "s", "confidence": 0.4, "verdict": "good", "more": [1]});
    assert_eq!(play.hears(&answer.to_string()).go(), ["ended completed (done): s"]);
    assert_eq!(play.end().answer, Some(answer));
}

#[test]
fn a_long_answer_is_kept_whole() {
    let (mut play, long) = (Play::person(|_| ()), "word ".repeat(1_000));
    play.go();
    play.hears(&long).go();
    let answer = play.end().answer.clone().expect("an answer");
    assert_eq!(answer["text"], Value::from(long.trim()));
    assert!(answer["summary"].as_str().is_some_and(|it| it.chars().count() <= 2_000));
}

#[test]
fn choices_are_options_and_the_choice_is_the_answer() {
    let mut play =
        Play::person(|it| it.agent_mut().choices = vec!["approve".into(), "reject".into()]);
    play.go();
    let (form, prompt, options) = asked(&play);
    assert_eq!((form.as_str(), options), ("choice", vec!["approve".to_string(), "reject".into()]));
    assert!(prompt.ends_with("Answer with one of the options; `refuse: REASON` declines."));
    assert_eq!(play.hears("approve").go(), ["ended completed (done): approve"]);
}

#[test]
fn a_person_may_decline_what_was_handed_over_or_asked() {
    let mut receiver = Play::person(|it| it.handoff = Some(given()));
    receiver.go();
    let lines = receiver.hears("Refuse:  not my trade, ask Ann").go();
    assert_eq!(lines, ["ended failed (refused): coder declined: not my trade, ask Ann"]);
    assert_eq!(
        crate::declined(&receiver.run).map(|it| it.reason).as_deref(),
        Some("not my trade, ask Ann")
    );
    let mut root = Play::person(|_| ());
    root.go();
    assert_eq!(root.hears("refuse: no time").go(), ["ended failed (refused): no time"]);
    assert_eq!(root.trouble(), (FailureCode::Refused, "no time"));
    let mut unsaid = Play::person(|_| ());
    unsaid.go();
    assert_eq!(unsaid.hears("refuse:").go(), ["ended completed (done): refuse:"]);
}

#[test]
fn a_receiver_that_answers_has_accepted() {
    let mut play = Play::person(|it| it.handoff = Some(given()));
    play.go();
    let prompt = asked(&play).1;
    assert!(prompt.contains("# Handed to you by researcher"), "{prompt}");
    assert_eq!(play.hears("done").go()[0], "accepted the handoff");
}

#[test]
fn a_trigger_hands_on_without_another_question() {
    let mut play = Play::person(|it| it.root_task = "write it, test it".into());
    play.go();
    let lines = play.hears("It is written.").go();
    assert!(lines.iter().any(|it| it.contains("tester")), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("waits"));
    let handoff = &play.run.children[0].handoff;
    assert_eq!(
        (handoff.reason.as_str(), handoff.summary.did.as_str()),
        ("trigger:test", "It is written.")
    );
}

#[test]
fn deadline_cancel_pause_and_finish_end_or_keep_the_wait() {
    let mut late = Play::person(|_| ());
    late.go();
    late.run.now = DEADLINE;
    assert_eq!(late.go(), ["ended failed (deadline): the deadline passed"]);
    let mut finish = Play::person(|_| ());
    finish.controls(Action::FinishNow, Value::Null);
    finish.go();
    assert_eq!(finish.go(), ["waits"], "nobody can answer in a person's place");
    assert_eq!(finish.hears("ok").go(), ["ended completed (done): ok"]);
    let mut paused = Play::person(|_| ());
    paused.go();
    paused.controls(Action::Pause, Value::Null);
    assert_eq!(paused.hears("ok").go(), ["waits"]);
    let lines = paused.controls(Action::Resume, Value::Null).go();
    assert_eq!(lines.last().map(String::as_str), Some("ended completed (done): ok"));
}

#[test]
fn a_message_is_shown_with_the_question_and_the_next_answer_is_the_answer() {
    let mut play = Play::person(|_| ());
    play.go();
    play.controls(Action::Message, json!("it must be ready by noon"));
    play.go();
    assert_eq!(play.run.questions, ["q_a_ask1"], "an answer that is under way still counts");
    let prompt = asked(&play).1;
    assert!(prompt.contains(": it must be ready by noon\n\nAnswer with a text"), "{prompt}");
    assert_eq!(play.go(), ["waits"], "told once");
    assert_eq!(play.hears("fine").go(), ["ended completed (done): fine"]);
}

#[test]
fn work_that_is_passed_on_is_asked_of_nobody_any_more() {
    let mut play = Play::person(|_| ());
    play.go();
    play.controls(
        Action::Redirect,
        json!({"id": "h_1", "to": "tester", "task": "test it", "summary": given().summary}),
    );
    let lines = play.go();
    assert!(play.run.questions.is_empty(), "{lines:?}");
    assert_eq!(play.run.children.len(), 1, "{lines:?}");
}
