//! The shipped team on the rehearsal model, served over HTTP in this process, and the suite as a
//! process of its own that looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use callboard::{HttpOptions, Server, serve_http};
use callboard_scheduler::{Node, NodeOptions, World};
use rmcp::ServerHandler;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const TEAM: &str = "\
providers: {rehearsal: {kind: rehearsal, playbook: playbook.yaml}}
models: {default: rehearsal/rehearsal}
throttle: off
";

/// Longer than the suite takes; it only keeps a hang from lasting.
const PATIENCE: Duration = Duration::from_secs(240);

/// What stands behind a scenario's name in that of its folder.
const STAMP: usize = "-2026-01-01T00-00-00-000Z".len();

/// A team that is served until it is dropped.
pub(crate) struct Served {
    url: String,
    ending: CancellationToken,
    node: Node,
    serving: JoinSet<()>,
    folder: TempDir,
}

/// What the suite found.
pub(crate) struct Found {
    pub(crate) n_passed: usize,
    /// `scenario:check` of all that did not pass, also where the suite itself would look away, with
    /// what it says about it.
    pub(crate) objections: BTreeMap<String, String>,
}

impl Served {
    /// `dressed` makes, of the team's folder, what makes the handler of a connection out of the
    /// product's own.
    pub(crate) async fn new<H: ServerHandler, D: Fn(Server) -> H + Send + Sync + 'static>(
        dressed: impl FnOnce(&Path) -> D,
    ) -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        let (place, data) = (folder.path().join("team"), folder.path().join("data"));
        let team = place.clone();
        callboard_config::write(&team, false).expect("the shipped team is written");
        fs::write(team.join("team.yaml"), TEAM).expect("the team's file is written");
        fs::copy(own("playbook.yaml"), team.join("playbook.yaml")).expect("the playbook is copied");
        let team = callboard_config::load_here(&team).expect("the team holds");
        let keeper = Some(env!("CARGO_BIN_EXE_callboard").into());
        let options = NodeOptions { team, data, work: true, keeper, world: World::real() };
        let mut node = Node::start(options).await.expect("a node");
        let dress = dressed(&place);
        node.watch(place);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("its address"));
        let ending = CancellationToken::new();
        let serve =
            serve_http(listener, node.desk(), HttpOptions::default(), ending.clone(), dress);
        let mut serving = JoinSet::new();
        serving.spawn(async { serve.await.expect("the team is served") });
        Served { url, ending, node, serving, folder }
    }

    /// Runs all that a revision asks for, and all that the suite has beside that.
    pub(crate) async fn suite(&self, revision: &str) -> Found {
        let (tools, found) = (tools(), self.folder.path().join(revision));
        let suite = tools.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
        let mut command = Command::new(node(&tools));
        command.arg(suite).args(["server", "--url", &self.url, "--requirements", revision, "-o"]);
        let run = command.arg(&found).stdin(Stdio::null()).kill_on_drop(true).output();
        let run = timeout(PATIENCE, run).await.expect("the suite ends").expect("the suite starts");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(said.contains("=== SUMMARY ==="), "the suite broke down: {said}");
        Found::read(&found)
    }

    /// Serves no longer, in order.
    pub(crate) async fn ends(mut self) {
        self.ending.cancel();
        while let Some(ended) = self.serving.join_next().await {
            ended.expect("the server ends in order");
        }
        self.node.stop().await;
    }
}

impl Found {
    /// A folder for each scenario, with its name between two others: `server-tools-list-2026-…`.
    fn read(folder: &Path) -> Found {
        let mut found = Found { n_passed: 0, objections: BTreeMap::new() };
        for entry in fs::read_dir(folder).expect("what the suite wrote") {
            let path = entry.expect("a folder of a scenario").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let scenario = name.strip_prefix("server-").and_then(|it| it.len().checked_sub(STAMP));
            let scenario = scenario.map_or(&*name, |end| &name["server-".len()..][..end]);
            let checks = fs::read_to_string(path.join("checks.json")).expect("its checks");
            let checks: Vec<Value> = serde_json::from_str(&checks).expect("a list of checks");
            for check in checks {
                match check["status"].as_str() {
                    Some("SUCCESS") => found.n_passed += 1,
                    Some("FAILURE" | "WARNING") => {
                        let id = check["id"].as_str().unwrap_or_default();
                        let told = check["errorMessage"].as_str().unwrap_or_default();
                        found.objections.insert(format!("{scenario}:{id}"), told.to_owned());
                    }
                    _ => {}
                }
            }
        }
        found
    }

    /// Whether it is what a file of ours expects: an objection that is not there, and an entry
    /// without one, fail alike.
    pub(crate) fn is_as_expected(&self, file: &str) {
        let text = fs::read_to_string(own(file)).expect("the list of what is expected");
        let lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
        let expected: BTreeSet<&str> = lines.collect();
        let is_new = |(at, _): &(&String, &String)| !expected.contains(at.as_str());
        let new: Vec<_> = self.objections.iter().filter(is_new).collect();
        let gone = expected.iter().filter(|it| !self.objections.contains_key(**it));
        let gone: Vec<_> = gone.collect();
        let told = format!("{} passed; new: {new:#?}; gone: {gone:#?}", self.n_passed);
        assert!(new.is_empty() && gone.is_empty(), "{file} is not what the suite found: {told}");
    }
}

/// Where `check` installs the suite. Missing, it fails the test: a skipped suite proves nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "the test asks for its own tool, not for configuration"
)]
pub(crate) fn tools() -> PathBuf {
    match std::env::var_os("CALLBOARD_CONFORMANCE") {
        Some(path) => PathBuf::from(path),
        None => panic!("CALLBOARD_CONFORMANCE is not set: run ./check, which installs the suite"),
    }
}

/// The Node that came with the suite: what a machine has may be too old for it.
pub(crate) fn node(tools: &Path) -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-x64" };
    let own = tools.join(format!("node_modules/node-{machine}/bin/node"));
    if own.exists() { own } else { PathBuf::from("node") }
}

fn own(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(file)
}
