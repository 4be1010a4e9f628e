//! A client nobody here wrote: an official SDK, told over pipes what to do by a driver in its own
//! language.

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

use crate::house::House;

const MODERN: &str = "2026-07-28";

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

    /// Whether it speaks the era of 2026-07-28.
    pub(crate) fn is_newer(self) -> bool {
        self.era() != "legacy"
    }

    /// What it makes of a resource that is not there: the older era has a number for that, which
    /// the newest line of an SDK translates.
    pub(crate) fn not_found(self) -> i64 {
        if self.is_newer() || matches!(self, Line::TypeScript { line: "v2", .. }) {
            -32602
        } else {
            -32002
        }
    }

    /// The driver's command; the folder has to live as long as the driver.
    pub(crate) fn driver(self) -> (Command, Option<TempDir>) {
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

/// A connected client.
pub(crate) struct Client<'a> {
    house: &'a House,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// What was heard and not yet asked for.
    kept: Vec<Value>,
    asked: u64,
    hello: Value,
    place: Option<TempDir>,
    /// Its server was killed: what the SDK says of that is no fault.
    is_shaken: bool,
}

impl<'a> Client<'a> {
    /// Starts a driver, and waits until it is connected. `place` is the folder it stands in.
    pub(crate) fn new(
        house: &'a House,
        mut command: Command,
        place: Option<TempDir>,
        line: Line,
    ) -> Client<'a> {
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
        let (kept, hello, asked, is_shaken) = (Vec::new(), json!({}), 0, false);
        let mut client =
            Client { house, child, input, lines, kept, asked, hello, place, is_shaken };
        client.hello = client.hears("the handshake", |it| it.get("connected").is_some());
        client.is_greeted(line);
        client
    }
}

impl Client<'_> {
    /// What the SDK knows of the server: `version`, `name`, `instructions`.
    pub(crate) fn hello(&self, what: &str) -> &str {
        self.hello["connected"][what].as_str().unwrap_or_default()
    }

    fn is_greeted(&self, line: Line) {
        let version = self.hello("version");
        if line.is_newer() {
            assert_eq!(version, MODERN, "no fall back to the older protocol");
        } else {
            assert!(version < MODERN, "initialize settled on {version}");
        }
        let is_asked = !matches!(line, Line::Python { era: MODERN });
        assert_eq!(self.hello("name"), if is_asked { "callboard" } else { "" });
    }

    /// The tools as they came.
    pub(crate) fn list(&mut self) -> Vec<Value> {
        let id = self.asks(json!({"list": "tools"}));
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
        let said = self.hears("an error", |it| is_end(it, id));
        assert!(said.get("error").is_some(), "the protocol should refuse: {said}");
        said["error"].clone()
    }

    /// What progress of a call was told so far.
    pub(crate) fn progress(&mut self, id: u64) -> Vec<Value> {
        let is_told = |it: &Value| it["id"] == id && it.get("progress").is_some();
        self.kept.iter().filter(|it| is_told(it)).map(|it| it["progress"].clone()).collect()
    }

    /// Starts a call whose user answers what is asked meanwhile, in this order.
    pub(crate) fn starts_with(&mut self, tool: &str, arguments: Value, answers: Value) -> u64 {
        self.asks(json!({"call": tool, "arguments": arguments, "answers": answers}))
    }

    /// Starts a call whose run is followed as a task.
    pub(crate) fn starts_task(&mut self, tool: &str, arguments: Value, answers: Value) -> u64 {
        self.asks(
            json!({"call": tool, "arguments": arguments, "answers": answers, "as_task": true}),
        )
    }

    /// What the user is asked while a call goes on.
    pub(crate) fn asked(&mut self, call: u64) -> Value {
        let said = self.hears("a question", |it| it.get("asked").is_some() || is_end(it, call));
        assert!(said.get("asked").is_some(), "it ended without a question: {said}");
        said["asked"].clone()
    }

    /// What a task was told to be so far.
    pub(crate) fn tasks(&mut self, id: u64) -> Vec<Value> {
        while let Ok(line) = self.lines.try_recv() {
            self.keep(line);
        }
        let is_told = |it: &Value| it["id"] == id && it.get("task").is_some();
        self.kept.iter().filter(|it| is_told(it)).map(|it| it["task"].clone()).collect()
    }

    /// Gives a call up.
    pub(crate) fn gives_up(&mut self, call: u64, reason: &str) {
        let input = self.input.as_mut().expect("it has not left");
        writeln!(input, "{}", json!({"cancel": call, "reason": reason})).expect("the driver reads");
        self.hears("the end of the call", |it| it["id"] == call && it["cancelled"] == true);
    }

    /// Does what is neither a call nor a list of tools; its result.
    pub(crate) fn does(&mut self, what: Value) -> Value {
        let id = self.asks(what);
        self.result(id)
    }

    /// Waits until it is told of a change; what changed.
    pub(crate) fn hears_news(&mut self) -> Value {
        self.hears("news", |it| it.get("updated").is_some())["updated"].clone()
    }

    /// Waits until it is told that something is watched no longer.
    pub(crate) fn loses(&mut self, uri: &str) {
        self.hears("end of a subscription", |it| it["lost"] == uri);
    }

    /// `kill -9` to its server, as the machine's memory keeper does it.
    pub(crate) fn kill_server(&mut self) {
        self.is_shaken = true;
        let Some(id) = self.hello["connected"]["pid"].as_i64() else { return self.house.kill() };
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

    /// Asks for something; its number is for what comes of it.
    pub(crate) fn asks(&mut self, mut what: Value) -> u64 {
        self.asked += 1;
        what["id"] = json!(self.asked);
        let input = self.input.as_mut().expect("it has not left");
        writeln!(input, "{what}").expect("the driver reads");
        self.asked
    }

    /// The result of what was asked for.
    pub(crate) fn result(&mut self, id: u64) -> Value {
        let said = self.hears("an answer", |it| is_end(it, id));
        assert!(said.get("result").is_some(), "an error of the protocol: {said}");
        said["result"].clone()
    }

    /// Keeps a line for later, unless it tells of what was done to the server.
    fn keep(&mut self, line: Value) {
        if line.get("strange").is_none() {
            self.kept.push(line);
        } else {
            assert!(self.is_shaken, "not the protocol: {line}");
        }
    }

    /// The first line that is meant; the others are kept for later.
    fn hears(&mut self, what: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&is_meant) {
            return self.kept.remove(at);
        }
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|why| panic!("no {what} came: {why}"));
            if is_meant(&line) {
                return line;
            }
            self.keep(line);
        }
    }
}

impl Drop for Client<'_> {
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

/// Whether nothing more comes for what was asked.
fn is_end(said: &Value, id: u64) -> bool {
    said["id"] == id && ["result", "error", "cancelled"].iter().any(|it| said.get(it).is_some())
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

pub(crate) fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}
