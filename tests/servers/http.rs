//! A tool server behind an address, in either era, that keeps what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A request and its headers.
pub(crate) type Asked = (HeaderMap, Value);

/// How a call of a tool goes badly.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Two hundred MB in one answer.
    Huge,
    /// The same as one event of a stream.
    HugeEvent,
    /// No answer.
    Hang,
    /// The connection ends in the middle of it.
    Cut,
}

pub(crate) struct Remote {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _task: JoinSet<()>,
}

#[derive(Clone)]
struct Kept {
    is_modern: bool,
    fault: Option<Fault>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Remote {
    pub(crate) async fn start(is_modern: bool) -> Remote {
        Remote::faulty(is_modern, None).await
    }

    /// One whose calls go badly.
    pub(crate) async fn faulty(is_modern: bool, fault: Option<Fault>) -> Remote {
        let kept = Kept { is_modern, fault, asked: Arc::default() };
        let asked = kept.asked.clone();
        Remote::serve(Router::new().route("/mcp", post(answer)).with_state(kept), asked).await
    }

    /// Sends everybody on to another address.
    pub(crate) async fn redirecting(to: String) -> Remote {
        let away = move || async move { Redirect::temporary(&to) };
        Remote::serve(Router::new().route("/mcp", post(away)), Arc::default()).await
    }

    async fn serve(router: Router, asked: Arc<Mutex<Vec<Asked>>>) -> Remote {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Remote { url, asked, _task: task }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn answer(State(kept): State<Kept>, headers: HeaderMap, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).expect("a message");
    kept.asked.lock().expect("no panic").push((headers, request.clone()));
    let Some(id) = request.get("id") else { return StatusCode::ACCEPTED.into_response() };
    if let Some(fault) = kept.fault.filter(|_| request["method"] == "tools/call") {
        return badly(fault).await;
    }
    let result = match request["method"].as_str().unwrap_or_default() {
        "server/discover" if kept.is_modern => json!({"resultType": "complete",
            "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
            "capabilities": {"tools": {}}}),
        "initialize" if !kept.is_modern => json!({"capabilities": {"tools": {}},
            "protocolVersion": request["params"]["protocolVersion"],
            "serverInfo": {"name": "remote", "version": "1"}}),
        "tools/list" => json!({"tools": [{"name": "greet", "inputSchema": {"type": "object"}}],
            "ttlMs": 0, "cacheScope": "private"}),
        "tools/call" => json!({"resultType": "complete",
            "content": [{"type": "text", "text": "hello from afar"}]}),
        _ => {
            let error = json!({"code": -32601, "message": "no such method"});
            let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
            return (StatusCode::NOT_FOUND, axum::Json(body)).into_response();
        }
    };
    axum::Json(json!({"jsonrpc": "2.0", "id": id, "result": result})).into_response()
}

async fn badly(fault: Fault) -> Response {
    if fault == Fault::Hang {
        std::future::pending::<()>().await;
    }
    let kind = if fault == Fault::HugeEvent { "text/event-stream" } else { "application/json" };
    let first =
        if fault == Fault::HugeEvent { "data: " } else { "{\"jsonrpc\": \"2.0\", \"a\": \"" };
    let more = (0..200).map(move |nth| match fault {
        Fault::Cut if nth > 0 => Err(std::io::Error::other("cut")),
        _ => Ok("x".repeat(1 << 20)),
    });
    let parts = std::iter::once(Ok(first.to_owned())).chain(more);
    let body = axum::body::Body::from_stream(futures::stream::iter(parts));
    ([("content-type", kind)], body).into_response()
}
