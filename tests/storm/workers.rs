//! Processes of the built binary on one data folder: two that work, and one that serves and is
//! given tasks.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use callboard_trace::RunId;
use serde_json::{Value, json};

use crate::stage::Stage;

/// The runs that a caller was told of, with their tasks.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<RunId>>>);

impl Told {
    pub(crate) fn add(&self, run: RunId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(run);
    }

    pub(crate) fn all(&self) -> Vec<RunId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One process; dropping it is `kill -9`.
pub(crate) struct Worker(Child);

impl Worker {
    /// It works, and serves nobody.
    pub(crate) fn works(stage: &Stage) -> Worker {
        Worker(start(stage, "work", Stdio::null(), Stdio::null()))
    }

    /// It serves a client that gives it a task at once and listens for as long as it lives.
    pub(crate) fn serves(stage: &Stage, task: &str, told: &Told) -> Worker {
        let mut child = start(stage, "serve", Stdio::piped(), Stdio::piped());
        // What is written before it reads waits in the pipe; killed meanwhile, it never reads it.
        let mut input = child.stdin.take().expect("its input");
        for message in messages(task) {
            let _ = writeln!(input, "{message}");
        }
        let (output, told) = (child.stdout.take().expect("its output"), told.clone());
        std::thread::spawn(move || {
            let _open = input;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&line).unwrap_or_default();
                let run = &answer["result"]["structuredContent"]["run"];
                if let Some(run) = run.as_str().filter(|_| answer["id"] == "task") {
                    told.add(RunId::from_text(run));
                }
            }
        });
        Worker(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

fn start(stage: &Stage, command: &str, input: Stdio, output: Stdio) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_callboard"))
        .args([command, "--quiet", "--team"])
        .arg(stage.team())
        .arg("--data")
        .arg(stage.data())
        .stdin(input)
        .stdout(output)
        .stderr(Stdio::inherit())
        .spawn();
    child.expect("the binary starts")
}

fn messages(task: &str) -> [Value; 3] {
    let client = json!({"name": "storm", "version": "1"});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let arguments = json!({"task": task, "wait_s": 0});
    let call = json!({"name": "coordinator", "arguments": arguments});
    [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": "task", "method": "tools/call", "params": call}),
    ]
}
