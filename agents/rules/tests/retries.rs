//! A model step that fails: tried again, then on the next model, then given up.

use callboard_config::Model;
use callboard_trace::{EndState, FailureCode, Stop};

use super::cast::{AgentMut, DEADLINE};
use super::play::Play;

use FailureCode::{
    BadRequest, Cancelled, ContextOverflow, InDoubt, ModelUnavailable, RateLimited, Timeout,
    Unauthorized,
};

const SMALL: &str = "step 1 asks local/small";
const BIG: &str = "step 1 asks cloud/big";

fn alone() -> Play {
    Play::with(|it| it.agent_mut().models.truncate(1))
}

/// Plays failures one after the other; after each, who is asked next, or how it ended.
fn after(mut play: Play, failures: &[(FailureCode, bool)]) -> (Vec<String>, Play) {
    assert_eq!(play.go(), [SMALL, "waits"]);
    let mut last = Vec::new();
    for (code, retryable) in failures {
        assert!(play.run.end.is_none(), "it gave up before {code:?}");
        last = play.fails(*code, *retryable, None).go();
    }
    (last, play)
}

#[test]
fn three_attempts_on_a_model_then_the_next_one() {
    let down = (ModelUnavailable, true);
    for (n_failures, expected) in [
        (1, format!("{SMALL} (attempt 2)")),
        (2, format!("{SMALL} (attempt 3)")),
        (3, format!("{BIG} (attempt 4)")),
        (4, format!("{BIG} (attempt 5)")),
        (5, format!("{BIG} (attempt 6)")),
    ] {
        let (lines, _) = after(Play::new(), &vec![down; n_failures]);
        assert_eq!(lines, [expected.as_str(), "waits"]);
    }
    let (lines, play) = after(Play::new(), &[down; 6]);
    assert_eq!(lines, ["ended failed (error): it failed (6 attempts)"]);
    assert_eq!((play.end().stop, play.trouble().0), (Stop::Error, ModelUnavailable));
}

#[test]
fn what_cannot_help_is_not_tried_again() {
    for code in [BadRequest, ContextOverflow] {
        let (lines, _) = after(Play::new(), &[(code, false)]);
        assert_eq!(lines, [format!("{BIG} (attempt 2)").as_str(), "waits"], "{code:?}");
        let (lines, play) = after(alone(), &[(code, false)]);
        assert_eq!(lines, ["ended failed (error): it failed"]);
        assert_eq!(play.trouble().0, code);
    }
}

#[test]
fn a_refused_key_never_falls_back_silently() {
    let (lines, play) = after(Play::new(), &[(Unauthorized, false)]);
    assert_eq!(lines, ["ended failed (error): it failed"]);
    let hint = &play.end().error.as_ref().expect("trouble").hint;
    assert!(hint.contains("api_key"), "{hint}");
    let (lines, _) = after(Play::new(), &[(BadRequest, false), (Unauthorized, false)]);
    assert_eq!(lines, ["ended failed (error): it failed (2 attempts)"]);
}

#[test]
fn rate_limited_attempts_are_counted_by_themselves() {
    let (busy, slow) = ((RateLimited, true), (Timeout, true));
    let mixed = [busy, slow, busy, slow, busy, busy];
    let (lines, _) = after(alone(), &mixed);
    assert_eq!(lines, [format!("{SMALL} (attempt 7)").as_str(), "waits"]);
    let (lines, _) = after(alone(), &[mixed.as_slice(), &[slow]].concat());
    assert_eq!(lines, ["ended failed (error): it failed (7 attempts)"]);
    let (lines, _) = after(alone(), &[busy; 9]);
    assert_eq!(lines, [format!("{SMALL} (attempt 10)").as_str(), "waits"]);
    let (lines, play) = after(alone(), &[busy; 10]);
    assert_eq!(lines, ["ended failed (error): it failed (10 attempts)"]);
    assert_eq!(play.trouble().0, RateLimited);
    let (lines, _) = after(Play::new(), &[busy; 10]);
    assert_eq!(lines, [format!("{BIG} (attempt 11)").as_str(), "waits"]);
}

#[test]
fn an_attempt_that_ended_with_its_process_is_none() {
    let slow = (Timeout, true);
    for lost in [InDoubt, Cancelled] {
        let (lines, _) = after(alone(), &[slow, slow, (lost, false), (lost, false)]);
        assert_eq!(lines, [format!("{SMALL} (attempt 5)").as_str(), "waits"], "{lost:?}");
    }
    let stopped = [(Cancelled, false); 30];
    let (lines, _) = after(alone(), &stopped);
    assert_eq!(lines, [format!("{SMALL} (attempt 31)").as_str(), "waits"]);
}

