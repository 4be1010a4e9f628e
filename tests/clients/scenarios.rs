//! What a client expects of Callboard, one scenario a function, for every line of every SDK.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{Client, Line};
use crate::house::{House, Way};

// The tasks that the playbook beside this file knows.
const CHAIN: &str = "Research async patterns, implement an example, test it";
const SHORT: &str = "Answer briefly: what is a callboard";
const SLOW: &str = "Take your time over this one";
pub(crate) const ENDLESS: &str = "Work on this until somebody stops you";
const STEPS: &str = "Do this in small steps";
const REFUSED: &str = "The provider will refuse this";

const TEAM_TOOLS: [&str; 5] =
    ["team_run", "team_status", "team_handoff", "team_answer", "team_control"];
const N_AGENTS: usize = 15;
const SURFACE_TOKENS_MAX: usize = 2_000;
const BYTES_PER_TOKEN: usize = 4;
/// A dead process is known by its file lock: the next one need not wait for the lease of 30 s.
const RESUME: Duration = Duration::from_secs(20);
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn uses_the_tools(way: Way, line: Line) {
    let house = House::new(way);
    let mut client = house.client(line);
    lists(&mut client);
    hands_off(&mut client);
    cancels(&mut client, line);
    leads_a_plan(&mut client);
    tells_what_was_wrong(&mut client);
    client.leaves();
}

/// A client that speaks the newest version or nothing needs no handshake at all. One that does not
/// even ask who the server is has no instructions.
pub(crate) fn needs_no_handshake(way: Way, line: Line) {
    let house = House::new(way);
    let mut client = house.client(line);
    if !client.hello("instructions").is_empty() {
        lists(&mut client);
    }
    hands_off(&mut client);
    client.leaves();
}

fn lists(client: &mut Client<'_>) {
    let tools = client.list();
    assert_eq!(tools, client.list(), "the order of tools changed");
    let text = |it: &Value, what: &str| it[what].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = tools.iter().map(|it| text(it, "name")).collect();
    assert!(TEAM_TOOLS.iter().all(|it| names.iter().any(|name| name == it)), "{names:?}");
    for (it, name) in tools.iter().zip(&names) {
        let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
        assert!((2..=32).contains(&name.len()) && name.chars().all(is_plain), "{name}");
        assert!(!text(it, "description").is_empty(), "{name} has no description");
        assert_eq!(it["inputSchema"]["type"], "object", "{name}");
    }
    let agents: Vec<&Value> =
        tools.iter().filter(|it| !text(it, "name").starts_with("team_")).collect();
    assert_eq!(agents.len(), N_AGENTS, "{names:?}");
    for it in agents {
        let schema = &it["inputSchema"];
        let taken: Vec<&String> = schema["properties"].as_object().expect("some").keys().collect();
        assert_eq!(taken, ["task", "context", "wait_s"], "{it}");
        assert_eq!(schema["required"], json!(["task"]), "{it}");
    }
    let status = tools.iter().find(|it| it["name"] == "team_status").expect("it is there");
    assert_eq!(status["annotations"]["readOnlyHint"], true);
    let instructions = client.hello("instructions");
    assert!(instructions.contains("team_status"), "how to go on: {instructions:?}");
    let bytes = serde_json::to_string(&tools).expect("JSON").len() + instructions.len();
    let tokens = bytes / BYTES_PER_TOKEN;
    assert!(tokens < SURFACE_TOKENS_MAX, "tools and instructions take {tokens} tokens");
}

fn hands_off(client: &mut Client<'_>) {
    let facts = completed(client.call("researcher", json!({"task": CHAIN, "wait_s": 60})));
    assert_eq!((&facts["handoffs"], &facts["agent"]), (&json!(2), &json!("tester")), "{facts}");

    let passed = |to: &str| {
        let summary = "The pattern is chosen: a bounded channel.";
        json!({"to": to, "summary": summary, "task": SHORT, "wait_s": 60})
    };
    let given = completed(client.call("team_handoff", passed("coder")));
    assert_eq!(given["handoff"]["accepted"], true, "{given}");
    assert_eq!(given["handoff"]["to"], "coder", "{given}");
    let why = client.refused("team_handoff", passed("codr"));
    assert_eq!(why["code"], "unknown_agent", "{why}");
    assert!(why.to_string().contains("coder"), "the nearest name: {why}");
}

