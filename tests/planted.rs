//! Twelve secrets planted where secrets come from: none is found where anything is kept or shown.
#![expect(clippy::panic, reason = "a test says what it missed and fails")]

mod endpoint;
#[path = "servers/fixture.rs"]
#[expect(dead_code, reason = "this test asks little of it")]
mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use endpoint::{Act, Ask, Endpoint};
use fixture::Fixture;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A word that is nobody's secret, made of a prefix and so many letters, different for each seed.
fn made(prefix: &str, seed: u8, length: usize) -> String {
    let letters = b"aB3dE5gH7jK9mN2pQ4rS6tU8vW";
    let mut state = u32::from(seed) + 1;
    let mut pick = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        letters[(state >> 16) as usize % letters.len()] as char
    };
    format!("{prefix}{}", (0..length).map(|_| pick()).collect::<String>())
}

/// Where each is planted, and what it looks like.
fn planted() -> BTreeMap<&'static str, String> {
    let upper = |seed| made("", seed, 16).to_uppercase().replace(['8', '9'], "A");
    let jwt = format!("{}.{}.{}", made("eyJ", 1, 20), made("eyJ", 2, 30), made("", 3, 40));
    let pem =
        format!("-----BEGIN {0}-----\n{1}\n-----END {0}-----", "PRIVATE KEY", made("MII", 4, 60));
    BTreeMap::from([
        ("task", made("ghp_", 5, 36)),
        ("context", format!("AKIA{}", upper(6).replace(['3', '5', '7', '2', '4', '6'], "Q"))),
        ("agent file", made("xoxb-", 7, 40)),
        ("environment", made("plain words for the endpoint ", 8, 20)),
        ("tool result", made("glpat-", 9, 24)),
        ("model reply", jwt),
        ("provider error", made("sk-proj-", 10, 48)),
        ("header", made("a header of the provider ", 11, 20)),
        ("schema", made("sk_live_", 12, 30)),
        ("note", made("npm_", 13, 36)),
        ("handoff", made("AIza", 14, 35)),
        ("artifact", pem),
        ("server", made("what the tool server was given ", 15, 20)),
    ])
}

/// What is looked for of a secret: its last letters, however it is quoted or cut.
fn core(name: &str, secret: &str) -> String {
    let core = if name == "artifact" { secret.lines().nth(1).unwrap_or_default() } else { secret };
    core[core.len().saturating_sub(14)..].to_owned()
}

fn script(secrets: BTreeMap<&'static str, String>) -> impl Fn(&Ask) -> Act + Send + Sync + 'static {
    let has_erred = AtomicBool::new(false);
    move |ask: &Ask| {
        let of = |name: &str| secrets[name].clone();
        if ask.system().contains("You finish.") {
            if !has_erred.swap(true, Ordering::SeqCst) {
                let said = format!("the key {} is over its limit", of("provider error"));
                return Act::error(500, &json!({"error": {"message": said}}));
            }
            return Act::answer(&json!({"found": of("model reply")}));
        }
        let note =
            |key: &str, text: String| ("note", json!({"slot": "notes", "key": key, "text": text}));
        match ask.turn() {
            1 => Act::calls(&[
                note("plain", of("note")),
                note("key.pem", of("artifact")),
                ("mcp__x__echo", json!({"text": of("tool result")})),
                ("mcp__x__env", json!({})),
            ]),
            _ => {
                let summary = json!({"did": "looked at everything there is",
                    "must_know": format!("the key is {}", of("handoff")), "do_next": "finish it"});
                Act::call("handoff", json!({"to": "mate", "task": "finish it", "summary": summary}))
            }
        }
    }
}

/// The built binary, spoken to over stdio, with the most that it ever logs.
struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Every line it ever said.
    said: String,
}

