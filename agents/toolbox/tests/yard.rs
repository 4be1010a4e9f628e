//! A folder that agents see, one beside it that they do not, and calls of tools on both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callboard_config::Limits;
use callboard_config::hands::Fetch;
use callboard_trace::RunId;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::toolbox::egress::Egress;
use crate::toolbox::used::Used;
use crate::toolbox::{Answer, Board, Ground, Kit, Known, use_tool};

/// Far longer than any call may take here.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Yard {
    folder: TempDir,
    pub(super) ground: Ground,
    tools: Vec<String>,
    files: Mutex<BTreeMap<String, String>>,
}

/// Nobody to look at.
struct Alone;

impl Board for Alone {
    fn read<'a>(
        &'a self,
        _: &'a RunId,
        _: &'a str,
    ) -> Answer<'a, Result<(String, Option<String>), String>> {
        Box::pin(async { Err("nobody is there".into()) })
    }

    fn recall<'a>(&'a self, _: &'a RunId, _: &'a Value) -> Answer<'a, Result<Value, String>> {
        Box::pin(async { Err("nobody is there".into()) })
    }

    fn status<'a>(&'a self, _: &'a RunId) -> Answer<'a, Result<Value, String>> {
        Box::pin(async { Err("nobody is there".into()) })
    }
}

impl Yard {
    pub(super) fn new() -> Yard {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = folder.path().canonicalize().expect("it is there");
        let root = whole.join("root");
        for name in ["root", "outside", "data"] {
            std::fs::create_dir(whole.join(name)).expect("a folder");
        }
        std::fs::write(whole.join("outside/secret.txt"), "of others\n").expect("a file");
        let guarded = ["root/team.yaml", "root/agents", "root/.claude", "data"];
        let ground = Ground {
            roots: vec![root],
            guarded: guarded.iter().map(|it| whole.join(it)).collect(),
            limits: Limits::default(),
            egress: Egress::new(Fetch { hosts: None, loopback: true }),
            ..Ground::default()
        };
        Yard { folder, ground, tools: vec![], files: Mutex::default() }
    }

    /// The agent's `tools` hold this.
    pub(super) fn with_tool(mut self, tool: &str) -> Yard {
        self.tools.push(tool.to_owned());
        self
    }

    pub(super) fn root(&self) -> &Path {
        &self.ground.roots[0]
    }

    pub(super) fn outside(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it is there").join("outside")
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    pub(super) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.root().join(name)).expect("a file")
    }

    /// The names in the root, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let all = std::fs::read_dir(self.root()).expect("a folder");
        let mut names: Vec<String> = all
            .map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// One call, whose outcome the run remembers.
    pub(super) async fn uses(&self, tool: &str, arguments: Value) -> Result<Used, String> {
        self.attempts(1, tool, arguments).await
    }

    /// The same call once more, after its process went away.
    pub(super) async fn attempts(
        &self,
        attempt: u32,
        tool: &str,
        arguments: Value,
    ) -> Result<Used, String> {
        let agent = json!({
            "name": "coder", "description": "d", "instructions": "i", "models": [],
            "tools": self.tools, "max_turns": 9, "class": "normal", "authority": 0.6, "output": {},
            "permissions": {}, "grants": "own", "publish": true,
        });
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = Known { agent: serde_json::from_value(agent).expect("an agent"), files };
        let ground = Arc::new(self.ground.clone());
        let (run, board) = (RunId::new(7), Alone);
        let kit =
            Kit { board: &board, ground: &ground, run: &run, call: "c1", attempt, known: &known };
        let using = use_tool(&kit, tool, &arguments);
        let used = tokio::time::timeout(PATIENCE, using).await.expect("no call hangs")?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.extend(used.files.iter().map(|it| (it.path.clone(), it.hash.clone())));
        Ok(used)
    }

    /// What the model is told of a call that went well.
    pub(super) async fn told(&self, tool: &str, arguments: Value) -> String {
        let used = self.uses(tool, arguments).await.expect("it goes well");
        used.result.as_str().expect("a text").to_owned()
    }

    /// What it is told of one that did not.
    pub(super) async fn refused(&self, tool: &str, arguments: Value) -> String {
        self.uses(tool, arguments).await.expect_err("it is refused")
    }
}
