//! A small MCP client that starts `callboard serve` itself and speaks to it over its pipes.

use std::process::Stdio;
use std::time::Duration;

use callboard_trace::{RunId, RunView};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::broken::Broken;
use super::house::House;

/// The revision of the protocol that is asked for.
const REVISION: &str = "2025-11-25";
/// Longest line that is read.
const LINE_BYTES: u64 = 8 << 20;
/// Longest silence before the demo gives up.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a server may take to leave when its input ends.
const LEAVE: Duration = Duration::from_secs(5);

/// A connection to a server that is our child: it does not outlive us.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Client {
    /// Starts a server and shakes hands with it.
    pub(crate) async fn start(house: &House) -> Result<Client, Broken> {
        let failed = |error| Broken::machine("the server cannot be started", &error);
        let mut child = tokio::process::Command::new(&house.binary)
            .args(["serve", "--no-finish"])
            .args(house.place())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(house.log().map_err(failed)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| Broken::said("the server has no output"))?;
        let mut client = Client { child, input, output: BufReader::new(output), asked: 0 };
        let hello = json!({
            "protocolVersion": REVISION, "capabilities": {},
            "clientInfo": {"name": "callboard-demo", "version": env!("CARGO_PKG_VERSION")}
        });
        client.ask("initialize", hello).await?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        Ok(client)
    }

    /// The number of the server's process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// One request and its result.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Broken> {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await?;
        loop {
            let message = self.hear().await?;
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            return match message.get("error") {
                Some(error) => Err(Broken::said(format!("{method} was refused: {error}"))),
                None => Ok(message.get("result").cloned().unwrap_or_default()),
            };
        }
    }

    /// Calls a tool and reads its facts.
    pub(crate) async fn call(&mut self, name: &str, arguments: Value) -> Result<Value, Broken> {
        facts(self.ask("tools/call", json!({"name": name, "arguments": arguments})).await?)
    }

    /// Calls an agent, or asks for its run, until the run is over.
    pub(crate) async fn finish(&mut self, name: &str, arguments: Value) -> Result<RunView, Broken> {
        let mut view = view(self.call(name, arguments).await?)?;
        while !view.state.is_over() {
            view = self.look(&view.run, 20).await?;
        }
        Ok(view)
    }

    /// Waits for news of a run.
    pub(crate) async fn look(&mut self, run: &RunId, wait_s: u64) -> Result<RunView, Broken> {
        view(self.call("team_status", json!({"run": run, "wait_s": wait_s})).await?)
    }

    /// Kills the server as a crash would, without a word.
    pub(crate) async fn kill(&mut self) -> Result<(), Broken> {
        self.child.kill().await.map_err(|error| Broken::machine("the server lives on", &error))
    }

    /// Ends the server's input, as a client that leaves.
    pub(crate) async fn leave(&mut self) -> Result<Duration, Broken> {
        let begun = tokio::time::Instant::now();
        drop(self.input.take());
        match timeout(LEAVE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(begun.elapsed()),
            Ok(Ok(status)) => Err(Broken::said(format!("the server left with {status}"))),
            Ok(Err(error)) => Err(Broken::machine("the server cannot be waited for", &error)),
            Err(_) => Err(Broken::said("the server stays although its input ended")),
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), Broken> {
        let input = self.input.as_mut().ok_or_else(|| Broken::said("the server was left"))?;
        let sent = async {
            input.write_all(format!("{message}\n").as_bytes()).await?;
            input.flush().await
        };
        sent.await.map_err(|error| Broken::machine("the server does not listen", &error))
    }

    async fn hear(&mut self) -> Result<Value, Broken> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.output).take(LINE_BYTES);
        match timeout(SILENCE, bounded.read_until(b'\n', &mut line)).await {
            Err(_) => Err(Broken::said(format!("the server was silent for {SILENCE:?}"))),
            Ok(Err(error)) => Err(Broken::machine("the server cannot be heard", &error)),
            Ok(Ok(0)) => Err(Broken::said("the server ended in the middle of a call")),
            Ok(Ok(_)) => serde_json::from_slice(&line).map_err(|error| {
                let shown = String::from_utf8_lossy(&line);
                Broken::said(format!("the server wrote what is no JSON ({error}): {shown}"))
            }),
        }
    }
}

/// The facts of a tool's result; a refused call is not what the demo asked for.
fn facts(result: Value) -> Result<Value, Broken> {
    let facts = result.get("structuredContent").cloned().unwrap_or_default();
    match result.get("isError").and_then(Value::as_bool) {
        Some(true) => Err(Broken::said(format!("a call was refused: {result}"))),
        Some(false) | None => Ok(facts),
    }
}

/// The facts as a run.
pub(crate) fn view(facts: Value) -> Result<RunView, Broken> {
    serde_json::from_value(facts.clone())
        .map_err(|error| Broken::said(format!("this is no run ({error}): {facts}")))
}
