//! More than there is room for: each is told so, and the others do not feel it.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{CALLERS, House, Server};
use crate::wire::{Reply, Request, Wire};

/// All that 2,000 streams and 256 sessions may take, also of a binary that is built for debugging.
const MEMORY_KIB: u64 = 128 << 10;

fn is_full(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("1"));
    let error = reply.answer()["error"].clone();
    assert_eq!(error["code"], 429, "{error}");
    assert!(error["message"].as_str().is_some_and(|it| it.contains(what)), "{error}");
}

/// Calls that take long, each on its connection, once they are there.
fn long_calls(server: &Server, token: &str, n_calls: usize) -> Vec<Wire> {
    let wires: Vec<Wire> = (0..n_calls)
        .map(|id| {
            let arguments = json!({"task": format!("it takes long {id}"), "wait_s": 30});
            let mut wire = server.open();
            assert!(wire.write(&Request::call(id, "coder", arguments).bearing(token).bytes()));
            wire
        })
        .collect();
    let is_full = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        let board = Request::call("full", "team_status", json!({})).bearing(token);
        server.ask(&board).status == 503
    });
    assert!(is_full, "there is room still");
    wires
}

#[test]
fn calls_have_their_room_and_nobody_takes_it_all() {
    let house = House::closed("limits: {in_flight_all: 4}\n");
    let server = house.serve();
    let [ann, ben, eve, ..] = CALLERS.map(|it| it.2);
    let list = |id: &str| Request::modern(id, "tools/list", json!({}));
    let hers = long_calls(&server, ann, 2);
    let reply = server.ask(&list("third").bearing(ann));
    is_full(&reply, "2 calls of one caller in flight");
    assert_eq!(reply.answer()["id"], "third");
    assert_eq!(server.ask(&list("his").bearing(ben)).status, 200, "there is room for others");
    let his = long_calls(&server, ben, 2);
    is_full(&server.ask(&list("late").bearing(eve)), "4 calls in flight");
    drop(hers);
    let is_free = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        server.ask(&list("free").bearing(eve)).status == 200
    });
    assert!(is_free, "who leaves makes room");
    drop(his);
}

#[test]
fn a_session_has_so_many_calls() {
    let server = House::new("limits: {in_flight: 2}\n").serve();
    let session = server.session();
    let mut open = Vec::new();
    for id in 0..2 {
        let arguments = json!({"task": format!("it takes long {id}"), "wait_s": 30});
        let params = json!({"name": "coder", "arguments": arguments});
        let mut wire = server.open();
        assert!(wire.write(&Request::older(&session, id, "tools/call", params).bytes()));
        open.push(wire);
    }
    let mut last = None;
    let is_full_now = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        let reply = server.ask(&Request::older(&session, 9, "ping", json!({})));
        let full = reply.status == 503;
        last = Some(reply);
        full
    });
    assert!(is_full_now);
    is_full(&last.expect("a reply"), "2 requests of one session");
    let other = server.session();
    assert_eq!(server.ask(&Request::older(&other, 9, "ping", json!({}))).status, 200);
}

fn listens(id: usize) -> Request {
    Request::modern(
        id,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    )
}

fn hears(session: &str) -> Request {
    let request = Request::new("GET", "/mcp").and("Accept", "text/event-stream");
    request.and("Mcp-Session-Id", session)
}

/// Opens a stream and waits until it is one.
fn stream(server: &Server, request: &Request) -> Wire {
    let mut wire = server.open();
    assert!(wire.write(&request.bytes()));
    let head = wire.head().expect("an answer");
    assert_eq!(head.status, 200);
    wire
}

#[test]
fn streams_and_connections_have_their_room() {
    let server = House::new("limits: {streams: 4, connections: 6}\n").serve();
    let session = server.session();
    let mut first = stream(&server, &listens(1));
    assert_eq!(
        first.event().expect("an event")["method"],
        "notifications/subscriptions/acknowledged"
    );
    let second = stream(&server, &hears(&session));
    is_full(&server.ask(&listens(3)), "2 streams of one caller");
    is_full(&server.ask(&hears(&session)), "2 streams of one caller");
    drop(second);
    let is_free = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        let mut wire = server.open();
        wire.write(&listens(4).bytes());
        wire.head().is_some_and(|it| it.status == 200)
    });
    assert!(is_free, "who leaves makes room");

    let held: Vec<Wire> = (0..5).map(|_| served(&server).expect("who leaves makes room")).collect();
    let mut late = server.open();
    let reply = late.next().expect("an answer without a question");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert!(late.next().is_none());
    drop(held);
    assert!(served(&server).is_some(), "who leaves makes room");
}

