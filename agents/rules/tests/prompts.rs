//! The dialogue that a model is sent: in an order that every provider takes, with nothing left open.

use callboard_trace::{Action, Finish, Purpose};
use serde_json::{Value, json};

use super::cast::call;
use super::play::Play;
use crate::model::JsonList;
use crate::prompt;

/// Who speaks in each message of the next ordinary turn, with the id of the call it answers.
fn speakers(play: &Play) -> Vec<String> {
    let messages = prompt::messages(&play.run, play.run.steps + 1, &Purpose::Turn, "local");
    let who = |it: &Value| {
        let role = it["role"].as_str().unwrap_or("?").to_string();
        match it["tool_call_id"].as_str() {
            Some(call) => format!("{role} {call}"),
            None => role,
        }
    };
    messages.iter().map(who).collect()
}

fn status(id: &str) -> callboard_trace::Call {
    call(id, "team_status", json!({}))
}

#[test]
fn results_stand_right_behind_the_message_that_asked_for_them() {
    let mut play = Play::new();
    play.go();
    play.wants(vec![status("c1"), status("c2")]).go();
    play.returns("c1", true, json!({}));
    play.controls(Action::Message, json!("be quick"));
    play.returns("c2", true, json!({}));
    assert_eq!(speakers(&play), ["system", "user", "assistant", "tool c1", "tool c2", "user"]);
    play.go();
    play.wants(vec![status("c3")]).go();
    play.returns("c3", true, json!({}));
    assert_eq!(speakers(&play)[5..], ["user", "assistant", "tool c3"]);
}

#[test]
fn an_empty_reply_is_not_sent_back() {
    let mut play = Play::new();
    play.go();
    play.says("").go();
    assert_eq!(speakers(&play), ["system", "user", "user"], "only what it is told about it");
}

#[test]
fn a_declined_reply_is_not_sent_back() {
    let mut play = Play::with(|it| it.root_task = "write and test it".into());
    play.go();
    play.answers("written", json!({})).go();
    play.replies("no", Vec::new(), Finish::ContentFilter).go();
    assert_eq!(speakers(&play), ["system", "user", "assistant", "user", "user"]);
}

#[test]
fn a_step_s_own_words_are_said_once() {
    let mut play = Play::with(|it| it.fuses.turns = 0);
    let words = |play: &Play, step| {
        let messages = prompt::messages(&play.run, step, &Purpose::Finalise, "local");
        messages.iter().filter(|it| it.to_string().contains("last turn")).count()
    };
    assert_eq!(words(&play, 1), 1, "before it is begun");
    play.go();
    assert_eq!(words(&play, 1), 1, "when it is tried again");
}

#[test]
fn tools_are_offered_in_a_turn_and_only_named_where_they_were_used() {
    let mut play = Play::new();
    let finalise = Purpose::Finalise;
    assert_eq!(prompt::tools(&play.run, &Purpose::Turn).0.all().len(), 7);
    assert_eq!(prompt::tools(&play.run, &finalise), (JsonList::default(), None));
    play.go();
    play.wants(vec![status("c")]).go();
    play.returns("c", true, json!({})).go();
    let (tools, choice) = prompt::tools(&play.run, &finalise);
    assert_eq!((tools.all().len(), choice), (7, Some(json!("none"))));
}

#[test]
fn only_a_receiver_that_has_not_acted_may_refuse() {
    let offers = |play: &Play| {
        let (tools, _) = prompt::tools(&play.run, &Purpose::Turn);
        tools.all().iter().any(|it| it["function"]["name"] == "refuse_handoff")
    };
    assert!(!offers(&Play::new()));
    let mut play = Play::handed();
    assert!(offers(&play));
    play.go();
    play.wants(vec![status("c")]).go();
    assert!(!offers(&play));
}

#[test]
fn the_form_is_given_where_nothing_but_an_answer_is_wanted() {
    let play = Play::new();
    let form = |purpose: &Purpose| prompt::form(&play.run, purpose).is_some();
    assert!(form(&Purpose::Finalise));
    assert!(form(&Purpose::Repair { problem: "p".into() }));
    assert!(!form(&Purpose::Turn));
    let to = super::cast::name("tester");
    assert!(!form(&Purpose::Summarise { to, trigger: "test".into() }));
}

#[test]
fn a_receiver_reads_what_was_handed_over_and_what_was_asked_first() {
    let mut handoff = super::cast::given();
    handoff.summary.must_know = "empty input is an error".into();
    handoff.summary.open_questions = vec!["is UTF-16 wanted?".into()];
    let play = Play::with(|it| {
        (it.handoff, it.root_task, it.context) =
            (Some(handoff), "write a whole compiler".into(), "see the manual".into());
    });
    let messages = prompt::messages(&play.run, 1, &Purpose::Turn, "local");
    let opening = messages[1]["content"].as_str().expect("a text");
    for part in [
        "# Task\nwrite a parser",
        "Handed to you by researcher",
        "You must know: empty input is an error",
        "Open: is UTF-16 wanted?",
        "in the first place\nwrite a whole compiler",
        "given as data\nsee the manual",
    ] {
        assert!(opening.contains(part), "{part}\n{opening}");
    }
}
