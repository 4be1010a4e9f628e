//! A plan: what begins when, what is left out, and what the whole comes to.

use callboard_config::Mode;
use callboard_trace::{EndState, Event, FailureCode, Finished, Handoff, RunId, Stop};
use serde_json::{Value, json};

use super::cast::{done, failed};
use super::play::Play;
use crate::plan::{Counts, Plan};
use crate::{Draft, Run, Step, next};

/// A plan's run with these steps: each an id and the ids it waits for.
pub(super) fn plan(steps: &[(&str, &[&str])]) -> Run {
    let step = |(id, after): &(&str, &[&str])| {
        let task = format!("do {id}");
        json!({"id": id, "to": "coder", "task": task, "after": after, "weight": 1.0})
    };
    let steps: Vec<Value> = steps.iter().map(step).collect();
    let mut run = Play::new().run;
    run.apply("local", &made(&steps));
    run
}

pub(super) fn made(steps: &[Value]) -> Event {
    let (plan, source) = ("p_1".into(), "client".into());
    Event::PlanMade { plan, source, steps: json!(steps), agents: Vec::new() }
}

/// Takes steps until the plan rests; answers the ids that began, in their order.
pub(super) fn begun(run: &mut Run) -> Vec<String> {
    let mut ids = Vec::new();
    while let Step::HandOff(draft) = next(run) {
        let step = draft.plan.clone().expect("a plan's own step").step;
        run.apply("plan", &Event::HandedOff(Box::new(handed(&step, draft))));
        ids.push(step);
    }
    ids
}

fn handed(step: &str, draft: Draft) -> Handoff {
    assert_eq!((draft.mode, draft.reason.as_str()), (Mode::Delegate, &*format!("plan:{step}")));
    Handoff {
        id: format!("h_{step}"),
        source: "plan".into(),
        target: draft.to,
        run: RunId::from_text(format!("r_{step}")),
        call: None,
        task: draft.task,
        mode: draft.mode,
        summary: draft.summary,
        artifacts: draft.artifacts,
        reason: draft.reason,
        made_by: draft.made_by,
        step: Some(step.to_string()),
        mark: draft.mark,
        dropped: Vec::new(),
        taint: None,
    }
}

pub(super) fn ends(run: &mut Run, step: &str, end: Finished) {
    let event = Event::ChildEnded {
        child: RunId::from_text(format!("r_{step}")),
        agent: run.name().clone(),
        handoff: Some(format!("h_{step}")),
        end: Box::new(end),
        totals: callboard_trace::Totals { tokens: 10, replies: 1, ..Default::default() },
        taint: None,
        slots: callboard_trace::memory::Entries::default(),
        circle: Vec::new(),
    };
    run.apply("coder", &event);
}

fn end_of(run: &Run) -> Finished {
    let step = next(run);
    let Step::End(end) = step else { panic!("not over: {step:?}") };
    end
}

fn counts(run: &Run) -> Counts {
    run.plan.as_deref().map(Plan::counts).expect("a plan")
}

#[test]
fn a_step_begins_when_the_last_of_its_needs_has_ended() {
    let mut run = plan(&[("a", &[]), ("b", &[]), ("c", &["a", "b"]), ("d", &["c"])]);
    assert_eq!(begun(&mut run), ["a", "b"]);
    assert!(matches!(next(&run), Step::Wait(Some(_))));
    ends(&mut run, "b", done("b is there"));
    assert_eq!(begun(&mut run), [""; 0]);
    ends(&mut run, "a", done("a is there"));
    let Step::HandOff(draft) = next(&run) else { panic!("c is to begin") };
    let known = &draft.summary.must_know;
    assert!(known.contains("a by coder, whole: read r_a: a is there"), "{known}");
    assert!(known.contains("b by coder, whole: read r_b: b is there"), "{known}");
    assert_eq!(begun(&mut run), ["c"]);
    ends(&mut run, "c", done("c is there"));
    assert_eq!(begun(&mut run), ["d"]);
    ends(&mut run, "d", done("d is there"));
    let end = end_of(&run);
    assert_eq!((end.state, end.summary()), (EndState::Completed, "all 4 tasks ended well"));
    let results = &end.answer.as_ref().expect("an answer")["results"];
    assert_eq!(results["d"]["result"], "d is there");
    assert_eq!((run.totals.tokens, run.totals.handoffs), (40, 0));
}

