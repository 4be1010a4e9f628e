//! A team in a folder of its own, and the built binary that serves it over HTTP.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wire::{PATIENCE, Reply, Request, Wire};

/// Who may come where tokens are asked for: name, scope and token.
pub(crate) const CALLERS: [(&str, &str, &str); 5] = [
    ("ann", "run", "ann-token-0123456789abcdef"),
    ("ben", "run", "ben-token-0123456789abcdef"),
    ("eve", "run", "eve-token-0123456789abcdef"),
    ("ray", "read", "ray-token-0123456789abcdef"),
    ("ida", "admin", "ida-token-0123456789abcdef"),
];

const TEAM: &str = "\
team: http
entry: coder
providers:
  rehearsal: {kind: rehearsal, playbook: playbook.yaml}
models:
  default: rehearsal/rehearsal
throttle: off
";

const PLAYBOOK: &str = "\
- when: {agent: coder, task: takes long}
  after_ms: 60000
  answer: {summary: late}
- when: {agent: coder}
  answer: {summary: done as asked, confidence: 0.8}
";

/// A folder with a team and a journal.
pub(crate) struct House {
    folder: TempDir,
    asks_for_tokens: bool,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl House {
    /// A team whose `team.yaml` says this too.
    pub(crate) fn new(more: &str) -> House {
        let house = House {
            folder: tempfile::tempdir().expect("a folder"),
            asks_for_tokens: more.contains("tokens"),
        };
        house.write("team.yaml", &format!("{TEAM}{more}"));
        house.write("playbook.yaml", PLAYBOOK);
        house.write("agents/coder.md", "---\ndescription: Writes code.\n---\nWrite code.\n");
        house.write(
            "agents/boss.md",
            "---\ndescription: Decides.\nkind: human\nchoices: [yes, no]\n---\nDecide.\n",
        );
        house
    }

    /// A team that lets in the callers above.
    pub(crate) fn closed(more: &str) -> House {
        let mut tokens = String::from("http:\n  tokens:\n");
        for (name, scope, _) in CALLERS {
            tokens +=
                &format!("    - {{name: {name}, token: env:TOKEN_{name}, scopes: [{scope}]}}\n");
        }
        House::new(&format!("{tokens}{more}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("team").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// The team's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("team/team.yaml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_on(&self.data(), arguments)
    }

    /// The same with a journal elsewhere.
    pub(crate) fn command_on(&self, data: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.args(arguments).arg("--team").arg(self.folder.path().join("team"));
        command.arg("--data").arg(data).stdin(Stdio::null());
        if self.asks_for_tokens {
            command.envs(CALLERS.map(|(name, _, token)| (format!("TOKEN_{name}"), token)));
        }
        command
    }

    /// Starts a server on a free port.
    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&["--sse"])
    }

    pub(crate) fn serve_with(&self, more: &[&str]) -> Server {
        let arguments = [&["serve", "--http", "127.0.0.1:0"], more].concat();
        Server::of(&mut self.command(&arguments))
    }
}

impl Server {
    pub(crate) fn of(command: &mut Command) -> Server {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let said = Arc::new(Mutex::new(String::new()));
        let (kept, (found, finds)) = (Arc::clone(&said), channel());
        let reader = thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let address = line.strip_prefix("listening on http://");
                if let Some(address) = address.and_then(|it| it.strip_suffix("/mcp")) {
                    let _ = found.send(address.parse().expect("an address"));
                }
                *kept.lock().expect("no panic") += &format!("{line}\n");
            }
        });
        // Held from here on: whatever goes wrong, it is stopped.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { child, address: nowhere, said, reader: Some(reader) };
        let address = finds.recv_timeout(PATIENCE);
        server.address = address
            .unwrap_or_else(|_| panic!("no address: {}", server.said.lock().expect("no panic")));
        server
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn open(&self) -> Wire {
        Wire::open(self.address)
    }

    /// Asks on a connection of its own.
    pub(crate) fn ask(&self, request: &Request) -> Reply {
        self.open().ask(request)
    }

    /// A session of an older version.
    pub(crate) fn session(&self) -> String {
        self.session_of(None)
    }

    pub(crate) fn session_of(&self, token: Option<&str>) -> String {
        let hello = Request::hello("2025-06-18");
        let reply = self.ask(&token.into_iter().fold(hello, Request::bearing));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.header("mcp-session-id").expect("a session").to_owned()
    }

    /// Runs in the journal that are not over.
    pub(crate) fn runs(&self) -> Vec<Value> {
        self.runs_of(None)
    }

    pub(crate) fn runs_of(&self, token: Option<&str>) -> Vec<Value> {
        let board = Request::call("board", "team_status", json!({}));
        let board = self.ask(&token.into_iter().fold(board, Request::bearing)).view();
        board["runs"].as_array().cloned().unwrap_or_default()
    }

    /// Still answers a good request.
    pub(crate) fn is_well(&self) {
        let reply = self.ask(&Request::modern("well", "tools/list", json!({})));
        assert!(reply.answer()["result"]["tools"].is_array(), "{}", reply.text());
    }

    /// The most memory it has had, KiB; 0 where the system does not tell.
    pub(crate) fn most_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    pub(crate) fn memory(&self, what: &str) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = fs::read_to_string(Path::new(&path)).unwrap_or_default();
        let line = status.lines().find_map(|it| it.strip_prefix(what));
        line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it is there");
    }

    /// The end of the process, which must come within five seconds, and all it said.
    pub(crate) fn exit(mut self) -> (ExitStatus, String) {
        for _ in 0..100 {
            if let Some(status) = self.child.try_wait().expect("a child") {
                let reader = self.reader.take().expect("it reads once");
                reader.join().expect("it reads to the end");
                let said = self.said.lock().expect("no panic").clone();
                return (status, said);
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the process is still there after five seconds");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already where a test looked at its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
