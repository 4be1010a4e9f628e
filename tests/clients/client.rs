//! A client nobody here wrote: an official SDK, told over pipes what to do by a driver in its own
//! language, on a team and a journal that several of them may share.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_callboard");
const MODERN: &str = "2026-07-28";

/// What `init` wrote, on the rehearsal model.
const TEAM: &str = "\
providers: {rehearsal: {kind: rehearsal, playbook: playbook.yaml}}
models: {default: rehearsal/rehearsal}
";

/// Longer than anything here takes; it only keeps a hang from lasting.
const PATIENCE: Duration = Duration::from_secs(120);

/// A line of an SDK, and how it settles on a version of the protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    Python { era: &'static str },
    TypeScript { line: &'static str, era: &'static str },
}

impl Line {
    fn era(self) -> &'static str {
        let (Line::Python { era } | Line::TypeScript { era, .. }) = self;
        era
    }

    /// The driver's command; the folder has to live as long as the driver.
    fn driver(self) -> (Command, Option<TempDir>) {
        match self {
            Line::Python { era } => {
                let mut command = Command::new(tool("CALLBOARD_PYTHON"));
                command.arg("-B").arg(drivers().join("driver.py")).arg(era);
                (command, None)
            }
            Line::TypeScript { line, era } => {
                // Beside `node_modules`, where Node looks for what the driver imports.
                let place = TempDir::new_in(tool("CALLBOARD_NODE_CLIENTS")).expect("a folder");
                let driver = place.path().join("driver.mjs");
                fs::copy(drivers().join("driver.mjs"), &driver).expect("the driver is copied");
                let mut command = Command::new("node");
                command.arg(driver).args([line, era]);
                (command, Some(place))
            }
        }
    }
}

/// The team that `init` writes, with the rehearsal model for everybody, and an empty journal.
pub(crate) struct House(TempDir);

impl House {
    pub(crate) fn new() -> House {
        let house = House(TempDir::new().expect("a folder"));
        let team = house.0.path().join("team");
        let init = Command::new(BINARY).arg("init").arg(&team).output().expect("the binary starts");
        assert!(init.status.success(), "init: {}", String::from_utf8_lossy(&init.stderr));
        fs::write(team.join("team.yaml"), TEAM).expect("the team's file is written");
        fs::copy(drivers().join("playbook.yaml"), team.join("playbook.yaml"))
            .expect("the playbook is copied");
        house
    }

    /// A client with a server of its own on this house.
    pub(crate) fn client(&self, line: Line) -> Client {
        let (mut command, place) = line.driver();
        command.arg(BINARY).arg("serve");
        command.arg("--team").arg(self.0.path().join("team"));
        command.arg("--data").arg(self.0.path().join("data"));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the driver starts");
        let (said, lines) = channel();
        let output = child.stdout.take().expect("a pipe");
        thread::spawn(move || {
            for text in BufReader::new(output).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&text).unwrap_or_else(|_| json!({"strange": text}));
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        let mut client =
            Client { child, input, lines, kept: Vec::new(), asked: 0, hello: json!({}), place };
        client.hello = client.hears("the handshake", |it| it.get("connected").is_some());
        client.is_greeted(line);
        client
    }
}

/// A connected client.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// What was heard and not yet asked for.
    kept: Vec<Value>,
    asked: u64,
    hello: Value,
    place: Option<TempDir>,
}

impl Client {
    /// What the SDK knows of the server: `version`, `name`, `instructions`.
    pub(crate) fn hello(&self, what: &str) -> &str {
        self.hello["connected"][what].as_str().unwrap_or_default()
    }

    fn is_greeted(&self, line: Line) {
        let version = self.hello("version");
        match line.era() {
            "legacy" => assert!(version < MODERN, "initialize settled on {version}"),
            _ => assert_eq!(version, MODERN, "no fall back to the older protocol"),
        }
        let is_asked = !matches!(line, Line::Python { era: MODERN });
        assert_eq!(self.hello("name"), if is_asked { "callboard" } else { "" });
    }

    /// The tools as they came.
    pub(crate) fn list(&mut self) -> Vec<Value> {
        let id = self.asks(json!({"list": {}}));
        self.result(id)["tools"].as_array().cloned().expect("tools")
    }