#[test]
fn what_needs_a_failed_step_is_left_out_and_the_rest_goes_on() {
    let steps: &[(&str, &[&str])] =
        &[("a", &[]), ("b", &[]), ("c", &["a"]), ("d", &["c"]), ("e", &["b"])];
    let mut run = plan(steps);
    assert_eq!(begun(&mut run), ["a", "b"]);
    ends(&mut run, "a", failed("the disk is gone"));
    assert_eq!(begun(&mut run), [""; 0]);
    ends(&mut run, "b", Finished { state: EndState::Partial, ..done("half of b") });
    let Step::HandOff(draft) = next(&run) else { panic!("e is to begin") };
    assert!(draft.summary.must_know.contains("b by coder (in part)"), "{draft:?}");
    assert_eq!(begun(&mut run), ["e"]);
    ends(&mut run, "e", done("e"));
    let end = end_of(&run);
    assert_eq!(end.state, EndState::Partial);
    assert_eq!(
        end.summary(),
        "1 of 5 tasks ended well; 1 in part: b; 1 failed: a; 2 left out: c, d"
    );
    let missing: Vec<&str> = end.missing.iter().map(|it| it.error.as_str()).collect();
    let left_out = "left out: it needs a";
    assert_eq!(missing, ["the disk is gone", "it came to a part only", left_out, left_out]);
    assert!(end.missing[2].impact.contains("task c is not done: do c"));
    assert_eq!(counts(&run), Counts { open: 0, good: 2, bad: 1, left_out: 2 });
}

#[test]
fn a_step_that_stopped_at_a_limit_makes_a_plan_no_success() {
    let mut run = plan(&[("a", &[]), ("b", &["a"])]);
    begun(&mut run);
    ends(
        &mut run,
        "a",
        Finished { state: EndState::Partial, ..failed("the budget is at its end") },
    );
    assert_eq!(begun(&mut run), ["b"], "what there is goes on");
    ends(&mut run, "b", done("b"));
    let end = end_of(&run);
    assert_eq!(
        (end.state, end.summary()),
        (EndState::Partial, "1 of 2 tasks ended well; 1 in part: a")
    );
    assert_eq!(end.missing[0].error, "the budget is at its end");
    assert!(end.missing[0].impact.contains("task a is done in part"), "{:?}", end.missing);
    assert!(end.error.expect("said").message.ends_with("1 came to a part only"));
}

#[test]
fn what_a_missing_step_means_is_told_in_the_callers_words_where_there_are_some() {
    let mut run = Play::new().run;
    let means = "no figures in the report";
    run.apply(
        "local",
        &made(&[
            json!({"id": "a", "to": "coder", "task": "count", "impact_if_missing": means}),
            json!({"id": "b", "to": "coder", "task": "draw", "after": ["a"], "impact_if_missing": means}),
            json!({"id": "c", "to": "coder", "task": "print", "after": ["b"]}),
        ]),
    );
    begun(&mut run);
    ends(&mut run, "a", failed("no"));
    let told: Vec<String> = end_of(&run).missing.into_iter().map(|it| it.impact).collect();
    assert_eq!(told, [means, means, "task c is not done: print"]);
}

#[test]
fn a_plan_of_nothing_but_failures_has_failed() {
    let mut run = plan(&[("a", &[]), ("b", &["a"])]);
    begun(&mut run);
    ends(&mut run, "a", failed("no"));
    let end = end_of(&run);
    assert_eq!(end.state, EndState::Failed);
    assert!(end.confidence().is_some_and(|it| it == 0.0 && it.is_sign_positive()));
    assert_eq!(end.stop, Stop::Error);
}

#[test]
fn a_plan_whose_money_is_out_stops_with_its_budget() {
    let mut run = plan(&[("a", &[]), ("b", &["a"])]);
    begun(&mut run);
    let mut poor = failed("the budget is at its end");
    poor.error = poor.error.map(|it| callboard_trace::Trouble { code: FailureCode::Budget, ..it });
    ends(&mut run, "a", poor);
    let end = end_of(&run);
    assert_eq!((end.state, end.stop), (EndState::Failed, Stop::Budget));
}

#[test]
fn confidence_is_what_was_brought_in_of_all_the_weight() {
    let mut run = plan(&[("a", &[]), ("b", &[]), ("c", &[])]);
    begun(&mut run);
    let sure = |it: &str| Finished::done(json!({"summary": it, "confidence": 0.9}));
    ends(&mut run, "a", sure("a"));
    ends(&mut run, "b", sure("b"));
    ends(&mut run, "c", failed("no"));
    assert_eq!(end_of(&run).confidence(), Some(0.6));
}

