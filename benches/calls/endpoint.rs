//! The least an OpenAI-compatible endpoint can be: it reads a request and answers by its agent.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// An endpoint on a free port of loopback; it ends when it is dropped.
pub(crate) struct Endpoint {
    /// Where it listens.
    pub(crate) base_url: String,
    _serving: JoinSet<()>,
}

impl Endpoint {
    /// Answers after a pause.
    pub(crate) async fn start(pause: Duration) -> std::io::Result<Endpoint> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                open.spawn(serve(stream, pause));
            }
        });
        Ok(Endpoint { base_url, _serving: serving })
    }
}

async fn serve(stream: TcpStream, pause: Duration) {
    let mut stream = BufReader::new(stream);
    while let Some(body) = request(&mut stream).await {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let text = answer(&body);
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    String::from_utf8(body).ok()
}

fn answer(request: &str) -> String {
    let next = [("the first", "second"), ("the second", "third"), ("the third", "fourth")];
    let hands = next.iter().find(|(me, _)| request.contains(&format!("You are {me}.")));
    let message = match hands {
        Some((_, to)) => json!({"role": "assistant", "content": null, "tool_calls": [{
            "index": 0, "id": "call_1", "type": "function", "function": {"name": "handoff",
            "arguments": json!({"to": to, "task": "go on", "summary": {
                "did": "my part of the whole work", "must_know": "nothing is hidden here",
                "do_next": "the next part of it"}}).to_string()}}]}),
        None => json!({"role": "assistant",
            "content": "{\"summary\": \"done\", \"confidence\": 0.9}"}),
    };
    let finish = if hands.is_some() { "tool_calls" } else { "stop" };
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120});
    if request.contains("\"stream\":true") {
        let event = json!({"id": "c", "object": "chat.completion.chunk", "model": "m",
            "choices": [{"index": 0, "delta": message, "finish_reason": finish}], "usage": usage});
        return http("text/event-stream", &format!("data: {event}\n\ndata: [DONE]\n\n"));
    }
    let body = json!({"id": "c", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage});
    http("application/json", &body.to_string())
}

fn http(form: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {form}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