    /// Starts a call; its number is for `answer`, `error` and `progress`.
    pub(crate) fn starts(&mut self, tool: &str, arguments: Value) -> u64 {
        self.asks(json!({"call": tool, "arguments": arguments}))
    }

    /// The facts of a call that must succeed.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        let result = self.result(id);
        let facts = both_halves(&result);
        assert_ne!(result["isError"], true, "refused: {facts}");
        facts
    }

    /// Calls a tool that must succeed.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.starts(tool, arguments);
        self.answer(id)
    }

    /// Calls a tool that must refuse, and tells why.
    pub(crate) fn refused(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.starts(tool, arguments);
        let result = self.result(id);
        let facts = both_halves(&result);
        assert_eq!(result["isError"], true, "{tool} took a wrong call: {facts}");
        facts.get("error").cloned().unwrap_or(facts)
    }

    /// The protocol's own error for a call.
    pub(crate) fn error(&mut self, id: u64) -> Value {
        let said = self.hears("an error", |it| it["id"] == id && it.get("progress").is_none());
        assert!(said.get("error").is_some(), "the protocol should refuse: {said}");
        said["error"].clone()
    }

    /// What progress of a call was told so far.
    pub(crate) fn progress(&mut self, id: u64) -> Vec<Value> {
        let is_told = |it: &Value| it["id"] == id && it.get("progress").is_some();
        self.kept.iter().filter(|it| is_told(it)).map(|it| it["progress"].clone()).collect()
    }

    /// `kill -9` to the server, as the machine's memory keeper does it.
    pub(crate) fn kill_server(&self) {
        let id = self.hello["connected"]["pid"].as_i64().expect("a process id");
        let id = rustix::process::Pid::from_raw(id as i32).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::KILL).expect("it is there");
    }

    /// Leaves in peace; server and driver have to end by themselves.
    pub(crate) fn leaves(mut self) {
        drop(self.input.take());
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("the driver is known") {
                assert!(status.success(), "the driver ended with {status}");
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the driver does not end");
    }

    fn asks(&mut self, mut what: Value) -> u64 {
        self.asked += 1;
        what["id"] = json!(self.asked);
        let input = self.input.as_mut().expect("it has not left");
        writeln!(input, "{what}").expect("the driver reads");
        self.asked
    }

    fn result(&mut self, id: u64) -> Value {
        let said = self.hears("an answer", |it| it["id"] == id && it.get("progress").is_none());
        assert!(said.get("result").is_some(), "an error of the protocol: {said}");
        said["result"].clone()
    }

    /// The first line that is meant; the others are kept for later.
    fn hears(&mut self, what: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&is_meant) {
            return self.kept.remove(at);
        }
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|why| panic!("no {what} came: {why}"));
            assert!(line.get("strange").is_none(), "not the protocol: {line}");
            if is_meant(&line) {
                return line;
            }
            self.kept.push(line);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.input.take());
        if !thread::panicking() && matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.place.take());
    }
}

/// The one object that text and structured content both carry.
fn both_halves(result: &Value) -> Value {
    let facts = &result["structuredContent"];
    assert!(facts.is_object(), "structuredContent is no object: {result}");
    let texts = result["content"].as_array().expect("content").iter();
    let text = texts.filter_map(|it| it["text"].as_str()).next().expect("a text");
    let told: Value = serde_json::from_str(text).expect("the text is the JSON of the result");
    assert!(same(&told, facts), "text and structuredContent differ: {told} and {facts}");
    facts.clone()
}

/// Equal, where a language that knows one kind of number has written `0.0` as `0`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(it, that)| same(it, that))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_there =
                |(key, it): (&String, &Value)| other.get(key).is_some_and(|that| same(it, that));
            one.len() == other.len() && one.iter().all(is_there)
        }
        _ => one == other,
    }
}

/// A tool that `check` installs. Missing, it fails the test: a skipped client proves nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "the test asks for its own tool, not for configuration"
)]
fn tool(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(path) => PathBuf::from(path),
        None => panic!("{name} is not set: run ./check, which installs the clients and sets it"),
    }
}

fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}
