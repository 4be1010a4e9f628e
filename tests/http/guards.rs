//! What a request must be before anything is done for it.

use serde_json::{Value, json};

use crate::house::House;
use crate::wire::{MODERN, Request, message};

const ROUTES: [(&str, &str); 9] = [
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("OPTIONS", "/mcp"),
    ("GET", "/sse"),
    ("POST", "/messages?sessionId=x"),
    ("GET", "/healthz"),
    ("GET", "/.well-known/oauth-protected-resource"),
    ("GET", "/nothing/here"),
];

#[test]
fn foreign_hosts_and_pages_are_turned_away_on_every_route() {
    let server = House::new("").serve();
    for (method, path) in ROUTES {
        let good = Request::new(method, path);
        let bad = [
            good.clone().with("Host", "evil.example"),
            good.clone().with("Host", "localhost.evil.example"),
            good.clone().and("Host", "evil.example"),
            good.clone().without("Host"),
            good.clone().and("Origin", "http://evil.example"),
            good.clone().and("Origin", "null"),
            good.clone().and("Origin", "http://localhost").and("Origin", "http://evil.example"),
        ];
        for (at, request) in bad.iter().enumerate() {
            let reply = server.ask(request);
            assert_eq!(reply.status, 403, "{method} {path} {at}: {}", reply.text());
        }
        let page = server.open();
        let mut page = page;
        page.write(&good.and("Origin", "http://localhost:3000").bytes());
        let reply = page.head().expect("an answer");
        assert_ne!(reply.status, 403, "{method} {path}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{method} {path}");
    }
}

#[test]
fn only_json_is_taken() {
    let server = House::new("").serve();
    let good = Request::call(1, "coder", json!({"task": "t"}));
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json-patch+json",
        "text/plain; application/json",
        "",
    ] {
        assert_eq!(server.ask(&good.clone().with("Content-Type", kind)).status, 415, "{kind}");
    }
    assert_eq!(server.ask(&good.clone().without("Content-Type")).status, 415);
    for coding in ["gzip", "br", "deflate", "gzip, identity", "x"] {
        let reply = server.ask(&good.clone().and("Content-Encoding", coding));
        assert_eq!(reply.status, 415, "{coding}: {}", reply.text());
    }
    assert_eq!(server.runs(), [json!(null); 0], "nothing was begun");
    let kind = "Application/JSON; charset=utf-8";
    assert_eq!(server.ask(&good.with("Content-Type", kind)).view()["agent"], "coder");
}

#[test]
fn other_methods_are_not_allowed() {
    let server = House::new("").serve();
    for (method, path) in [
        ("OPTIONS", "/mcp"),
        ("PUT", "/mcp"),
        ("PATCH", "/mcp"),
        ("TRACE", "/mcp"),
        ("BREW", "/mcp"),
        ("POST", "/sse"),
        ("GET", "/messages"),
        ("POST", "/healthz"),
    ] {
        let reply = server.ask(&Request::new(method, path));
        assert_eq!(reply.status, 405, "{method} {path}: {}", reply.text());
    }
    assert_eq!(server.ask(&Request::new("GET", "/healthz")).status, 200);
    assert_eq!(server.ask(&Request::new("GET", "/nothing/here")).status, 404);
}

#[test]
fn headers_must_say_what_the_body_says() {
    let server = House::new("").serve();
    let list = || Request::modern(1, "tools/list", json!({}));
    let call = || Request::call(1, "coder", json!({"task": "t", "wait_s": 0}));
    let cases = [
        ("no method", list().without("Mcp-Method"), "400 -32020 1"),
        ("another method", list().with("Mcp-Method", "tools/call"), "400 -32020 1"),
        ("no name", call().without("Mcp-Name"), "400 -32020 1"),
        ("another name", call().with("Mcp-Name", "boss"), "400 -32020 1"),
        ("a broken name", call().with("Mcp-Name", "=?base64?%%%?="), "400 -32020 1"),
        ("no version", call().without("MCP-Protocol-Version"), "400 -32020 1"),
        ("another version", call().with("MCP-Protocol-Version", "2025-06-18"), "400 -32020 1"),
    ];
    for (what, request, expected) in cases {
        assert_eq!(server.ask(&request).error(), expected, "{what}");
    }
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "1999-01-01",
        "io.modelcontextprotocol/clientCapabilities": {}});
    let body = message(1, "tools/list", json!({"_meta": meta})).to_string();
    let old = Request::post(body).and("MCP-Protocol-Version", "1999-01-01");
    let old = old.and("Mcp-Method", "tools/list");
    let reply = server.ask(&old);
    assert_eq!(reply.error(), "400 -32022 1");
    let supported = &reply.answer()["error"]["data"]["supported"];
    assert!(supported.as_array().is_some_and(|it| it.contains(&json!(MODERN))), "{supported}");
    assert_eq!(server.runs(), [json!(null); 0], "nothing was begun");
}

#[test]
fn without_a_session_there_is_nothing_to_hear_or_to_end() {
    let server = House::new("").serve();
    for method in ["GET", "DELETE"] {
        let bare = Request::new(method, "/mcp").and("Accept", "text/event-stream");
        assert_eq!(server.ask(&bare).status, 400, "{method}");
        for session in ["unknown", "x.y", "", "6f8e.AAAA"] {
            let reply = server.ask(&bare.clone().and("Mcp-Session-Id", session));
            assert_eq!(reply.status, 404, "{method} {session}: {}", reply.text());
        }
        let modern = bare.and("MCP-Protocol-Version", MODERN);
        assert_eq!(server.ask(&modern).status, 405, "{method}");
    }
    let reply = server.ask(&Request::new("POST", "/messages?sessionId=unknown"));
    assert_eq!(reply.status, 404);
    let older = Request::post(message(1, "tools/list", json!({})).to_string());
    let reply = server.ask(&older);
    assert_eq!((reply.status, &reply.answer()["id"]), (400, &json!(1)), "{}", reply.text());
    let reply = server.ask(&older.and("Mcp-Session-Id", "unknown"));
    assert_eq!((reply.status, &reply.answer()["id"]), (404, &json!(1)), "{}", reply.text());
}

#[test]
fn a_method_nobody_knows_is_answered() {
    let server = House::new("").serve();
    for params in [json!({}), json!({"a": 1})] {
        let reply = server.ask(&Request::modern(1, "who/knows", params));
        assert_eq!(reply.error(), "404 -32601 1");
    }
    let params: Value = json!({"name": 5});
    let reply = server.ask(&Request::modern(2, "tools/call", params));
    assert!(reply.answer()["error"]["code"].is_i64(), "{}", reply.text());
}
