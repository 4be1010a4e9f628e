//! Sessions of older versions, their ids, and whose they are.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{CALLERS, House, Server};
use crate::wire::{Request, Wire, message};

fn list(session: &str) -> Request {
    Request::older(session, 1, "tools/list", json!({}))
}

fn call(session: &str, id: impl Into<Value>, arguments: Value) -> Request {
    let params = json!({"name": "coder", "arguments": arguments});
    Request::older(session, id, "tools/call", params)
}

fn end(session: &str) -> Request {
    Request::new("DELETE", "/mcp").and("Mcp-Session-Id", session)
}

#[test]
fn a_session_is_good_until_its_client_ends_it() {
    let server = House::new("").serve();
    let session = server.session();
    assert!(server.ask(&list(&session)).answer()["result"]["tools"].is_array());
    let other = server.session();
    assert_eq!(server.ask(&end(&session)).status, 200);
    let dead = server.ask(&list(&session));
    assert_eq!((dead.status, &dead.answer()["id"]), (404, &json!(1)), "{}", dead.text());
    assert_eq!(server.ask(&end(&session)).status, 404, "it ends once");
    assert_eq!(server.ask(&list(&other)).status, 200, "the other one goes on");
}

#[test]
fn a_forged_session_is_nobodys() {
    let server = House::new("").serve();
    let foreign = House::new("").serve().session();
    let session = server.session();
    let (name, sealed) = session.split_once('.').expect("two parts");
    let mut flipped = sealed.to_owned().into_bytes();
    flipped[9] = if flipped[9] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("text");
    let other = server.session();
    let (other, _) = other.split_once('.').expect("two parts");
    for forged in [
        "unknown".to_owned(),
        name.to_owned(),
        format!("{name}."),
        format!("{name}.{flipped}"),
        format!("{other}.{sealed}"),
        format!("{session}x"),
        format!(" {session} x"),
        "x".repeat(8_000),
        foreign,
    ] {
        for request in [list(&forged), end(&forged)] {
            let reply = server.ask(&request);
            assert_eq!(reply.status, 404, "{forged}: {}", reply.text());
        }
    }
    let twice = list(&session).and("Mcp-Session-Id", "unknown");
    assert!(matches!(server.ask(&twice).status, 200 | 404), "one of them is taken");
    assert_eq!(server.ask(&list(&session)).status, 200, "and it is alive still");
}

#[test]
fn a_session_outlives_its_server() {
    let house = House::new("");
    let session = house.serve().session();
    let server = house.serve();
    assert!(server.ask(&list(&session)).answer()["result"]["tools"].is_array());
    let asked = call(&session, "a", json!({"task": "t", "wait_s": 20}));
    assert_eq!(server.ask(&asked).view()["state"], "completed");
    assert_eq!(server.ask(&end(&session)).status, 200);
    assert_eq!(server.ask(&list(&session)).status, 404);
}

