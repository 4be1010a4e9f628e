//! Deadlines and turns: a run that does not end by itself ends with what it has.

use callboard_trace::{EndState, FailureCode, Stop};
use serde_json::json;

use super::cast::{DEADLINE, call};
use super::play::Play;

fn status() -> Vec<callboard_trace::Call> {
    vec![call("c", "team_status", json!({}))]
}

/// One turn that ends in nothing but another.
fn turn(play: &mut Play) -> Vec<String> {
    play.wants(status()).go();
    play.returns("c", true, json!({})).go()
}

#[test]
fn past_the_deadline_a_run_ends_with_what_it_has() {
    for (now, over) in
        [(DEADLINE - 1, false), (DEADLINE, true), (DEADLINE + 1, true), (i64::MAX, true)]
    {
        let mut play = Play::new();
        play.run.now = now;
        assert_eq!(play.go()[0].starts_with("ended"), over, "{now}");
        if over {
            assert_eq!((play.end().state, play.end().stop), (EndState::Failed, Stop::Deadline));
            assert_eq!(play.trouble(), (FailureCode::Deadline, "the deadline passed"));
        }
    }
    let mut play = Play::new();
    play.go();
    play.says("{\"summary\": \"half\", \"confidence\": 1, \"verdict\": 0}").go();
    play.run.now = DEADLINE;
    assert_eq!(play.go(), ["ended partial (deadline): half"]);
}

#[test]
fn the_deadline_ends_every_wait() {
    type Change = fn(&mut Play);
    let waits: &[(&str, Change)] = &[
        ("for the model", |_| ()),
        ("for a tool", |it| {
            it.wants(status()).go();
        }),
        ("for a delegate", |it| {
            it.wants(vec![super::cast::pass("c", "delegate", "tester")]).go();
        }),
        ("for a receiver", |it| {
            it.wants(vec![super::cast::pass("c", "handoff", "tester")]).go();
        }),
        ("while paused", |it| {
            it.controls(callboard_trace::Action::Pause, json!(null));
        }),
    ];
    for (what, change) in waits {
        let mut play = Play::new();
        play.go();
        change(&mut play);
        assert_eq!(play.go(), ["waits"], "{what}");
        play.run.now = DEADLINE;
        assert_eq!(play.go(), ["ended failed (deadline): the deadline passed"], "{what}");
    }
}

#[test]
fn after_its_turns_a_run_gets_one_more_without_tools() {
    let mut play = Play::with(|it| it.fuses.turns = 2);
    play.go();
    assert_eq!(turn(&mut play), ["step 3 asks local/small", "waits"]);
    assert_eq!(turn(&mut play), ["step 5 asks local/small for its last turn", "waits"]);
    let lines = play.answers("what I have", json!({})).go();
    assert_eq!(lines, ["ended partial (turns): what I have"], "a limit is never a success");
    assert_eq!(play.trouble(), (FailureCode::Fuse, "used all 2 turns"));
}

#[test]
fn an_answer_in_the_last_ordinary_turn_is_a_success() {
    let mut play = Play::with(|it| it.fuses.turns = 2);
    play.go();
    turn(&mut play);
    assert_eq!(play.answers("just so", json!({})).go(), ["ended completed (done): just so"]);
}

#[test]
fn no_turns_means_only_the_last_one() {
    let mut play = Play::with(|it| it.fuses.turns = 0);
    assert_eq!(play.go(), ["step 1 asks local/small for its last turn", "waits"]);
    assert_eq!(play.says("").go(), ["ended failed (turns): used all 0 turns"]);
}

#[test]
fn repairs_and_summaries_are_no_turns() {
    let mut play = Play::with(|it| it.fuses.turns = 1);
    play.go();
    let off = "{\"summary\": \"half\", \"confidence\": 1, \"verdict\": 0}";
    let lines = play.says(off).go();
    assert!(lines[0].contains("to mend its answer"), "{lines:?}");
    let lines = play.answers("whole", json!({"do_next": "test it"})).go();
    assert!(lines[0].contains("for a summary to tester"), "{lines:?}");
    assert_eq!(play.run.turns, 1);
}

#[test]
fn calls_made_instead_of_a_repair_do_not_lengthen_a_run() {
    let mut play = Play::with(|it| it.fuses.turns = 1);
    play.go();
    play.says("").go();
    let lines = turn(&mut play);
    assert_eq!(lines, ["step 4 asks local/small for its last turn", "waits"]);
}
