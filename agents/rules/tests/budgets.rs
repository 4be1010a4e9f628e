//! Budgets: what is told, the one turn that is left, the end, and how it goes on from there.

use callboard_config::budget::Caps;
use callboard_trace::{
    Action, EndState, Event, FailureCode, Handoff, Purse, Record, RunId, Spend, Stop,
};
use serde_json::json;

use super::cast::{call, given, pass, summary};
use super::play::Play;
use crate::alert::Alert;
use crate::run::Said;

/// The coder with 10,000 tokens, so many of them spent.
fn spent(tokens: u64) -> Play {
    let mut play = Play::with(|it| it.budget = Caps { tokens: Some(10_000), ..Caps::default() });
    play.run.spent = Spend { tokens, ..Spend::default() };
    play
}

/// What the scheduler writes when a step does not fit.
fn alert(node: &str, pct: f64) -> Event {
    let (node, dimension) = (node.into(), "tokens".into());
    let used = pct * 100.0;
    Event::BudgetAlerted { node, dimension, used, limit: 10_000.0, pct, needs: None }
}

fn levels(play: &Play) -> Vec<(String, f64, f64, f64)> {
    let told = |it: &Record| {
        let Event::BudgetAlerted { dimension, used, limit, pct, .. } = &it.event else {
            return None;
        };
        Some((dimension.clone(), *used, *limit, *pct))
    };
    play.records.iter().filter_map(told).collect()
}

/// A turn in which the model wants this and gets it.
fn turn(play: &mut Play, nth: usize) -> Vec<String> {
    let id = format!("c{nth}");
    play.wants(vec![call(&id, "read", json!({"uri": format!("a_{nth}")}))]).go();
    play.returns(&id, true, json!("text")).go()
}

/// Notes the model was told in the dialogue so far.
fn notes(play: &Play, with: &str) -> usize {
    let is_it = |it: &&Said| matches!(it, Said::Note(text) if text.contains(with));
    play.run.dialogue.iter().filter(is_it).count()
}

#[test]
fn each_level_of_each_dimension_is_told_once() {
    let mut play = spent(7_999);
    play.run.started.budget = Caps {
        tokens: Some(10_000),
        micro_usd: Some(2_000_000),
        ms: Some(60_000),
        ..Caps::default()
    };
    play.go();
    assert_eq!(levels(&play), []);
    play.run.spent = Spend { tokens: 8_000, micro_usd: 1_999, ms: 50_000, ..Spend::default() };
    turn(&mut play, 1);
    turn(&mut play, 2);
    let seconds = ("seconds".to_string(), 50.0, 60.0, 83.3);
    assert_eq!(levels(&play), [("tokens".to_string(), 8_000.0, 10_000.0, 80.0), seconds]);
    play.run.spent.micro_usd = 1_999_999;
    play.wants(vec![call("c3", "read", json!({"uri": "a_3"}))]).go();
    assert_eq!(levels(&play)[2..], [("usd".to_string(), 1.999_999, 2.0, 99.9)]);
    play.run.spent.micro_usd = 2_000_001;
    play.says("half").go();
    assert_eq!(levels(&play)[3..], [("usd".to_string(), 2.000_001, 2.0, 100.0)]);
    assert_eq!(play.end().stop, Stop::Budget);
}

#[test]
fn what_is_set_aside_for_a_step_under_way_is_not_told() {
    let mut play = spent(0);
    play.go();
    play.run.spent.tokens = 10_000;
    assert_eq!(play.go(), ["waits"]);
    play.run.spent.tokens = 100;
    assert_eq!(play.answers("so", json!({})).go(), ["ended completed (done): so"]);
}

#[test]
fn from_eighty_percent_the_model_is_told_once() {
    let mut play = spent(8_100);
    play.go();
    turn(&mut play, 1);
    assert_eq!(notes(&play, "8100 of 10000 tokens of the run's budget are used (81 %)"), 1);
    play.happens(alert("task", 90.0));
    turn(&mut play, 2);
    turn(&mut play, 3);
    assert_eq!(notes(&play, "9000 of 10000 tokens of the task's budget are used (90 %)"), 1);
    assert_eq!((notes(&play, "budget"), play.run.lands()), (2, false));
}

#[test]
fn from_ninety_five_percent_there_is_one_last_turn() {
    for node in ["run", "task", "share", "day"] {
        let mut play = spent(0);
        play.go();
        play.wants(vec![call("c", "read", json!({"uri": "a_1"}))]).go();
        play.happens(alert(node, 97.0));
        let lines = play.returns("c", true, json!("text")).go();
        assert_eq!(lines, ["step 3 asks local/small for its last turn", "waits"], "{lines:?}");
        assert!(play.run.lands());
        let lines = play.answers("what I have", json!({})).go();
        assert_eq!(lines, ["ended partial (budget): what I have"]);
        let said = format!(
            "the budget is at its end: 9700 of 10000 tokens of the {node}'s budget are used"
        );
        assert_eq!(play.trouble(), (FailureCode::Budget, said.as_str()));
    }
}

