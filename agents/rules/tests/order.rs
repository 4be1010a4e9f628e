//! The order of the rules: what beats what, shown on a run in which both have something to say.

use callboard_trace::{Action, Event, FailureCode};
use serde_json::{Value, json};

use super::cast::{DEADLINE, call, done, failed, given, pass};
use super::play::Play;
use crate::{Step, next};

/// What a run can have something to say about, from first to last.
const OVER: &str = "over";
const CANCELLED: &str = "cancelled";
const LATE: &str = "late";
const PAUSED: &str = "paused";
const DOUBT: &str = "doubt";
const CHILD: &str = "child";
const BUDGET: &str = "budget";
const ASKING: &str = "asking";
const ORDER: [&str; 8] = [OVER, CANCELLED, LATE, PAUSED, DOUBT, CHILD, BUDGET, ASKING];

/// Brings about what the rule of that name looks at.
fn bring(play: &mut Play, what: &str) {
    match what {
        OVER => play.happens(Event::RunEnded(Box::new(done("it is over")))),
        CANCELLED => play.controls(Action::Cancel, Value::Null),
        LATE => {
            play.run.now = DEADLINE;
            play
        }
        PAUSED => play.controls(Action::Pause, Value::Null),
        DOUBT => play.happens(Event::QuestionAsked {
            question: "q_x".into(),
            form: "rerun".into(),
            prompt: "?".into(),
            options: Vec::new(),
            act: None,
        }),
        BUDGET => play.happens(Event::BudgetAlerted {
            node: "day".into(),
            dimension: "usd".into(),
            used: 50.0,
            limit: 50.0,
            pct: 100.0,
            needs: None,
        }),
        CHILD => {
            let handed = callboard_trace::Handoff { call: None, ..*given() };
            let run = callboard_trace::RunId::from_text("r_b");
            let handed = callboard_trace::Handoff { run, id: "h_b".into(), ..handed };
            play.happens(Event::HandedOff(Box::new(handed)));
            play.child_ends(1, done("the child's"))
        }
        _ => play,
    };
}

/// Which rule spoke, by what it says.
fn who_speaks(play: &Play) -> &'static str {
    match next(&play.run) {
        Step::Wait(None) => OVER,
        Step::End(end) => match end.error.map(|it| it.code) {
            Some(FailureCode::Cancelled) => CANCELLED,
            Some(FailureCode::Deadline) => LATE,
            Some(FailureCode::Budget) => BUDGET,
            _ => CHILD,
        },
        Step::Wait(Some(_)) if play.run.control.paused.is_some() => PAUSED,
        Step::Wait(Some(_)) if !play.run.questions.is_empty() => DOUBT,
        Step::Ask(_)
        | Step::Call { .. }
        | Step::Answer { .. }
        | Step::HandOff(_)
        | Step::Record(_)
        | Step::Wait(Some(_)) => ASKING,
    }
}

#[test]
fn of_any_two_the_earlier_one_speaks() {
    for (at, first) in ORDER.iter().enumerate() {
        for second in &ORDER[at..] {
            let mut play = Play::new();
            bring(&mut play, second);
            bring(&mut play, first);
            assert_eq!(who_speaks(&play), *first, "{first} and {second}");
        }
    }
}

#[test]
fn all_together_are_spoken_of_one_after_the_other() {
    let mut play = Play::new();
    for what in ORDER.iter().rev() {
        bring(&mut play, what);
        assert_eq!(who_speaks(&play), *what);
    }
}

#[test]
fn of_one_turn_notes_come_first_then_delegates_then_tools_and_a_transfer_last() {
    let mut play = Play::new();
    play.go();
    play.wants(vec![
        pass("c1", "handoff", "tester"),
        call("c2", "read", json!({"uri": "a_1"})),
        pass("c3", "delegate", "reviewer"),
        call("c4", "note", json!({"slot": "notes", "key": "k", "text": "t"})),
        pass("c5", "delegate", "tester"),
        call("c6", "team_status", json!({})),
    ]);
    let lines = play.go();
    let starts = |at: usize, with: &str| assert!(lines[at].starts_with(with), "{lines:#?}");
    starts(0, "noted notes/k (a_");
    starts(1, "step 2 returned: {\"noted\":true");
    starts(2, "delegated to reviewer (r_1), model:");
    starts(3, "delegated to tester (r_2), model:");
    assert_eq!(
        lines[4..],
        ["step 3 calls read {\"uri\":\"a_1\"}", "step 4 calls team_status {}", "waits"]
    );
    assert_eq!(play.child_ends(2, failed("no")).go()[0], "step 5 refused: no");
    play.returns("c2", true, json!("text"));
    assert_eq!(play.go(), ["waits"], "the transfer waits for the rest");
    play.returns("c6", true, json!({}));
    assert_eq!(play.go(), ["waits"]);
    let lines = play.child_ends(1, done("fine")).go();
    assert!(lines[0].starts_with("step 6 returned: "), "{lines:#?}");
    assert!(lines[1].starts_with("handed off to tester (r_3)"), "{lines:#?}");
    assert_eq!(lines[2..], ["waits"]);
    assert_eq!(play.child_ends(3, done("all done")).go(), ["ended completed (done): all done"]);
}
