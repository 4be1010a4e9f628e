//! An OpenAI-compatible endpoint on loopback that answers as it is told, and counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What one request is answered with.
pub(crate) struct Reply {
    /// After how long; `None` = never.
    pub(crate) after: Option<Duration>,
    pub(crate) status: u16,
    /// Lines of the head, each with its end.
    pub(crate) head: String,
}

impl Reply {
    /// The answer of an agent, after a pause.
    pub(crate) fn good(after: Duration) -> Reply {
        Reply { after: Some(after), status: 200, head: String::new() }
    }

    /// No answer, ever.
    pub(crate) fn never() -> Reply {
        Reply { after: None, ..Reply::good(Duration::ZERO) }
    }
}

/// An endpoint on a free port; it ends when it is dropped.
pub(crate) struct Endpoint {
    /// Where it listens.
    pub(crate) base_url: String,
    waiting: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Endpoint {
    /// Answers each request as `act` says when it comes.
    pub(crate) async fn start(
        act: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> std::io::Result<Endpoint> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let (act, waiting) = (Arc::new(act), Arc::new(AtomicUsize::new(0)));
        let counted = waiting.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                open.spawn(serve(stream, act.clone(), counted.clone()));
                while open.try_join_next().is_some() {}
            }
        });
        Ok(Endpoint { base_url, waiting, _serving: serving })
    }

    /// Requests that wait for their answer, on sockets that are open.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// One of those who wait.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(
    stream: TcpStream,
    act: Arc<dyn Fn(&str) -> Reply + Send + Sync>,
    waiting: Arc<AtomicUsize>,
) {
    let mut stream = BufReader::with_capacity(2_048, stream);
    while let Some(body) = request(&mut stream).await {
        let reply = act(&body);
        let text = http(&reply, body.contains("\"stream\":true"));
        drop(body);
        waiting.fetch_add(1, Ordering::Relaxed);
        let waits = Waits(waiting.clone());
        let pause = reply.after.unwrap_or(Duration::from_secs(86_400));
        if !pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(pause) => (),
                // Nobody sends before the answer: more to read is the end.
                _ = stream.fill_buf() => return,
            }
        }
        drop(waits);
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

fn http(reply: &Reply, streams: bool) -> String {
    let message = json!({"role": "assistant",
        "content": "{\"summary\": \"done\", \"confidence\": 0.9}"});
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120});
    let (form, body) = if reply.status != 200 {
        ("application/json", json!({"error": {"message": "not now"}}).to_string())
    } else if streams {
        let event = json!({"id": "c", "object": "chat.completion.chunk", "model": "m",
            "choices": [{"index": 0, "delta": message, "finish_reason": "stop"}], "usage": usage});
        ("text/event-stream", format!("data: {event}\n\ndata: [DONE]\n\n"))
    } else {
        let body = json!({"id": "c", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage});
        ("application/json", body.to_string())
    };
    format!(
        "HTTP/1.1 {} X\r\ncontent-type: {form}\r\ncontent-length: {}\r\n{}\r\n{body}",
        reply.status,
        body.len(),
        reply.head
    )
}
