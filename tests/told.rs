//! What is told over HTTP beside the answers: to a session of the older era on its own stream, to a
//! subscription of the newer era on its own answer; and the trace that a header names.

mod stage;

use std::fmt::Write;

use callboard_scheduler::Node;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use stage::{PATIENCE, Stage, answered, of_boss};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A team over HTTP with a person in it, and a client of it.
struct Served {
    _stage: Stage,
    node: Node,
    url: String,
    http: Client,
    ending: CancellationToken,
    serving: JoinSet<std::io::Result<()>>,
}

/// A stream of messages that goes on.
struct Stream {
    response: Response,
    text: String,
}

impl Served {
    async fn start() -> Served {
        let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
        stage.write("agents/boss.md", "---\ndescription: Decides.\nkind: human\n---\nDecide.\n");
        let node = stage.node().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let ending = CancellationToken::new();
        let mut serving = JoinSet::new();
        let (desk, options) = (node.desk(), callboard::HttpOptions::default());
        serving.spawn(callboard::serve_http(listener, desk, options, ending.clone(), |it| it));
        let http = Client::builder().no_proxy().build().expect("a client");
        Served { _stage: stage, node, url, http, ending, serving }
    }

    async fn post(&self, body: Value, headers: &[(&str, &str)]) -> Response {
        let request = self.http.post(&self.url).header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream");
        let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        let response = request.body(body.to_string()).send().await.expect("an answer");
        assert!(response.status().is_success(), "{body}: {}", response.status());
        response
    }

    /// A request of the newer era, which stands for itself.
    async fn newer(&self, method: &str, mut params: Value, headers: &[(&str, &str)]) -> Stream {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let mut all = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        all.extend(headers);
        Stream { response: self.post(body, &all).await, text: String::new() }
    }

    async fn end(mut self) {
        self.ending.cancel();
        self.serving.join_next().await.expect("it served").expect("whole").expect("to its end");
        self.node.stop().await;
    }
}

impl Stream {
    /// The first message that is wanted.
    async fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            while let Some((line, rest)) = self.text.split_once('\n') {
                let data = line.strip_prefix("data:").unwrap_or(line).trim();
                let message = serde_json::from_str::<Value>(data).ok();
                self.text = rest.to_owned();
                if let Some(found) = message.filter(|it| it.is_object() && is_wanted(it)) {
                    return found;
                }
            }
            let piece = timeout(PATIENCE, self.response.chunk()).await.expect("something in time");
            match piece.expect("read") {
                Some(piece) => {
                    write!(self.text, "{}", String::from_utf8_lossy(&piece)).expect("a text");
                }
                // An answer that is no stream ends without a line's end.
                None if !self.text.is_empty() => self.text.push('\n'),
                None => return Value::Null,
            }
        }
    }
}

#[tokio::test]
async fn a_session_of_the_older_era_hears_of_what_it_subscribed_to() {
    let served = Served::start().await;
    let desk = served.node.desk();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "told", "version": "1"}}});
    let response = served.post(hello, &[]).await;
    let session = response.headers()["mcp-session-id"].to_str().expect("a text").to_owned();
    drop(response.bytes().await);
    let session = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-06-18")];
    let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    served.post(done, &session).await;
    let request = session.iter().fold(served.http.get(&served.url), |it, (name, value)| {
        it.header(*name, *value).header("accept", "text/event-stream")
    });
    let response = request.send().await.expect("a stream");
    assert_eq!(response.status(), 200);
    let mut stream = Stream { response, text: String::new() };

    let run = of_boss(&desk).await;
    let uri = format!("team://runs/{run}");
    for (id, uri) in [(2, uri.as_str()), (3, "team://runs/r_nobody")] {
        let subscribe = json!({"jsonrpc": "2.0", "id": id, "method": "resources/subscribe",
            "params": {"uri": uri}});
        let response = served.post(subscribe, &session).await;
        let mut answer = Stream { response, text: String::new() };
        let answer = answer.until(|it| it["id"] == id).await;
        assert_eq!(answer["error"]["code"], if id == 2 { Value::Null } else { json!(-32002) });
    }
    answered(&desk, &run).await;
    let heard = stream.until(|it| it["method"] == "notifications/resources/updated").await;
    assert_eq!(heard["params"]["uri"], json!(uri));
    drop(stream);
    served.end().await;
}

#[tokio::test]
async fn a_subscription_of_the_newer_era_hears_of_what_it_asked_for() {
    let served = Served::start().await;
    let desk = served.node.desk();
    let run = of_boss(&desk).await;
    let uri = format!("team://runs/{run}");
    let asked = json!({"notifications": {"resourceSubscriptions": [uri, "team://nothing"]}});
    let mut stream = served.newer("subscriptions/listen", asked, &[]).await;
    let first = stream.until(|_| true).await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    let kept = json!({"resourceSubscriptions": [uri]});
    assert_eq!(first["params"]["notifications"], kept);
    answered(&desk, &run).await;
    let heard = stream.until(|it| it["method"] == "notifications/resources/updated").await;
    assert_eq!(heard["params"]["uri"], json!(uri));
    assert_eq!(heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    drop(stream);
    served.end().await;
}

#[tokio::test]
async fn a_header_names_the_trace_of_a_call() {
    let served = Served::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let given = format!("00-{trace}-00f067aa0ba902b7-01");
    let call = json!({"name": "writer", "arguments": {"task": "go"}});
    let headers = [("traceparent", given.as_str()), ("mcp-name", "writer")];
    let mut answer = served.newer("tools/call", call, &headers).await;
    let result = answer.until(|it| it["id"] == 7).await["result"].clone();
    let told = result["_meta"]["traceparent"].as_str().unwrap_or_default();
    assert!(told.starts_with(&format!("00-{trace}-")), "{result}");
    served.end().await;
}
