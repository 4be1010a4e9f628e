//! The fixture server in a folder of its own, and what it saw.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Between two looks, and how many: longer than anything here may take.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1_500;

/// A server that does as its words say.
pub(crate) struct Fixture {
    folder: TempDir,
    words: &'static str,
}

impl Fixture {
    pub(crate) fn new(words: &'static str) -> Fixture {
        Fixture { folder: tempfile::tempdir().expect("a folder"), words }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its entry in `mcpServers`, as JSON, which is YAML too.
    pub(crate) fn entry(&self, env: Value) -> Value {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/tool_server.py");
        let mut args = vec![program.display().to_string(), self.folder().display().to_string()];
        args.extend(self.words.split_whitespace().map(str::to_owned));
        serde_json::json!({"command": "python3", "args": args, "env": env})
    }

    /// Calls it began, in order.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.lines("seen.jsonl")
    }

    /// Calls it answered, in order.
    pub(crate) fn done(&self) -> Vec<Value> {
        self.lines("done.jsonl")
    }

    /// Waits until it began so many calls.
    pub(crate) fn until_seen(&self, count: usize) {
        eventually("the calls come", || self.seen().len() >= count);
    }

    /// Lets calls of `wait` return.
    pub(crate) fn open_gate(&self) {
        std::fs::write(self.folder().join("gate"), "").expect("a file");
    }

    /// Every process it ever was, and those it hid.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(self.folder().join("pids")).unwrap_or_default();
        text.lines().filter_map(|it| it.parse().ok()).collect()
    }

    /// Waits until none of them is left, also not as a zombie.
    pub(crate) fn until_gone(&self) {
        assert!(!self.pids().is_empty(), "it never ran");
        eventually("its processes are gone", || self.pids().iter().all(|it| !is_there(*it)));
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder().join(name)).unwrap_or_default();
        text.lines().filter_map(|it| serde_json::from_str(it).ok()).collect()
    }
}

/// Whether there is such a process, be it a zombie.
pub(crate) fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits for something that has to come.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    panic!("in vain: {what}");
}
