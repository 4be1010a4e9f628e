//! The built binary on PostgreSQL: two servers at work on one database, one of which is killed.
#![expect(clippy::panic, reason = "a server of tests says what it missed and fails")]

#[allow(dead_code, reason = "this test needs a part of it")]
#[path = "stdio/client.rs"]
mod client;
mod endpoint;
#[allow(dead_code, reason = "this test breaks no server")]
#[path = "engine/server.rs"]
mod server;
mod stage;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use callboard_store::{Address, OpenOptions, RunState, Store};
use callboard_trace::{EndState, Event, Record, RunId};
use client::Server;
use endpoint::{Act, Endpoint};
use serde_json::{Value, json};
use stage::Stage;

const TASKS: usize = 24;
/// Long enough to be killed in.
const THINKS: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_had_in_hand_the_other_finishes() {
    let script = |_: &_| Act::answer(&json!({"summary": "done", "confidence": 0.9})).after(THINKS);
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), "store: env:CALLBOARD_STORE\n");
    let database = server::Server::shared().database().await;
    let (mut one, mut two) = (serve(&stage, &database), serve(&stage, &database));
    one.call(1, "team_run", json!({"tasks": tasks(), "wait_s": 0}));
    let run = RunId::from_text(one.body(1)["run"].as_str().expect("its name"));
    let store = look(&stage, &database);
    both_are_at_it(&store, &run).await;
    drop(one);
    two.call(2, "team_status", json!({"run": run.as_str(), "wait_s": 15}));
    let view = two.body(2);
    assert_eq!(view["state"], "completed", "{view}");
    assert_eq!(view["result"], format!("all {TASKS} tasks ended well"), "{view}");
    is_told(&store, &run).await;
    assert!(!stage.data().join("callboard.sqlite").exists(), "all of it is on the server");
}

fn serve(stage: &Stage, database: &server::Database) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command
        .args(["serve", "--at-once", "8", "--team"])
        .arg(stage.team())
        .arg("--data")
        .arg(stage.data());
    let mut server = Server::of({
        command.env("CALLBOARD_STORE", database.address());
        command
    });
    server.shake_hands("2025-06-18");
    server
}

fn tasks() -> Vec<Value> {
    (0..TASKS)
        .map(|n| json!({"id": format!("t{n}"), "to": "writer", "task": format!("part {n}")}))
        .collect()
}

/// A node that only looks.
fn look(stage: &Stage, database: &server::Database) -> Store {
    let half = || u128::from(RandomState::new().hash_one(0));
    let chance = Arc::new(move || half() << 64 | half());
    let mut options = OpenOptions::new(stage.data(), "n_looks", chance);
    options.server = Some(Address::parse(&database.address()).expect("an address"));
    Store::open(options).expect("it opens")
}

async fn tree(store: &Store, run: &RunId) -> Vec<Record> {
    let tree = store.tree(run, 0, u32::MAX).await.expect("its records");
    tree.into_iter().map(|it| it.1).collect()
}

/// Waits until both nodes hold tasks of the plan.
async fn both_are_at_it(store: &Store, run: &RunId) {
    stage::until("both work", async || {
        let mut nodes = BTreeSet::new();
        let runs: BTreeSet<RunId> = tree(store, run).await.into_iter().map(|it| it.run).collect();
        for task in runs.iter().filter(|it| *it != run) {
            let row = store.row(task).await.expect("read").expect("its row");
            nodes.extend(row.node.filter(|_| row.state == RunState::Running));
        }
        nodes.len() == 2
    })
    .await;
}

/// Each task was begun once and ended well once, and the killed one said no good-bye.
async fn is_told(store: &Store, run: &RunId) {
    let records = tree(store, run).await;
    let story = stage::tell(&records);
    stage::no_finished_step_is_taken_again(&records, &story);
    let good = |it: &&Record| matches!(&it.event, Event::RunEnded(end) if end.state == EndState::Completed);
    assert_eq!(records.iter().filter(good).count(), TASKS + 1, "{story}");
    let begun = records.iter().filter(|it| matches!(it.event, Event::RunStarted(_))).count();
    assert_eq!(begun, TASKS + 1, "{story}");
    assert_eq!(store.verify(run).await.expect("read").breaks, vec![]);
    let log = store.log(0, u32::MAX).await.expect("the log");
    let n = |kind: &str| log.iter().filter(|it| it.1.event.kind() == kind).count();
    assert_eq!((n("node_started"), n("node_stopped")), (2, 0));
}
