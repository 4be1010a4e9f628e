//! The built binary killed with `kill -9` again and again while its agents work: nothing that was
//! accepted is lost, nothing that was finished is done again.

mod endpoint;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use callboard_scheduler::{Desk, PlanAsk, TaskAsk};
use callboard_trace::{Event, Record, RunId, State};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::worker::{Worker, come_to_an_end};
use stage::{Stage, ask, caller, no_finished_step_is_taken_again, records};

/// Times a worker is killed, in each of the two storms.
const KILLS: u32 = 100;
/// Between two kills: long enough for a step to be finished.
const BETWEEN: Duration = Duration::from_millis(220);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_killed_again_and_again_loses_nothing() {
    storm(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_on_one_file_take_over_from_each_other() {
    storm(3).await;
}

async fn storm(n_workers: usize) {
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let front = stage.node_with(false).await;
    let desk = front.desk();
    let mut runs = Vec::new();
    let mut workers: Vec<Worker> = (0..n_workers).map(|_| Worker::start(&stage)).collect();
    for kill in 0..KILLS {
        if kill % 3 == 0 {
            let task = format!("task {kill}");
            let run = desk.submit(ask("coordinator", &task)).await.expect("accepted").run;
            runs.push((run, "put together"));
        }
        if kill % 3 == 1 {
            let run = desk.submit_plan(diamond(kill)).await.expect("accepted").run;
            runs.push((run, "all 4 tasks ended well"));
        }
        tokio::time::sleep(BETWEEN + Duration::from_millis(u64::from(kill * 37 % 11) * 10)).await;
        let victim = kill as usize % n_workers;
        workers[victim] = Worker::start(&stage);
    }
    for (run, result) in &runs {
        let view = come_to_an_end(&desk, run).await;
        let all = records(&desk, run).await;
        let story = stage::tell(&all);
        assert_eq!(view.state, State::Completed, "{story}");
        assert_eq!(view.result.as_deref(), Some(*result), "{story}");
        no_finished_step_is_taken_again(&all, &story);
        no_task_begins_twice(&all, &story);
    }
    drop(workers);
    let runs: Vec<RunId> = runs.into_iter().map(|it| it.0).collect();
    asked_no_more_than_told(&desk, &runs, &endpoint).await;
    front.stop().await;
}

/// Two tasks side by side, one after both, one after that.
fn diamond(kill: u32) -> PlanAsk {
    let task = |id: &str, after: &[&str]| TaskAsk {
        id: Some(id.into()),
        to: Some("writer".into()),
        task: format!("{id} of {kill}"),
        after: after.iter().map(ToString::to_string).collect(),
        ..TaskAsk::default()
    };
    let tasks = vec![task("a", &[]), task("b", &[]), task("c", &["a", "b"]), task("d", &["c"])];
    PlanAsk { tasks, split: BTreeMap::new(), ask: ask("writer", "") }
}

fn no_task_begins_twice(all: &[Record], story: &str) {
    let mut begun = BTreeSet::new();
    for record in all {
        let Event::HandedOff(handoff) = &record.event else { continue };
        let Some(step) = &handoff.step else { continue };
        assert!(begun.insert((record.run.clone(), step.clone())), "{step} began twice:\n{story}");
    }
}

/// The endpoint never saw a call that the journal does not know.
async fn asked_no_more_than_told(desk: &Desk, runs: &[RunId], endpoint: &Endpoint) {
    let mut begun: BTreeMap<String, usize> = BTreeMap::new();
    for run in runs {
        for record in records(desk, run).await {
            if let Event::StepBegun(step) = &record.event
                && let callboard_trace::Work::Model { prompt, .. } = &step.work
            {
                *begun.entry(prompt.clone()).or_default() += 1;
            }
        }
    }
    let requests = endpoint.requests();
    let told: usize = begun.values().sum();
    assert!(
        requests.len() <= told,
        "the endpoint saw {} calls, the journal knows {told}",
        requests.len()
    );
}

/// A coordinator that asks two others side by side, each of which thinks for a while.
fn script(ask: &Ask) -> Act {
    let pause = Duration::from_millis(60);
    let summary = json!({
        "did": "looked at the task and split it", "must_know": "be brief", "do_next": "your part",
    });
    let delegate = |to: &str| ("delegate", json!({"to": to, "task": "a part", "summary": summary}));
    let answer = |text: &str| Act::answer(&json!({"summary": text, "confidence": 0.9}));
    let act = if !ask.system().contains("You are the coordinator") {
        answer("a part is done")
    } else if ask.turn() == 1 {
        let calls: Vec<(&str, Value)> = vec![delegate("writer"), delegate("researcher")];
        Act::calls(&calls)
    } else {
        answer("put together")
    };
    act.after(pause)
}

#[tokio::test]
async fn a_view_of_a_run_that_nobody_drives_says_what_it_waits_for() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    let front = stage.node_with(false).await;
    let desk = front.desk();
    let run = desk.submit(ask("writer", "later")).await.expect("accepted").run;
    let view = desk.view(&run, &caller()).await.expect("there");
    assert_eq!(view.state, State::Queued);
    assert_eq!(view.queue.expect("a reason").waiting_for, "a seat");
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_brings_three_processes_down_halts_and_goes_on_at_a_persons_word() {
    let deadly = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let slow = deadly.clone();
    let endpoint = Endpoint::start(move |_| {
        let answer = Act::answer(&json!({"summary": "through", "confidence": 0.9}));
        let is_slow = slow.load(std::sync::atomic::Ordering::Relaxed);
        if is_slow { answer.after(Duration::from_secs(60)) } else { answer }
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let front = stage.node_with(false).await;
    let desk = front.desk();
    let run = desk.submit(ask("writer", "deadly")).await.expect("accepted").run;
    for kill in 1..=3 {
        let worker = Worker::start(&stage);
        endpoint.until(|all| all.len() == kill).await;
        drop(worker);
    }
    let worker = Worker::start(&stage);
    let view = desk.wait(&run, &caller(), stage::PATIENCE).await.expect("there");
    assert_eq!(view.state, State::Halted, "{view:?}");
    let question = view.questions.first().expect("a question");
    assert_eq!(question.options, ["rerun", "abort"]);
    let answers = |it: &str| BTreeMap::from([(question.id.clone(), it.to_string())]);
    let wrong = desk.answer(&run, &answers("maybe"), &caller()).await.expect_err("no option");
    assert!(wrong.problems[0].contains("write one of rerun, abort"), "{wrong}");
    deadly.store(false, std::sync::atomic::Ordering::Relaxed);
    desk.answer(&run, &answers("rerun"), &caller()).await.expect("answered");
    assert_eq!(stage::end(&desk, &run).await.state, State::Completed);
    let late = desk.answer(&run, &answers("rerun"), &caller()).await.expect_err("closed");
    assert_eq!(late.code, callboard_scheduler::RefusalCode::Conflict);
    drop(worker);
    front.stop().await;
}
