//! Work goes on without its client: one process of its own, gone when it is done.
#![cfg(unix)]

#[path = "stdio/client.rs"]
#[allow(dead_code, reason = "each test binary uses its part of the client")]
#[allow(clippy::panic, reason = "a client of tests says what it missed and fails")]
mod client;
mod endpoint;
mod stage;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use callboard_scheduler::Node;
use callboard_trace::{RunId, State};
use client::Server;
use endpoint::{Act, Ask, Endpoint};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use stage::{Stage, caller};
use tokio::time::{Instant, sleep};

const TICK: Duration = Duration::from_millis(50);

async fn slow(how_long: Duration) -> (Endpoint, Stage) {
    let answer = move |_: &Ask| {
        Act::answer(&json!({"summary": "done without you", "confidence": 0.9})).after(how_long)
    };
    let endpoint = Endpoint::start(answer).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    (endpoint, stage)
}

fn serve(stage: &Stage, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command.arg("serve").args(more).arg("--team").arg(stage.team());
    command.arg("--data").arg(stage.data());
    command
}

/// The numbers of the processes that go on with the work in this folder.
fn workers(data: &Path) -> Vec<i32> {
    let wanted = data.as_os_str().as_encoded_bytes();
    let all = std::fs::read_dir("/proc").expect("processes are listed");
    let number = |it: std::fs::DirEntry| it.file_name().to_str()?.parse::<i32>().ok();
    let is_worker = |id: &i32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let mut words = line.split(|it| *it == 0);
        words.clone().nth(1) == Some(b"work") && words.any(|it| it == wanted)
    };
    all.flatten().filter_map(number).filter(is_worker).collect()
}

/// Starts a run over a server of its own and waits until its model was asked.
async fn begun(server: &mut Server, endpoint: &Endpoint, task: &str, n_asked: usize) -> RunId {
    let id = format!("start {task}");
    server.call(id.clone(), "writer", json!({"task": task, "wait_s": 0}));
    let run = server.body(id)["run"].as_str().map(RunId::from_text).expect("a run");
    let begun = Instant::now();
    while endpoint.requests().len() < n_asked {
        assert!(begun.elapsed() < stage::PATIENCE, "the model is never asked");
        sleep(TICK).await;
    }
    run
}

/// Sees one worker at a time, at least one, until none is left.
async fn one_worker_to_its_end(data: &Path) {
    let begun = Instant::now();
    let mut seen = 0;
    loop {
        // One that finds another at work is there for a moment too, and does nothing.
        let now = workers(data).len();
        seen = seen.max(now);
        if seen > 0 && now == 0 {
            return;
        }
        assert!(begun.elapsed() < stage::PATIENCE, "{now} workers after {:?}", begun.elapsed());
        sleep(TICK).await;
    }
}

async fn state(node: &Node, run: &RunId) -> State {
    node.desk().view(run, &caller()).await.expect("the run is there").state
}