#[test]
fn of_three_analysts_two_are_a_part_that_says_what_it_lacks() {
    let mut run = plan(&[("north", &[]), ("south", &[]), ("east", &[])]);
    assert_eq!(begun(&mut run).len(), 3);
    let mut late = failed("no end within 600 s (3 attempts)");
    late.error = late.error.map(|it| callboard_trace::Trouble {
        code: FailureCode::Timeout,
        hint: "raise the provider's `timeout_s`, or use a faster model".into(),
        ..it
    });
    ends(&mut run, "east", late);
    assert!(matches!(next(&run), Step::Wait(Some(_))), "the others are let work");
    assert_eq!(run.open_children().len(), 2);
    for id in ["north", "south"] {
        ends(&mut run, id, Finished::done(json!({"summary": id, "confidence": 0.9})));
    }
    let end = end_of(&run);
    assert_eq!((end.state, end.confidence()), (EndState::Partial, Some(0.6)));
    let results = &end.answer.as_ref().expect("an answer")["results"];
    assert_eq!(
        (&results["north"]["result"], &results["south"]["result"]),
        (&json!("north"), &json!("south"))
    );
    assert_eq!(end.missing.len(), 1);
    assert_eq!(end.missing[0].error, "no end within 600 s (3 attempts)");
    assert_eq!(end.missing[0].impact, "task east is not done: do east");
    let longer =
        "east: retry with a longer limit: raise the provider's `timeout_s`, or use a faster model";
    assert_eq!(end.recommendations, [longer, "a person may give what is missing: east"]);
}

#[test]
fn a_step_whose_agent_is_gone_fails_alone() {
    let mut run = plan(&[("a", &[]), ("b", &["a"]), ("c", &[])]);
    let change = json!({"step": "a", "failed": "coder is no longer in the team"});
    run.apply("plan", &Event::PlanChanged { plan: "p_1".into(), change });
    assert_eq!(begun(&mut run), ["c"]);
    ends(&mut run, "c", done("c"));
    let end = end_of(&run);
    assert_eq!(end.error.map(|it| it.code), Some(FailureCode::HandoffFailed));
    assert_eq!(end.missing.len(), 2);
}

#[test]
fn of_equals_the_one_with_the_longest_way_behind_it_begins_first() {
    let wide = [("x", &[][..]), ("x1", &["x"]), ("x2", &["x"])];
    let long = [("y", &[][..]), ("y1", &["y"]), ("y2", &["y1"])];
    let mut run = plan(&[wide, long].concat());
    assert_eq!(begun(&mut run), ["y", "x"], "two wait for each");
    let circle = plan(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]);
    assert_eq!(begun(&mut circle.clone()), ["c"], "what never ends has no way");
}

#[test]
fn the_urgent_begin_first_and_no_more_at_once_than_one_write_holds() {
    let mut steps: Vec<Value> = (0..1_200)
        .map(|at| json!({"id": format!("{at}"), "to": "coder", "task": "t", "weight": 1.0}))
        .collect();
    steps[700]["priority"] = json!(900);
    let mut run = Play::new().run;
    run.apply("local", &made(&steps));
    let first = begun(&mut run);
    assert_eq!((first.len(), first[0].as_str(), first[1].as_str()), (500, "700", "0"));
    ends(&mut run, "700", done("urgent"));
    assert_eq!(begun(&mut run), ["499"]);
}

#[test]
fn results_nobody_waits_for_are_not_kept() {
    let mut steps: Vec<Value> = (0..200)
        .map(|at| json!({"id": format!("{at}"), "to": "coder", "task": "t", "weight": 1.0}))
        .collect();
    steps.push(
        json!({"id": "last", "to": "coder", "task": "t", "after": ["0", "1"], "weight": 1.0}),
    );
    let mut run = Play::new().run;
    run.apply("local", &made(&steps));
    begun(&mut run);
    for at in 0..200 {
        ends(&mut run, &at.to_string(), done(&"x".repeat(5_000)));
    }
    let kept = |run: &Run| {
        let plan = run.plan.as_ref().expect("a plan");
        plan.places().iter().filter(|it| it.head.is_some()).count()
    };
    assert_eq!(kept(&run), 52, "fifty for the end, two for the step that waits");
    begun(&mut run);
    assert_eq!(kept(&run), 50);
    ends(&mut run, "last", done("end"));
    let end = end_of(&run);
    let bytes = end.answer.expect("an answer").to_string().len();
    assert!(bytes < 100_000, "{bytes}");
}