pub(crate) fn leaves_with_a_handle(way: Way, line: Line) {
    let house = House::new(way);
    let mut client = house.client(line);
    let handle = client.call("researcher", json!({"task": SLOW, "wait_s": 0}));
    let run = open(&handle);
    let facts = completed(until_over(&mut client, &run, LONG));
    let board = client.call("team_status", json!({}));
    assert_eq!(board["agents"].as_array().map(Vec::len), Some(N_AGENTS), "{board}");
    assert!(board.to_string().contains(&run), "recent runs: {board}");
    let unknown = format!("r_{}", "a".repeat(26));
    let why = client.refused("team_status", json!({"run": unknown}));
    assert_eq!(why["code"], "not_found", "{why}");
    assert!(facts["elapsed_s"].as_f64().is_some_and(|it| it >= 3.0), "{facts}");
    client.leaves();
}

fn cancels(client: &mut Client<'_>, line: Line) {
    let run = open(&client.call("researcher", json!({"task": ENDLESS, "wait_s": 0})));
    until_at_work(client, &run);
    let start = Instant::now();
    let reason = "no longer wanted";
    client.call("team_control", json!({"run": run, "action": "cancel", "reason": reason}));
    let facts = until_over(client, &run, LONG);
    assert_eq!((&facts["state"], &facts["stop"]), (&json!("cancelled"), &json!("cancelled")));
    eprintln!("{line:?}: cancelled after {:?}", start.elapsed());
}

pub(crate) fn finds_its_run_after_a_crash(way: Way, line: Line) {
    let house = House::new(way);
    let mut client = house.client(line);
    let run = open(&client.call("researcher", json!({"task": SLOW, "wait_s": 0})));
    until_at_work(&mut client, &run);
    client.kill_server();
    drop(client);
    let mut client = house.client(line);
    completed(until_over(&mut client, &run, RESUME));
    client.leaves();
}

/// A client that gives a call up is heard. A person's stop ends the run; from other reasons the run
/// cannot tell, and goes on for whoever makes the same call again.
pub(crate) fn is_heard_when_it_gives_up(way: Way, line: Line) {
    let house = House::new(way);
    let mut client = house.client(line);
    let words = json!({"task": ENDLESS, "wait_s": 60});
    let call = client.starts("researcher", words);
    let run = until(|| {
        let board = client.call("team_status", json!({}));
        let run = board["runs"].as_array()?.first()?;
        (run["state"] == "working").then(|| run["run"].as_str().map(str::to_owned))?
    });
    client.gives_up(call, "the user cancelled it");
    // Over HTTP the newer era has no words for the end of a call, and the Python SDK has its own.
    let is_told_why =
        matches!(line, Line::TypeScript { era, .. } if era == "legacy" || way != Way::Http);
    if is_told_why {
        let facts = until_over(&mut client, &run, LONG);
        assert_eq!((&facts["state"], &facts["stop"]), (&json!("cancelled"), &json!("cancelled")));
    } else {
        let again = client.call("researcher", json!({"task": ENDLESS, "wait_s": 1}));
        assert_eq!(again["run"], run, "it was left, and is found again");
        client.call("team_control", json!({"run": run, "action": "cancel"}));
    }
    client.leaves();
}

/// A session lives longer than the process that gave it: the next one knows it by its name, with
/// all that the client said of itself.
pub(crate) fn goes_on_after_its_server_died(way: Way, line: Line) {
    let house = House::with_a_person(way);
    let mut client = house.able(line, "elicits");
    let run = open(&client.call("researcher", json!({"task": SLOW, "wait_s": 0})));
    until_at_work(&mut client, &run);
    client.kill_server();
    house.serves_again();
    completed(until_over(&mut client, &run, RESUME));
    let answers = json!([{"action": "accept", "content": {"answer": "yes"}}]);
    let call = client.starts_with("boss", json!({"task": SHORT, "wait_s": 60}), answers);
    client.asked(call);
    assert_eq!(completed(client.answer(call))["result"], "yes");
    client.leaves();
}

