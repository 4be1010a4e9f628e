//! The built binary over stdio, spoken to in raw lines: good ones, bad ones, and none at all.
#![expect(clippy::panic, reason = "a client of tests says what it missed and fails")]

#[path = "stdio/client.rs"]
mod client;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use client::{House, Server};
use serde_json::{Value, json};

fn modern() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "raw-lines", "version": "1"}
    })
}

/// `code id` of an error.
fn error(message: &Value) -> String {
    format!("{} {}", message["error"]["code"], message["id"])
}

fn kill(id: u32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(id.cast_signed()).expect("a process");
    rustix::process::kill_process(id, signal).expect("it is ours");
}

#[test]
fn both_eras_are_served_on_one_pipe() {
    let house = House::new();
    let mut server = house.serve();
    server.ask(0, "server/discover", json!({"_meta": modern()}));
    let discovered = server.answer(0)["result"].clone();
    assert_eq!(discovered["cacheScope"], "private");
    assert!(discovered["ttlMs"].as_u64().is_some_and(|it| it > 0), "{discovered}");
    let versions = discovered["supportedVersions"].as_array().expect("versions");
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2024-11-05")));

    server.ask(1, "tools/list", json!({}));
    let told = server.answer(1);
    assert_eq!(error(&told), "-32602 1", "neither a handshake nor a version: {told}");

    server.ask(2, "tools/list", json!({"_meta": modern()}));
    let list = server.answer(2)["result"].clone();
    assert_eq!(list["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "callboard");
    assert_eq!(list["resultType"], "complete");
    let names: Vec<&str> = list["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "coder",
            "reviewer",
            "team_run",
            "team_status",
            "team_handoff",
            "team_answer",
            "team_control",
            "team_read"
        ]
    );

    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let hello = server.shake_hands(version);
        assert_eq!(hello["result"]["protocolVersion"], version);
    }
    let hello = server.shake_hands("2099-01-01");
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
    server.ask(3, "tools/list", json!({}));
    let older = server.answer(3)["result"].clone();
    assert_eq!(older["tools"], list["tools"], "one list, always in the same order");
    assert_eq!(older.get("resultType"), None);
    server.ask(4, "ping", json!({}));
    assert_eq!(server.answer(4)["result"], json!({}));
    server.ask(
        5,
        "tools/list",
        json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": "1999-01-01",
        "io.modelcontextprotocol/clientCapabilities": {}}}),
    );
    assert_eq!(error(&server.answer(5)), "-32022 5");
    server.ask(
        6,
        "subscriptions/listen",
        json!({"_meta": modern(), "notifications": {"toolsListChanged": true}}),
    );
    let told = server.hear();
    assert_eq!(told["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(told["params"]["notifications"], json!({"toolsListChanged": true}));
    server.hang_up();
    assert_eq!(server.answer(6)["result"]["resultType"], "complete");
    assert!(server.exit().success());
}

/// What a script pipes into the program: it waits for no answer.
#[test]
fn what_is_sent_behind_the_handshake_in_one_breath_is_answered() {
    let house = House::new();
    for _ in 0..10 {
        let mut server = house.serve();
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "a script", "version": "1"}});
        let line = |id: u64, method: &str, params: Value| {
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
        };
        let mut lines = vec![
            line(0, "initialize", params),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string(),
        ];
        lines.extend((1..=8).map(|id| line(id, "tools/list", json!({}))));
        server.write(format!("{}\n", lines.join("\n")).as_bytes());
        server.hang_up();
        let mut told: Vec<Value> = (0..=8).map(|_| server.hear()).collect();
        told.sort_by_key(|it| it["id"].as_u64());
        assert_eq!(told[0]["result"]["protocolVersion"], "2025-06-18");
        assert!(told[1..].iter().all(|it| it["result"]["tools"].is_array()), "{told:?}");
        assert!(server.exit().success());
    }
}

