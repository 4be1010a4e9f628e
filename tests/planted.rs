//! Secrets planted where secrets come from: none is found where anything is kept or shown.
#![cfg(target_os = "linux")]
#![expect(clippy::panic, reason = "a test says what it missed and fails")]

mod endpoint;
#[path = "planted/escaped.rs"]
mod escaped;
#[path = "servers/fixture.rs"]
#[expect(dead_code, reason = "this test asks little of it")]
mod fixture;
#[path = "planted/house.rs"]
mod house;
#[path = "planted/script.rs"]
mod script;
#[path = "planted/secrets.rs"]
mod secrets;
#[path = "engine/server.rs"]
#[expect(dead_code, reason = "this test breaks no server")]
mod server;
#[path = "http/wire.rs"]
#[expect(clippy::panic, reason = "a client of tests says what it missed and fails")]
mod wire;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use endpoint::Endpoint;
use fixture::{Fixture, eventually};
use house::{ADDRESS, Server, binary, children, files, house, said};
use rustix::process::{Pid, Signal, kill_process};
use script::script;
use secrets::{Secrets, core, made, planted};
use serde_json::json;
use server::Database;
use wire::{Request, Wire};

/// Where something is kept or shown, and all that stands there.
type Shown = Vec<(String, String)>;

/// A file of a command whose model wrote a secret into it.
const WRITTEN: &str = "a file that a command wrote";
/// What is read of a run.
const PARTS: [&str; 9] = [
    "",
    "/trace",
    "/steps",
    "/handoffs",
    "/cost",
    "/why",
    "/artifacts",
    "/artifacts/1",
    "/artifacts/2",
];
/// What else is read.
const SHELF: [&str; 8] = [
    "team://board",
    "team://agents",
    "team://agents/lead",
    "team://agents/mate",
    "team://runs",
    "team://queue",
    "team://config",
    "team://report?by=agent",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_planted_secret_is_found_anywhere() {
    all_is_hidden(planted(), None).await;
}

/// A role of its own, whose password is planted too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_found_where_postgresql_keeps_the_runs() {
    let database = server::Server::shared().database().await;
    let (mut secrets, address) = (planted(), database.address());
    let password = made("what the database asks for ", 26, 20);
    let (before, name) = address.rsplit_once('/').expect("a name");
    let host = before.rsplit_once('@').expect("a host").1;
    let sql = format!(
        "CREATE ROLE planted LOGIN PASSWORD '{password}'; ALTER DATABASE {name} OWNER TO planted"
    );
    database.look().await.client.batch_execute(&sql).await.expect("a role");
    let coded = password.replace(' ', "%20");
    let url = format!("postgres://planted:{coded}@{host}/{name}");
    secrets.insert("store", password);
    all_is_hidden(secrets, Some((&database, url))).await;
}

