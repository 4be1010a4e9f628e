//! Agents with hands: they read, search and change real files, and what they may not they do not.
#![cfg(unix)]
#![expect(clippy::panic, reason = "a client of tests says what it missed and fails")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at one kind of record")]

#[allow(dead_code, reason = "only its server is started here")]
#[path = "stdio/client.rs"]
mod client;
mod endpoint;
mod stage;

use std::path::Path;

use callboard_trace::{Event, Record, State, Tree};
use client::Server;
use endpoint::{Act, Endpoint, by_agent};
use serde_json::{Value, json};
use stage::{Stage, ask, no_finished_step_is_taken_again, play, records, tell, told};

const BUG: &str = "fn add(a: u32, b: u32) -> u32 {\n    a - b\n}\n";
const MENDED: &str = "fn add(a: u32, b: u32) -> u32 {\n    a + b\n}\n";

/// Looks for the fault, reads the file, mends it, writes it down and says so.
fn mends() -> Vec<Act> {
    let todo = |status: &str| {
        json!({"todos": [
            {"content": "find it", "status": "completed", "activeForm": "finding it"},
            {"content": "mend it", "status": status, "activeForm": "mending it"},
        ]})
    };
    vec![
        Act::calls(&[
            ("Glob", json!({"pattern": "**/*.rs"})),
            ("Grep", json!({"pattern": "a - b", "output_mode": "content"})),
            ("LS", json!({"path": "src"})),
            ("TodoWrite", todo("in_progress")),
        ]),
        Act::call("team_status", json!({})),
        Act::call("Read", json!({"file_path": "src/add.rs"})),
        Act::call(
            "Edit",
            json!({"file_path": "src/add.rs", "old_string": "a - b", "new_string": "a + b"}),
        ),
        Act::calls(&[
            ("Write", json!({"file_path": "notes/done.md", "content": "Mended `add`.\n"})),
            ("Write", json!({"file_path": "team.yaml", "content": "entry: me\n"})),
            ("Read", json!({"file_path": "../outside.txt"})),
            ("TodoWrite", todo("completed")),
        ]),
        Act::answer(&json!({"summary": "`add` adds again", "confidence": 0.9})),
    ]
}

