//! A thousand commands, a third of them crashing, hanging or escaping their session: nothing of them
//! is left. `CALLBOARD_TOOL_RUNS=10000` says how many.
#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

#[path = "sandbox/bash.rs"]
mod bash;
#[path = "sandbox/left.rs"]
mod left;
mod stage;

use std::time::Duration;

use callboard_trace::{Event, State};
use left::{eventually, files, mark, until_gone, zombies};
use serde_json::{Value, json};
use stage::{Stage, ask, caller, records};

/// Commands of one turn, and turns of one run.
const CALLS: usize = 10;
const TURNS: usize = 10;
/// Commands that nobody asked for more of.
const RUNS: usize = 1_000;
/// What every process that a command leaves behind is called with.
const MARK: u32 = 73_195;

/// The command with this number, and how its telling ends.
fn command(at: usize) -> (Value, String) {
    let mark = mark(MARK);
    let (text, end) = match at % 9 {
        0 => ("kill -SEGV $$".to_owned(), "[ended by signal 11]".to_owned()),
        3 => (format!("setsid sleep {mark} & sleep {mark}"), "takes up to 600000 ms]".to_owned()),
        6 => (format!("(setsid sleep {mark} &) & echo {at}"), format!("{at}\n")),
        _ => (format!("echo {at}"), format!("{at}\n")),
    };
    let timeout = if at % 9 == 3 { 300 } else { 60_000 };
    (json!({"command": text, "description": at.to_string(), "timeout": timeout}), end)
}

/// Plays one run of a stage; what was told of its commands, in the order of their numbers.
async fn played(desk: &callboard_scheduler::Desk, first: usize) -> Vec<String> {
    let run = desk.submit(ask("writer", &format!("go {first}"))).await.expect("taken in").run;
    let view = desk.wait(&run, &caller(), Duration::from_secs(600)).await.expect("there");
    assert_eq!(view.state, State::Completed, "{view:?}");
    let all = records(desk, &run).await;
    let told = all.iter().filter_map(|it| match &it.event {
        Event::ToolReturned { step, result, .. } => {
            let text = result.get("error").unwrap_or(result).as_str().unwrap_or_default();
            Some((*step, text.to_owned()))
        }
        _ => None,
    });
    let mut told: Vec<(u32, String)> = told.collect();
    told.sort();
    told.into_iter().map(|it| it.1).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_thousand_commands() {
    let asked = callboard_config::environment("CALLBOARD_TOOL_RUNS");
    let runs: usize = asked.and_then(|it| it.parse().ok()).unwrap_or(RUNS);
    let turns: Vec<Vec<Value>> = (0..TURNS)
        .map(|turn| (0..CALLS).map(|call| command(turn * CALLS + call).0).collect())
        .collect();
    let stage: Stage = bash::stage_of(&turns, &format!("roots: [{}]\n", bash::WORK));
    let node = stage.node().await;
    let desk = node.desk();
    // The first opens what stays open.
    played(&desk, 0).await;
    let open = files();
    let mut done = CALLS * TURNS;
    while done < runs {
        let both =
            tokio::join!(played(&desk, done), played(&desk, done + 1), played(&desk, done + 2));
        for told in [both.0, both.1, both.2] {
            assert_eq!(told.len(), CALLS * TURNS);
            for (at, text) in told.iter().enumerate() {
                assert!(text.ends_with(&command(at).1), "{at}: {text}");
            }
            done += told.len();
        }
    }
    until_gone(&mark(MARK)).await;
    until_gone(&stage.team().display().to_string()).await;
    eventually("no zombie is left", || zombies() == 0).await;
    eventually("no file is left open", || files() <= open).await;
    node.stop().await;
    println!("{done} commands");
}
