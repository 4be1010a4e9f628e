//! Handles nobody loses: what a caller did not hear of is told, joined and read later, and what it
//! was told is not told again.

mod endpoint;
mod stage;

use std::time::Duration;

use callboard_scheduler::{Desk, Listens, Node};
use callboard_trace::{Event, RunId};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::{Stage, ask, caller, end};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio_util::sync::CancellationToken;

/// A client of the older era over a pipe, under a name of its own.
struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    out: WriteHalf<DuplexStream>,
}

impl Client {
    async fn on(node: &Node, name: &str) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (input, output) = tokio::io::split(theirs);
        let (desk, ending) = (node.desk(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "it ends with its pipe")]
        tokio::spawn(callboard::serve_stream(input, output, desk, ending));
        let (read, out) = tokio::io::split(ours);
        let mut client = Client { lines: BufReader::new(read).lines(), out };
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": name, "version": "1"}});
        client.ask(0, "initialize", hello).await;
        client.answer(0).await;
        client
    }

    async fn send(&mut self, message: Value) {
        self.out.write_all(format!("{message}\n").as_bytes()).await.expect("written");
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(request).await;
    }

    async fn call(&mut self, id: u64, tool: &str, arguments: Value) {
        self.ask(id, "tools/call", json!({"name": tool, "arguments": arguments})).await;
    }

    async fn give_up(&mut self, id: u64, reason: &str) {
        let params = json!({"requestId": id, "reason": reason});
        let method = "notifications/cancelled";
        self.send(json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    async fn answer(&mut self, id: u64) -> Value {
        let line = tokio::time::timeout(stage::PATIENCE, self.lines.next_line());
        let line = line.await.expect("in time").expect("read").expect("a line");
        let message: Value = serde_json::from_str(&line).expect("JSON and nothing else");
        assert_eq!(message["id"], json!(id), "another answer: {message}");
        message["result"]["structuredContent"].clone()
    }

    async fn told(&mut self, id: u64, tool: &str, arguments: Value) -> Value {
        self.call(id, tool, arguments).await;
        self.answer(id).await
    }
}

/// A model that takes its time.
async fn slow(how_long: Duration) -> (Endpoint, Stage) {
    let answer = move |_: &Ask| {
        Act::answer(&json!({"summary": "it is done", "confidence": 0.9})).after(how_long)
    };
    let endpoint = Endpoint::start(answer).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    (endpoint, stage)
}

fn kinds(records: &[callboard_trace::Record]) -> Vec<&'static str> {
    records.iter().map(|it| it.event.kind()).collect()
}