#[test]
fn a_step_that_only_the_tasks_budget_bounds_says_so() {
    let caps = |tokens| Caps { tokens: Some(tokens), ..Caps::default() };
    for (task, hint) in [
        (
            10_000,
            "add 10000 tokens to the task's budget: give what is missing again, in a new plan",
        ),
        (50_000, "add 10000 tokens to the agent's `budget` in its file, and give the task again"),
    ] {
        let mut play = Play::with(|it| {
            it.budget = caps(10_000);
            it.purses = vec![Purse::task(&RunId::from_text("r_a"), caps(task))];
            it.handoff = Some(Box::new(Handoff { step: Some("s".into()), ..*given() }));
        });
        play.happens(alert("run", 100.0)).go();
        assert_eq!(play.end().recommendations, [hint]);
    }
}

#[test]
fn the_end_names_the_amount_to_add() {
    for (node, hint) in [
        (
            "run",
            "add 10000 tokens to the run's budget: `set_budget` with \
             tokens 20000, then `retry`",
        ),
        (
            "task",
            "add 10000 tokens to the task's budget: `set_budget` with \
             tokens 20000, then `retry`",
        ),
        (
            "day",
            "go on with `retry` after midnight UTC, or add 10000 tokens to the day's budget in team.yaml",
        ),
        (
            "share",
            "add 10000 tokens to the share's budget: give the step a larger share in a new plan",
        ),
    ] {
        let mut play = spent(0);
        let lines = play.happens(alert(node, 100.0)).go();
        assert!(
            lines[0].starts_with("ended failed (budget): the budget is at its end"),
            "{lines:?}"
        );
        let end = play.end();
        assert_eq!(end.error.as_ref().expect("trouble").hint, hint);
        assert_eq!(end.recommendations, [hint]);
    }
}

#[test]
fn with_nothing_left_a_run_ends_with_what_it_has() {
    let mut play = spent(0);
    play.go();
    play.says("{\"summary\": \"half\", \"confidence\": 1, \"verdict\": 0}").go();
    play.says("").happens(alert("run", 100.0));
    assert_eq!(play.go()[0], "ended partial (budget): half");
    let mut play = spent(0);
    play.go();
    play.happens(alert("task", 120.0));
    assert_eq!(play.go(), ["waits"], "what is under way is let end");
    play.wants(vec![pass("c", "delegate", "tester")]);
    assert!(play.go()[0].starts_with("ended failed (budget)"));
}

#[test]
fn children_under_way_are_left_like_at_a_deadline() {
    let mut play = spent(0);
    play.go();
    play.wants(vec![pass("c", "delegate", "tester")]).go();
    play.happens(alert("task", 96.0));
    assert_eq!(play.go(), ["waits"], "its answer costs nothing");
    play.happens(alert("task", 100.0));
    assert!(play.go()[0].starts_with("ended failed (budget)"));
    assert_eq!(play.run.open_children().len(), 1);
}

#[test]
fn an_answer_that_is_there_is_a_success_and_one_that_is_not_is_the_last_turn() {
    let off = "{\"summary\": \"half\", \"confidence\": 1, \"verdict\": 0}";
    for (pct, text, expected) in [
        (97.0, "{\"summary\": \"whole\"}", "ended completed (done): whole"),
        (100.0, "{\"summary\": \"whole\"}", "ended completed (done): whole"),
        (97.0, off, "step 2 asks local/small for its last turn"),
        (100.0, off, "ended partial (budget): half"),
        (97.0, "", "step 2 asks local/small for its last turn"),
    ] {
        let mut play = spent(0);
        play.go();
        play.happens(alert("run", pct));
        assert_eq!(play.says(text).go()[0], expected, "{pct} {text}");
    }
}

#[test]
fn calls_that_did_not_fit_are_told_and_those_under_way_are_waited_for() {
    let mut play = spent(0);
    play.go();
    let read = |id: &str| call(id, "read", json!({"uri": id}));
    let note = call("n", "note", json!({"slot": "notes", "key": "k", "text": "t"}));
    play.wants(vec![read("c1"), read("c2"), note, pass("d", "delegate", "tester")]);
    // As if the first was begun and the second did not fit.
    let begun = crate::next(&play.run);
    assert!(matches!(begun, crate::Step::Answer { .. }), "the note first: {begun:?}");
    play.happens(alert("run", 96.0));
    let lines = play.go();
    let told = "refused: not done: 9600 of 10000 tokens of the run's budget are used";
    assert_eq!(lines[0], format!("step 2 {told}"));
    assert!(lines[3].starts_with("noted notes/k"), "{lines:?}");
    assert_eq!(lines[5..], ["step 6 asks local/small for its last turn", "waits"]);
    play.wants(vec![read("c4")]).go();
    assert_eq!(play.end().stop, Stop::Budget);
}