#[tokio::test]
async fn what_a_client_leaves_open_is_finished_by_one_process_that_ends() {
    let (endpoint, stage) = slow(Duration::from_millis(1_500)).await;
    let mut first = Server::of(serve(&stage, &[]));
    let mut second = Server::of(serve(&stage, &[]));
    for server in [&mut first, &mut second] {
        server.shake_hands("2025-06-18");
    }
    let one = begun(&mut first, &endpoint, "one", 1).await;
    let two = begun(&mut second, &endpoint, "two", 2).await;
    for server in [&mut first, &mut second] {
        server.hang_up();
    }
    for server in [&mut first, &mut second] {
        assert!(server.exit().success());
    }
    // Two were started; the second sees the first and goes.
    let begun = Instant::now();
    while workers(&stage.data()).len() != 1 || begun.elapsed() < TICK * 10 {
        assert!(begun.elapsed() < stage::PATIENCE, "{:?}", workers(&stage.data()));
        sleep(TICK).await;
    }
    one_worker_to_its_end(&stage.data()).await;
    let node = stage.node_with(false).await;
    for run in [&one, &two] {
        assert_eq!(state(&node, run).await, State::Completed);
    }
    let mut notices = node.desk().notices(&caller(), None).await;
    notices.sort();
    let mut expected = [one, two].map(|it| format!("{it} completed, unread"));
    expected.sort();
    assert_eq!(notices, expected);
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_is_killed_has_its_run_finished() {
    let (endpoint, stage) = slow(Duration::from_millis(1_000)).await;
    // The shell is the client: it holds both pipes, and dies without a word.
    let mut shell = Command::new("sh");
    let line = "exec 3<&0; \"$0\" serve --team \"$1\" --data \"$2\" <&3 & wait";
    shell.args(["-c", line, env!("CARGO_BIN_EXE_callboard")]);
    shell.arg(stage.team()).arg(stage.data());
    let mut client = Server::of(shell);
    client.shake_hands("2025-06-18");
    let run = begun(&mut client, &endpoint, "one", 1).await;
    let id = Pid::from_raw(client.id().cast_signed()).expect("a process");
    kill_process(id, Signal::KILL).expect("it is ours");
    one_worker_to_its_end(&stage.data()).await;
    let node = stage.node_with(false).await;
    assert_eq!(state(&node, &run).await, State::Completed);
    let kept = std::fs::read_to_string(stage.data().join("worker.log")).expect("a log");
    assert!(kept.contains("ended: nothing is left to do"), "{kept}");
    node.stop().await;
}

/// A call that is given up after a while, as a client does that loses its patience.
async fn lose_patience(server: &mut Server, endpoint: &Endpoint, task: &str, n_asked: usize) {
    let id = format!("call {task}");
    server.call(id.clone(), "writer", json!({ "task": task }));
    let begun = Instant::now();
    while endpoint.requests().len() < n_asked {
        assert!(begun.elapsed() < stage::PATIENCE, "the model is never asked");
        sleep(TICK).await;
    }
    server.give_up(id, "McpError: MCP error -32001: Request timed out");
}

#[tokio::test]
async fn a_client_that_times_out_finds_its_result_in_three_ways() {
    let (endpoint, stage) = slow(Duration::from_millis(900)).await;
    let mut server = Server::of(serve(&stage, &[]));
    server.shake_hands("2025-06-18");
    let mut at = 0;
    let mut told = |server: &mut Server, tool: &str, arguments: serde_json::Value| {
        at += 1;
        server.call(at, tool, arguments);
        server.body(at)
    };
    let over = async |server: &mut Server, told: &mut dyn FnMut(&mut Server) -> bool| {
        let begun = Instant::now();
        while !told(server) {
            assert!(begun.elapsed() < stage::PATIENCE, "it never ends");
            sleep(TICK).await;
        }
    };
    lose_patience(&mut server, &endpoint, "by the notice", 1).await;
    over(&mut server, &mut |server| {
        let queue = told(server, "team_status", json!({"view": "queue"}));
        queue["notices"][0].as_str().is_some_and(|it| it.ends_with(" completed, unread"))
    })
    .await;
    let queue = told(&mut server, "team_status", json!({"view": "queue"}));
    let notice = queue["notices"][0].as_str().expect("a notice");
    let run = notice.split(' ').next().expect("a name");
    let read = told(&mut server, "team_status", json!({ "run": run }));
    assert_eq!(read["result"], "done without you");

    lose_patience(&mut server, &endpoint, "by calling again", 2).await;
    let again = told(&mut server, "writer", json!({"task": "by calling again"}));
    assert_eq!((&again["joined"], &again["result"]), (&json!(true), &json!("done without you")));

    lose_patience(&mut server, &endpoint, "by the board", 3).await;
    over(&mut server, &mut |server| {
        let board = told(server, "team_status", json!({}));
        board["unread"][0]["task"] == "by the board"
    })
    .await;
    assert_eq!(endpoint.requests().len(), 3, "nothing was done twice");
    server.hang_up();
    assert!(server.exit().success());
}

#[tokio::test]
async fn the_command_line_delivers_too() {
    let (_endpoint, stage) = slow(Duration::from_millis(10)).await;
    let command = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.args(words).arg("--team").arg(stage.team()).arg("--data").arg(stage.data());
        let done = command.output().expect("the binary starts");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).expect("a text")
    };
    let read = command(&["run", "writer", "one", "--json"]);
    let read: serde_json::Value = serde_json::from_str(&read).expect("one line of JSON");
    assert_eq!(read["notices"], json!([]));
    let detached = command(&["run", "writer", "two", "--detach", "--quiet"]);
    command(&["work", "--until-idle", "--quiet"]);
    let later = command(&["run", "writer", "three", "--json"]);
    let later: serde_json::Value = serde_json::from_str(&later).expect("one line of JSON");
    assert_eq!(later["notices"], json!([format!("{} completed, unread", detached.trim())]));
    let board = command(&["status", "--full"]);
    assert!(board.contains("unread\n"), "{board}");
    command(&["status", detached.trim()]);
    let board = command(&["status", "--full"]);
    assert!(!board.contains("unread\n"), "{board}");

    let whole = command(&["read", &detached.trim()[..8]]);
    let whole: serde_json::Value = serde_json::from_str(&whole).expect("one JSON object");
    assert_eq!(whole["result"], "done without you");
    let list = command(&["read", &format!("team://runs/{}/artifacts", detached.trim())]);
    assert!(list.contains("writer/answer") && list.lines().count() == 1, "{list}");
    let found = command(&["read", "team://agents/writer", "--grep", "description"]);
    assert!(found.contains("The writer of the stage."), "{found}");
    let trace = command(&["read", "team://runs/latest/trace"]);
    let kinds = trace.lines().map(serde_json::from_str::<callboard_trace::Record>);
    assert!(kinds.count() >= 5 && trace.contains("run_ended"), "{trace}");
}