/// A project with a fault in it, and an agent that may mend it.
fn project(endpoint: &Endpoint) -> Stage {
    let stage = Stage::at(&endpoint.base_url(), "entry: mender\n");
    stage.write(
        "agents/mender.md",
        "---\nname: mender\ndescription: Mends code.\n\
         tools: Read, Grep, Glob, LS, Edit, Write, TodoWrite\npermissions: {write: allow}\n---\n\
         You are the mender.\n",
    );
    stage.write("src/add.rs", BUG);
    std::fs::write(stage.team().with_file_name("outside.txt"), "of others").expect("a file");
    stage
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_finds_a_fault_and_the_file_really_changes() {
    let endpoint = Endpoint::start(by_agent([("You are the mender", mends())])).await;
    let stage = project(&endpoint);
    let team = text(&stage.team().join("team.yaml"));
    let node = stage.node().await;
    let view = play(&node.desk(), ask("mender", "add does not add")).await;
    let all = records(&node.desk(), &view.run).await;
    let story = tell(&all);
    assert_eq!(view.state, State::Completed, "{story}");
    assert_eq!(text(&stage.team().join("src/add.rs")), MENDED, "{story}");
    assert_eq!(text(&stage.team().join("notes/done.md")), "Mended `add`.\n");
    assert_eq!(text(&stage.team().join("team.yaml")), team);
    no_finished_step_is_taken_again(&all, &story);

    let mut returned = all.iter().filter_map(|it| match &it.event {
        Event::ToolReturned { ok, result, files, documents, .. } => {
            Some((*ok, result.clone(), files.clone(), documents.len()))
        }
        _ => None,
    });
    let mut next = |words: &str| {
        let found = returned.find(|it| it.1.to_string().contains(words));
        found.unwrap_or_else(|| panic!("nothing says {words:?}:\n{story}"))
    };
    next("src/add.rs:2:    a - b");
    next("mending it");
    let read = next("a - b");
    assert_eq!((read.0, read.2.len(), read.3), (true, 1, 1), "{story}");
    assert_eq!((read.2[0].wrote, read.2[0].bytes), (false, BUG.len() as u64));
    let edited = next("+     a + b");
    assert!(edited.2[0].wrote && edited.2[0].hash != read.2[0].hash, "{story}");
    assert!(!next("is not written by agents").0);
    assert!(!next("goes up with `..`").0);
    let listed =
        |it: &Record| matches!(&it.event, Event::Noted { slot, .. } if slot == Event::TODO);
    let at = all.iter().position(listed).expect("a list");
    let half = Tree::fold(&all[..=at]).view(&view.run, 0).expect("the run");
    assert_eq!((half.todo.as_deref(), view.todo), (Some("1 of 2: mending it"), None));
    assert_eq!(view.artifacts.len(), 0, "a list of what is to be done is no artifact");
    let asked = endpoint.requests();
    assert!(asked[1].body.to_string().contains("src/add.rs:2:    a - b"), "the model is shown it");
    node.stop().await;
}

/// Calls and arguments as models write them that learnt other tools.
fn slips() -> Vec<Act> {
    vec![
        Act::calls(&[
            ("read_file", json!({"path": "src/add.rs", "limit": "1", "offset": null})),
            ("ls", json!({"path": "src"})),
            ("Read", json!({"file_path": "src/add.rs", "limit": null, "offset": "2"})),
        ]),
        Act::call(
            "MultiEdit",
            json!({"file_path": "src/add.rs", "edits": [{"old_string": "a - b", "new_string": "a + b"}]}),
        ),
        Act::call(
            "Task",
            json!({"subagent_type": "Helper", "prompt": "look", "description": "why"}),
        ),
        Act::call("runSubagent", json!({"agentName": "helper", "prompt": "look again at it"})),
        Act::answer(&json!({"summary": "`add` adds again", "confidence": 0.9})),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_file_of_claude_code_works_unchanged() {
    let helps = vec![
        Act::answer(&json!({"summary": "looked once", "confidence": 0.9})),
        Act::answer(&json!({"summary": "looked twice", "confidence": 0.9})),
    ];
    let endpoint =
        Endpoint::start(by_agent([("You are the mender", slips()), ("You help", helps)])).await;
    let stage = Stage::at(&endpoint.base_url(), "entry: mender\npermissions: {write: allow}\n");
    stage.write(
        "agents/mender.md",
        "---\nname: mender\ndescription: Mends code.\ntools: Read, LS, Edit, Task\n\
         permissions: {write: allow}\n---\nYou are the mender. Use the Task tool.\n",
    );
    stage.write("agents/helper.md", "---\nname: helper\ndescription: Helps.\n---\nYou help.\n");
    stage.write("src/add.rs", BUG);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("mender", "add does not add")).await;
    let all = records(&node.desk(), &view.run).await;
    let story = tell(&all);
    assert_eq!(view.state, State::Completed, "{story}");
    assert_eq!(text(&stage.team().join("src/add.rs")), MENDED, "{story}");
    assert_eq!(view.handoffs, 2, "{story}");
    let refused = all.iter().any(|it| matches!(it.event, Event::ToolReturned { ok: false, .. }));
    assert!(!refused, "{story}");
    let asked = endpoint.requests();
    let said = asked.iter().map(|it| it.body.to_string()).collect::<String>();
    for told in ["looked once", "looked twice", "1\\tfn add", "2\\t    a - b"] {
        assert!(said.contains(told), "{told}: {said}");
    }
    node.stop().await;
}

#[test]
fn the_built_program_does_the_same() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let endpoint = runtime.block_on(Endpoint::start(by_agent([("You are the mender", mends())])));
    let stage = project(&endpoint);
    let mut server = Server::start(&stage.team(), &stage.data());
    server.shake_hands("2025-06-18");
    server.call(1, "mender", json!({"task": "add does not add", "wait_s": 15}));
    let view: Value = server.body(1);
    assert_eq!(view["state"], "completed", "{view}");
    assert_eq!(text(&stage.team().join("src/add.rs")), MENDED);
    assert_eq!(text(&stage.team().join("notes/done.md")), "Mended `add`.\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_are_listed_by_the_agents_file_and_its_permissions() {
    let endpoint = Endpoint::start(|_: &endpoint::Ask| Act::say("done")).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let cases: [(&str, &str, &[&str]); 7] = [
        ("plain", "", &["Read", "Grep", "Glob", "LS", "TodoWrite"]),
        (
            "writer",
            "permissions: {write: allow}",
            &["Read", "Grep", "Glob", "LS", "TodoWrite", "Write", "Edit"],
        ),
        ("named", "tools: Read, Edit, WebFetch", &["Read", "Edit", "WebFetch"]),
        ("denied", "tools: Read, Edit\npermissions: {write: deny}", &["Read"]),
        (
            "copilot",
            "tools: [search, edit, fetch, todos]",
            &["Grep", "Glob", "LS", "TodoWrite", "Write", "Edit", "WebFetch"],
        ),
        ("none", "tools: []", &[]),
        ("taken", "disallowedTools: Grep, LS", &["Read", "Glob", "TodoWrite"]),
    ];
    for (name, fields, _) in &cases {
        let file = format!("---\nname: the_{name}\ndescription: It.\n{fields}\n---\nDo it.\n");
        stage.write(&format!("agents/the_{name}.md"), &file);
    }
    let node = stage.node().await;
    for (nth, (name, _, wanted)) in cases.iter().enumerate() {
        let view = play(&node.desk(), ask(&format!("the_{name}"), "do it")).await;
        assert_eq!(view.state, State::Completed, "{}", told(&node.desk(), &view.run).await);
        let request = &endpoint.requests()[nth];
        let tools = request.body["tools"].as_array().cloned().unwrap_or_default();
        let listed: Vec<&str> = tools
            .iter()
            .filter_map(|it| it["function"]["name"].as_str())
            .filter(|it| it.starts_with(char::is_uppercase))
            .collect();
        assert_eq!(&listed, wanted, "{name}");
    }
    node.stop().await;
}
