//! A client of raw lines: starts the built binary, writes what it likes, and reads every answer.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a team and an empty journal, whose model never says a word.
pub(crate) struct House {
    folder: TempDir,
    _endpoint: TcpListener,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
}

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

impl House {
    pub(crate) fn new() -> House {
        House::of(&["coder", "reviewer"])
    }

    /// A team of these agents.
    pub(crate) fn of(agents: &[&str]) -> House {
        // Nobody accepts: a step that asks this endpoint waits until it is given up.
        let endpoint = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = endpoint.local_addr().expect("an address");
        let folder = tempfile::tempdir().expect("a folder");
        let team = format!(
            "team: stdio\nentry: {}\nproviders:\n  silent: {{base_url: \"http://{address}/v1\"}}\n\
             models:\n  default: silent/none\nthrottle: off\n",
            agents[0]
        );
        fs::create_dir_all(folder.path().join("team/agents")).expect("a folder");
        fs::write(folder.path().join("team/team.yaml"), team).expect("a file");
        for name in agents {
            let agent =
                format!("---\nname: {name}\ndescription: Does its part.\n---\nDo your part.\n");
            let path = folder.path().join(format!("team/agents/{name}.md"));
            fs::write(path, agent).expect("a file");
        }
        House { folder, _endpoint: endpoint }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a server on this house.
    pub(crate) fn serve(&self) -> Server {
        Server::start(&self.path().join("team"), &self.path().join("data"))
    }

    /// Starts a server whose stdout nobody reads.
    pub(crate) fn unread(&self) -> Server {
        let mut server = Server::command(&self.path().join("team"), &self.path().join("data"));
        server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = server.spawn().expect("the binary starts");
        let input = child.stdin.take();
        Server { child, input, lines: channel().1 }
    }

    /// Starts a server and shakes hands with it.
    pub(crate) fn legacy(&self) -> Server {
        let mut server = self.serve();
        server.shake_hands("2025-06-18");
        server
    }
}

impl Server {
    /// Starts the built binary on a team.
    pub(crate) fn start(team: &Path, data: &Path) -> Server {
        Server::of(Server::command(team, data))
    }

    fn command(team: &Path, data: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.args(["serve", "--no-finish"]).arg("--team").arg(team).arg("--data").arg(data);
        command
    }

    /// Starts any command whose stdout is the protocol's.
    pub(crate) fn of(mut command: Command) -> Server {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let input = child.stdin.take();
        let output = child.stdout.take().expect("a pipe");
        let (heard, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                let message: Value =
                    serde_json::from_str(&line).unwrap_or_else(|_| json!({"stray": line}));
                if heard.send(message).is_err() {
                    break;
                }
            }
        });
        Server { child, input, lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("stdin is open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("the server reads");
    }

    /// Writes a message as a line.
    pub(crate) fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// Writes a request.
    pub(crate) fn ask(&mut self, id: impl Into<Value>, method: &str, params: Value) {
        let id: Value = id.into();
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    /// Writes a call.
    pub(crate) fn call(&mut self, id: impl Into<Value>, tool: &str, arguments: Value) {
        self.ask(id, "tools/call", json!({"name": tool, "arguments": arguments}));
    }

    /// Writes a notification that a request is given up.
    pub(crate) fn give_up(&mut self, id: impl Into<Value>, reason: &str) {
        let id: Value = id.into();
        let params = json!({"requestId": id, "reason": reason});
        self.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}),
        );
    }

    pub(crate) fn shake_hands(&mut self, version: &str) -> Value {
        let params = json!({"protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "raw-lines", "version": "1"}});
        self.ask("hello", "initialize", params);
        let answer = self.answer("hello");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    /// The next message. Whatever is on stdout must be one.
    pub(crate) fn hear(&self) -> Value {
        let message = self.lines.recv_timeout(PATIENCE).expect("an answer in time");
        assert_eq!(message["jsonrpc"], "2.0", "not JSON-RPC on stdout: {message}");
        message
    }

    /// The next message, which must answer this request.
    pub(crate) fn answer(&self, id: impl Into<Value>) -> Value {
        let id: Value = id.into();
        let message = self.hear();
        assert_eq!(message.get("id"), Some(&id), "another answer: {message}");
        message
    }

    /// The body of the next message, which must be the result of this call.
    pub(crate) fn body(&self, id: impl Into<Value>) -> Value {
        let result = &self.answer(id)["result"];
        assert_eq!(result["isError"], false, "refused: {result}");
        result["structuredContent"].clone()
    }

    /// Whether nothing is said for a while.
    pub(crate) fn is_silent(&self, how_long: Duration) -> bool {
        matches!(self.lines.recv_timeout(how_long), Err(RecvTimeoutError::Timeout))
    }

    /// Everything that is said until the server closes its stdout.
    pub(crate) fn rest(&self) -> Vec<Value> {
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(message) => rest.push(message),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("stdout stays open"),
            }
        }
    }

    /// Ends the server's input.
    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    /// Takes the input out, to write from another thread.
    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.input.take().expect("stdin is open")
    }

    /// The end of the process, which must come within three seconds.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        for _ in 0..60 {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the process is still there after three seconds");
    }

    /// Runs in the journal that are not over, as the team's board tells.
    pub(crate) fn runs(&mut self) -> Vec<Value> {
        self.call("board", "team_status", json!({}));
        let board = self.body("board");
        board["runs"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already where a test looked at its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
