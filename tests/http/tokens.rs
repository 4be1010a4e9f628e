//! Tokens: what they open, where they may stand, and where they must never be seen.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{CALLERS, House, Server};
use crate::wire::{Reply, Request};

fn tools(server: &Server, token: &str) -> Vec<String> {
    let reply = server.ask(&Request::modern(1, "tools/list", json!({})).bearing(token));
    let tools = reply.answer()["result"]["tools"].as_array().cloned().unwrap_or_default();
    tools.iter().filter_map(|it| it["name"].as_str().map(str::to_owned)).collect()
}

fn challenge(reply: &Reply) -> &str {
    reply.header("www-authenticate").expect("a challenge")
}

#[test]
fn a_token_opens_what_its_scope_says() {
    let server = House::closed("").serve();
    let [ann, _, _, ray, _] = CALLERS.map(|it| it.2);
    assert_eq!(tools(&server, ray), ["team_status", "team_read"]);
    assert!(tools(&server, ann).contains(&"coder".to_owned()));
    let session = server.session_of(Some(ray));
    for (tool, arguments) in [
        ("coder", json!({"task": "t"})),
        ("boss", json!({"task": "t"})),
        ("team_run", json!({"plan": []})),
        ("team_control", json!({"run": "r_x", "action": "cancel"})),
        ("team_answer", json!({"run": "r_x", "answers": {}})),
        ("team_handoff", json!({"to": "coder", "task": "t"})),
    ] {
        let params = json!({"name": tool, "arguments": arguments});
        for request in [
            Request::call(1, tool, arguments.clone()),
            Request::older(&session, 1, "tools/call", params),
        ] {
            let reply = server.ask(&request.bearing(ray));
            assert_eq!(reply.status, 403, "{tool}: {}", reply.text());
            assert!(challenge(&reply).contains("insufficient_scope"), "{}", challenge(&reply));
        }
    }
    assert_eq!(server.runs_of(Some(ann)), [json!(null); 0], "nothing was begun");
    let board = Request::call(1, "team_status", json!({})).bearing(ray);
    assert_eq!(server.ask(&board).answer()["result"]["isError"], false);
}

#[test]
fn only_a_good_token_in_its_place_opens_the_door() {
    let server = House::closed("").serve();
    let ann = CALLERS[0].2;
    let call = Request::call(1, "coder", json!({"task": "t"}));
    let bearer = format!("Bearer {ann}");
    let bad = [
        call.clone(),
        call.clone().bearing("wrong-token-0123456789abcdef"),
        call.clone().bearing(&ann[..ann.len() - 1]),
        call.clone().bearing(&format!("{ann}x")),
        call.clone().bearing(&ann.to_uppercase()),
        call.clone().bearing(""),
        call.clone().bearing(&"x".repeat(20_000)),
        call.clone().and("Authorization", &format!("Basic {ann}")),
        call.clone().and("Authorization", ann),
        call.clone().and("X-Authorization", &bearer),
        call.clone().and("Cookie", &format!("access_token={ann}")),
        call.clone().to(&format!("/mcp?access_token={ann}")),
        call.clone().to(&format!("/mcp?token={ann}&authorization=Bearer%20{ann}")),
        call.clone().bearing(ann).bearing(ann),
        call.clone().bearing("x").and("Authorization", &bearer),
        Request::new("GET", &format!("/sse?access_token={ann}")),
        Request::new("GET", "/mcp"),
        Request::new("DELETE", "/mcp"),
        Request::new("POST", "/messages?sessionId=x"),
        Request::new("GET", "/nothing/here"),
    ];
    for (at, request) in bad.iter().enumerate() {
        let reply = server.ask(request);
        assert_eq!(reply.status, 401, "{at}: {}", reply.text());
        assert!(challenge(&reply).starts_with("Bearer"), "{at}: {}", challenge(&reply));
    }
    assert_eq!(server.ask(&Request::new("GET", "/healthz")).status, 200);
    assert_eq!(server.runs_of(Some(ann)), [json!(null); 0], "nothing was begun");
    assert_eq!(server.ask(&call.bearing(ann)).view()["agent"], "coder");
}