#[tokio::test]
async fn nobody_goes_on_where_nothing_is_open_or_the_owner_says_leave() {
    let (endpoint, stage) = slow(Duration::from_millis(300)).await;
    let mut server = Server::of(serve(&stage, &[]));
    server.shake_hands("2025-06-18");
    server.call(1, "writer", json!({"task": "t"}));
    assert_eq!(server.body(1)["state"], "completed");
    server.hang_up();
    assert!(server.exit().success());
    assert_eq!(workers(&stage.data()), [0; 0]);

    let leave = "clients: {on_disconnect: leave}\n";
    let by_team = Stage::at(&endpoint.base_url(), leave);
    let by_flag = Stage::at(&endpoint.base_url(), "");
    for (stage, more) in [(by_team, &[][..]), (by_flag, &["--no-finish"])] {
        let mut server = Server::of(serve(&stage, more));
        server.shake_hands("2025-06-18");
        server.call(1, "writer", json!({"task": "t", "wait_s": 0}));
        server.body(1);
        server.hang_up();
        assert!(server.exit().success());
        sleep(TICK * 4).await;
        assert_eq!(workers(&stage.data()), [0; 0]);
        assert!(!stage.data().join("worker.log").exists());
    }
}

#[tokio::test]
async fn who_goes_on_ends_with_its_data_folder() {
    let (endpoint, stage) = slow(Duration::from_secs(60)).await;
    let mut server = Server::of(serve(&stage, &[]));
    server.shake_hands("2025-06-18");
    begun(&mut server, &endpoint, "endless", 1).await;
    server.hang_up();
    assert!(server.exit().success());
    let data = stage.data();
    let begun = Instant::now();
    while workers(&data).is_empty() || endpoint.requests().len() < 2 {
        assert!(begun.elapsed() < stage::PATIENCE, "nobody goes on");
        sleep(TICK).await;
    }
    std::fs::remove_dir_all(&data).expect("it goes");
    let gone = Instant::now();
    while !workers(&data).is_empty() {
        assert!(gone.elapsed() < stage::PATIENCE, "somebody goes on");
        sleep(TICK).await;
    }
}
