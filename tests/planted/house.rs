//! The team in whose files secrets are planted, the built binary that serves it, and what can be seen
//! of both from outside.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::endpoint::Endpoint;
use super::fixture::Fixture;
use super::secrets::{Secrets, VARIABLES};

/// The file beside the team that holds what its `store` refers to, if that is planted.
pub(crate) const ADDRESS: &str = "address";

/// A folder with the team, its journal and the log.
pub(crate) fn house(endpoint: &Endpoint, fixture: &Fixture, secrets: &Secrets) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let entry = fixture.entry(json!({"SECRET": "env:PLANTED_SERVER"}));
    let store = secrets.get("store").map_or("", |_| "store: env:PLANTED_STORE\n");
    let team = format!(
        "{store}entry: lead\nproviders:\n  e: {{base_url: \"{}\", api_key: \"env:PLANTED_KEY\", headers: {{x-auth: \"env:PLANTED_HEADER\"}}, breaker: {{failures: 100}}}}\n\
         models: {{default: e/m}}\nmcpServers: {{x: {entry}}}\nthrottle: off\n\
         approvals: {{tainted: allow}}\nroots: [work]\nbash: {{env: [PLANTED_BASH_TOKEN]}}\n\
         http: {{tokens: [{{name: me, token: \"env:PLANTED_TOKEN\", scopes: [admin]}}]}}\n",
        endpoint.base_url()
    );
    let write = |name: &str, text: &str| {
        let path = folder.path().join("team").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write("team.yaml", &team);
    let secret = &secrets["agent file"];
    write(
        "agents/lead.md",
        &format!(
            "---\ndescription: Leads.\nhandoffs: [mate]\nmemory: write\n\
             permissions: {{external: allow, run: allow}}\n---\nYou lead. Use {secret}.\n"
        ),
    );
    write("agents/mate.md", "---\ndescription: Finishes.\nmcpServers: []\n---\nYou finish.\n");
    write("agents/doomed.md", "---\ndescription: Fails.\nmcpServers: []\n---\nYou are doomed.\n");
    write("work/notes.txt", &format!("the key is {}\n", secrets["file"]));
    folder
}

/// The built binary on that team, with what its owner keeps in the environment.
pub(crate) fn binary(folder: &Path, words: &[&str], secrets: &Secrets) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command.args(words).arg("--team").arg(folder.join("team"));
    command.arg("--data").arg(folder.join("data"));
    command.envs(VARIABLES.map(|(variable, name)| (variable, &secrets[name])));
    if let Ok(address) = fs::read_to_string(folder.join(ADDRESS)) {
        command.env("PLANTED_STORE", address);
    }
    command
}

/// What a command of it says, on both of its outputs.
pub(crate) fn said(folder: &Path, words: &[&str], secrets: &Secrets) -> String {
    let mut command = binary(folder, words, secrets);
    command.arg("--verbose").env("CALLBOARD_LOG", "trace").stdin(Stdio::null());
    let output = command.output().expect("it runs");
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    let (told, log) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.code() != Some(2), "{words:?}: {log}");
    told + &log
}

/// It serves over stdio, with the most that it ever logs.
pub(crate) struct Server {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Every line it ever said.
    said: String,
    asked: u32,
}

impl Server {
    pub(crate) fn start(folder: &Path, secrets: &Secrets) -> Server {
        let mut command = binary(folder, &["serve", "--no-finish", "--verbose"], secrets);
        command.env("CALLBOARD_LOG", "trace");
        command.stderr(fs::File::create(folder.join("log")).expect("a file"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        let output = BufReader::new(output);
        let mut server = Server { child, input, output, said: String::new(), asked: 0 };
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "planter", "version": "1"}});
        server.asks("initialize", hello);
        server
    }

    /// The answer to a request, good or bad.
    pub(crate) fn asks(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.writes(&line.to_string());
        loop {
            let message = self.hears();
            if message["id"] == id {
                return message;
            }
        }
    }

    pub(crate) fn writes(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("open"), "{line}").expect("written");
    }

    /// The next line that it says.
    pub(crate) fn hears(&mut self) -> Value {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).expect("read");
        assert!(read > 0, "it went away: {}", self.said);
        self.said.push_str(&line);
        serde_json::from_str(&line).expect("JSON")
    }

    /// What a call shows.
    pub(crate) fn calls(&mut self, tool: &str, arguments: Value) -> Value {
        let told = self.asks("tools/call", json!({"name": tool, "arguments": arguments}));
        let text = told["result"]["content"][0]["text"].as_str().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_else(|_| panic!("{told}"))
    }

    /// Ends it, and what it said to the end.
    pub(crate) fn end(mut self) -> String {
        self.input.take();
        self.output.read_to_string(&mut self.said).expect("read");
        self.child.wait().expect("it ends");
        self.said
    }
}

/// The environment and the command line of every process below this one.
pub(crate) fn children(of: u32) -> Vec<String> {
    let mut found = Vec::new();
    let all = fs::read_dir("/proc").expect("there are processes").flatten();
    let all: Vec<u32> = all.filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    let parent = |id: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        status.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
    };
    let mut below = vec![of];
    while let Some(id) = below.pop() {
        for child in all.iter().copied().filter(|it| parent(*it) == Some(id)) {
            below.push(child);
            for what in ["environ", "cmdline"] {
                let bytes = fs::read(format!("/proc/{child}/{what}")).unwrap_or_default();
                found.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    found
}

/// Every file of a folder, as text.
pub(crate) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            all.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    all
}
