//! A team of two on the rehearsal model in a folder of its own, and the built program beside it.
#![allow(dead_code, reason = "each test binary uses its part of the house")]
#![allow(clippy::panic, reason = "a test says why and fails")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use callboard_trace::RunView;
use tempfile::TempDir;

const TEAM: &str = "\
entry: coder
providers:
  rehearsal: {kind: rehearsal, playbook: playbook.yaml}
models:
  default: rehearsal/rehearsal
throttle: off
";

const PLAYBOOK: &str = "\
- when: {agent: coder, task: give it away}
  handoff:
    to: tester
    task: try it out
    summary:
      did: wrote the whole thing in one sitting
      must_know: it has not been tried yet
      do_next: try it with an empty file
- when: {agent: coder, task: goes wrong}
  fail: {status: 400, message: as rehearsed}
- when: {agent: coder, task: come back}
  fail: {status: 429, retry_after_s: 4}
  times: 1
- when: {agent: coder, task: takes long}
  after_ms: 60000
  answer: {summary: late}
- when: {agent: tester}
  answer: {summary: it holds, confidence: 0.9}
- when: {agent: coder}
  answer: {summary: done as asked, confidence: 0.8}
";

/// A team of two on the rehearsal model, with a journal of its own.
pub(crate) struct House(pub(crate) TempDir);

impl House {
    pub(crate) fn empty() -> House {
        House(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn new() -> House {
        let house = House::empty();
        house.write("team/team.yaml", TEAM);
        house.write("team/playbook.yaml", PLAYBOOK);
        house.write(
            "team/agents/coder.md",
            "---\ndescription: Writes code.\nhandoffs: [tester]\n---\nWrite code.\n",
        );
        house.write(
            "team/agents/tester.md",
            "---\ndescription: Tests code.\n---\nTest what you are given.\n",
        );
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).arg("--team").arg(self.path("team"));
        command.arg("--data").arg(self.path("data"));
        command
    }

    pub(crate) fn does(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().expect("it runs"))
    }

    /// A process that goes on beside the test, which ends it.
    pub(crate) fn starts(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    }

    /// Waits until the run is seen in that state.
    pub(crate) fn until(&self, run: &str, state: &str) -> RunView {
        for _ in 0..600 {
            let view = self.does(&["status", run, "--json"]).view();
            if serde_json::to_value(view.state).expect("JSON") == state {
                return view;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{run} never became {state}: {}", self.does(&["trace", run]).out)
    }

    /// A run that brought three processes down, and asks what is to become of it.
    pub(crate) fn halted(&self) -> String {
        let said = self.does(&["run", "coder", "it takes long", "--detach", "--quiet"]);
        let run = said.out.trim().to_owned();
        for begun in ["step 1 asks", "(attempt 2)", "(attempt 3)"] {
            let mut worker = self.starts(&["work"]);
            self.until_told(&run, begun);
            worker.kill().expect("it is there");
            worker.wait().expect("it ends");
        }
        let said = self.does(&["work", "--until-idle"]);
        assert_eq!(said.code, 0, "{}", said.err);
        run
    }

    /// Waits until the run's story tells that.
    pub(crate) fn until_told(&self, run: &str, what: &str) {
        self.until_said(&["trace", run], what);
    }

    /// Waits until what the program says to that contains this.
    pub(crate) fn until_said(&self, args: &[&str], what: &str) {
        for _ in 0..600 {
            if self.does(args).out.contains(what) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what:?} never happened: {}", self.does(args).out)
    }
}

/// What a process said, and its code.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Said {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("it ended by itself");
        Said { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// The one line of JSON that stdout has to be.
    pub(crate) fn view(&self) -> RunView {
        assert_eq!(self.out.lines().count(), 1, "{}\n{}", self.out, self.err);
        serde_json::from_str(&self.out).expect("a RunView")
    }
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command.stdin(Stdio::null()).env_remove("OPENAI_API_KEY").env_remove("OPENAI_BASE_URL");
    command
}

pub(crate) fn does(arguments: &[&str]) -> Said {
    Said::of(program().args(arguments).output().expect("it runs"))
}

pub(crate) fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Asks a process to stop, as a terminal or a service does.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(process, signal).expect("it is there");
}

/// Waits for the end of a process that was started beside the test.
pub(crate) fn ended(child: Child) -> Said {
    Said::of(child.wait_with_output().expect("it ends"))
}