#[test]
fn a_step_that_failed_gives_way_to_the_last_turn() {
    let mut play = spent(0);
    play.go();
    play.fails(FailureCode::Timeout, true, Some(500));
    play.happens(alert("run", 95.0));
    assert_eq!(play.go(), ["step 2 asks local/small for its last turn", "waits"]);
    play.fails(FailureCode::Timeout, true, None);
    assert_eq!(play.go(), ["step 2 asks local/small for its last turn (attempt 2)", "waits"]);
    play.fails(FailureCode::Timeout, true, None).happens(alert("run", 100.0));
    assert!(play.go()[0].starts_with("ended failed (budget)"));
}

#[test]
fn work_is_handed_on_from_a_run_s_own_last_tokens_but_not_from_the_task_s() {
    for (node, expected) in [("run", "handed off to tester"), ("task", "step 2 refused: not done")]
    {
        for pct in [96.0, 100.0] {
            let mut play = spent(0);
            play.go();
            play.happens(alert(node, pct));
            let lines = play.wants(vec![pass("c", "handoff", "tester")]).go();
            let is_end = node == "task" && pct >= 100.0;
            let expected = if is_end { "ended failed (budget)" } else { expected };
            assert!(lines[0].starts_with(expected), "{node} {pct}: {lines:?}");
        }
    }
}

#[test]
fn a_trigger_fires_without_a_turn_for_its_summary() {
    for (node, expected) in [
        ("run", "handed off to tester (r_1), trigger:test"),
        ("task", "ended partial (budget): written"),
    ] {
        let mut play = spent(0);
        play.go();
        play.happens(alert(node, 96.0));
        let lines = play.answers("written", json!({"do_next": "test it"})).go();
        assert!(lines.iter().any(|it| it.starts_with(expected)), "{node}: {lines:?}");
    }
    let mut play = spent(0);
    play.go();
    play.answers("written", json!({"do_next": "test it"})).go();
    play.happens(alert("run", 100.0));
    let lines = play.says(&summary().to_string()).go();
    assert!(lines[1].starts_with("handed off to tester"), "{lines:?}");
}

#[test]
fn a_higher_limit_and_a_retry_let_it_go_on() {
    let mut play = spent(9_900);
    play.go();
    play.answers("what I have", json!({})).go();
    assert_eq!((play.end().state, play.end().stop), (EndState::Partial, Stop::Budget));
    play.clone().controls(Action::Retry, json!({}));
    let mut poor = play.clone();
    poor.controls(Action::Retry, json!({}));
    assert_eq!(poor.go()[0], "step 2 asks local/small for its last turn");
    play.controls(Action::SetBudget, json!({"tokens": 20_000}));
    play.controls(Action::Retry, json!({}));
    assert_eq!(play.run.spent.tokens, 9_900);
    assert_eq!(play.go(), ["step 2 asks local/small", "waits"]);
    assert_eq!(play.answers("all of it", json!({})).go(), ["ended completed (done): all of it"]);
}

#[test]
fn new_limits_replace_those_that_are_given_and_take_back_their_alerts() {
    let caps = |tokens, ms| Caps { tokens, ms, ..Caps::default() };
    let purse = |caps| Purse { node: "task/r_a".into(), caps };
    let (some, none) = (caps(Some(10_000), Some(5)), caps(None, Some(5)));
    let high = caps(Some(30_000), Some(5));
    let (run, task) = (json!({"tokens": 30_000}), json!({"tokens": 30_000, "node": "task"}));
    for (value, own, shared, left) in [
        (run, high, some, &["task", "day"][..]),
        (json!({"tokens": null, "node": "run"}), none, some, &["task", "day"]),
        (task, some, high, &["run", "day"]),
        (json!({"tokens": 10_000}), some, some, &["run", "task", "day"]),
        (json!({"ms": 5}), some, some, &["run", "task", "day"]),
        (json!({"tokens": "many"}), some, some, &["run", "task", "day"]),
    ] {
        let mut play = Play::with(|it| (it.budget, it.purses) = (some, vec![purse(some)]));
        for node in ["run", "task", "day"] {
            play.happens(alert(node, 96.0));
        }
        play.controls(Action::SetBudget, value.clone());
        let started = &play.run.started;
        assert_eq!((started.budget, &started.purses), (own, &vec![purse(shared)]), "{value}");
        let nodes: Vec<&str> = play.run.alerts.iter().map(|it| it.node.as_str()).collect();
        assert_eq!(nodes, left, "{value}");
    }
}

#[test]
fn a_retry_keeps_what_its_own_spending_stands_for() {
    let mut play = spent(8_000);
    for node in ["run", "task", "day"] {
        play.happens(alert(node, 96.0));
    }
    play.controls(Action::Retry, json!({}));
    assert_eq!(play.run.alerts, [], "a step that did not fit is tried again");
    play.run.alerts.clear();
    play.happens(alert("run", 81.0)).controls(Action::Retry, json!({}));
    let kept: Vec<&Alert> = play.run.alerts.iter().collect();
    assert_eq!(kept.len(), 1);
}