/// Four calls are at work at the same time, which the board shows, and each gets its own answer.
pub(crate) fn calls_side_by_side(way: Way, line: Line) {
    let house = House::new(way);
    let mut client = house.client(line);
    let calls: Vec<u64> = (0..4)
        .map(|n| client.starts("researcher", json!({"task": format!("{ENDLESS}: {n}")})))
        .collect();
    let runs = until(|| {
        let board = client.call("team_status", json!({}));
        let researcher = board["agents"].as_array()?.iter().find(|it| it["name"] == "researcher");
        let runs: Vec<Value> =
            board["runs"].as_array()?.iter().map(|it| it["run"].clone()).collect();
        (researcher?["active"] == 4 && runs.len() == 4).then_some(runs)
    });
    for run in runs {
        client.call("team_control", json!({"run": run, "action": "cancel"}));
    }
    let ended: BTreeSet<String> = calls
        .into_iter()
        .map(|id| client.answer(id))
        .inspect(|it| assert_eq!(it["state"], "cancelled", "{it}"))
        .map(|it| it["run"].to_string())
        .collect();
    assert_eq!(ended.len(), 4, "each call is told of its own run");

    let calls: Vec<u64> =
        (0..8).map(|n| client.starts("coder", json!({"task": format!("{SHORT}: {n}")}))).collect();
    let done: BTreeSet<String> = calls
        .into_iter()
        .map(|id| completed(client.answer(id)))
        .map(|it| it["run"].to_string())
        .collect();
    assert_eq!(done.len(), 8, "each call is told of its own run");
    client.leaves();
}

pub(crate) fn hears_of_progress(way: Way, line: Line) {
    let house = House::new(way);
    let mut client = house.client(line);
    let id = client.starts("coder", json!({"task": STEPS, "wait_s": 60}));
    let facts = completed(client.answer(id));
    let told = client.progress(id);
    assert!(told.len() >= 2, "at least two lines before the answer: {told:?}");
    let numbers: Vec<f64> = told.iter().filter_map(|it| it["progress"].as_f64()).collect();
    assert!(numbers.windows(2).all(|it| it[0] < it[1]), "they rise: {told:?}");
    let short = &facts["run"].as_str().expect("a name")[..6];
    for it in &told {
        let line = it["message"].as_str().unwrap_or_default();
        assert!(line.starts_with(short) && line.contains("coder"), "{line:?} names the run");
    }
    client.leaves();
}

/// The caller's own graph of tasks: one RunView for the whole, and a circle is not even begun.
fn leads_a_plan(client: &mut Client<'_>) {
    let task = |id: &str, to: &str, after: &[&str]| json!({"id": id, "to": to, "task": format!("{SHORT}: {id}"), "after": after});
    let tasks = [
        task("one", "researcher", &[]),
        task("other", "researcher", &[]),
        task("both", "coder", &["one", "other"]),
    ];
    let facts = completed(client.call("team_run", json!({"tasks": tasks, "wait_s": 60})));
    for id in ["one", "other", "both"] {
        assert_eq!(facts["answer"]["results"][id]["state"], "completed", "{facts}");
    }
    let circle = [task("one", "coder", &["other"]), task("other", "coder", &["one"])];
    let why = client.refused("team_run", json!({"tasks": circle}));
    assert_eq!(why["code"], "invalid_input", "{why}");
    assert!(why["problems"].to_string().contains("one → other → one"), "the circle: {why}");
}

