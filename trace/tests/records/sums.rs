//! What a tree adds up to: tokens, handoffs, time, and the result of its end.

use std::collections::BTreeSet;

use callboard_config::Mode::{Delegate, Transfer};
use callboard_trace::{Finished, Missing, RunId, Stop, Tree};
use serde_json::json;

use crate::stage::{SECOND, Stage, agent, done, end, id, started};

#[test]
fn cost_and_handoffs_are_summed_over_everything_below() {
    let mut stage = Stage::new();
    stage.asks("a", 1).hears("a", 1, 100, 10);
    stage.hands("a", "b", "tester", Delegate).asks("b", 1).hears("b", 1, 20, 2);
    stage.hands("a", "c", "reviewer", Transfer).asks("c", 1).hears("c", 1, 3, 0);
    stage.hands("c", "d", "tester", Delegate).asks("d", 1).hears("d", 1, 0, 4);
    let sums = |run| {
        let view = stage.view(run);
        (view.cost.tokens, view.handoffs)
    };
    assert_eq!(sums("a"), (139, 3));
    assert_eq!(sums("b"), (22, 0));
    assert_eq!(sums("c"), (7, 1));
    assert_eq!(stage.view("a").cost.usd, None);
    assert_eq!(stage.tree().runs[&id("a")].replies, 1);
    assert_eq!(stage.view("a").notices, [""; 0]);
    stage.ends("a", done());
    let told = stage.view("a").notices;
    assert_eq!(told.len(), 1, "once, for all replies: {told:?}");
    assert!(told[0].starts_with("unpriced_model: "), "{told:?}");
}

#[test]
fn a_provider_that_counts_wildly_is_summed_without_overflow() {
    let mut stage = Stage::new();
    stage.asks("a", 1).hears("a", 1, u64::MAX, u64::MAX).hears("a", 2, 5, 5);
    stage.hands("a", "b", "tester", Transfer).hears("b", 1, u64::MAX, 0);
    assert_eq!(stage.view("a").cost.tokens, u64::MAX);
}

#[test]
fn time_is_counted_from_the_beginning_to_now_or_to_the_end() {
    let mut stage = Stage::new();
    stage.asks("a", 1);
    let at = |stage: &Stage, now| stage.tree().view(&id("a"), now).expect("there").elapsed_s;
    assert_eq!(at(&stage, 71_234_567), 71.234);
    assert_eq!(at(&stage, -5 * SECOND), 0.0, "a clock that was set back");
    assert_eq!(at(&stage, 90 * 86_400 * SECOND), 7_776_000.0, "a quarter of a year");
    assert_eq!(at(&stage, i64::MAX), 9_223_372_036_854.775);
    stage.ends("a", done());
    assert_eq!(at(&stage, 71_234_567), 2.0);
    for record in &mut stage.records[2..] {
        record.at = -SECOND;
    }
    assert_eq!(at(&stage, 0), 0.0, "an end before the beginning");
}

#[test]
fn the_end_is_told_with_all_its_parts() {
    let mut stage = Stage::new();
    let mut finished = end(callboard_trace::EndState::Partial);
    finished.answer = Some(json!({"summary": "half", "confidence": 0.25, "verdict": "changes"}));
    finished.missing =
        vec![Missing { agent: agent("tester"), error: "e".into(), impact: "i".into() }];
    finished.recommendations = vec!["r".into()];
    stage.ends("a", finished.clone());
    let view = stage.view("a");
    assert_eq!((view.result.as_deref(), view.confidence), (Some("half"), Some(0.25)));
    assert_eq!(view.answer, Some(json!({"verdict": "changes"})));
    assert_eq!(view.stop, Some(Stop::Error));
    assert_eq!((view.missing, view.recommendations), (finished.missing, finished.recommendations));
    assert_eq!(view.error.expect("an error").told(), "it went wrong; look at it");
}

