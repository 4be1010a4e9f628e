//! What callers ask for: cancel, pause, go on, finish, redirect, tell.

use callboard_trace::{Action, Control, EndState, Event, FailureCode, MadeBy};
use serde_json::{Value, json};

use super::cast::{call, done, failed, name, summary};
use super::play::Play;

#[test]
fn a_cancelled_run_ends_at_once_with_its_reason() {
    for (reason, message) in
        [("", "cancelled by ann"), ("wrong branch", "cancelled by ann: wrong branch")]
    {
        let mut play = Play::new();
        play.go();
        let control = Control { action: Action::Cancel, value: Value::Null, reason: reason.into() };
        play.run.apply("ann", &Event::Controlled(control));
        play.go();
        assert_eq!(play.end().state, EndState::Cancelled);
        assert_eq!(play.trouble(), (FailureCode::Cancelled, message));
    }
}

#[test]
fn a_paused_run_finishes_what_is_begun_and_takes_no_further_step() {
    let mut play = Play::new();
    play.go();
    play.controls(Action::Pause, Value::Null);
    let wanted = vec![call("c", "team_status", json!({}))];
    assert_eq!(play.wants(wanted).go(), ["waits"]);
    play.controls(Action::Resume, Value::Null);
    assert_eq!(play.go(), ["step 2 calls team_status {}", "waits"]);
}

#[test]
fn nothing_follows_the_end() {
    let mut play = Play::new();
    play.happens(Event::RunEnded(Box::new(done("so"))));
    for action in [Action::Cancel, Action::FinishNow, Action::Resume, Action::Redirect] {
        play.controls(action, json!({}));
        assert_eq!(play.go(), ["rests"]);
    }
}

#[test]
fn asked_to_finish_a_run_gets_one_last_turn() {
    let mut play = Play::new();
    play.go();
    play.controls(Action::FinishNow, Value::Null);
    assert_eq!(play.go(), ["waits"], "the turn in progress is kept");
    play.wants(vec![call("c", "team_status", json!({}))]).go();
    let lines = play.returns("c", true, json!({})).go();
    assert_eq!(lines, ["step 3 asks local/small for its last turn", "waits"]);
    assert_eq!(play.answers("so far", json!({})).go(), ["ended completed (done): so far"]);
}

#[test]
fn the_last_turn_is_the_last_whatever_comes_of_it() {
    let off = "{\"summary\": \"half\", \"confidence\": 1, \"verdict\": 0}";
    for (said, expected) in [
        ("", "ended failed (error): asked to finish: the last turn gave no answer"),
        (off, "ended partial (error): half"),
    ] {
        let mut play = Play::new();
        play.controls(Action::FinishNow, Value::Null).go();
        assert_eq!(play.says(said).go(), [expected]);
    }
}

#[test]
fn an_answer_that_is_there_needs_no_last_turn_and_is_not_handed_on() {
    let mut play = Play::with(|it| it.root_task = "write and test it".into());
    play.go();
    play.controls(Action::FinishNow, Value::Null);
    assert_eq!(play.answers("written", json!({})).go(), ["ended completed (done): written"]);

    let mut play = Play::with(|it| it.root_task = "write and test it".into());
    play.go();
    play.answers("written", json!({})).go();
    play.controls(Action::FinishNow, Value::Null);
    let lines = play.says(&summary().to_string()).go();
    assert_eq!(lines, ["ended completed (done): written"], "though its summary was asked for");
}

fn redirect() -> Value {
    json!({"id": "h_out", "to": "reviewer", "task": "look at it", "summary": summary()})
}

#[test]
fn a_redirect_is_a_handoff_at_the_next_step_boundary() {
    let mut play = Play::new();
    play.go();
    play.controls(Action::Redirect, redirect());
    assert_eq!(play.go(), ["waits"], "a step is in progress");
    let lines = play.wants(vec![call("c", "read", json!({"uri": "a_1"}))]).go();
    assert_eq!(
        lines,
        [
            "handed off to reviewer (r_1), outside: redirected by the caller: empty input is an error",
            "waits"
        ]
    );
    let made = &play.run.children[0].handoff;
    assert_eq!((made.id.as_str(), made.made_by, &made.call), ("h_out", MadeBy::Outside, &None));
    assert_eq!(play.child_ends(1, done("seen")).go(), ["ended completed (done): seen"]);
}

#[test]
fn a_redirect_does_not_wait_for_a_model_that_is_to_be_tried_again() {
    let mut play = Play::new();
    play.go();
    play.controls(Action::Redirect, redirect());
    let lines = play.fails(FailureCode::RateLimited, true, Some(900)).go();
    assert!(lines[0].starts_with("handed off to reviewer"), "{lines:?}");
    let lines = play.child_ends(1, failed("no")).go();
    assert!(lines[1].starts_with("handed off to tester"), "{lines:?}");
    assert_eq!(play.run.children[1].handoff.target, name("tester"));
}

