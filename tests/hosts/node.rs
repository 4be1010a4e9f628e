//! A process of the built binary on one of the hosts, and its client.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::net::{ADDRESS, Net};
use crate::stage::Stage;

/// Serves and works. Dropping it is `kill -9`.
pub(crate) struct Node {
    child: Child,
    input: tokio::sync::Mutex<ChildStdin>,
    asked: Asked,
    n_asked: AtomicU64,
    _hears: JoinSet<()>,
}

/// Who waits for which answer.
type Asked = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

impl Node {
    /// Starts it. Its data folder is that of its host alone: where no other host can look, nobody
    /// sees by a lock that it is gone.
    pub(crate) async fn start(net: &Net, host: &str, stage: &Stage) -> Node {
        let data = stage.data().join(host);
        std::fs::create_dir_all(&data).expect("its folder");
        let log = data.join("log");
        let log = File::options().create(true).append(true).open(log).expect("its log");
        let mut command = net.on(host, env!("CARGO_BIN_EXE_callboard"));
        // Else those that fail may hold all seats until they are taken for dead.
        command.args(["serve", "--no-finish", "--at-once", "16", "--team"]).arg(stage.team());
        command.arg("--data").arg(&data).env("CALLBOARD_STORE", ADDRESS);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let input = tokio::sync::Mutex::new(child.stdin.take().expect("its input"));
        let output = child.stdout.take().expect("its output");
        let (asked, mut hears) = (Asked::default(), JoinSet::new());
        hears.spawn(hear(BufReader::new(output), asked.clone()));
        let node = Node { child, input, asked, n_asked: AtomicU64::new(0), _hears: hears };
        node.greet(&data).await;
        node
    }

    async fn greet(&self, data: &Path) {
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "hosts", "version": "1"}});
        let log = || std::fs::read_to_string(data.join("log")).unwrap_or_default();
        assert!(self.ask("initialize", hello).await.is_some(), "it does not serve: {}", log());
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    }

    /// What a tool answers; `None` if it refused, or went without an answer.
    pub(crate) async fn call(&self, tool: &str, arguments: Value, key: &str) -> Option<Value> {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"callboard/key": key}});
        let answer = self.ask("tools/call", params).await?;
        let result = &answer["result"];
        (result["isError"] == false).then(|| result["structuredContent"].clone())
    }

    async fn ask(&self, method: &str, params: Value) -> Option<Value> {
        let id = self.n_asked.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tell);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        if !self.send(&message).await {
            return None;
        }
        told.await.ok()
    }

    /// Whether it is there to read it.
    async fn send(&self, message: &Value) -> bool {
        let line = format!("{message}\n");
        self.input.lock().await.write_all(line.as_bytes()).await.is_ok()
    }

    /// Stops it where it is.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on, as if no time had gone by.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// `kill -9`. What is still in its pipe is read.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|it| Pid::from_raw(it.cast_signed()));
        kill_process(pid.expect("it is not waited for"), signal).expect("it is there");
    }
}

async fn hear(mut output: BufReader<ChildStdout>, asked: Asked) {
    let mut line = String::new();
    loop {
        line.clear();
        if !output.read_line(&mut line).await.is_ok_and(|it| it > 0) {
            break;
        }
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        let id = message["id"].as_u64();
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tell) = id.and_then(|id| asked.remove(&id)) {
            // Nobody waits any more.
            let _ = tell.send(message);
        }
    }
    asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
