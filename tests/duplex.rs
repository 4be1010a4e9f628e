//! The whole house in process behind MCP: lines in over a pipe, a scripted model endpoint at the
//! other end, the story of the run in between.

mod endpoint;
mod stage;

use callboard_trace::RunId;
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::Stage;
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio_util::sync::CancellationToken;

/// A client of the newer era: every request says its version and what it can.
struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    out: WriteHalf<DuplexStream>,
    /// Notifications that came before answers.
    heard: Vec<Value>,
    ids: u64,
}

impl Client {
    fn on(node: &callboard_scheduler::Node, ending: &CancellationToken) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (input, output) = tokio::io::split(theirs);
        let (desk, ending) = (node.desk(), ending.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(callboard::serve_stream(input, output, desk, ending));
        let (read, out) = tokio::io::split(ours);
        Client { lines: BufReader::new(read).lines(), out, heard: Vec::new(), ids: 0 }
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ids += 1;
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "duplex", "version": "1"},
            "progressToken": self.ids,
        });
        let request = json!({"jsonrpc": "2.0", "id": self.ids, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments, "_meta": meta}});
        self.out.write_all(format!("{request}\n").as_bytes()).await.expect("written");
        loop {
            let line = self.lines.next_line().await.expect("read").expect("a line");
            let message: Value = serde_json::from_str(&line).expect("JSON and nothing else");
            if message["id"] == json!(self.ids) {
                return message["result"].clone();
            }
            self.heard.push(message);
        }
    }
}

fn script(ask: &Ask) -> Act {
    let answer = |text: &str| Act::answer(&json!({"summary": text, "confidence": 0.9}));
    let summary = json!({
        "did": "found three ways to do it", "must_know": "use a channel", "do_next": "write it",
    });
    match (ask.system().contains("You are the researcher"), ask.turn()) {
        (true, 1) => Act::call("note", json!({"slot": "findings", "key": "ways", "text": "three"})),
        (true, _) => Act::call(
            "handoff",
            json!({"to": "coder", "task": "write it", "summary": summary, "reason": "it is known"}),
        ),
        (false, _) => answer("it is written"),
    }
}

#[tokio::test]
async fn a_call_by_name_comes_back_with_the_receivers_answer() {
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let ending = CancellationToken::new();
    let mut client = Client::on(&node, &ending);
    let result = client.call("researcher", json!({"task": "find out how to do it"})).await;
    let view = &result["structuredContent"];
    assert_eq!(result["isError"], json!(false), "{result}");
    assert_eq!((&view["state"], &view["agent"]), (&json!("completed"), &json!("coder")));
    assert_eq!((&view["result"], &view["handoffs"]), (&json!("it is written"), &json!(1)));
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().expect("text"))
        .expect("the text is the same JSON");
    assert_eq!(&text, view);

    let run = RunId::from_text(view["run"].as_str().expect("a run"));
    insta::assert_snapshot!(stage::told(&node.desk(), &run).await);

    let steps = client.call("team_status", json!({"run": run, "view": "trace"})).await;
    assert_eq!(steps["isError"], json!(false), "{steps}");
    let board = client.call("team_status", json!({})).await;
    assert_eq!(board["structuredContent"]["runs"][0]["run"], json!(run));
    ending.cancel();
    node.stop().await;
}

#[tokio::test]
async fn a_handle_is_enough_to_come_back_and_progress_rises_meanwhile() {
    let slow = std::time::Duration::from_millis(1_500);
    let endpoint = Endpoint::start(move |ask| script(ask).after(slow)).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let ending = CancellationToken::new();
    let mut client = Client::on(&node, &ending);
    let handle = client.call("researcher", json!({"task": "find out", "wait_s": 0})).await;
    let handle = &handle["structuredContent"];
    assert!(["queued", "working"].map(|it| json!(it)).contains(&handle["state"]), "{handle}");
    let next = handle["next"].as_str().expect("the call to make next");
    assert!(next.contains("team_status"), "{next}");

    let end = client.call("team_status", json!({"run": handle["run"], "wait_s": 30})).await;
    assert_eq!(end["structuredContent"]["state"], json!("completed"), "{end}");
    let progress: Vec<f64> = client
        .heard
        .iter()
        .filter(|it| it["method"] == "notifications/progress")
        .filter(|it| it["params"]["progressToken"] == json!(client.ids))
        .filter_map(|it| it["params"]["progress"].as_f64())
        .collect();
    assert!(!progress.is_empty(), "something was heard in four seconds: {:?}", client.heard);
    assert!(progress.windows(2).all(|it| it[0] < it[1]), "it rises: {progress:?}");
    ending.cancel();
    node.stop().await;
}

#[tokio::test]
async fn a_wrong_call_names_every_problem_and_starts_nothing() {
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let ending = CancellationToken::new();
    let mut client = Client::on(&node, &ending);
    let result = client.call("researcher", json!({"tusk": "typo", "wait_s": "soon"})).await;
    assert_eq!(result["isError"], json!(true), "{result}");
    insta::assert_json_snapshot!(result["structuredContent"]);
    let gone = client.call("team_control", json!({"run": "r_nobody", "action": "cancel"})).await;
    assert_eq!(gone["structuredContent"]["code"], json!("not_found"));
    assert!(endpoint.requests().is_empty());
    ending.cancel();
    node.stop().await;
}
