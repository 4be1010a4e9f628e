//! Heads and bodies that are broken, endless, slow, or more than one thing at once.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::house::House;
use crate::wire::{Request, message};

fn ping() -> String {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    message(1, "tools/list", json!({"_meta": meta})).to_string()
}

fn modern(body: impl Into<Vec<u8>>) -> Request {
    let request = Request::post(body).and("MCP-Protocol-Version", "2026-07-28");
    request.and("Mcp-Method", "tools/list")
}

#[test]
fn every_bad_body_has_its_answer() {
    let server = House::new("").serve();
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{"a":{}"#,
        "[".repeat(5_000)
    );
    let cut = &ping()[..ping().len() - 1];
    let cases: [(&[u8], &str); 15] = [
        (b"", "400 -32700 null"),
        (b" \n ", "400 -32700 null"),
        (b"{not json}", "400 -32700 null"),
        (cut.as_bytes(), "400 -32700 1"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"\xff\"}", "400 -32700 6"),
        (b"\xff\xfe{\x00}\x00", "400 -32700 null"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "400 -32700 null"),
        (deep.as_bytes(), "400 -32600 7"),
        (br#"{"hello":"world"}"#, "400 -32600 null"),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "400 -32600 null"),
        (br#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#, "400 -32600 null"),
        (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "400 -32600 null"),
        (br#"{"jsonrpc":"2.0","id":1e400,"method":"ping"}"#, "400 -32600 null"),
        (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, "400 -32600 2"),
        (br#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":[1]}"#, "400 -32600 8"),
    ];
    let mut wire = server.open();
    for (body, expected) in cases {
        let reply = wire.ask(&modern(body));
        assert_eq!(reply.error(), expected, "{}", String::from_utf8_lossy(body));
    }
    let marked = [b"\xef\xbb\xbf", ping().as_bytes()].concat();
    let reply = wire.ask(&modern(marked));
    assert!(reply.answer()["result"]["tools"].is_array(), "{}", reply.text());
}

#[test]
fn strange_texts_come_back_escaped_or_not_at_all() {
    let server = House::new("").serve();
    for name in ["\u{202e}redoc", "co\u{0}der", "\u{1b}[31mcoder", "\u{1f980}", "co\u{200b}der"] {
        let params = json!({"name": name, "arguments": {"task": "t"}});
        let request = Request::modern(1, "tools/call", params).without("Mcp-Name");
        let coded = format!("=?base64?{}?=", base64(name.as_bytes()));
        let reply = server.ask(&request.and("Mcp-Name", &coded));
        let told = reply.answer()["error"]["message"].as_str().expect("a message").to_owned();
        assert!(told.starts_with("tool \""), "{told}");
        let is_strange = |it: char| it.is_control() || matches!(it, '\u{202e}' | '\u{200b}');
        assert!(!told.contains(is_strange), "{told:?}");
    }
    let long = json!("x".repeat(1 << 20));
    assert_eq!(
        server.ask(&Request::modern(long, "tools/list", json!({}))).error(),
        "400 -32600 null"
    );
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_body_over_the_limit_is_not_read() {
    let server = House::new("").serve();
    let long = json!({"task": "t", "context": "x".repeat(10 << 20)});
    let request = Request::call(1, "coder", long);
    let before = server.most_memory();
    let mut wire = server.open();
    // Only the head: the answer does not wait for what it announces.
    let bytes = request.bytes();
    let head = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("a head") + 4;
    assert!(wire.write(&bytes[..head]));
    let reply = wire.hear();
    assert_eq!(reply.error(), "413 -32600 null");
    assert!(reply.text().contains("8388608"), "{}", reply.text());
    assert!(server.most_memory().saturating_sub(before) < 8 << 10);
    let huge = Request::post("").with("Content-Length", "18446744073709551615");
    assert!(matches!(server.ask(&huge).status, 400 | 413 | 431));
    let fits = json!({"task": "t", "context": "x".repeat(200 << 10), "wait_s": 20});
    assert_eq!(server.ask(&Request::call(1, "coder", fits)).view()["agent"], "coder");
}

#[test]
fn a_body_without_an_end_is_cut_off() {
    let server = House::new("").serve();
    let before = server.most_memory();
    let mut wire = server.open();
    assert!(wire.write(&modern("").and("Transfer-Encoding", "chunked").bytes()));
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    let n_chunks = (0..100).take_while(|_| wire.write(&chunk)).count();
    assert!(n_chunks < 100, "it read {n_chunks} MiB");
    // What we wrote in vain may have cost us the answer.
    if let Some(reply) = wire.next() {
        assert_eq!(reply.status, 413, "{}", reply.text());
    }
    let grown = server.most_memory().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more");
    server.is_well();
}

#[test]
fn slow_heads_and_slow_bodies_are_given_up() {
    let server = House::new("limits: {head_s: 1, body_s: 1}\n").serve();
    let mut nothing = server.open();
    let mut head = server.open();
    assert!(head.write(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"));
    let mut body = server.open();
    assert!(body.write(&modern("").with("Content-Length", "100").bytes()));
    assert!(body.write(b"{"));
    let mut drip = server.open();
    assert!(drip.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"));
    for _ in 0..40 {
        // It is given up while it still says something now and then.
        if !drip.write(b"X-A: b\r\n") {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(nothing.next().is_none_or(|it| it.status == 408));
    assert!(head.next().is_none_or(|it| it.status == 408));
    assert!(drip.next().is_none_or(|it| it.status == 408));
    let reply = body.hear();
    assert_eq!(reply.error(), "408 -32600 null");
    server.is_well();
}

#[test]
fn a_request_that_could_be_two_is_none() {
    let server = House::new("").serve();
    let hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let body = ping();
    let length = body.len().to_string();
    let post = |headers: &[(&str, &str)], body: String| {
        let bare = modern(body).and("Content-Length", "0").without("Content-Length");
        headers.iter().fold(bare, |request, (name, value)| request.and(name, value)).bytes()
    };
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let shapes = [
        post(&[("Content-Length", &length), ("Content-Length", "0")], body.clone()),
        post(&[("Content-Length", "0"), ("Content-Length", &length)], format!("{body}{hidden}")),
        post(&[("Content-Length", &format!("{length}, {length}1"))], body.clone()),
        post(&[("Content-Length", &format!("+{length}"))], body.clone()),
        post(&[("Content-Length", "0x10")], body.clone()),
        post(&[("Transfer-Encoding", "gzip, chunked, x")], chunks.clone()),
        post(&[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "x")], chunks.clone()),
        post(&[("Transfer-Encoding ", "chunked")], chunks.clone()),
        post(&[("Transfer-Encoding", "chunked")], format!("zz\r\n{hidden}")),
        post(&[("Transfer-Encoding", "chunked")], format!("-1\r\n{hidden}")),
    ];
    for (at, bytes) in shapes.iter().enumerate() {
        let mut wire = server.open();
        wire.write(bytes);
        wire.ends();
        if let Some(reply) = wire.next() {
            assert_eq!(reply.status, 400, "{at}: {}", reply.text());
        }
        assert!(wire.next().is_none(), "{at}: a second answer");
    }
    // Both lengths: the chunks count, and nobody after us may have seen it otherwise.
    let both = post(
        &[("Content-Length", &chunks.len().to_string()), ("Transfer-Encoding", "chunked")],
        format!("{chunks}{hidden}"),
    );
    let mut wire = server.open();
    wire.write(&both);
    wire.ends();
    let n_answers = std::iter::from_fn(|| wire.next()).count();
    assert!(n_answers <= 1, "the hidden request was answered");
    server.is_well();
}

#[test]
fn a_head_has_its_limits() {
    let server = House::new("").serve();
    let many =
        (0..200).fold(Request::new("GET", "/healthz"), |it, at| it.and(&format!("X-{at}"), "y"));
    let long = Request::new("GET", "/healthz").and("X-Long", &"y".repeat(100 << 10));
    let line = Request::new("GET", &format!("/{}", "y".repeat(100 << 10)));
    for (what, request) in [("many", many), ("long", long), ("line", line)] {
        let mut wire = server.open();
        wire.write(&request.bytes());
        if let Some(reply) = wire.next() {
            assert!(matches!(reply.status, 400 | 414 | 431), "{what}: {}", reply.status);
        }
        assert!(wire.next().is_none(), "{what}: the connection is closed");
    }
    for broken in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".as_slice(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\r\n\r\n\r\nxx\r\n\r\n",
    ] {
        let mut wire = server.open();
        wire.write(broken);
        wire.ends();
        if let Some(reply) = wire.next() {
            assert_eq!(reply.status, 400, "{}", String::from_utf8_lossy(broken));
        }
        assert!(wire.next().is_none(), "the connection is closed");
    }
    server.is_well();
}

#[test]
fn a_client_that_leaves_in_the_middle_harms_nobody() {
    let server = House::new("").serve();
    let bytes = Request::call(1, "coder", json!({"task": "t", "wait_s": 20})).bytes();
    for cut in [1, 20, bytes.len() / 2, bytes.len() - 1] {
        let mut wire = server.open();
        wire.write(&bytes[..cut]);
        wire.ends();
        if let Some(reply) = wire.next() {
            assert_eq!(reply.status, 400, "{cut}: {}", reply.text());
        }
    }
    assert_eq!(server.runs(), [json!(null); 0], "half a call is none");
    server.is_well();
}

#[test]
fn requests_in_a_row_are_answered_in_a_row() {
    let server = House::new("").serve();
    let mut wire = server.open();
    let all: Vec<u8> = (0..20)
        .flat_map(|id| match id % 2 {
            0 => Request::modern(id, "tools/list", json!({})).bytes(),
            _ => Request::call(id, "coder", json!({"task": "t", "wait_s": 20})).bytes(),
        })
        .collect();
    assert!(wire.write(&all));
    for id in 0..20 {
        assert_eq!(wire.hear().answer()["id"], id);
    }
}
