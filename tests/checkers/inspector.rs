//! The Inspector's command line, one call a process.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::house::{Door, House, PATIENCE, Served, tool};

/// Where a list has its tools.
pub(crate) const TOOLS: &str = "tools";

/// Who inspects, and through which door.
pub(crate) struct Inspector<'a> {
    house: &'a House,
    target: Vec<String>,
}

impl<'a> Inspector<'a> {
    pub(crate) fn new(
        house: &'a House,
        served: &Served,
        door: Door,
        era: &'static str,
    ) -> Inspector<'a> {
        let sse = || served.url.replace("/mcp", "/sse");
        let mut target = match door {
            Door::Stdio => house.words().to_vec(),
            Door::Http => vec![served.url.clone(), "--transport".to_owned(), "http".to_owned()],
            Door::Sse => vec![sse(), "--transport".to_owned(), "sse".to_owned()],
        };
        target.extend(["--protocol-era".to_owned(), era.to_owned()]);
        Inspector { house, target }
    }

    /// What a call answers, where the Inspector has nothing to say about it.
    pub(crate) async fn silent(&self, call: &[&str]) -> Value {
        let tools = tool("CALLBOARD_CONFORMANCE");
        let machine = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-x64" };
        // What a machine has may be too old for it.
        let own = tools.join(format!("node_modules/node-{machine}/bin/node"));
        let mut command = Command::new(if own.exists() { own } else { "node".into() });
        let package = "node_modules/@modelcontextprotocol/inspector";
        command.arg(tools.join(package).join("clients/launcher/build/index.js")).arg("--cli");
        command.args(&self.target).args(call).env("HOME", self.house.folder("inspector"));
        let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let run = timeout(PATIENCE, run).await.expect("it ends").expect("it starts");
        let objections = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && objections.is_empty(), "{call:?}: {objections}");
        serde_json::from_slice(&run.stdout).expect("an answer in JSON")
    }

    /// The team's board, as its tool tells it.
    pub(crate) async fn board(&self) -> Value {
        let call = ["--method", "tools/call", "--tool-name", "team_status"];
        let answer = self.silent(&call).await;
        answer["structuredContent"].clone()
    }
}