#[test]
fn a_redirect_that_cannot_be_read_is_none() {
    let mut play = Play::new();
    play.controls(Action::Redirect, json!({"to": 5}));
    assert_eq!(play.go(), ["step 1 asks local/small", "waits"]);
}

#[test]
fn a_message_is_heard_at_the_next_turn_and_an_answer_before_it_is_not_the_end() {
    let mut play = Play::new();
    play.go();
    play.controls(Action::Message, json!("use tokio"));
    assert_eq!(play.go(), ["waits"], "the turn in progress is kept");
    assert_eq!(play.answers("written", json!({})).go(), ["step 2 asks local/small", "waits"]);
    let last = play.run.dialogue.last();
    assert_eq!(last, Some(&crate::run::Said::Note("Message from local: use tokio".into())));
    assert_eq!(play.answers("with tokio", json!({})).go(), ["ended completed (done): with tokio"]);
}

#[test]
fn who_is_asked_to_finish_passes_nothing_on() {
    for tool in ["handoff", "delegate"] {
        let mut play = Play::new();
        play.go();
        play.controls(Action::FinishNow, Value::Null);
        let wanted = json!({"to": "tester", "task": "try it", "summary": summary()});
        let lines = play.wants(vec![call("c", tool, wanted)]).go();
        let told = "step 2 refused: asked to finish now: nothing is passed on any more";
        assert_eq!(lines, [told, "step 3 asks local/small for its last turn", "waits"]);
    }
}

fn retried(play: &mut Play) -> Vec<String> {
    play.controls(Action::Retry, json!({"deadline": super::cast::DEADLINE}));
    play.go()
}

#[test]
fn a_retried_run_takes_the_failed_step_again() {
    let mut play = Play::new();
    play.go();
    let wanted = vec![call("c", "team_status", json!({}))];
    play.wants(wanted).go();
    play.returns("c", true, json!({})).go();
    let lines = play.fails(FailureCode::Unauthorized, false, None).go();
    assert!(lines[0].starts_with("ended failed (error)"), "{lines:?}");
    assert_eq!(retried(&mut play), ["step 3 asks local/small (attempt 2)", "waits"]);
    assert_eq!(play.run.end, None);
    assert_eq!(play.answers("written", json!({})).go(), ["ended completed (done): written"]);
}

#[test]
fn a_retried_run_goes_on_after_its_last_word() {
    let mut play = Play::with(|it| it.fuses.turns = 1);
    play.go();
    play.wants(vec![call("c", "team_status", json!({}))]).go();
    play.returns("c", true, json!({})).go();
    assert_eq!(play.answers("half", json!({})).go(), ["ended partial (turns): half"]);
    assert_eq!(retried(&mut play), ["step 4 asks local/small", "waits"]);
    assert!(matches!(play.run.dialogue.last(), Some(crate::run::Said::Note(_))));
    assert_eq!(play.answers("whole", json!({})).go(), ["ended completed (done): whole"]);
}

#[test]
fn a_retried_run_waits_again_for_the_child_that_failed() {
    let mut play = Play::with(|it| it.path = vec![name("coder"), name("coordinator")]);
    play.go();
    play.controls(Action::Redirect, redirect());
    play.wants(vec![call("c", "team_status", json!({}))]).go();
    play.child_ends(1, failed("no")).go();
    let lines = play.child_ends(2, failed("no")).go();
    assert!(lines.last().is_some_and(|it| it.starts_with("ended failed")), "{lines:?}");
    let waited: Vec<String> = play.run.failed_children().map(ToString::to_string).collect();
    assert_eq!(waited, ["r_2"], "the first one's end was acted on");
    assert_eq!(retried(&mut play), ["waits"]);
    assert_eq!(play.child_ends(2, done("seen")).go(), ["ended completed (done): seen"]);
}

#[test]
fn a_run_that_was_too_late_gets_the_time_it_is_given() {
    let mut play = Play::new();
    play.go();
    play.run.now = super::cast::DEADLINE;
    let lines = play.fails(FailureCode::Cancelled, false, None).go();
    assert!(lines.last().is_some_and(|it| it.starts_with("ended failed (deadline)")), "{lines:?}");
    play.controls(Action::Retry, json!({"deadline": 9_000_000}));
    assert_eq!(play.go(), ["step 1 asks local/small (attempt 2)", "waits until 9000000"]);
}

#[test]
fn a_cancelled_run_can_be_retried() {
    let mut play = Play::new();
    play.go();
    play.controls(Action::Cancel, Value::Null);
    play.fails(FailureCode::Cancelled, false, None).go();
    assert_eq!(retried(&mut play), ["step 1 asks local/small (attempt 2)", "waits"]);
    assert_eq!(play.answers("written", json!({})).go(), ["ended completed (done): written"]);
}
