//! Circles below: what a run does after work that it passed on has failed by one.

use callboard_trace::{Action, Event, FailureCode, Finished, Stop};
use serde_json::json;

use super::cast::{failed, pass};
use super::play::Play;

/// Work of that name is passed on and fails by a circle below.
fn fails_by_a_circle(play: &mut Play, nth: usize, task: &str) -> Vec<String> {
    let mut wanted = pass("c", "delegate", "tester");
    wanted.arguments.as_mut().expect("an object")["task"] = json!(task);
    let lines = play.wants(vec![wanted]).go();
    if !lines[0].starts_with("delegated") {
        return lines;
    }
    let end = Finished { stop: Stop::Loop, ..failed("round") };
    play.child_ends_by(nth, end, "coder tester coder tester").go()
}

#[test]
fn who_passed_on_what_failed_by_a_circle_does_not_begin_it_anew() {
    let chain = "coder > tester > coder > tester";
    for (second, begins) in [("red wheels", false), ("blue stones", true)] {
        let mut play = Play::new();
        play.go();
        let told = fails_by_a_circle(&mut play, 1, "red wheels");
        assert!(told.iter().any(|it| it.contains(" asks ")), "it goes on: {told:?}");
        let lines = fails_by_a_circle(&mut play, 2, second);
        assert_eq!(play.run.children.len(), if begins { 2 } else { 1 }, "{lines:?}");
        assert_eq!(play.trouble().0, FailureCode::Loop, "{lines:?}");
        assert!(play.trouble().1.ends_with(&format!("(chain: {chain})")), "{:?}", play.trouble());
        let Event::ChildEnded { circle, .. } = play.run.told_end(play.end()).event else {
            panic!("the word of an end")
        };
        assert_eq!(circle.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(" > "), chain);
    }
}

#[test]
fn a_retry_begins_what_failed_by_a_circle_anew() {
    let mut play = Play::new();
    play.go();
    fails_by_a_circle(&mut play, 1, "red wheels");
    fails_by_a_circle(&mut play, 2, "red wheels");
    play.controls(Action::Retry, json!({})).go();
    let lines = fails_by_a_circle(&mut play, 2, "red wheels");
    assert_eq!(play.run.children.len(), 2, "{lines:?}");
}
