//! The built binary over stdio with the official SDK as its client, to be killed at any moment.

use std::process::Stdio;

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion,
};
use rmcp::service::{RoleClient, RunningService};
use rmcp::{ServiceExt, model::CallToolResult};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::stage::Stage;

/// A server and a client that shook hands with it. Dropped, the server is killed.
pub(crate) struct Served {
    server: Child,
    client: RunningService<RoleClient, ClientConfig>,
}

impl Served {
    pub(crate) async fn start(stage: &Stage) -> Served {
        Served::of(command(stage).spawn().expect("the binary starts")).await
    }

    /// Of a server that was started already.
    pub(crate) async fn of(mut server: Child) -> Served {
        let pipes = server.stdout.take().zip(server.stdin.take()).expect("its pipes");
        let us = Implementation::new("three-agents", "1");
        let us = ClientConfig::new(ClientCapabilities::default(), us)
            .with_protocol_version(ProtocolVersion::V_2025_11_25);
        let client = us.serve(pipes).await.expect("it shakes hands");
        Served { server, client }
    }

    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let asked = CallToolRequestParams::new(tool).with_arguments(arguments);
        let told: CallToolResult = self.client.call_tool(asked).await.expect("an answer");
        assert_ne!(told.is_error, Some(true), "refused: {told:?}");
        told.structured_content.expect("a view")
    }

    /// Follows a run to its end. What is in doubt is done again; how often a person was asked that.
    pub(crate) async fn to_the_end(&self, run: &str) -> (Value, usize) {
        let mut asked = 0;
        loop {
            let view = self.call("team_status", json!({"run": run, "wait_s": 20})).await;
            match view["state"].as_str() {
                Some("completed" | "partial" | "failed" | "cancelled") => return (view, asked),
                Some("halted") => {
                    asked += 1;
                    let question = view["questions"][0]["id"].as_str().expect("a question");
                    let answers = json!({ question: "rerun" });
                    self.call("team_answer", json!({"run": run, "answers": answers, "wait_s": 0}))
                        .await;
                }
                _ => {}
            }
        }
    }

    /// How to kill it, also from another thread.
    pub(crate) fn killer(&self) -> impl FnOnce() + Send + 'static {
        let number = self.server.id().expect("it runs");
        let number = Pid::from_raw(i32::try_from(number).expect("a number")).expect("a number");
        move || kill_process(number, Signal::KILL).expect("killed")
    }

    /// Waits until it is gone.
    pub(crate) async fn gone(mut self) {
        let status = self.server.wait().await.expect("it ends");
        assert!(!status.success(), "it ended by itself: {status}");
    }
}

/// How it is started.
pub(crate) fn command(stage: &Stage) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command.args(["serve", "--no-finish", "--quiet", "--team"]).arg(stage.team());
    command.arg("--data").arg(stage.data()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}