#[test]
fn the_result_is_the_answers_summary_or_the_troubles_message() {
    let told = |answer: Option<serde_json::Value>| {
        let finished = Finished { answer, ..end(callboard_trace::EndState::Failed) };
        let mut stage = Stage::new();
        stage.ends("a", finished);
        let view = stage.view("a");
        (view.result, view.answer, view.confidence)
    };
    let trouble = Some("it went wrong".to_string());
    assert_eq!(told(None), (trouble.clone(), None, None));
    assert_eq!(told(Some(json!({"summary": "s"}))), (Some("s".into()), None, None));
    let odd = json!({"summary": 5, "confidence": "high"});
    assert_eq!(told(Some(odd)), (trouble, None, None));
}

#[test]
fn an_open_run_tells_no_result() {
    let view = Stage::new().view("a");
    assert_eq!((view.result, view.answer, view.error, view.stop), (None, None, None, None));
}

#[test]
fn the_names_below_a_run_are_its_own_and_its_descendants() {
    let mut stage = Stage::new();
    stage.hands("a", "b", "tester", Transfer).hands("b", "c", "reviewer", Delegate);
    stage.passes("c", "d", "tester", Transfer).hands("a", "e", "tester", Delegate);
    let names = |run| stage.tree().names_below(&id(run));
    let set = |names: &[&str]| names.iter().map(|it| id(it)).collect::<BTreeSet<RunId>>();
    assert_eq!(names("a"), set(&["a", "b", "c", "d", "e"]));
    assert_eq!(names("b"), set(&["b", "c", "d"]));
    assert_eq!(names("e"), set(&["e"]));
    assert_eq!(names("x"), set(&["x"]), "a stranger");
    assert!(stage.tree().view(&id("x"), 0).is_none());
}

#[test]
fn a_journal_that_names_a_run_twice_or_in_a_circle_is_still_folded() {
    let mut stage = Stage::new();
    stage.asks("a", 1).hears("a", 1, 1, 0);
    stage.hands("a", "b", "tester", Transfer).asks("b", 1).hears("b", 1, 10, 0);
    stage.passes("a", "b", "tester", Transfer).passes("b", "a", "coder", Transfer);
    stage.passes("b", "b", "tester", Delegate);
    let view = stage.view("a");
    assert_eq!((view.cost.tokens, view.handoffs), (11, 4));
}

#[test]
fn records_before_a_run_begins_are_no_part_of_it() {
    let mut stage = Stage::new();
    let beginning = stage.records.remove(0);
    stage.hears("a", 1, 5, 5);
    assert!(Tree::fold(&stage.records).runs.is_empty());
    stage.records.push(beginning);
    stage.happens("b", started("tester", Some("a"))).hears("a", 1, 7, 0);
    assert_eq!(stage.view("a").cost.tokens, 7);
}

#[test]
fn spending_is_told_by_agent_and_model_and_sums_to_the_cost() {
    let mut stage = Stage::new();
    stage.asks("a", 1).hears("a", 1, 100, 10).asks("a", 2).hears("a", 2, 50, 5);
    stage.hands("a", "b", "tester", Delegate).asks("b", 1).hears("b", 1, 20, 2);
    for record in &mut stage.records {
        record.agent = Some(agent(if record.run == id("a") { "coder" } else { "tester" }));
    }
    let spent = callboard_trace::spent(&stage.records);
    let told: Vec<(String, u64, u64)> = spent
        .iter()
        .map(|it| {
            let agent = it.agent.as_ref().map_or("-", |it| it.as_str());
            (agent.to_owned(), it.replies, it.usage.input + it.usage.output)
        })
        .collect();
    assert_eq!(told, [("coder".to_owned(), 2, 165), ("tester".to_owned(), 1, 22)]);
    let sum: u64 = told.iter().map(|it| it.2).sum();
    assert_eq!(sum, stage.view("a").cost.tokens);
}