/// A connection that got its answer, asked for until those before it have left.
fn served(server: &Server) -> Option<Wire> {
    let request = Request::modern(5, "tools/list", json!({}));
    (0..200).find_map(|_| {
        thread::sleep(Duration::from_millis(20));
        let mut wire = server.open();
        let is_served =
            wire.write(&request.bytes()) && wire.next().is_some_and(|it| it.status == 200);
        is_served.then_some(wire)
    })
}

/// Who shakes hands and says no more gives way to who comes next, and can come again.
#[test]
fn a_flood_of_handshakes_shuts_nobody_out() {
    let server = House::new("").serve();
    let early = server.session();
    let before = server.most_memory();
    let threads: Vec<thread::JoinHandle<()>> = (0..4)
        .map(|_| {
            let mut wire = server.open();
            thread::spawn(move || {
                let many = Request::hello("2025-06-18").bytes().repeat(50);
                for _ in 0..100 {
                    assert!(wire.write(&many));
                    for _ in 0..50 {
                        assert_eq!(wire.hear().status, 200);
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|it| it.join().expect("no panic"));
    let grown = server.most_memory().saturating_sub(before);
    assert!(grown < 100 << 10, "{grown} KiB more");
    assert_eq!(server.ask(&Request::older(&early, 2, "ping", json!({}))).status, 200);
    server.is_well();
}

/// A session that is at work or listens gives way to nobody.
#[test]
fn busy_sessions_fill_their_room() {
    let server = House::new("limits: {sessions: 4}\n").serve();
    let busy = [server.session(), server.session()];
    let streams = busy.each_ref().map(|it| stream(&server, &hears(it)));
    is_full(&server.ask(&Request::hello("2025-06-18")), "2 busy sessions of one caller");
    for session in &busy {
        assert_eq!(server.ask(&Request::older(session, 2, "ping", json!({}))).status, 200);
    }
    drop(streams);
    let is_free = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        server.ask(&Request::hello("2025-06-18")).status == 200
    });
    assert!(is_free, "who leaves makes room");
}

#[test]
fn idle_streams_and_sessions_cost_little() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("more files");
    let server = House::new("").serve();
    let sessions: Vec<String> = (0..256).map(|_| server.session()).collect();
    let mut streams = Vec::new();
    for id in 0..2_000 {
        let request = match sessions.get(id) {
            Some(session) => hears(session),
            None => listens(id),
        };
        streams.push(stream(&server, &request));
    }
    server.is_well();
    let memory = server.memory("VmRSS:");
    assert!(memory < MEMORY_KIB, "{memory} KiB");
    for session in sessions.iter().step_by(50) {
        let ping = Request::older(session, 1, "ping", json!({}));
        assert_eq!(server.ask(&ping).answer()["result"], json!({}));
    }
    let last = streams.last_mut().expect("a stream");
    assert!(last.event().is_some(), "it is acknowledged");
}

#[test]
fn slow_sockets_hold_up_nobody() {
    let server = House::new("").serve();
    let slow: Vec<Wire> = (0..500).map(|_| server.open()).collect();
    let drips = thread::spawn(move || {
        let mut slow = slow;
        let head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: yes\r\n";
        for byte in head {
            slow.retain_mut(|it| it.write(&[*byte]));
            thread::sleep(Duration::from_millis(20));
        }
        slow.len()
    });
    let mut wire = server.open();
    let mut n_answers = 0;
    while !drips.is_finished() {
        let (list, call) = (
            Request::modern(1, "tools/list", json!({})),
            Request::call(2, "team_status", json!({})),
        );
        assert!(wire.ask(&list).answer()["result"]["tools"].is_array());
        assert_eq!(wire.ask(&call).answer()["result"]["isError"], Value::Bool(false));
        n_answers += 2;
    }
    assert_eq!(drips.join().expect("no panic"), 500, "the slow ones are let be for a while");
    assert!(n_answers >= 10, "{n_answers}");
}

#[test]
fn it_asks_for_as_many_files_as_it_takes_connections() {
    let house = House::new("");
    let serve = house.command(&["serve", "--http", "127.0.0.1:0"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "ulimit -Sn 100; exec \"$0\" \"$@\""]).arg(serve.get_program());
    let server = Server::of(shell.args(serve.get_args()));
    let idle: Vec<Wire> = (0..300).map(|_| server.open()).collect();
    server.is_well();
    drop(idle);
}
