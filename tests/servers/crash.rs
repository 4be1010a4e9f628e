//! `kill -9` of the built binary around a call: replayed, executed again, or one question.

use std::collections::BTreeMap;

use callboard_scheduler::Desk;
use callboard_trace::{Event, RunId, State};
use serde_json::json;

use super::fixture::Fixture;
use super::stage::worker::Worker;
use super::stage::{
    self, PATIENCE, Stage, ask, caller, no_finished_step_is_taken_again, records, told,
};
use super::stage_with;

fn waiting(fixture: &Fixture, tool: &str, think_ms: u64) -> Stage {
    let servers = json!({"x": fixture.entry(json!({}))});
    stage_with(&servers, &[(tool, json!({"text": "it"}))], "{}", think_ms)
}

/// A run whose first call was under way when its process was killed, and the process that goes on.
async fn cut_off(fixture: &Fixture, stage: &Stage, desk: &Desk) -> (RunId, Worker) {
    let run = desk.submit(ask("writer", "go")).await.expect("accepted").run;
    let worker = Worker::start(stage);
    fixture.until_seen(1);
    drop(worker);
    fixture.until_gone();
    fixture.open_gate();
    (run, Worker::start(stage))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_may_be_repeated_is_made_again() {
    let fixture = Fixture::new("stubborn escape");
    let stage = waiting(&fixture, "mcp__x__wait_again", 0);
    let front = stage.node_with(false).await;
    let desk = front.desk();
    let (run, worker) = cut_off(&fixture, &stage, &desk).await;
    let view = stage::end(&desk, &run).await;
    let story = told(&desk, &run).await;
    assert_eq!(view.state, State::Completed, "{story}");
    assert_eq!((fixture.seen().len(), fixture.done().len()), (2, 1), "{story}");
    assert!(story.contains("attempt 2"), "{story}");
    drop(worker);
    fixture.until_gone();
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_may_not_be_repeated_asks_once_and_heeds_the_word() {
    for (word, calls) in [("rerun", 2), ("skip", 1)] {
        let fixture = Fixture::new("");
        let stage = waiting(&fixture, "mcp__x__wait", 0);
        let front = stage.node_with(false).await;
        let desk = front.desk();
        let (run, worker) = cut_off(&fixture, &stage, &desk).await;
        let view = desk.wait(&run, &caller(), PATIENCE).await.expect("there");
        assert_eq!(view.state, State::Halted, "{}", told(&desk, &run).await);
        assert_eq!(view.questions.len(), 1, "{:?}", view.questions);
        assert_eq!(view.questions[0].options, ["rerun", "skip", "abort"]);
        assert_eq!(fixture.seen().len(), 1, "nothing is done before the answer");
        let answer = BTreeMap::from([(view.questions[0].id.clone(), word.to_string())]);
        desk.answer(&run, &answer, &caller()).await.expect("answered");
        let view = stage::end(&desk, &run).await;
        let story = told(&desk, &run).await;
        assert_eq!(view.state, State::Completed, "{story}");
        assert_eq!(fixture.seen().len(), calls, "{story}");
        drop(worker);
        front.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_recorded_is_replayed() {
    let fixture = Fixture::new("");
    fixture.open_gate();
    let stage = waiting(&fixture, "mcp__x__wait", 1_500);
    let front = stage.node_with(false).await;
    let desk = front.desk();
    let run = desk.submit(ask("writer", "go")).await.expect("accepted").run;
    let worker = Worker::start(&stage);
    loop {
        let all = records(&desk, &run).await;
        let is_thinking = |it: &callboard_trace::Record| match &it.event {
            Event::StepBegun(begun) => begun.step > 3,
            _ => false,
        };
        if all.iter().any(is_thinking) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(worker);
    let worker = Worker::start(&stage);
    let view = stage::end(&desk, &run).await;
    let story = told(&desk, &run).await;
    assert_eq!(view.state, State::Completed, "{story}");
    assert_eq!(fixture.seen().len(), 1, "{story}");
    no_finished_step_is_taken_again(&records(&desk, &run).await, &story);
    drop(worker);
    front.stop().await;
}