#[test]
fn what_is_anothers_is_as_unknown_as_what_never_was() {
    let house = House::closed("");
    let server = house.serve();
    let [ann, ben, ..] = CALLERS.map(|it| it.2);
    let session = server.session_of(Some(ann));
    assert_eq!(server.ask(&list(&session).bearing(ann)).status, 200);
    assert_eq!(server.ask(&list(&session).bearing(ben)).status, 404);
    assert_eq!(server.ask(&end(&session).bearing(ben)).status, 404);
    assert_eq!(server.ask(&list(&session).bearing(ann)).status, 200, "it was not hers to end");

    let task = json!({"task": "t", "wait_s": 20});
    let run = server.ask(&Request::call(1, "coder", task).bearing(ann)).view()["run"].clone();
    let told = |run: &Value, token: &str| {
        [
            ("team_status", json!({"run": run})),
            ("team_read", json!({"uri": run})),
            ("team_control", json!({"run": run, "action": "cancel"})),
        ]
        .map(|(tool, arguments)| {
            let reply = server.ask(&Request::call(1, tool, arguments).bearing(token));
            let result = reply.answer()["result"].clone();
            assert_eq!(result["isError"], true, "{tool}: {result}");
            result.to_string().replace(run.as_str().unwrap_or_default(), "RUN")
        })
    };
    let never =
        format!("{}x", &run.as_str().expect("a run")[..run.as_str().map_or(0, str::len) - 1]);
    assert_eq!(told(&run, ben), told(&json!(never), ben));
    // Through every other door.
    let uri = |run: &Value| json!(format!("team://runs/{}", run.as_str().unwrap_or_default()));
    let unread = |run: &Value| {
        let of_prompt = json!({"name": "postmortem", "arguments": {"run": run}});
        let template = json!({"type": "ref/resource", "uri": "team://runs/{id}/artifacts/{n}"});
        let blank = json!({"ref": template, "argument": {"name": "n", "value": ""},
            "context": {"arguments": {"id": run}}});
        let asked = [
            ("resources/read", json!({"uri": uri(run)})),
            ("prompts/get", of_prompt),
            ("completion/complete", blank),
            ("tasks/get", json!({"taskId": run})),
            ("tasks/cancel", json!({"taskId": run})),
            ("tasks/update", json!({"taskId": run, "inputResponses": {}})),
        ];
        asked.map(|(method, params)| {
            let can = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
            let asked = Request::able(1, method, params, can).bearing(ben);
            let error = server.ask(&asked).answer()["error"].clone();
            assert_eq!(error["code"], -32602, "{method}: {error}");
            error.to_string().replace(run.as_str().unwrap_or_default(), "RUN")
        })
    };
    assert_eq!(unread(&run), unread(&json!(never)));
    let older = server.session_of(Some(ben));
    let listens = json!({"uri": uri(&run)});
    let refused =
        server.ask(&Request::older(&older, 2, "resources/subscribe", listens).bearing(ben));
    assert_eq!(refused.answer()["error"]["code"], -32002);
    let blank = json!({"ref": {"type": "ref/resource", "uri": "team://runs/{id}"},
        "argument": {"name": "id", "value": "r_"}});
    let blank = Request::modern(1, "completion/complete", blank).bearing(ben);
    assert_eq!(server.ask(&blank).answer()["result"]["completion"]["values"], json!([]));
    // Whoever may do everything is the owner.
    let root = CALLERS.map(|it| it.2)[4];
    let status = Request::call(1, "team_status", json!({"run": run})).bearing(root);
    assert_eq!(server.ask(&status).view()["run"], run);
    let board = Request::call(1, "team_status", json!({})).bearing(root);
    assert_eq!(server.ask(&board).view()["runs"][0]["caller"], "ann");
    let status = Request::call(1, "team_status", json!({"run": run})).bearing(ann);
    assert_eq!(server.ask(&status).view()["run"], run);
}

#[test]
fn a_key_is_its_callers() {
    let house = House::closed("");
    let server = house.serve();
    let [ann, ben, ..] = CALLERS.map(|it| it.2);
    let run = |token: &str, task: &str| {
        let params = json!({"name": "coder", "arguments": {"task": task, "wait_s": 20},
            "_meta": {"callboard/key": "one-key"}});
        server.ask(&Request::modern(1, "tools/call", params).bearing(token)).answer()
    };
    let first = run(ann, "t");
    let view = |it: &Value| it["result"]["structuredContent"]["run"].clone();
    assert!(view(&first).is_string(), "{first}");
    assert_eq!(view(&run(ann, "t")), view(&first), "the same key is the same run");
    assert_ne!(view(&run(ben, "t")), view(&first));
    let refused = run(ann, "another task");
    assert_eq!(refused["result"]["structuredContent"]["code"], "conflict", "{refused}");
}