#[test]
fn the_next_attempt_comes_no_sooner_than_it_may() {
    let mut play = alone();
    play.go();
    assert_eq!(play.fails(RateLimited, true, Some(700)).go(), ["waits until 700"]);
    play.run.now = 699;
    assert_eq!(play.go(), ["waits until 700"]);
    play.run.now = 700;
    assert_eq!(play.go(), [format!("{SMALL} (attempt 2)").as_str(), "waits"]);
    play.fails(RateLimited, true, Some(DEADLINE * 50));
    let lines = play.go();
    assert_eq!(lines, [format!("waits until {DEADLINE}")], "no wait outlives the deadline");
    play.run.now = DEADLINE;
    assert_eq!(play.go(), ["ended failed (deadline): the deadline passed"]);
}

#[test]
fn a_chain_that_names_a_model_twice_tries_it_once() {
    let doubled = |chain: &[usize]| {
        Play::with(|it| {
            let models: Vec<Model> = it.agent.models.clone();
            it.agent_mut().models = chain.iter().map(|at| models[*at].clone()).collect();
        })
    };
    let (lines, _) = after(doubled(&[0, 0]), &[(BadRequest, false)]);
    assert_eq!(lines, ["ended failed (error): it failed"]);
    let (lines, _) = after(doubled(&[0, 0, 1, 0]), &[(BadRequest, false)]);
    assert_eq!(lines, [format!("{BIG} (attempt 2)").as_str(), "waits"]);
    let (lines, _) = after(doubled(&[0, 0, 1, 0]), &[(BadRequest, false); 2]);
    assert_eq!(lines, ["ended failed (error): it failed (2 attempts)"]);
}

#[test]
fn a_new_step_begins_with_the_first_model_again() {
    let (_, mut play) = after(Play::new(), &[(BadRequest, false)]);
    play.wants(vec![super::cast::call("c", "read", serde_json::json!({"uri": "a_1"}))]).go();
    let lines = play.returns("c", true, serde_json::json!("text")).go();
    assert_eq!(lines, ["step 3 asks local/small", "waits"]);
}

#[test]
fn what_it_had_is_kept_when_the_model_is_given_up() {
    let mut play = alone();
    play.go();
    play.says("{\"summary\": \"half\", \"confidence\": 0.5, \"verdict\": \"maybe\"}").go();
    let lines = play.fails(BadRequest, false, None).go();
    assert_eq!(lines, ["ended partial (error): half"]);
    assert_eq!(play.end().state, EndState::Partial);
    assert_eq!(play.trouble(), (BadRequest, "it failed"));
}

#[test]
fn behind_an_open_breaker_the_next_model_is_asked_and_then_it_is_given_up() {
    let shut = (FailureCode::BreakerOpen, true);
    let (lines, _) = after(Play::new(), &[shut]);
    assert_eq!(lines, [format!("{BIG} (attempt 2)").as_str(), "waits"]);
    let (lines, play) = after(alone(), &[shut]);
    assert_eq!(lines, ["ended failed (breaker): it failed"]);
    let end = play.end();
    assert_eq!((end.stop, play.trouble().0), (Stop::Breaker, FailureCode::BreakerOpen));
    let hint = &end.error.as_ref().expect("trouble").hint;
    assert!(hint.contains("`retry`") && hint.contains("`fallback`"), "{hint}");
    assert_eq!(end.recommendations, [format!("retry when the breaker has had its time: {hint}")]);
}

#[test]
fn a_part_says_what_it_lacks_and_what_to_do_by_the_cause() {
    for (code, advice) in [
        (Timeout, Some("retry with a longer limit: ")),
        (FailureCode::BreakerOpen, Some("retry when the breaker has had its time: ")),
        (FailureCode::Refused, Some("have a person decide: ")),
        (BadRequest, None),
    ] {
        let mut play = alone();
        play.go();
        play.says("{\"summary\": \"half\", \"confidence\": 0.5, \"verdict\": \"maybe\"}").go();
        assert_eq!(play.fails(code, false, None).go()[0].split(' ').nth(1), Some("partial"));
        let end = play.end();
        assert_eq!(end.missing[0].impact, "not done to the end: write a parser");
        assert_eq!((end.missing.len(), end.missing[0].error.as_str()), (1, "it failed"));
        assert_eq!(end.recommendations.len(), usize::from(advice.is_some()), "{code:?}");
        let is_it = |it: &String| advice.is_some_and(|advice| it.starts_with(advice));
        assert!(end.recommendations.iter().all(is_it), "{:?}", end.recommendations);
    }
}