impl Server {
    fn start(folder: &Path, secrets: &BTreeMap<&'static str, String>) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.args(["serve", "--no-finish", "--verbose", "--team"]).arg(folder.join("team"));
        command.arg("--data").arg(folder.join("data")).env("CALLBOARD_LOG", "trace");
        for (variable, name) in VARIABLES {
            command.env(variable, &secrets[name]);
        }
        command.stderr(fs::File::create(folder.join("log")).expect("a file"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        Server { child, input, output: BufReader::new(output), said: String::new() }
    }

    fn asks(&mut self, id: u32, method: &str, params: Value) -> Value {
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(self.input.as_mut().expect("open"), "{line}").expect("written");
        loop {
            let mut line = String::new();
            assert!(
                self.output.read_line(&mut line).expect("read") > 0,
                "it went away: {}",
                self.said
            );
            self.said.push_str(&line);
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message["id"] == id {
                return message["result"].clone();
            }
        }
    }

    fn calls(&mut self, id: u32, tool: &str, arguments: Value) -> Value {
        let told = self.asks(id, "tools/call", json!({"name": tool, "arguments": arguments}));
        let text = told["content"][0]["text"].as_str().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_else(|_| panic!("{told}"))
    }

    /// Ends it, and what it said to the end.
    fn end(mut self) -> String {
        self.input.take();
        self.output.read_to_string(&mut self.said).expect("read");
        self.child.wait().expect("it ends");
        self.said
    }
}

/// Variables of the environment, and what they hold.
const VARIABLES: [(&str, &str); 3] =
    [("PLANTED_KEY", "environment"), ("PLANTED_HEADER", "header"), ("PLANTED_SERVER", "server")];

fn house(
    endpoint: &Endpoint,
    fixture: &Fixture,
    secrets: &BTreeMap<&'static str, String>,
) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let entry = fixture.entry(json!({"SECRET": "env:PLANTED_SERVER"}));
    let team = format!(
        "entry: lead\nproviders:\n  e: {{base_url: \"{}\", api_key: \"env:PLANTED_KEY\", headers: {{x-auth: \"env:PLANTED_HEADER\"}}}}\n\
         models: {{default: e/m}}\nmcpServers: {{x: {entry}}}\nthrottle: off\n\
         approvals: {{tainted: allow}}\n",
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
            "---\ndescription: Leads.\nhandoffs: [mate]\npermissions: {{external: allow}}\n---\n\
             You lead. Use {secret}.\n"
        ),
    );
    write("agents/mate.md", "---\ndescription: Finishes.\nmcpServers: []\n---\nYou finish.\n");
    folder
}

/// The environment and the command line of every process below this one.
fn children(of: u32) -> Vec<String> {
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
fn files(folder: &Path) -> Vec<(String, String)> {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_planted_secret_is_found_anywhere() {
    let secrets = planted();
    let fixture = Fixture::new("");
    let endpoint = Endpoint::start(script(secrets.clone())).await;
    let folder = house(&endpoint, &fixture, &secrets);
    let mut server = Server::start(folder.path(), &secrets);
    server.asks(
        1,
        "initialize",
        json!({"protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "planter", "version": "1"}}),
    );
    let arguments = json!({
        "task": format!("use the token {}", secrets["task"]),
        "context": format!("the key id is {}", secrets["context"]),
        "to": "lead", "wait_s": 60,
        "output_schema": {"type": "object", "required": ["found"], "properties": {"found": {"type": "string",
            "description": format!("such as {}", secrets["schema"])}}},
    });
    let view = server.calls(2, "team_run", arguments);
    assert_eq!(view["state"], "completed", "{view}");
    assert_eq!(view["answer"]["found"], "[secret]");
    let run = view["run"].as_str().expect("a run").to_owned();
    let below = children(server.child.id());
    assert!(below.iter().any(|it| it.contains("tool_server.py")), "the tool server runs");
    for (id, what) in (10..).zip(["trace", "steps", "handoffs", "summary"]) {
        server.calls(id, "team_status", json!({"run": run, "view": what, "limit": 200}));
    }
    for (id, path) in (20..).zip(["", "/trace", "/artifacts/1", "/artifacts/2", "/artifacts"]) {
        let uri = format!("team://runs/{run}{path}");
        server.asks(id, "tools/call", json!({"name": "team_read", "arguments": {"uri": uri}}));
    }
    // Before it ends the write-ahead log is still there.
    let mut shown = files(&folder.path().join("data"));
    let is_wal = |it: &(String, String)| it.0.ends_with("-wal") && !it.1.is_empty();
    assert!(shown.iter().any(is_wal), "{:?}", shown.iter().map(|it| &it.0).collect::<Vec<_>>());
    let trace = Command::new(env!("CARGO_BIN_EXE_callboard"))
        .args(["trace", &run, "--team"])
        .arg(folder.path().join("team"))
        .arg("--data")
        .arg(folder.path().join("data"))
        .output()
        .expect("it runs");
    shown.push(("trace".into(), String::from_utf8_lossy(&trace.stdout).into_owned()));
    let said = server.end();
    shown.push(("what it said".into(), said));
    shown.push(("the log".into(), fs::read_to_string(folder.path().join("log")).expect("a log")));
    shown.extend(files(&folder.path().join("data")));
    let asked = endpoint.requests().iter().map(|it| it.body.to_string()).collect::<String>();
    assert!(asked.contains("[secret]"), "models are shown none either");
    for (name, secret) in &secrets {
        let core = core(name, secret);
        for (place, text) in &shown {
            assert!(!text.contains(&core), "the secret of the {name} stands in {place}");
        }
        for text in &below {
            let is_its_own = *name == "server" && text.contains("SECRET=");
            assert!(
                is_its_own || !text.contains(&core),
                "a child was given the secret of the {name}"
            );
        }
    }
    let log = &shown.iter().find(|it| it.0 == "the log").expect("it is there").1;
    assert!(log.lines().count() > 20, "the log was written: {log}");
    fixture.until_gone();
}