/// Sends a call that takes long, and answers with its connection once its run is there.
fn long_call(server: &Server, request: &Request, n_before: usize) -> Wire {
    let mut wire = server.open();
    assert!(wire.write(&request.bytes()));
    for _ in 0..200 {
        if server.runs().len() > n_before {
            return wire;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("the run never began");
}

#[test]
fn one_id_in_a_session_is_one_call() {
    let server = House::new("").serve();
    let session = server.session();
    let request = call(&session, 7, json!({"task": "it takes long", "wait_s": 2}));
    let mut first = long_call(&server, &request, 0);
    assert_eq!(server.ask(&request).error(), "400 -32600 7");
    let view = first.hear().view();
    assert_eq!((server.runs().len(), &view["agent"]), (1, &json!("coder")));
    let ping = Request::older(&session, 7, "ping", json!({}));
    assert_eq!(server.ask(&ping).answer()["result"], json!({}), "an answered id is free again");
}

#[test]
fn the_same_id_elsewhere_is_another_call() {
    let server = House::new("").serve();
    let arguments = || json!({"task": "it takes long", "wait_s": 2});
    let sessions = [server.session(), server.session()];
    let mut waiting = [
        long_call(&server, &call(&sessions[0], 7, arguments()), 0),
        long_call(&server, &call(&sessions[1], 7, arguments()), 1),
        long_call(&server, &Request::call(7, "coder", arguments()), 2),
        long_call(&server, &Request::call(7, "coder", arguments()), 3),
    ];
    let answers = waiting.iter_mut().map(|it| it.hear().answer());
    let mut runs: Vec<String> = answers
        .map(|it| {
            assert_eq!(it["id"], 7);
            it["result"]["structuredContent"]["run"].as_str().expect("a run").to_owned()
        })
        .collect();
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), 4);
}

#[test]
fn what_wants_no_answer_gets_none() {
    let server = House::new("").serve();
    let session = server.session();
    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let unasked = json!({"jsonrpc": "2.0", "id": 99, "result": {}});
    let failed = json!({"jsonrpc": "2.0", "id": 99, "error": {"code": 1, "message": "no"}});
    let gone = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 99, "reason": "it never was"}});
    for said in [&told, &unasked, &failed, &gone] {
        let request = Request::post(said.to_string()).and("Mcp-Session-Id", &session);
        let reply = server.ask(&request);
        assert_eq!((reply.status, reply.messages()), (202, vec![]), "{said}: {}", reply.text());
    }
    let alone = Request::post(told.to_string()).and("MCP-Protocol-Version", "2026-07-28");
    let alone = server.ask(&alone.and("Mcp-Method", "notifications/initialized"));
    assert_eq!((alone.status, alone.messages()), (202, vec![]), "{}", alone.text());
    assert_eq!(server.ask(&list(&session)).status, 200);
}

#[test]
fn an_older_stream_is_its_callers() {
    let house = House::closed("");
    let server = house.serve();
    let [ann, ben, ..] = CALLERS.map(|it| it.2);
    let mut stream = server.open();
    stream.write(&Request::new("GET", "/sse").bearing(ann).bytes());
    assert_eq!(stream.head().expect("a stream").status, 200);
    let path = stream.text().split("data:").nth(1).expect("a path").trim().to_owned();
    assert!(path.starts_with("/messages?sessionId="), "{path}");
    let say = |what: &Value, token: &str| {
        let request = Request::post(what.to_string()).to(&path).bearing(token);
        server.ask(&request).status
    };
    let ping = message(3, "ping", json!({}));
    assert_eq!(say(&ping, ben), 404);
    assert_eq!(say(&ping, ann), 202);
    assert_eq!(
        stream.event().expect("an answer"),
        json!({"jsonrpc": "2.0", "id": 3, "result": {}})
    );
    drop(stream);
    let is_gone = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        say(&ping, ann) == 404
    });
    assert!(is_gone, "the stream ends with its connection");
}