/// The run's records, once one of them is of this kind.
async fn until(desk: &Desk, run: &RunId, kind: &str) -> Vec<callboard_trace::Record> {
    let begun = tokio::time::Instant::now();
    loop {
        let records = stage::records(desk, run).await;
        if kinds(&records).contains(&kind) {
            return records;
        }
        assert!(begun.elapsed() < stage::PATIENCE, "no {kind}: {:?}", kinds(&records));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The one run of the caller, once there is one.
async fn only_run(desk: &Desk) -> RunId {
    let begun = tokio::time::Instant::now();
    loop {
        let runs = desk.board(&caller()).await.expect("a board").runs;
        if let [run] = runs.as_slice() {
            return run.run.clone();
        }
        assert!(runs.is_empty() && begun.elapsed() < stage::PATIENCE, "{runs:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const TIMED_OUT: &str = "McpError: MCP error -32001: Request timed out";

#[tokio::test]
async fn a_client_that_times_out_finds_its_result_by_the_notice_and_by_the_board() {
    let (_endpoint, stage) = slow(Duration::from_millis(700)).await;
    let node = stage.node().await;
    let desk = node.desk();
    let mut client = Client::on(&node, "hasty").await;
    client.call(1, "writer", json!({"task": "a long text"})).await;
    let run = only_run(&desk).await;
    client.give_up(1, TIMED_OUT).await;
    end(&desk, &run).await;
    let notice = json!([format!("{run} completed, unread")]);

    // Whatever is asked next, also in vain, and by another client of the same principal.
    let refused = client.told(2, "team_status", json!({"run": "r_nobody"})).await;
    assert_eq!((&refused["code"], &refused["notices"]), (&json!("not_found"), &notice));
    let mut other = Client::on(&node, "other").await;
    let queue = other.told(1, "team_status", json!({"view": "queue"})).await;
    assert_eq!(queue["notices"], notice);
    let board = client.told(3, "team_status", json!({})).await;
    assert_eq!(board["unread"][0]["run"], json!(run), "{board}");
    assert_eq!(board.as_object().and_then(|it| it.keys().next()), Some(&"unread".to_owned()));

    let view = client.told(4, "team_status", json!({"run": run})).await;
    assert_eq!((&view["result"], &view["notices"]), (&json!("it is done"), &json!([])));
    let records = until(&desk, &run, "delivered").await;
    let left = records.iter().position(|it| matches!(it.event, Event::CallerLeft { .. }));
    let over = records.iter().position(|it| matches!(it.event, Event::RunEnded(_)));
    assert!(left < over, "{:?}", kinds(&records));
    let board = client.told(5, "team_status", json!({})).await;
    assert_eq!((board.get("unread"), board.get("notices")), (None, None), "it is read: {board}");
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_calls_again_gets_the_run_it_left() {
    let (endpoint, stage) = slow(Duration::from_millis(600)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "hasty").await;
    client.call(1, "writer", json!({"task": "a long text"})).await;
    let run = only_run(&node.desk()).await;
    // In one breath, and written a little differently.
    client.give_up(1, TIMED_OUT).await;
    let again = client.told(2, "writer", json!({"context": " ", "task": "a long text\n"})).await;
    assert_eq!((&again["run"], &again["joined"]), (&json!(run), &json!(true)), "{again}");
    assert_eq!(again["result"], json!("it is done"));
    until(&node.desk(), &run, "delivered").await;
    let anew = client.told(3, "writer", json!({"task": "a long text"})).await;
    assert_ne!(anew["run"], json!(run), "it was delivered: who asks again wants it again");
    assert_eq!(endpoint.requests().len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn a_call_id_of_its_own_does_not_keep_a_model_from_coming_back() {
    let (_endpoint, stage) = slow(Duration::from_millis(500)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "hasty").await;
    let call = |name: &str, id: &str| json!({"name": "writer", "arguments": {"task": "a text"}, "_meta": {name: id}});
    client.ask(1, "tools/call", call("claudecode/toolUseId", "toolu_1")).await;
    let run = only_run(&node.desk()).await;
    client.give_up(1, TIMED_OUT).await;
    client.ask(2, "tools/call", call("claudecode/toolUseId", "toolu_2")).await;
    assert_eq!(client.answer(2).await["run"], json!(run));
    client.ask(3, "tools/call", call("claudecode/toolUseId", "toolu_1")).await;
    assert_eq!(client.answer(3).await["run"], json!(run), "the same call, for a day");
    client.ask(4, "tools/call", call("callboard/key", "mine")).await;
    assert_ne!(client.answer(4).await["run"], json!(run), "a key of its own is another task");
    node.stop().await;
}

#[tokio::test]
async fn equal_calls_that_are_open_at_once_or_do_not_wait_are_two_tasks() {
    let (endpoint, stage) = slow(Duration::from_millis(300)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "eager").await;
    client.call(1, "writer", json!({"task": "t"})).await;
    only_run(&node.desk()).await;
    let second = client.told(2, "writer", json!({"task": "t", "wait_s": 0})).await;
    let third = client.told(3, "writer", json!({"task": "t", "wait_s": 0})).await;
    assert_ne!(second["run"], third["run"]);
    let first = client.answer(1).await;
    assert!(first["run"] != second["run"] && first["run"] != third["run"]);
    for run in [&second["run"], &third["run"]] {
        client.told(4, "team_status", json!({"run": run, "wait_s": 30})).await;
    }
    assert_eq!(endpoint.requests().len(), 3);
    node.stop().await;
}

#[tokio::test]
async fn nobody_is_told_of_what_another_open_call_waits_for() {
    let (_endpoint, stage) = slow(Duration::from_millis(100)).await;
    let node = stage.node().await;
    let desk = node.desk();
    let listens = Listens { waits: true, rejoins: false };
    let run = desk.call(ask("writer", "t"), listens).await.expect("in").run;
    let listening = desk.listen(&run, &caller(), true);
    end(&desk, &run).await;
    assert_eq!(desk.notices(&caller(), None).await, [""; 0]);
    listening.delivered();
    assert_eq!(desk.notices(&caller(), None).await, [""; 0], "before it is written");
    until(&desk, &run, "delivered").await;
    assert_eq!(desk.notices(&caller(), None).await, [""; 0]);
    node.stop().await;
}

#[tokio::test]
async fn many_unread_runs_are_five_lines_and_a_count() {
    let (_endpoint, stage) = slow(Duration::ZERO).await;
    let node = stage.node().await;
    let desk = node.desk();
    for number in 0..8 {
        stage::play(&desk, ask("writer", &format!("task {number}"))).await;
    }
    let notices = desk.notices(&caller(), None).await;
    assert_eq!(notices.len(), 6, "{notices:?}");
    assert_eq!(notices[5], "3 more unread; `team_status` without run lists them");
    assert_eq!(desk.board(&caller()).await.expect("a board").unread.len(), 8);
    node.stop().await;
}

#[tokio::test]
async fn a_pipe_that_breaks_leaves_the_run_unread() {
    let (_endpoint, stage) = slow(Duration::from_millis(300)).await;
    let node = stage.node().await;
    let desk = node.desk();
    let mut client = Client::on(&node, "fragile").await;
    client.call(1, "writer", json!({"task": "t"})).await;
    let run = only_run(&desk).await;
    drop(client);
    end(&desk, &run).await;
    until(&desk, &run, "caller_left").await;
    let notice = format!("{run} completed, unread");
    assert_eq!(desk.notices(&caller(), None).await, [notice]);
    node.stop().await;
}

#[tokio::test]
async fn what_a_client_was_told_survives_the_process_that_told_it() {
    let (_endpoint, stage) = slow(Duration::from_millis(100)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "patient").await;
    let read = client.told(1, "writer", json!({"task": "read"})).await;
    let handle = client.told(2, "writer", json!({"task": "unread", "wait_s": 0})).await;
    let unread = RunId::from_text(handle["run"].as_str().expect("a run"));
    end(&node.desk(), &unread).await;
    // At once after the answer: what became of the calls is written before the process goes.
    node.stop().await;
    let node = stage.node().await;
    let notices = node.desk().notices(&caller(), None).await;
    assert_eq!(notices, [format!("{unread} completed, unread")], "and not {read}");
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_gave_up_is_answered_earlier_also_by_the_next_process() {
    let (_endpoint, stage) = slow(Duration::from_secs(20)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "Hasty").await;
    client.call(1, "writer", json!({"task": "one"})).await;
    only_run(&node.desk()).await;
    tokio::time::sleep(Duration::from_millis(2_400)).await;
    client.give_up(1, "MCP request cancelled by caller").await;
    assert_eq!(node.desk().gives_up_after("hasty").await, None, "that may have been a person");
    client.call(2, "writer", json!({"task": "two"})).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    client.give_up(2, TIMED_OUT).await;
    while node.desk().gives_up_after("hasty").await.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let early = client.told(3, "writer", json!({"task": "three", "wait_s": 60})).await;
    let waited = early["elapsed_s"].as_f64().expect("a time");
    assert!(waited >= 2.0, "{early}");
    assert!(early["next"].as_str().is_some_and(|it| it.contains("\"wait_s\":2}")), "{early}");
    let known = node.desk().gives_up_after("hasty").await.expect("it was learnt");
    assert!(known >= Duration::from_millis(2_500), "{known:?}");
    node.stop().await;

    let node = stage.node().await;
    let again = node.desk().gives_up_after("hasty").await.expect("it is in the journal");
    assert!(again.abs_diff(known) < Duration::from_millis(5), "{again:?} {known:?}");
    assert_eq!(node.desk().gives_up_after("patient").await, None);
    let mut client = Client::on(&node, "hasty").await;
    let handle = client.told(1, "writer", json!({"task": "four"})).await;
    assert_eq!(handle["state"], json!("working"), "{handle}");
    node.stop().await;
}
