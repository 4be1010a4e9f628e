//! The whole house over HTTP with tokens: who is let in, how far, and what is told to the others.

mod stage;

use callboard_trace::RunId;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use stage::{Stage, caller};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const CI: &str = "ci-token-0123456789";
const EYE: &str = "eye-token-0123456789";
const PLAYBOOK: &str = "- {answer: {summary: done, confidence: 0.9}}\n";

/// A team over HTTP, and a client of it.
struct Served {
    node: callboard_scheduler::Node,
    address: String,
    http: Client,
    ending: CancellationToken,
    serving: JoinSet<std::io::Result<()>>,
}

impl Served {
    async fn with(stage: &Stage, more: &str) -> Served {
        stage.write("ci.txt", CI);
        stage.write("eye.txt", EYE);
        let text = std::fs::read_to_string(stage.team().join("team.yaml")).expect("the team");
        stage.write("team.yaml", &format!("{text}{more}"));
        let node = stage.node().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let ending = CancellationToken::new();
        let mut serving = JoinSet::new();
        let (desk, options) = (node.desk(), callboard::HttpOptions::default());
        let served = callboard::serve_http(listener, desk, options, ending.clone(), |it| it);
        serving.spawn(served);
        let http = Client::builder().no_proxy().build().expect("a client");
        Served { node, address, http, ending, serving }
    }

    async fn call(&self, authorization: &[&str], tool: &str, arguments: Value) -> Response {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "tokens", "version": "1"},
        });
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments, "_meta": meta}});
        let request = self.http.post(format!("{}/mcp", self.address));
        let request = request
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool);
        let request =
            authorization.iter().fold(request, |it, one| it.header("authorization", *one));
        request.body(body.to_string()).send().await.expect("an answer")
    }

    async fn end(mut self) {
        self.ending.cancel();
        self.serving.join_next().await.expect("it served").expect("whole").expect("to its end");
        self.node.stop().await;
    }
}

fn challenge(response: &Response) -> &str {
    let value = response.headers().get("www-authenticate").expect("a challenge");
    value.to_str().expect("text")
}

const TOKENS: &str = "http:\n  tokens:\n    - {name: ci, token: \"file:ci.txt\", scopes: [run]}\n    \
                      - {name: eye, token: \"file:eye.txt\", scopes: [read]}\n";

#[tokio::test]
async fn a_caller_is_let_in_by_a_token_and_as_far_as_it_reaches() {
    let stage = Stage::new(PLAYBOOK);
    let served = Served::with(&stage, TOKENS).await;
    let task = || json!({"task": format!("write, and forget {CI}")});
    let (ci, eye) = (format!("Bearer {CI}"), format!("bearer {EYE}"));

    for (sent, told) in [
        (vec![], "Bearer"),
        (vec!["Basic Y2k6Y2k="], "Bearer"),
        (vec!["Bearer ci-token-0123456780"], "Bearer error=\"invalid_token\""),
        (vec![ci.as_str(), ci.as_str()], "Bearer error=\"invalid_token\""),
    ] {
        let refused = served.call(&sent, "writer", task()).await;
        assert_eq!(refused.status(), 401, "{sent:?}");
        assert!(challenge(&refused).starts_with(told), "{sent:?}: {}", challenge(&refused));
        assert!(!refused.text().await.expect("a body").contains("0123456780"));
    }

    let refused = served.call(&[&eye], "writer", task()).await;
    assert_eq!(refused.status(), 403);
    assert!(challenge(&refused).starts_with("Bearer error=\"insufficient_scope\""));

    let answered = served.call(&[&ci], "writer", task()).await;
    assert_eq!(answered.status(), 200);
    let text = answered.text().await.expect("a body");
    let mut words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let run = words.find(|it| it.starts_with("r_")).expect("a run in the answer");
    let mut owner = caller();
    owner.principal = "ci".into();
    let run: RunId = serde_json::from_value(json!(run)).expect("a run");
    let page = served.node.desk().page(&run, &owner, 0, 200).await.expect("the run is the token's");
    let records = serde_json::to_string(&page.records.iter().map(|it| &it.1).collect::<Vec<_>>());
    let records = records.expect("JSON");
    assert!(records.contains("and forget") && !records.contains(CI), "{records}");
    served.end().await;
}

#[tokio::test]
async fn a_client_is_told_where_to_get_a_token() {
    let stage = Stage::new(PLAYBOOK);
    let oauth = "http:\n  oauth: {issuer: \"https://login.example.com\", \
                 audience: \"https://callboard.example.com/mcp\"}\n";
    let served = Served::with(&stage, oauth).await;
    let refused = served.call(&[], "writer", json!({"task": "write"})).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(
        challenge(&refused),
        "Bearer resource_metadata=\"https://callboard.example.com\
         /.well-known/oauth-protected-resource/mcp\", scope=\"callboard:run\""
    );
    for path in ["", "/mcp", "/team/mcp"] {
        let url = format!("{}/.well-known/oauth-protected-resource{path}", served.address);
        let document = served.http.get(url).send().await.expect("an answer");
        assert_eq!(document.status(), 200, "{path}");
        let document = document.text().await.expect("a body");
        let document: Value = serde_json::from_str(&document).expect("JSON");
        assert_eq!(document["resource"], "https://callboard.example.com/mcp");
        assert_eq!(document["authorization_servers"], json!(["https://login.example.com"]));
    }
    served.end().await;
}