#[test]
fn a_plan_that_is_to_finish_begins_nothing_more_and_names_what_it_left() {
    let mut run = plan(&[("a", &[]), ("b", &["a"])]);
    assert_eq!(begun(&mut run), ["a"]);
    let action = callboard_trace::Action::FinishNow;
    let control = callboard_trace::Control { action, value: Value::Null, reason: String::new() };
    run.apply("local", &Event::Controlled(control));
    ends(&mut run, "a", done("half of a"));
    assert!(begun(&mut run).is_empty());
    let Step::End(end) = next(&run) else { panic!("it ends: {:?}", next(&run)) };
    assert_eq!(
        (end.state, end.summary()),
        (EndState::Partial, "1 of 2 tasks ended well; 1 not done: b")
    );
    assert_eq!(end.error.expect("a reason").message, "asked to finish: 1 tasks were not begun");
    assert_eq!(end.missing[0].impact, "task b is not done: do b");
}

#[test]
fn what_a_step_is_given_fits_a_prompt_however_many_it_waited_for() {
    let mut steps: Vec<Value> = (0..1_000)
        .map(|at| json!({"id": format!("{at}"), "to": "coder", "task": "t", "weight": 1.0}))
        .collect();
    let all: Vec<String> = (0..1_000).map(|it| it.to_string()).collect();
    steps.push(json!({"id": "all", "to": "coder", "task": "t", "after": all}));
    let mut run = Play::new().run;
    run.apply("local", &made(&steps));
    while counts(&run).good < 1_000 {
        for step in begun(&mut run) {
            ends(&mut run, &step, done(&"x".repeat(2_000)));
        }
    }
    let Step::HandOff(draft) = next(&run) else { panic!("the last is to begin") };
    let (did, known) = (draft.summary.did.len(), draft.summary.must_know.len());
    assert!(did < 300 && known < 60_000, "{did} {known}");
    assert!(draft.summary.must_know.contains("and 880 more"), "{}", draft.summary.must_know);
}

#[test]
fn a_plan_that_is_cut_off_keeps_what_it_has() {
    let mut run = plan(&[("a", &[]), ("b", &[]), ("c", &["b"])]);
    begun(&mut run);
    ends(&mut run, "a", done("a is there"));
    run.now = super::cast::DEADLINE;
    let end = end_of(&run);
    assert_eq!((end.state, end.stop), (EndState::Partial, callboard_trace::Stop::Deadline));
    assert_eq!(end.answer.as_ref().expect("an answer")["results"]["a"]["result"], "a is there");
    assert_eq!(end.missing.len(), 2, "{:?}", end.missing);
    assert_eq!(end.summary(), "1 of 3 tasks ended well; 2 not done: b, c");
}

#[test]
fn a_plan_whose_budget_ends_begins_no_further_step_and_gathers_what_there_is() {
    let mut run = plan(&[("a", &[]), ("b", &[]), ("c", &["a"])]);
    begun(&mut run);
    let (node, dimension) = ("task".into(), "tokens".into());
    let (used, limit, pct, needs) = (9_600.0, 1e4, 96.0, None);
    let alert = Event::BudgetAlerted { node, dimension, used, limit, pct, needs };
    run.apply("local", &alert);
    ends(&mut run, "a", done("a is there"));
    assert!(begun(&mut run).is_empty(), "c does not begin");
    assert!(matches!(next(&run), Step::Wait(Some(_))), "b is under way");
    ends(&mut run, "b", failed("no"));
    let end = end_of(&run);
    assert_eq!((end.state, end.stop), (EndState::Partial, callboard_trace::Stop::Budget));
    assert_eq!(end.error.map(|it| it.code), Some(FailureCode::Budget));
    assert_eq!(end.missing.len(), 2);
    let (first, raised) = (&end.recommendations[0], "add 10000 tokens to the task's budget");
    assert!(first.starts_with(raised), "{first}");
    let mut whole = plan(&[("a", &[])]);
    begun(&mut whole);
    whole.apply("local", &alert);
    ends(&mut whole, "a", done("a is there"));
    assert_eq!(end_of(&whole).state, EndState::Completed);
}

#[test]
fn a_new_priority_holds_for_what_begins_later() {
    let mut run = plan(&[("a", &[]), ("b", &["a"])]);
    let (action, reason) = (callboard_trace::Action::SetPriority, String::new());
    let control = callboard_trace::Control { action, value: json!(900), reason };
    run.apply("local", &Event::Controlled(control));
    assert_eq!(run.started.priority, 900);
}
