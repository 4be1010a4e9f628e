//! A handoff that fails: the model is told, then the best other agent, then the entry, then the end.

use callboard_trace::{EndState, Event, FailureCode, Stop};
use serde_json::json;

use super::cast::{AgentMut, done, edge, failed, name, pass};
use super::play::Play;

/// The stages recorded so far.
fn stages(play: &Play) -> Vec<u8> {
    let stage = |it: &callboard_trace::Record| {
        let Event::HandoffFailed { stage, .. } = it.event else { return None };
        Some(stage)
    };
    play.records.iter().filter_map(stage).collect()
}

/// A run whose transfers to tester failed so often that the model is told no more.
fn told_twice() -> Play {
    let mut play = Play::new();
    play.go();
    for nth in 1..=2 {
        play.wants(vec![pass("c", "handoff", "tester")]).go();
        play.child_ends(nth, failed("it broke")).go();
    }
    play.wants(vec![pass("c", "handoff", "tester")]).go();
    play
}

#[test]
fn the_receivers_end_is_the_runs_end() {
    for state in [EndState::Completed, EndState::Partial, EndState::Cancelled] {
        let mut play = Play::new();
        play.go();
        play.wants(vec![pass("c", "handoff", "tester")]);
        assert_eq!(play.go().last().map(String::as_str), Some("waits"));
        let mut end = done("theirs");
        end.state = state;
        play.child_ends(1, end.clone()).go();
        assert_eq!(play.end(), &end);
    }
}

#[test]
fn first_the_model_is_told_with_whom_it_may_turn_to() {
    let mut play = Play::new();
    play.go();
    play.wants(vec![pass("c", "handoff", "tester")]).go();
    let lines = play.child_ends(1, failed("it broke")).go();
    assert_eq!(
        lines,
        [
            "handoff to tester failed (stage 1): tester failed: it broke",
            "step 2 refused: tester failed: it broke",
            "step 3 asks local/small",
            "waits"
        ]
    );
    assert_eq!(play.told()["allowed"], json!(["tester", "reviewer"]));
    assert_eq!(play.told()["run"], "r_1");
}

#[test]
fn a_refusal_is_told_with_its_reason_and_who_would_be_better() {
    let mut play = Play::new();
    play.go();
    play.wants(vec![pass("c", "handoff", "tester")]).go();
    play.child_declines(1, Some("reviewer")).go();
    assert_eq!(play.told()["error"], "tester declined: not my trade");
    assert_eq!(
        (&play.told()["better"], &play.told()["refused"]),
        (&json!("reviewer"), &json!("not my trade"))
    );
}

#[test]
fn told_twice_it_goes_to_the_best_other_agent() {
    let mut play = told_twice();
    let lines = play.child_ends(3, failed("it broke")).go();
    assert_eq!(lines[0], "handoff to tester failed (stage 2): tester failed: it broke");
    assert!(lines[1].starts_with("handed off to reviewer (r_4), reroute: "), "{lines:?}");
    assert_eq!(lines[2..], ["waits"]);
    let passed = &play.run.children[3].handoff;
    let first = &play.run.children[2].handoff;
    assert_eq!((&passed.summary, &passed.task, &passed.call), (&first.summary, &first.task, &None));
    assert_eq!(play.child_ends(4, done("saved")).go(), ["ended completed (done): saved"]);
}

#[test]
fn the_best_is_whom_the_receiver_named_or_whose_trade_it_is() {
    let agents = |it: &mut callboard_trace::Started| {
        it.agent_mut().handoffs.push(edge("writer", &[], &["docs"]));
        it.agent_mut().handoffs.push(edge("checker", &[], &["tester", "part"]));
    };
    let rerouted = |better: Option<&str>| {
        let mut play = Play::with(agents);
        play.run.tally.failed_handoffs = 2;
        play.go();
        play.wants(vec![pass("c", "handoff", "tester")]).go();
        play.child_declines(1, better).go();
        play.run.children[1].handoff.target.clone()
    };
    assert_eq!(rerouted(None), name("checker"), "its task is \"the tester's part\"");
    assert_eq!(rerouted(Some("writer")), name("writer"));
    assert_eq!(rerouted(Some("stranger")), name("checker"), "a stranger is not allowed");
}

#[test]
fn then_it_goes_to_the_entry_agent_and_then_it_is_given_up() {
    let mut play = told_twice();
    play.child_ends(3, failed("it broke")).go();
    let lines = play.child_ends(4, failed("so did I")).go();
    assert_eq!(lines[0], "handoff to reviewer failed (stage 3): reviewer failed: so did I");
    assert!(lines[1].starts_with("handed off to coordinator (r_5), reroute: "), "{lines:?}");
    let lines = play.child_ends(5, failed("me too")).go();
    assert_eq!(lines, ["ended failed (error): coordinator failed: me too"]);
    assert_eq!(stages(&play), [1, 1, 2, 3]);
    let end = play.end();
    assert_eq!((end.stop, play.trouble().0), (Stop::Error, FailureCode::HandoffFailed));
    assert_eq!(end.missing[0].agent, name("coordinator"));
    assert_eq!(end.missing[0].impact, "nobody did: the tester's part");
    assert_eq!(end.recommendations.len(), 1);
}

#[test]
fn the_entry_agent_is_not_asked_where_the_work_came_from_it() {
    let ways: [fn(&mut callboard_trace::Started); 2] =
        [|it| it.entry = name("coder"), |it| it.path = vec![name("coordinator"), name("coder")]];
    for way in ways {
        let mut play = Play::with(way);
        play.run.tally.failed_handoffs = 2;
        play.go();
        play.wants(vec![pass("c", "handoff", "tester")]).go();
        play.child_ends(1, failed("no")).go();
        play.child_ends(2, failed("no")).go();
        assert_eq!(play.trouble(), (FailureCode::HandoffFailed, "reviewer failed: no"));
    }
}

#[test]
fn what_a_trigger_handed_on_has_no_model_to_be_told() {
    let mut play = Play::with(|it| it.root_task = "write and test it".into());
    play.go();
    play.answers("written", json!({})).go();
    play.says(&super::cast::summary().to_string()).go();
    let lines = play.child_ends(1, failed("it broke")).go();
    assert_eq!(lines[0], "handoff to tester failed (stage 2): tester failed: it broke");
    play.child_ends(2, failed("no")).go();
    let lines = play.child_ends(3, failed("no")).go();
    assert_eq!(lines, ["ended partial (error): written"], "it keeps its own answer");
}

#[test]
fn rerouting_keeps_to_the_fan_out() {
    let mut play = Play::with(|it| it.fuses.fan_out = 1);
    play.run.tally.failed_handoffs = 2;
    play.go();
    play.wants(vec![pass("c", "handoff", "tester")]).go();
    let lines = play.child_ends(1, failed("it broke")).go();
    assert_eq!(lines, ["ended failed (error): tester failed: it broke"]);
}

#[test]
fn a_delegates_end_is_the_calls_result() {
    let mut play = Play::new();
    play.go();
    play.wants(vec![pass("c1", "delegate", "tester"), pass("c2", "delegate", "reviewer")]).go();
    let mut partial = failed("half");
    partial.state = EndState::Partial;
    assert_eq!(play.child_ends(1, partial).go()[1], "waits", "the other is waited for");
    assert_eq!((&play.told()["state"], &play.told()["error"]), (&json!("partial"), &json!("half")));
    let lines = play.child_ends(2, failed("no")).go();
    assert_eq!(lines, ["step 3 refused: no", "step 4 asks local/small", "waits"]);
    assert!(stages(&play).is_empty(), "it is for the model to say what then");
}
