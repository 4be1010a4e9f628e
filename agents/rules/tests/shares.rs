//! Shares of a plan's budget: what they are parts of, and which come back unused.

use callboard_config::budget::Caps;
use callboard_trace::{Event, Purse, RunId};
use serde_json::json;

use super::cast::{done, failed};
use super::plans::{begun, ends, made, plan};
use super::play::Play;
use crate::plan::Plan;
use crate::{Run, Step, next};

/// A plan of 100,001 tokens; a share of `a` is 0.3 and one of `c`, which waits for `a`, is 0.4.
fn split() -> Run {
    let caps = Caps { tokens: Some(100_001), ms: None, ..Caps::default() };
    let mut run =
        Play::with(|it| it.purses = vec![Purse::task(&RunId::from_text("r_a"), caps)]).run;
    run.apply(
        "local",
        &made(&[
            json!({"id": "a", "to": "coder", "task": "t", "share": 0.3}),
            json!({"id": "b", "to": "coder", "task": "t"}),
            json!({"id": "c", "to": "coder", "task": "t", "after": ["a"], "share": 0.4}),
        ]),
    );
    run
}

fn tokens(run: &Run, kind: &str) -> Option<u64> {
    run.started.purses.iter().find(|it| it.is(kind)).and_then(|it| it.caps.tokens)
}

#[test]
fn shares_are_parts_of_what_there_was_and_the_rest_is_the_pools() {
    let mut run = split();
    assert_eq!(tokens(&run, Purse::POOL), Some(30_001));
    let share = |run: &Run| {
        let Step::HandOff(draft) = next(run) else { panic!("a step begins") };
        draft.plan.expect("a plan's").share.map(|it| it.tokens)
    };
    assert_eq!(share(&run), Some(Some(30_000)));
    let control = callboard_trace::Control {
        action: callboard_trace::Action::SetBudget,
        value: json!({"tokens": 200_001, "node": "task"}),
        reason: String::new(),
    };
    run.apply("local", &Event::Controlled(control));
    let stands = |run: &Run| (tokens(run, Purse::TASK), tokens(run, Purse::POOL));
    assert_eq!(stands(&run), (Some(200_001), Some(130_001)), "what is added is the pool's");
    assert_eq!(begun(&mut run), ["a", "b"]);
    ends(&mut run, "a", done("a"));
    assert_eq!(share(&run), Some(Some(40_000)), "a share stays what it was");
    let plain = plan(&[("a", &[])]);
    assert_eq!(tokens(&plain, Purse::POOL), None, "without shares there is no pool");
}

#[test]
fn the_shares_of_steps_that_never_begin_are_named() {
    let mut run = split();
    let unused = |run: &Run| {
        let all = run.plan.as_deref().into_iter().flat_map(Plan::unused_shares);
        all.map(|(id, it)| (id.to_owned(), it.tokens)).collect::<Vec<_>>()
    };
    begun(&mut run);
    assert_eq!(unused(&run), []);
    ends(&mut run, "b", failed("no"));
    assert_eq!(unused(&run), [], "nobody waits for it, and it has no share");
    ends(&mut run, "a", failed("no"));
    assert_eq!(unused(&run), [("c".to_owned(), Some(40_000))]);
}
