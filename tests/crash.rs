//! Cut after every write: the process is killed at its first sync to the disk, at its second, and
//! so on to the last; each time another one goes on, and the end is the same. Where the store is on a
//! server, it is killed at messages to that.

mod stage;

use std::process::{Command, Output};

use callboard_trace::{Event, State};
use stage::{Stage, ask, caller, end, no_finished_step_is_taken_again, records};

const SUMMARY: &str =
    "summary: {did: looked at the task and at what is there, must_know: use tokio, do_next: go on}";

/// A run with everything in it: a note, two delegates side by side, a transfer.
fn playbook() -> String {
    format!(
        "- {{when: {{agent: coordinator, turn: 1}}, note: {{slot: findings, key: plan, text: first look}}}}\n\
         - when: {{agent: coordinator, turn: 2}}\n  delegate:\n    - {{to: researcher, task: look, {SUMMARY}}}\n    - {{to: writer, task: write, {SUMMARY}}}\n\
         - {{when: {{agent: coordinator, turn: 3}}, handoff: {{to: coder, task: build it, {SUMMARY}}}}}\n\
         - {{when: {{agent: coder}}, answer: {{summary: built, confidence: 0.9}}}}\n\
         - {{answer: {{summary: done, confidence: 0.6}}}}\n"
    )
}

/// Syncs of one whole run are far fewer; more would mean that it never ends.
const SYNCS_MAX: u32 = 200;
/// Of the messages to a server every so-many-th is cut: each write is several, and their number is odd
/// or even as it comes.
const APART: u32 = 13;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_cut_after_any_write_comes_to_the_same_end() {
    let mut cuts = 0;
    for cut in 1..=SYNCS_MAX {
        let stage = Stage::new(&playbook());
        let sync = if stage.is_on_a_server() { cut * APART } else { cut };
        let output = run_killed_at(&stage, sync);
        if output.status.success() {
            assert!(cuts >= 10, "only {cuts} cuts before the end: was every step written?");
            return;
        }
        cuts = cut;
        goes_on(&stage, sync).await;
    }
    panic!("the run was not over after {SYNCS_MAX} syncs");
}

/// Runs a task in the built binary and kills it inside its n-th sync, or as it sends its n-th message.
fn run_killed_at(stage: &Stage, sync: u32) -> Output {
    let calls = if stage.is_on_a_server() { "sendto,writev" } else { "fdatasync,fsync" };
    let inject = format!("inject={calls}:signal=SIGKILL:when={sync}");
    Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject])
        .arg(env!("CARGO_BIN_EXE_callboard"))
        .args(["run", "coordinator", "build it together", "--json", "--quiet"])
        .arg("--team")
        .arg(stage.team())
        .arg("--data")
        .arg(stage.data())
        .output()
        .expect("strace is there: `./check` installs it")
}

/// Another process finds what is on the disk and brings it to its end.
async fn goes_on(stage: &Stage, sync: u32) {
    let looker = stage.node_with(false).await;
    let roots = looker.desk().board(&caller()).await.expect("a board").runs;
    assert!(roots.len() <= 1, "one task was given: {roots:?}");
    let mut before = Vec::new();
    if let Some(root) = roots.first() {
        before = records(&looker.desk(), &root.run).await;
    }
    looker.stop().await;
    let Some(root) = roots.first() else { return };

    let node = stage.node().await;
    let view = end(&node.desk(), &root.run).await;
    let after = records(&node.desk(), &root.run).await;
    node.stop().await;
    let told = stage::tell(&after);
    assert_eq!(view.state, State::Completed, "cut at sync {sync}:\n{told}");
    assert_eq!(view.result.as_deref(), Some("built"), "cut at sync {sync}:\n{told}");
    assert_eq!(view.handoffs, 3, "cut at sync {sync}:\n{told}");
    assert!(after.starts_with(&before), "what was written stays, cut at sync {sync}:\n{told}");
    no_finished_step_is_taken_again(&after, &told);
    let given = after.iter().find_map(|it| {
        let Event::RunStarted(started) = &it.event else { return None };
        let is_coder = started.agent.name.as_str() == "coder";
        is_coder.then(|| started.slots.0.iter().map(|it| it.key.clone()).collect::<Vec<_>>())
    });
    assert_eq!(
        given,
        Some(vec!["plan".to_owned()]),
        "the slots cross, cut at sync {sync}:\n{told}"
    );
    for (what, count) in [("started", 4), ("ended completed", 4), ("noted findings", 1)] {
        let found = told.lines().filter(|it| it.contains(&format!(": {what}"))).count();
        assert_eq!(found, count, "`{what}`, cut at sync {sync}:\n{told}");
    }
}

/// From its n-th write on, the disk of the traced process is full.
fn on_a_full_disk(from: u32, arguments: &[&str], stage: &Stage) -> Command {
    let inject = format!("inject=pwrite64:error=ENOSPC:when={from}+");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", &inject])
        .arg(env!("CARGO_BIN_EXE_callboard"))
        .args(arguments)
        .arg("--team")
        .arg(stage.team())
        .arg("--data")
        .arg(stage.data());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_nothing_in_and_loses_nothing() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    let front = stage.node_with(false).await;
    let run = front.desk().submit(ask("writer", "before the disk was full")).await;
    let run = run.expect("accepted").run;

    let refused = on_a_full_disk(1, &["run", "writer", "too late", "--json"], &stage)
        .output()
        .expect("strace is there: `./check` installs it");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("the disk of the data folder is full"), "{said}");
    assert!(refused.stdout.is_empty(), "no run id for what was not accepted");

    let mut worker = on_a_full_disk(1, &["serve"], &stage)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    drop(worker.stdin.take());
    worker.wait().expect("it ends");

    let view = front.desk().view(&run, &caller()).await.expect("still there");
    assert_eq!(view.state, State::Queued, "nobody could write a step: {view:?}");
    front.stop().await;
    let node = stage.node().await;
    assert_eq!(end(&node.desk(), &run).await.state, State::Completed);
    node.stop().await;
}