/// A file that is half written, or gone, opens no door.
#[test]
fn a_server_that_asked_for_tokens_goes_on_asking() {
    let house = House::closed("");
    let server = house.serve();
    let list = Request::modern(1, "tools/list", json!({}));
    let whole = fs::read_to_string(house.file()).expect("the team's file");
    let is_in = |token: &str| server.ask(&list.clone().bearing(token)).status == 200;
    let [ann, ..] = CALLERS.map(|it| it.2);
    assert!(is_in(ann));
    fs::write(house.file(), "team: half\n").expect("written");
    let is_shut = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        assert_eq!(server.ask(&list).status, 401, "nobody comes in without a token");
        !is_in(ann)
    });
    assert!(is_shut, "the tokens are gone with the file");
    fs::write(house.file(), whole).expect("written");
    let is_back = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        is_in(ann)
    });
    assert!(is_back, "and come back with it");
}

/// Whoever else looks at a run takes no notice away from its caller.
#[test]
fn a_notice_is_its_callers() {
    let server = House::closed("").serve();
    let [ann, _, _, _, ida] = CALLERS.map(|it| it.2);
    let task = json!({"task": "t", "wait_s": 0});
    let run = server.ask(&Request::call(1, "coder", task).bearing(ann)).view()["run"].clone();
    let status = |token: &str| {
        let asked = json!({"run": run, "wait_s": 20});
        server.ask(&Request::call(2, "team_status", asked).bearing(token)).view()
    };
    assert_eq!(status(ida)["state"], "completed", "the owner looks");
    let unread = |token: &str| {
        let board = server.ask(&Request::call(3, "team_status", json!({})).bearing(token)).view();
        board["unread"].to_string().contains(run.as_str().unwrap_or_default())
    };
    let soon = |found: &dyn Fn() -> bool| {
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(20));
            found()
        })
    };
    assert!(soon(&|| unread(ann)), "she was not told yet");
    assert_eq!(status(ann)["state"], "completed");
    assert!(soon(&|| !unread(ann)), "she was told");
}

#[test]
fn a_token_is_seen_nowhere() {
    let house = House::closed("");
    let server = house.serve_with(&["--sse", "--verbose"]);
    let (ann, wrong) = (CALLERS[0].2, "wrong-token-0123456789abcdef");
    let session = server.session_of(Some(ann));
    let task = json!({"task": "t", "wait_s": 20});
    let replies = [
        server.ask(&Request::call(1, "coder", task.clone()).bearing(ann)),
        server.ask(&Request::older(&session, 2, "tools/list", json!({})).bearing(ann)),
        server.ask(&Request::call(3, "coder", task.clone()).bearing(wrong)),
        server.ask(&Request::call(4, "coder", task).to(&format!("/mcp?token={ann}"))),
        server.ask(&Request::new("GET", &format!("/{ann}")).bearing(ann)),
        server.ask(&Request::post("{bad").bearing(ann)),
    ];
    for reply in &replies {
        assert!(!reply.text().contains(ann) && !reply.text().contains(wrong), "{}", reply.text());
    }
    server.stop();
    let (status, said) = server.exit();
    assert!(status.success(), "{said}");
    assert!(!said.contains(ann) && !said.contains(wrong), "{said}");
    assert!(!is_in(&house.data(), ann) && !is_in(&house.data(), wrong));
}

/// Whether a text stands in any file of a folder.
fn is_in(folder: &Path, text: &str) -> bool {
    let files = fs::read_dir(folder).expect("a folder").map(|it| it.expect("a file").path());
    files.filter(|it| it.is_file()).any(|it| {
        let bytes = fs::read(it).expect("a file");
        bytes.windows(text.len()).any(|it| it == text.as_bytes())
    })
}

#[test]
fn strangers_are_not_served_without_tokens() {
    let house = House::new("");
    let mut command = house.command(&["serve", "--http", "0.0.0.0:0"]);
    let output = command.stdout(Stdio::piped()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("asks nobody for a token"), "{said}");
    assert_eq!(output.stdout, b"", "stdout is the protocol's");
}

#[test]
fn a_document_tells_of_an_issuer_where_there_is_one() {
    let open = House::new("").serve();
    let path = "/.well-known/oauth-protected-resource";
    assert_eq!(open.ask(&Request::new("GET", path)).status, 404);
    let oauth = "http:\n  oauth: {issuer: \"https://login.example\", \
                 audience: \"https://team.example/mcp\"}\n";
    let server = House::new(oauth).serve();
    let reply = server.ask(&Request::new("GET", path));
    let document: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((reply.status, &document["resource"]), (200, &json!("https://team.example/mcp")));
    let reply = server.ask(&Request::modern(1, "tools/list", json!({})));
    assert_eq!(reply.status, 401);
    assert!(challenge(&reply).contains("resource_metadata="), "{}", challenge(&reply));
}
