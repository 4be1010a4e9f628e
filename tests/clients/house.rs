//! Where the clients go: a team and a journal that several of them may share, and the servers over HTTP.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::client::{Client, Line, drivers};

const BINARY: &str = env!("CARGO_BIN_EXE_callboard");

/// What `init` wrote, on the rehearsal model.
const TEAM: &str = "\
providers: {rehearsal: {kind: rehearsal, playbook: playbook.yaml}}
models: {default: rehearsal/rehearsal}
throttle: off
";

const RESEARCHER: &str = "---\ndescription: Finds out.\n---\nFind it out.\n";
const BOSS: &str = "---\ndescription: Decides.\nkind: human\nchoices: [yes, no]\n---\nDecide.\n";

const JUDGE: &str = "\
---
description: Judges.
kind: human
output: {properties: {verdict: {enum: [good, bad]}}, required: [verdict]}
---
Judge.
";

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It starts one of its own, and speaks on its stdin and stdout.
    Stdio,
    /// The house's own one, at `/mcp`.
    Http,
    /// The same, by the transport of 2024-11-05.
    Sse,
}

/// The team that `init` writes, with the rehearsal model for everybody, and an empty journal.
pub(crate) struct House {
    folder: TempDir,
    way: Way,
    served: RefCell<Option<Served>>,
}

/// A server over HTTP, which all clients of a house share.
struct Served {
    child: Child,
    address: String,
    is_alive: bool,
}

impl House {
    pub(crate) fn new(way: Way) -> House {
        let folder = TempDir::new().expect("a folder");
        let house = House { folder, way, served: RefCell::default() };
        let team = house.team();
        let init = Command::new(BINARY).arg("init").arg(&team).output().expect("the binary starts");
        assert!(init.status.success(), "init: {}", String::from_utf8_lossy(&init.stderr));
        fs::write(team.join("team.yaml"), TEAM).expect("the team's file is written");
        fs::copy(drivers().join("playbook.yaml"), team.join("playbook.yaml"))
            .expect("the playbook is copied");
        house
    }

    /// A team of one agent and two people: one says yes or no, one good or bad.
    pub(crate) fn with_a_person(way: Way) -> House {
        let house = House::new(way);
        let agents = house.team().join("agents");
        fs::remove_dir_all(&agents).expect("a folder");
        fs::create_dir(&agents).expect("a folder");
        fs::write(agents.join("researcher.md"), RESEARCHER).expect("the agent is written");
        fs::write(agents.join("boss.md"), BOSS).expect("the person is written");
        fs::write(agents.join("judge.md"), JUDGE).expect("the person is written");
        house
    }

    /// One more agent, while the team is served.
    pub(crate) fn hires(&self, name: &str) {
        let path = self.team().join(format!("agents/{name}.md"));
        fs::write(path, RESEARCHER).expect("the agent is written");
    }

    fn team(&self) -> PathBuf {
        self.folder.path().join("team")
    }

    fn serve(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--team").arg(self.team());
        command.arg("--data").arg(self.folder.path().join("data"));
        command
    }

    /// Where the server over HTTP listens. It is started where none is there: at first anywhere,
    /// then where the one before it was.
    fn address(&self) -> String {
        let mut served = self.served.borrow_mut();
        let address = match served.as_ref() {
            Some(it) if it.is_alive => {
                return it.address.clone();
            }
            Some(it) => it.address.clone(),
            None => "127.0.0.1:0".to_owned(),
        };
        let mut command = self.serve();
        command.args(["--http", &address, "--sse"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let found = lines.by_ref().map_while(Result::ok).find_map(|it| {
            Some(it.split_once("listening on http://")?.1.strip_suffix("/mcp")?.to_owned())
        });
        thread::spawn(move || lines.map_while(Result::ok).for_each(|it| eprintln!("{it}")));
        let address = found.expect("it says where it listens");
        *served = Some(Served { child, address: address.clone(), is_alive: true });
        address
    }

    /// `kill -9` to the server over HTTP. The next one is started when it is asked for.
    pub(crate) fn kill(&self) {
        if let Some(served) = self.served.borrow_mut().as_mut() {
            served.child.kill().expect("it is there");
            served.child.wait().expect("it is known");
            served.is_alive = false;
        }
    }

    /// A new server in the place of the one that was killed.
    pub(crate) fn serves_again(&self) {
        self.address();
    }

    /// A client that can do no more than it must.
    pub(crate) fn client(&self, line: Line) -> Client<'_> {
        self.client_by(self.way, line, "-")
    }

    /// A client that says it can more: words of the driver, with commas between.
    pub(crate) fn able(&self, line: Line, able: &str) -> Client<'_> {
        self.client_by(self.way, line, able)
    }

    /// A client that comes another way than the house's own.
    pub(crate) fn client_by(&self, way: Way, line: Line, able: &str) -> Client<'_> {
        let (mut command, place) = line.driver();
        command.arg(able);
        match way {
            Way::Stdio => {
                let serve = self.serve();
                command.arg("stdio").arg(serve.get_program()).args(serve.get_args());
            }
            Way::Http => drop(command.args(["http", &format!("http://{}/mcp", self.address())])),
            Way::Sse => drop(command.args(["sse", &format!("http://{}/sse", self.address())])),
        }
        Client::new(self, command, place, line)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut served) = self.served.take() {
            let _ = served.child.kill();
            let _ = served.child.wait();
        }
    }
}