/// A wrong call, a wrong tool and a run that fails are three things, and none of them the end.
fn tells_what_was_wrong(client: &mut Client<'_>) {
    let why = client.refused("coder", json!({"wait_s": "long", "tsk": "x"}));
    assert_eq!(why["code"], "invalid_input", "{why}");
    let problems = why["problems"].to_string();
    for name in ["task", "wait_s", "tsk"] {
        assert!(problems.contains(name), "every problem at once: {problems}");
    }
    let why = client.refused("team_control", json!({"run": "r_nobody", "action": "cancel"}));
    assert_eq!(why["code"], "not_found", "{why}");

    let id = client.starts("cooder", json!({"task": SHORT}));
    let error = client.error(id);
    assert_eq!(error["code"], -32602, "{error}");
    assert!(error["message"].as_str().is_some_and(|it| it.contains("cooder")), "{error}");

    let failed = client.call("coder", json!({"task": REFUSED, "wait_s": 60}));
    assert_eq!((&failed["state"], &failed["stop"]), (&json!("failed"), &json!("error")));
    for what in ["code", "message", "hint"] {
        let told = failed["error"][what].as_str();
        assert!(told.is_some_and(|it| !it.is_empty()), "{what} of the failure: {failed}");
    }
    completed(client.call("coder", json!({"task": SHORT, "wait_s": 60})));
}

/// Two clients, two servers, one journal: each sees the other's runs, and finishes them.
pub(crate) fn shares_its_journal(way: Way, line: Line) {
    share(way, line, line);
}

/// The same with clients of two languages and two eras. The second has a server of its own in any
/// case: the first one's is killed.
pub(crate) fn share(way: Way, line: Line, other: Line) {
    let house = House::new(way);
    let (mut first, mut second) = (house.client(line), house.client_by(Way::Stdio, other, "-"));
    let run = open(&first.call("researcher", json!({"task": SLOW, "wait_s": 0})));
    let board = second.call("team_status", json!({}));
    assert!(board.to_string().contains(&run), "the other one's run: {board}");
    completed(until_over(&mut second, &run, LONG));

    let run = open(&first.call("researcher", json!({"task": ENDLESS, "wait_s": 0})));
    until_at_work(&mut second, &run);
    second.call("team_control", json!({"run": run, "action": "cancel"}));
    assert_eq!(until_over(&mut first, &run, LONG)["state"], "cancelled");

    let run = open(&first.call("researcher", json!({"task": SLOW, "wait_s": 0})));
    until_at_work(&mut second, &run);
    first.kill_server();
    drop(first);
    completed(until_over(&mut second, &run, RESUME));
    second.leaves();
}

/// Checks that it is a RunView.
pub(crate) fn view(facts: &Value) -> &Value {
    let run = facts["run"].as_str().unwrap_or_default();
    assert!(run.starts_with("r_") && run.len() == 28, "{facts}");
    assert!(facts["agent"].is_string() && facts["cost"].is_object(), "{facts}");
    assert!(facts["notices"].is_array() && facts["handoffs"].is_u64(), "{facts}");
    facts
}

/// The name of a run that goes on.
fn open(facts: &Value) -> String {
    let state = view(facts)["state"].as_str().unwrap_or_default();
    assert!(["queued", "working"].contains(&state), "it should be open: {facts}");
    let next = facts["next"].as_str().unwrap_or_default();
    assert!(next.contains("team_status"), "an open run names the call to make: {facts}");
    facts["run"].as_str().expect("checked").to_owned()
}

pub(crate) fn completed(facts: Value) -> Value {
    let end = (&view(&facts)["state"], &facts["stop"]);
    assert_eq!(end, (&json!("completed"), &json!("done")), "{facts}");
    assert!(facts["result"].as_str().is_some_and(|it| !it.is_empty()), "{facts}");
    facts
}

pub(crate) fn until_over(client: &mut Client<'_>, run: &str, within: Duration) -> Value {
    let start = Instant::now();
    loop {
        let facts = client.call("team_status", json!({"run": run, "wait_s": 5}));
        assert_eq!(view(&facts)["run"], run, "asked about another one");
        if facts.get("stop").is_some() {
            return facts;
        }
        assert!(start.elapsed() < within, "not over after {within:?}: {facts}");
    }
}

/// Waits until a node has the run in its hands.
fn until_at_work(client: &mut Client<'_>, run: &str) {
    until(|| {
        let facts = client.call("team_status", json!({"run": run, "wait_s": 0}));
        open(&facts);
        (facts["state"] == "working").then_some(())
    });
}

pub(crate) fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(start.elapsed() < LONG, "it did not come to that");
        thread::sleep(Duration::from_millis(50));
    }
}
