//! A machine that is busy with something else: nothing new begins there, what was begun goes on.

#![allow(clippy::panic, reason = "a test says why and fails")]

mod endpoint;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use callboard_config::policy::Throttle;
use callboard_scheduler::{Desk, World};
use callboard_trace::{Action, Control, Event, RunId, State};
use endpoint::{Act, Endpoint, Request};
use serde_json::json;
use stage::{Stage, ask, caller, end};

const THROTTLE: Throttle = Throttle { high: 80.0, low: 70.0, window_s: 1 };

/// A machine whose processors are used by others as far as the switch says.
fn world(is_busy: &Arc<AtomicBool>) -> World {
    let (is_busy, others, all) = (is_busy.clone(), AtomicU64::new(0), AtomicU64::new(0));
    let load = move || {
        let more = if is_busy.load(Ordering::Relaxed) { 91 } else { 3 };
        let others = others.fetch_add(more, Ordering::Relaxed);
        Some((others, all.fetch_add(100, Ordering::Relaxed)))
    };
    World { load: Arc::new(load), ..World::real() }
}

/// Answers after a time that is named in the task.
async fn endpoint() -> Endpoint {
    Endpoint::start(|ask| {
        let pause = if ask.user().contains("slowly") { 30_000 } else { 0 };
        let answer = Act::answer(&json!({"summary": "done", "confidence": 0.9}));
        answer.after(Duration::from_millis(pause))
    })
    .await
}

async fn submit(desk: &Desk, task: &str) -> RunId {
    desk.submit(ask("writer", task)).await.expect("taken in").run
}

async fn cancel(desk: &Desk, run: &RunId) {
    let control = Control { action: Action::Cancel, value: json!(null), reason: String::new() };
    desk.control(run, control, &caller()).await.expect("cancelled");
}

/// What a run in the queue waits for, once that is as told.
async fn waits_for(desk: &Desk, run: &RunId, what: &str) {
    let mut told = String::new();
    for _ in 0..600 {
        let view = desk.view(run, &caller()).await.expect("there");
        told = view.queue.map(|it| it.waiting_for).unwrap_or_default();
        if view.state == State::Queued && told.starts_with(what) {
            let why = desk.why(run, &caller()).await.expect("there");
            assert!(why.waiting_for.is_some_and(|it| it.starts_with(what)));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it waits for {told:?}");
}

fn about<'a>(task: &str) -> impl Fn(&&'a Request) -> bool {
    move |it| it.body["messages"].to_string().contains(task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_new_begins_while_the_machine_is_busy() {
    let (endpoint, is_busy) = (endpoint().await, Arc::new(AtomicBool::new(true)));
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node_in(world(&is_busy), true, Some(THROTTLE)).await;
    let desk = node.desk();
    let first = submit(&desk, "the first, slowly").await;
    endpoint.until(|all| all.len() == 1).await;
    // It takes two looks until the load is known; what comes before that is begun.
    stage::until("it is shut", async || !admissions(&stage).await.is_empty()).await;
    let second = submit(&desk, "the second, slowly").await;
    let third = submit(&desk, "the third").await;
    waits_for(&desk, &second, "the machine, 91 % of which is busy with something else").await;

    // Who looks from another process is told the same.
    let other = stage.node_with(false).await;
    waits_for(&other.desk(), &third, "the machine, 91 %").await;
    other.stop().await;

    // A cancel passes, in the queue and in progress; then nothing is, so one is let in.
    let urgent = submit(&desk, "the fourth").await;
    cancel(&desk, &urgent).await;
    assert_eq!(end(&desk, &urgent).await.state, State::Cancelled);
    assert!(!endpoint.requests().iter().any(|it| about("the fourth")(&it)));
    assert_eq!(endpoint.requests().len(), 1, "the first alone is in progress");
    cancel(&desk, &first).await;
    assert_eq!(end(&desk, &first).await.state, State::Cancelled);
    endpoint.until(|all| all.iter().any(|it| about("the second")(&it))).await;
    waits_for(&desk, &third, "the machine, 91 %").await;

    is_busy.store(false, Ordering::Relaxed);
    assert_eq!(end(&desk, &third).await.state, State::Completed);
    assert_eq!(endpoint.requests().len(), 3);
    node.stop().await;

    let told = admissions(&stage).await;
    let [(false, 91.0, _), (true, 3.0, calm)] = &*told else { panic!("{told:?}") };
    assert_eq!(calm, "below 70 % of the machine is busy with something else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_throttle_and_where_nothing_is_told_nothing_is_held_back() {
    let (endpoint, is_busy) = (endpoint().await, Arc::new(AtomicBool::new(true)));
    let blind = World { load: Arc::new(|| None), ..World::real() };
    for (world, throttle, said) in [(world(&is_busy), None, 0), (blind, Some(THROTTLE), 1)] {
        let stage = Stage::at(&endpoint.base_url(), "");
        let node = stage.node_in(world, true, throttle).await;
        submit(&node.desk(), "the first, slowly").await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let second = submit(&node.desk(), "the second").await;
        assert_eq!(end(&node.desk(), &second).await.state, State::Completed);
        node.stop().await;
        assert_eq!(admissions(&stage).await.len(), said);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_does_not_look_at_the_machine() {
    let (endpoint, looks) = (endpoint().await, Arc::new(AtomicU64::new(0)));
    let stage = Stage::at(&endpoint.base_url(), "");
    let seen = looks.clone();
    let load = move || Some((0, seen.fetch_add(1, Ordering::Relaxed)));
    let world = World { load: Arc::new(load), ..World::real() };
    let node = stage.node_in(world, true, Some(THROTTLE)).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(looks.load(Ordering::Relaxed), 0);
    let run = submit(&node.desk(), "the first").await;
    end(&node.desk(), &run).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let after = looks.load(Ordering::Relaxed);
    assert!((1..=3).contains(&after), "{after} looks for one short run");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(looks.load(Ordering::Relaxed), after);
    node.stop().await;
}

/// What the journal says of the admission: open, load, reason.
async fn admissions(stage: &Stage) -> Vec<(bool, f64, String)> {
    let store = stage.store("n_reader");
    let records = store.log(0, 10_000).await.expect("the journal");
    store.leave().await.expect("left");
    let of = |it: &callboard_trace::Record| {
        let Event::AdmissionChanged { open, load_pct, reason } = &it.event else { return None };
        Some((*open, *load_pct, reason.clone()))
    };
    records.iter().filter_map(|it| of(&it.1)).collect()
}
