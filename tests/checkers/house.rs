//! What `init` writes, on the rehearsal model, and the binary that serves it over HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

const BINARY: &str = env!("CARGO_BIN_EXE_callboard");

const TEAM: &str = "\
providers: {rehearsal: {kind: rehearsal}}
models: {default: rehearsal/rehearsal}
throttle: off
";

/// Longer than anything here takes; it only keeps a hang from lasting.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How a checker reaches the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    Stdio,
    Http,
    Sse,
}

/// A team with a journal of its own.
pub(crate) struct House(TempDir);

impl House {
    pub(crate) fn new() -> House {
        let house = House(tempfile::tempdir().expect("a folder"));
        let init = std::process::Command::new(BINARY).arg("init").arg(house.team()).output();
        let init = init.expect("the binary starts");
        assert!(init.status.success(), "init: {}", String::from_utf8_lossy(&init.stderr));
        fs::write(house.team().join("team.yaml"), TEAM).expect("the team's file is written");
        house
    }

    /// A folder of its own for what a tool writes, also where it takes it for somebody's home.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.0.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// The words of a server over stdin and stdout.
    pub(crate) fn words(&self) -> [String; 6] {
        let (team, data) = (self.team(), self.0.path().join("data"));
        let shown = |path: &Path| path.display().to_string();
        let named = |name: &str| name.to_owned();
        [
            named(BINARY),
            named("serve"),
            named("--team"),
            shown(&team),
            named("--data"),
            shown(&data),
        ]
    }

    /// The same as one line, for a tool that takes it apart at its spaces.
    pub(crate) fn command(&self) -> String {
        self.words().join(" ")
    }

    /// A server over HTTP, in both of its forms, on a free port.
    pub(crate) async fn served(&self) -> Served {
        let [binary, words @ ..] = self.words();
        let mut command = Command::new(binary);
        command.args(words).args(["--http", "127.0.0.1:0", "--sse"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let listens = async {
            while let Some(line) = lines.next_line().await.expect("its words") {
                if let Some((_, url)) = line.split_once("listening on ") {
                    return url.trim().to_owned();
                }
            }
            panic!("the server said nowhere where it listens");
        };
        let url = timeout(PATIENCE, listens).await.expect("the server listens");
        let mut words = JoinSet::new();
        words.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Served { child, url, _words: words }
    }

    fn team(&self) -> PathBuf {
        self.0.path().join("team")
    }
}

/// A server that is killed when it is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    /// Reads on, so that the server never waits for a reader.
    _words: JoinSet<()>,
}

impl Served {
    /// It is still there, and goes when it is asked to.
    pub(crate) async fn ends(mut self) {
        let gone = self.child.try_wait().expect("the server is known");
        assert!(gone.is_none(), "the server ended by itself: {gone:?}");
        let id = self.child.id().and_then(|it| rustix::process::Pid::from_raw(it as i32));
        rustix::process::kill_process(id.expect("its id"), rustix::process::Signal::TERM)
            .expect("it is there");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the server ends");
        assert!(status.expect("its end").success(), "the server ends in order");
    }
}

/// A tool that `check` installs. Missing, it fails the test: a skipped checker proves nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "the test asks for its own tool, not for configuration"
)]
pub(crate) fn tool(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(path) => PathBuf::from(path),
        None => panic!("{name} is not set: run ./check, which installs the checkers and sets it"),
    }
}