#[test]
fn garbage_is_answered_and_the_connection_lives() {
    let house = House::new();
    let mut server = house.legacy();
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{"a":{}"#,
        "[".repeat(5_000)
    );
    let bad: [(&[u8], &str); 9] = [
        (b"{not json}", "-32700 null"),
        (br#"{"hello":"world"}"#, "-32600 null"),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "-32600 null"),
        (br#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#, "-32600 null"),
        (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "-32600 null"),
        (br#"{"jsonrpc":"2.0","id":1e400,"method":"ping"}"#, "-32600 null"),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"tools/list\",\"params\":\"\xff\"}",
            "-32700 6",
        ),
        (deep.as_bytes(), "-32600 7"),
        (br#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":[1]}"#, "-32600 8"),
    ];
    for (line, expected) in bad {
        server.write(&[line, b"\n"].concat());
        let told = server.hear();
        assert_eq!(error(&told), expected, "{told}");
        server.ask("alive", "ping", json!({}));
        server.answer("alive");
    }
    server.ask(9, "who/knows", json!({}));
    assert_eq!(error(&server.answer(9)), "-32601 9");
}

#[test]
fn what_wants_no_answer_gets_none() {
    let house = House::new();
    let mut server = house.serve();
    for method in
        ["notifications/initialized", "notifications/cancelled", "notifications/who_knows"]
    {
        server.send(&json!({"jsonrpc": "2.0", "method": method}));
    }
    server.send(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    server.write(b"\n\r\n  \n");
    assert!(server.is_silent(Duration::from_millis(300)));
    server.shake_hands("2025-06-18");
}

#[test]
fn a_line_without_an_end_is_dropped_with_notice() {
    let house = House::new();
    let mut server = house.legacy();
    let before = most_memory(server.id());
    server.write(br#"{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{"a":""#);
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        server.write(&piece);
    }
    server.write(b"\"}}\n");
    let told = server.hear();
    assert_eq!(error(&told), "-32600 5");
    assert!(told["error"]["message"].as_str().is_some_and(|it| it.contains("8388608")), "{told}");
    server.ask(6, "ping", json!({}));
    server.answer(6);
    let grown = most_memory(server.id()).saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more");
}

#[test]
fn a_large_argument_is_taken_up_to_the_limit() {
    let house = House::new();
    let mut server = house.legacy();
    server.call(1, "coder", json!({"task": "t", "context": "x".repeat(10 << 20)}));
    let told = server.hear();
    assert_eq!(error(&told), "-32600 1");
    server.call(2, "coder", json!({"task": "t", "context": "x".repeat(1 << 20), "wait_s": 0}));
    let told = server.answer(2);
    assert_eq!(told["result"]["isError"], true);
    let said = told["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(said.contains("1048576 characters, at most 262144"), "{said}");
    server.call(3, "coder", json!({"task": "t", "context": "x".repeat(200 << 10), "wait_s": 0}));
    assert_eq!(server.body(3)["agent"], "coder");
}

#[test]
fn one_id_is_one_call() {
    let house = House::new();
    let mut server = house.legacy();
    server.call(1, "coder", json!({"task": "sleep 60", "wait_s": 2}));
    server.call(1, "coder", json!({"task": "sleep 60", "wait_s": 2}));
    let told = server.hear();
    assert_eq!(error(&told), "-32600 1");
    let view = server.body(1);
    assert!(matches!(view["state"].as_str(), Some("queued" | "working")), "{view}");
    assert_eq!(server.runs().len(), 1);
    server.ask(1, "ping", json!({}));
    assert_eq!(server.answer(1)["result"], json!({}), "an answered id is free again");
}

#[test]
fn a_wrong_call_starts_nothing() {
    let house = House::new();
    let mut server = house.legacy();
    server.call(1, "codr", json!({"task": "t"}));
    let told = server.answer(1);
    assert_eq!(error(&told), "-32602 1");
    assert_eq!(told["error"]["message"], "tool \"codr\" is not published; did you mean \"coder\"?");
    let wrong = [
        ("coder", json!({})),
        ("coder", json!({"task": 5})),
        ("coder", json!({"task": "t", "extra": true})),
        ("coder", json!({"task": "t", "wait_s": "soon"})),
        ("team_handoff", json!({"to": "codr", "summary": "s", "task": "t"})),
        ("team_status", json!({"run": "r_unknown"})),
        ("team_status", json!({"run": "x".repeat(1 << 20)})),
        ("team_control", json!({"run": "r_unknown", "action": "cancel"})),
    ];
    for (at, (tool, arguments)) in wrong.into_iter().enumerate() {
        let id = format!("wrong {at}");
        server.call(id.clone(), tool, arguments);
        let told = server.answer(id)["result"].clone();
        assert_eq!(told["isError"], true, "{told}");
        let body = &told["structuredContent"];
        for name in ["code", "message", "retryable", "hint"] {
            assert!(body.get(name).is_some(), "no {name}: {body}");
        }
        let text = told["content"][0]["text"].as_str().expect("a text");
        let text: Value = serde_json::from_str(text).expect("the text is JSON");
        assert_eq!(&text, body, "both halves carry the same facts");
    }
    assert_eq!(server.runs(), [json!(null); 0]);
}

#[test]
fn a_cancel_never_makes_a_second_answer() {
    let house = House::new();
    let mut server = house.legacy();
    server.give_up(1, "it never was");
    server.ask(1, "ping", json!({}));
    server.answer(1);
    server.give_up(1, "it is over");
    server.give_up(1, "it is over");
    server.call(2, "coder", json!({"task": "sleep 60", "wait_s": 30}));
    server.give_up(2, "McpError: MCP error -32001: Request timed out");
    server.give_up(2, "McpError: MCP error -32001: Request timed out");
    assert!(server.is_silent(Duration::from_millis(500)));
    let runs = server.runs();
    assert_eq!(runs.len(), 1, "a client that lost its patience stops nothing");
    assert!(matches!(runs[0]["state"].as_str(), Some("queued" | "working")), "{runs:?}");
    server.call(3, "coder", json!({"task": "sleep 61", "wait_s": 30}));
    thread::sleep(Duration::from_millis(300));
    server.give_up(3, "User requested cancellation");
    let is_stopped =
        |server: &mut Server| server.runs().iter().any(|it| it["state"] == "cancelled");
    let stopped = (0..40).any(|_| {
        thread::sleep(Duration::from_millis(50));
        is_stopped(&mut server)
    });
    assert!(stopped, "a person who asks to stop is obeyed");
}

#[test]
fn progress_rises_and_ends_with_the_answer() {
    let house = House::new();
    let mut server = house.legacy();
    let arguments = json!({"task": "sleep 60", "wait_s": 2});
    let params = json!({"name": "coder", "arguments": arguments, "_meta": {"progressToken": "p"}});
    server.ask(1, "tools/call", params);
    let mut last = 0.0;
    let answer = loop {
        let message = server.hear();
        if message["id"] == 1 {
            break message;
        }
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(message["params"]["progressToken"], "p");
        let progress = message["params"]["progress"].as_f64().expect("a number");
        assert!(progress > last && progress.fract() == 0.0, "{message}");
        let line = message["params"]["message"].as_str().expect("a line");
        assert!(line.starts_with("r_") && line.contains(" coder: "), "{line}");
        last = progress;
    };
    assert!(last >= 1.0, "no news at all");
    let next = answer["result"]["structuredContent"]["next"].as_str().expect("the next call");
    assert!(next.starts_with("team_status {\"run\":\"r_"), "{next}");
    server.call(2, "coder", json!({"task": "sleep 61", "wait_s": 1}));
    server.body(2);
    assert!(server.is_silent(Duration::from_millis(400)));
}

#[test]
fn too_many_open_calls_are_told_so() {
    let house = House::new();
    let mut server = house.legacy();
    for id in 0..64 {
        server.call(id, "coder", json!({"task": format!("sleep 6{id}"), "wait_s": 30}));
    }
    server.call(64, "coder", json!({"task": "one more"}));
    let told = server.answer(64);
    assert_eq!(error(&told), "429 64");
    assert!(told["error"]["message"].as_str().is_some_and(|it| it.starts_with("64 requests")));
}

#[test]
fn every_open_call_is_answered_when_the_client_hangs_up() {
    let house = House::new();
    let mut server = house.legacy();
    for id in 0..50 {
        server.call(id, "coder", json!({"task": format!("sleep 6{id}"), "wait_s": 30}));
    }
    // Without its newline: the end of the input ends the line too.
    server.write(br#"{"jsonrpc":"2.0","id":50,"method":"tools/list"}"#);
    server.hang_up();
    let answers = server.rest();
    assert!(server.exit().success());
    let ids: HashSet<u64> = answers.iter().filter_map(|it| it["id"].as_u64()).collect();
    assert_eq!(ids.len(), 51, "{answers:?}");
    for answer in answers.iter().filter(|it| it["id"] != 50) {
        let view = &answer["result"]["structuredContent"];
        assert!(view["run"].as_str().is_some_and(|it| it.starts_with("r_")), "{answer}");
    }
    let mut again = house.legacy();
    let runs = again.runs();
    assert!(!runs.is_empty() && runs.iter().all(|it| it["state"] != "failed"), "{runs:?}");
}

#[test]
fn signals_end_it_at_once_and_leave_no_call_open() {
    use rustix::process::Signal;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let house = House::new();
        let mut server = house.legacy();
        server.call(1, "coder", json!({"task": "sleep 60", "wait_s": 30}));
        thread::sleep(Duration::from_millis(300));
        kill(server.id(), signal);
        assert!(server.exit().success());
        let rest = server.rest();
        assert_eq!(rest.len(), 1, "{rest:?}");
        assert_eq!(rest[0]["result"]["structuredContent"]["agent"], "coder");
    }
}

#[test]
fn the_death_of_the_client_ends_it_also_where_its_pipe_stays_open() {
    let house = House::new();
    let mut shell = Command::new("sh");
    let line = "exec 3<&0; \"$0\" serve --team \"$1/team\" --data \"$1/data\" <&3 & wait";
    shell.args(["-c", line, env!("CARGO_BIN_EXE_callboard")]).arg(house.path());
    let mut server = Server::of(shell);
    server.shake_hands("2025-06-18");
    kill(server.id(), rustix::process::Signal::KILL);
    assert_eq!(server.rest(), [json!(null); 0], "stdout closes because the process is gone");
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let house = House::new();
    let mut server = house.unread();
    let mut input = server.take_input();
    let asks = thread::spawn(move || {
        let line = format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "method": "nobody/knows"}));
        let lines = line.repeat(1_000);
        // The pipe fills, and then so does our patience: the process is killed under us.
        (0..1_000).take_while(|_| input.write_all(lines.as_bytes()).is_ok()).count()
    });
    thread::sleep(Duration::from_millis(1_500));
    let memory = most_memory(server.id());
    kill(server.id(), rustix::process::Signal::KILL);
    let n_written = asks.join().expect("the writer ends");
    assert!(n_written < 1_000, "the server read everything and kept it");
    assert!(memory < 100 << 10, "{memory} KiB");
}

#[test]
fn the_shipped_team_fits_a_clients_context() {
    let house = House::new();
    let team = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/engineering");
    let mut server = Server::start(&team, &house.path().join("data"));
    let hello = server.shake_hands("2025-06-18");
    let instructions = hello["result"]["instructions"].as_str().expect("instructions");
    server.ask(1, "tools/list", json!({}));
    let list = server.answer(1)["result"].clone();
    let n_tokens = (list.to_string().len() + instructions.len()).div_ceil(4);
    assert_eq!(list["tools"].as_array().map(Vec::len), Some(21));
    assert!(n_tokens < 2_000, "{n_tokens} tokens");
    assert!(instructions.len().div_ceil(4) <= 150);
}

#[test]
fn a_large_team_is_one_tool() {
    let names: Vec<String> = (0..40).map(|at| format!("specialist_{at}")).collect();
    let house = House::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut server = house.legacy();
    server.ask(1, "tools/list", json!({}));
    let list = server.answer(1)["result"].clone();
    assert_eq!(list["tools"].as_array().map(Vec::len), Some(7));
    assert_eq!(list["tools"][0]["name"], "ask_agent");
    let n_tokens = list.to_string().len().div_ceil(4);
    assert!(n_tokens < 2_000, "{n_tokens} tokens");
    server.call(2, "ask_agent", json!({"agent": "specialist_7", "task": "t", "wait_s": 0}));
    assert_eq!(server.body(2)["agent"], "specialist_7");
    server.call(3, "ask_agent", json!({"agent": "specialist_4o", "task": "t"}));
    let refused = server.answer(3)["result"].clone();
    let problem = refused["structuredContent"]["problems"][0].as_str().expect("a problem");
    assert!(problem.contains("did you mean \"specialist_"), "{problem}");
}

#[test]
fn what_a_process_was_started_in_is_the_trace_of_its_runs() {
    let house = House::new();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command.args(["serve", "--no-finish", "--team"]).arg(house.path().join("team"));
    command.arg("--data").arg(house.path().join("data"));
    command.env("TRACEPARENT", format!("00-{trace}-00f067aa0ba902b7-01"));
    let mut server = Server::of(command);
    let arguments = json!({"task": "t", "wait_s": 0});
    let mut call = json!({"name": "coder", "arguments": arguments, "_meta": modern()});
    server.ask(1, "tools/call", call.clone());
    let told = server.answer(1)["result"]["_meta"]["traceparent"].clone();
    assert!(told.as_str().is_some_and(|it| it.starts_with(&format!("00-{trace}-"))), "{told}");
    let other = "0af7651916cd43dd8448eb211c80319c";
    call["_meta"]["traceparent"] = json!(format!("00-{other}-00f067aa0ba902b7-01"));
    call["_meta"]["callboard/fresh"] = json!(true);
    server.ask(2, "tools/call", call);
    let told = server.answer(2)["result"]["_meta"]["traceparent"].clone();
    assert!(told.as_str().is_some_and(|it| it.contains(other)), "the request goes first: {told}");
}

/// The most memory a process has had, KiB; 0 where the system does not tell.
fn most_memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