async fn all_is_hidden(secrets: Secrets, store: Option<(&Database, String)>) {
    let fixture = Fixture::new("");
    let endpoint = Endpoint::start(script(secrets.clone())).await;
    let folder = house(&endpoint, &fixture, &secrets);
    let place = folder.path();
    if let Some((_, url)) = &store {
        fs::write(place.join(ADDRESS), url).expect("a file");
    }
    let mut server = Server::start(place, &secrets);
    let (run, below) = plays(&mut server, place, &secrets);
    let failed = fails(&mut server);
    refuses(&mut server, &secrets);
    reads(&mut server, &run);
    // Before it ends the write-ahead log is still there.
    let mut shown = files(&place.join("data"));
    let is_wal = |it: &(String, String)| it.0.ends_with("-wal") && !it.1.is_empty();
    let names = shown.iter().map(|it| &it.0).collect::<Vec<_>>();
    assert_eq!(shown.iter().any(is_wal), store.is_none(), "{names:?}");
    shown.extend(by_hand(place, &run, &failed, &secrets));
    shown.push(("what it said".into(), server.end()));
    let log = fs::read_to_string(place.join("log")).expect("a log");
    assert!(log.lines().count() > 20, "the log was written: {log}");
    shown.push(("the log".into(), log));
    shown.extend(over_http(place, &run, &secrets));
    shown.extend(files(&place.join("data")));
    if let Some((database, _)) = &store {
        let all = String::from_utf8_lossy(&database.look().await.everything().await).into_owned();
        assert!(all.contains(&run) && all.matches("[secret]").count() > 20, "runs are kept there");
        assert!(all.contains("its password is [secret]"), "and what was said of it");
        shown.push(("the database".into(), all));
    }
    if callboard_sandbox::enforced().is_ok() {
        shown.push((WRITTEN.into(), text(&place.join("team/work/written"))));
    }
    let asked = endpoint.requests().iter().map(|it| it.body.to_string()).collect::<String>();
    assert!(asked.contains("[secret]"), "models are shown none either");
    shown.push(("what models were asked".into(), asked));
    shown.push((
        "what the tool server was asked".into(),
        text(&fixture.folder().join("seen.jsonl")),
    ));
    were_there(&shown);
    let mut found = Vec::new();
    for (name, secret) in &secrets {
        let core = core(name, secret);
        let hits = shown.iter().filter(|it| it.1.contains(&core));
        found.extend(hits.map(|it| format!("that of the {name} stands in {}", excerpt(it, &core))));
        // What somebody wrote into the file for a program is for that program.
        let own = match *name {
            "server" => "SECRET=",
            "bash" => "PLANTED_BASH_TOKEN=",
            _ => "\0",
        };
        let given = below.iter().filter(|it| it.contains(&core) && !it.contains(own));
        found.extend(given.map(|it| format!("a child was given that of the {name}: {it}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    fixture.until_gone();
}

/// That there was something to hide in every place: what is looked for came that far.
fn were_there(shown: &Shown) {
    let written = shown.iter().find(|it| it.0 == WRITTEN);
    assert!(written.is_none_or(|it| it.1 == "[secret]\n"), "{written:?}");
    for (place, least) in [
        ("callboard trace", 15),
        ("callboard memory", 2),
        ("callboard handoffs", 1),
        ("callboard read", 1),
        ("callboard status", 1),
        ("what it said", 60),
        ("the log", 1),
        ("an answer over HTTP", 20),
        ("the log of the server over HTTP", 1),
        ("what models were asked", 20),
        ("what the tool server was asked", 1),
    ] {
        let hidden = shown.iter().filter(|it| it.0 == place);
        let hidden: usize = hidden.map(|it| it.1.matches("[secret]").count()).sum();
        assert!(hidden >= least, "{place} holds {hidden} hidden secrets, not {least}");
    }
}

/// Where it was found, with what stands around it.
fn excerpt((place, text): &(String, String), core: &str) -> String {
    let at = text.find(core).unwrap_or_default();
    let around: String = text[..at].chars().rev().take(300).collect();
    format!("{place}: …{}", around.chars().rev().collect::<String>())
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

/// The whole job, with a person's answer in it; and what could be seen of the programs meanwhile.
fn plays(server: &mut Server, place: &Path, secrets: &Secrets) -> (String, Vec<String>) {
    let arguments = json!({
        "task": format!("use the token {}", secrets["task"]),
        "context": format!("the key id is {}", secrets["context"]),
        "to": "lead", "wait_s": 0,
        "output_schema": {"type": "object", "required": ["found"], "properties": {"found": {"type": "string",
            "description": format!("such as {}", secrets["schema"])}}},
    });
    let view = server.calls("team_run", arguments);
    let run = view["run"].as_str().expect("a run").to_owned();
    let mut below = Vec::new();
    if callboard_sandbox::enforced().is_ok() {
        let work = place.join("team/work");
        eventually("the command runs", || work.join("here").exists());
        below = children(server.child.id());
        assert!(below.iter().any(|it| it.contains("until [ -e go ]")), "the command: {below:?}");
        assert!(below.iter().any(|it| it.contains("PLANTED_BASH_TOKEN=")), "and its variables");
        let message = json!({"run": run, "action": "message", "value": secrets["message"],
            "reason": secrets["message"]});
        server.calls("team_control", message);
        fs::write(work.join("go"), "").expect("a file");
    }
    let view = server.calls("team_status", json!({"run": run, "wait_s": 60}));
    assert_eq!(view["state"], "input_required", "{view}");
    let question = view["questions"][0]["id"].as_str().expect("a question").to_owned();
    below.extend(children(server.child.id()));
    assert!(below.iter().any(|it| it.contains("tool_server.py")), "the tool server runs");
    let answers = json!({question: secrets["answer"]});
    let view = server.calls("team_answer", json!({"run": run, "answers": answers, "wait_s": 60}));
    assert_eq!(view["state"], "completed", "{view}");
    assert_eq!(view["answer"]["found"], "[secret]");
    (run, below)
}

/// Tasks whose endpoint fails, and tells why with all it knows; the last of them.
fn fails(server: &mut Server) -> String {
    let mut run = String::new();
    for nth in 0..5 {
        let task = format!("fail in way {nth}");
        let view = server.calls("team_run", json!({"to": "doomed", "task": task, "wait_s": 60}));
        assert_eq!(view["state"], "failed", "{view}");
        run = view["run"].as_str().expect("a run").to_owned();
    }
    run
}

/// Calls that are refused with what was wrong with them.
fn refuses(server: &mut Server, secrets: &Secrets) {
    let secret = secrets["refused call"].as_str();
    for (tool, arguments) in [
        ("team_run", json!({"to": secret, "task": "x"})),
        ("team_run", json!({"to": "lead", "task": "x", "priority": secret})),
        ("team_run", json!({"to": "lead", "task": "x", secret: 1})),
        ("team_status", json!({"run": secret})),
        ("team_status", json!({"view": secret})),
        ("team_control", json!({"run": secret, "action": secret})),
        ("team_answer", json!({"run": secret, "answers": {secret: secret}})),
        ("team_read", json!({"uri": format!("team://runs/{secret}")})),
        ("team_read", json!({"uri": secret})),
        (secret, json!({})),
    ] {
        let told = server.asks("tools/call", json!({"name": tool, "arguments": arguments}));
        assert!(told["result"]["isError"] == true || told["error"].is_object(), "{told}");
    }
    for (method, params) in [
        (secret, json!({})),
        ("resources/read", json!({"uri": format!("team://{secret}")})),
        ("prompts/get", json!({"name": secret})),
        ("prompts/get", json!({"name": "postmortem", "arguments": {"run": secret, secret: "x"}})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": secret},
            "argument": {"name": secret, "value": secret}}),
        ),
    ] {
        let told = server.asks(method, params);
        assert!(told["error"].is_object(), "{told}");
    }
    for line in [format!("{{\"{secret}"), format!("[\"{secret}\"]"), secret.to_owned()] {
        server.writes(&line);
        assert!(server.hears()["error"].is_object());
    }
}

/// Every way to look at the run and the rest.
fn reads(server: &mut Server, run: &str) {
    server.asks("tools/list", json!({}));
    server.asks("resources/list", json!({}));
    for what in ["trace", "steps", "handoffs", "summary", "cost", "why"] {
        server.asks(
            "tools/call",
            json!({"name": "team_status",
            "arguments": {"run": run, "view": what, "limit": 200}}),
        );
    }
    for uri in uris(run) {
        server.asks("resources/read", json!({"uri": uri}));
        server.asks("tools/call", json!({"name": "team_read", "arguments": {"uri": uri}}));
    }
    let told = server.asks("prompts/get", json!({"name": "postmortem", "arguments": {"run": run}}));
    assert!(told["result"].is_object(), "{told}");
}

fn uris(run: &str) -> Vec<String> {
    let of_run = PARTS.iter().map(|it| format!("team://runs/{run}{it}"));
    of_run.chain(SHELF.iter().map(ToString::to_string)).collect()
}

/// What the command line shows, in every form it has.
fn by_hand(place: &Path, run: &str, failed: &str, secrets: &Secrets) -> Shown {
    let typed = format!("the release key is {}", secrets["typed memory"]);
    let artifact = format!("team://runs/{run}/artifacts/1");
    let commands: [&[&str]; 19] = [
        &["doctor"],
        &["memory", "remember", "typed", &typed],
        &["memory", "list"],
        &["memory", "list", "--json"],
        &["memory", "search", "key"],
        &["memory", "search", &secrets["typed memory"], "--json"],
        &["memory", "rebuild"],
        &["trace", run],
        &["trace", run, "--json"],
        &["trace", failed, "--json"],
        &["status"],
        &["status", "--json"],
        &["handoffs", run],
        &["handoffs", run, "--json"],
        &["read", &artifact],
        &["read", &artifact, "--json"],
        &["replay", run],
        &["status", run, "--json"],
        &["status", failed],
    ];
    let shown = |words: &&[&str]| (format!("callboard {}", words[0]), said(place, words, secrets));
    commands.iter().map(shown).collect()
}

/// What a client is shown over HTTP, and one whose token is wrong.
fn over_http(place: &Path, run: &str, secrets: &Secrets) -> Shown {
    let mut command =
        binary(place, &["serve", "--http", "127.0.0.1:0", "--sse", "--verbose"], secrets);
    command.env("CALLBOARD_LOG", "trace").stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut log = String::new();
    let address = loop {
        let before = log.len();
        assert!(errors.read_line(&mut log).expect("read") > 0, "it went away: {log}");
        let line = log[before..].trim();
        let address = line.strip_prefix("listening on http://");
        if let Some(address) = address.and_then(|it| it.strip_suffix("/mcp")) {
            break address.parse().expect("an address");
        }
    };
    let reader = std::thread::spawn(move || {
        errors.read_to_string(&mut log).expect("read");
        log
    });
    let token = secrets["token"].as_str();
    let mut requests = vec![
        Request::new("GET", "/healthz"),
        Request::new("GET", "/mcp"),
        Request::new("GET", "/"),
        Request::modern(1, "tools/list", json!({})).bearing(&secrets["refused call"]),
        Request::modern(2, "tools/list", json!({})).bearing(token),
        Request::call(3, "team_status", json!({"run": run})).bearing(token),
        Request::call(4, "team_status", json!({"run": token})).bearing(token),
        Request::new("GET", &format!("/{token}")),
        Request::new("GET", "/mcp").with("Host", token),
    ];
    for uri in uris(run) {
        let read = Request::modern(uri.clone(), "resources/read", json!({"uri": uri}));
        requests.push(read.bearing(token));
    }
    let mut all: Shown = Vec::new();
    for request in &requests {
        let reply = Wire::open(address).ask(request);
        all.push(("an answer over HTTP".into(), format!("{reply:?} {}", reply.text())));
    }
    let good = |it: &&(String, String)| it.1.contains("Reply { status: 200");
    assert!(all.iter().filter(good).count() > uris(run).len(), "{all:?}");
    let child_id = Pid::from_child(&child);
    kill_process(child_id, Signal::TERM).expect("it is there");
    child.wait().expect("it ends");
    all.push(("the log of the server over HTTP".into(), reader.join().expect("read")));
    all
}
