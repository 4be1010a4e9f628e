//! HTTP/1.1 in raw bytes: connects, writes what it likes, and reads what comes back.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The version that needs no handshake.
pub(crate) const MODERN: &str = "2026-07-28";

/// A request, in whatever shape.
#[derive(Clone)]
pub(crate) struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// One connection.
pub(crate) struct Wire(BufReader<TcpStream>);

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: &str, path: &str) -> Request {
        let line = format!("{method} {path} HTTP/1.1");
        Request { line, headers: vec![], body: vec![] }.and("Host", "localhost")
    }

    /// Bytes as a message.
    pub(crate) fn post(body: impl Into<Vec<u8>>) -> Request {
        let mut request = Request::new("POST", "/mcp")
            .and("Content-Type", "application/json")
            .and("Accept", "application/json, text/event-stream");
        request.body = body.into();
        request
    }

    /// A request of the newest version, which stands for itself.
    pub(crate) fn modern(id: impl Into<Value>, method: &str, params: Value) -> Request {
        Request::able(id, method, params, json!({}))
    }

    /// The same, of a client that can do this.
    pub(crate) fn able(id: impl Into<Value>, method: &str, params: Value, can: Value) -> Request {
        let mut params = params;
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = can;
        params["_meta"]["io.modelcontextprotocol/clientInfo"] =
            json!({"name": "raw-http", "version": "1"});
        let named = match method {
            "tools/call" | "prompts/get" => params["name"].as_str(),
            "resources/read" => params["uri"].as_str(),
            "tasks/get" | "tasks/update" | "tasks/cancel" => params["taskId"].as_str(),
            _ => None,
        };
        let named = named.map(str::to_owned);
        let request = Request::post(message(id, method, params).to_string())
            .and("MCP-Protocol-Version", MODERN)
            .and("Mcp-Method", method);
        match named {
            Some(name) => request.and("Mcp-Name", &name),
            None => request,
        }
    }

    /// A call of the newest version.
    pub(crate) fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Request {
        Request::modern(id, "tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// A request in a session.
    pub(crate) fn older(
        session: &str,
        id: impl Into<Value>,
        method: &str,
        params: Value,
    ) -> Request {
        Request::post(message(id, method, params).to_string()).and("Mcp-Session-Id", session)
    }

    /// The handshake of older versions.
    pub(crate) fn hello(version: &str) -> Request {
        let params = json!({"protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "raw-http", "version": "1"}});
        Request::post(message("hello", "initialize", params).to_string())
    }

    /// The same for another path.
    pub(crate) fn to(mut self, path: &str) -> Request {
        self.line = format!("POST {path} HTTP/1.1");
        self
    }

    /// With one more header.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a header.
    pub(crate) fn without(mut self, name: &str) -> Request {
        self.headers.retain(|it| !it.0.eq_ignore_ascii_case(name));
        self
    }

    /// With this header, whatever it was.
    pub(crate) fn with(self, name: &str, value: &str) -> Request {
        self.without(name).and(name, value)
    }

    /// With this token.
    pub(crate) fn bearing(self, token: &str) -> Request {
        self.and("Authorization", &format!("Bearer {token}"))
    }

    /// The request as it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let says = |name: &str| self.headers.iter().any(|it| it.0.eq_ignore_ascii_case(name));
        let is_long = !self.body.is_empty() || self.line.starts_with("POST");
        if is_long && !says("content-length") && !says("transfer-encoding") {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        [text.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// A request of the protocol.
pub(crate) fn message(id: impl Into<Value>, method: &str, params: Value) -> Value {
    let id: Value = id.into();
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

impl Wire {
    pub(crate) fn open(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option");
        Wire(BufReader::with_capacity(4 << 10, stream))
    }

    /// Writes bytes as they are; whether somebody takes them.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).is_ok()
    }

    /// Says that no more is written.
    pub(crate) fn ends(&mut self) {
        // The other side may be gone already.
        let _ = self.0.get_mut().shutdown(Shutdown::Write);
    }

    /// Writes a request and reads its answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        assert!(self.write(&request.bytes()), "the connection is closed");
        self.hear()
    }

    /// The next answer as a whole.
    pub(crate) fn hear(&mut self) -> Reply {
        self.next().expect("an answer, not the end of the connection")
    }

    /// The next answer as a whole; nothing if the connection ends before it begins.
    pub(crate) fn next(&mut self) -> Option<Reply> {
        let mut reply = self.head()?;
        if let Some(length) = reply.header("content-length") {
            let length = length.parse().expect("a length");
            reply.body = vec![0; length];
            self.0.read_exact(&mut reply.body).expect("the whole body");
        } else if reply.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                reply.body.extend(chunk);
            }
        } else if reply.status != 204 {
            self.0.read_to_end(&mut reply.body).expect("the whole body");
        }
        Some(reply)
    }

    /// The head of the next answer; its body is left where it is.
    pub(crate) fn head(&mut self) -> Option<Reply> {
        let first = self.line()?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3));
        let status = status.and_then(|it| it.parse().ok());
        let mut reply = Reply { status: status.expect("a status"), headers: vec![], body: vec![] };
        loop {
            let line = self.line().expect("a whole head");
            if line.is_empty() {
                return Some(reply);
            }
            let (name, value) = line.split_once(':').expect("a header");
            reply.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next piece of a stream.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8(self.chunk().expect("a piece")).expect("text")
    }

    /// The next message of a stream.
    pub(crate) fn event(&mut self) -> Option<Value> {
        let mut event = Vec::new();
        loop {
            event.extend(self.chunk()?);
            if let Some(message) = messages(&event).into_iter().next() {
                return Some(message);
            }
        }
    }

    fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = self.line()?;
        let length = usize::from_str_radix(&length, 16).expect("the length of a chunk");
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk).expect("the whole chunk");
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        // Whoever turns us away may do it before it has read what we wrote.
        let n_bytes = self.0.read_until(b'\n', &mut line);
        match n_bytes {
            Ok(1..) => {}
            Ok(0) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("nothing came: {error}"),
        }
        let line = String::from_utf8(line).expect("text");
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Every message in the body.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let kind = self.header("content-type").unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            return messages(&self.body);
        }
        serde_json::from_slice(&self.body).into_iter().collect()
    }

    /// The one answer in the body, whatever was said before it.
    pub(crate) fn answer(&self) -> Value {
        let messages = self.messages();
        let mut answers = messages.iter().filter(|it| it.get("method").is_none());
        match (answers.next(), answers.next()) {
            (Some(answer), None) => answer.clone(),
            _ => panic!("{} without one answer: {}", self.status, self.text()),
        }
    }

    /// `status code id` of an error.
    pub(crate) fn error(&self) -> String {
        let answer = self.answer();
        format!("{} {} {}", self.status, answer["error"]["code"], answer["id"])
    }

    /// The body of a call's result.
    pub(crate) fn view(&self) -> Value {
        let answer = self.answer();
        assert_eq!(answer["result"]["isError"], false, "refused: {answer}");
        answer["result"]["structuredContent"].clone()
    }
}

/// The messages of a stream of events.
fn messages(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes);
    let said = text.lines().filter_map(|it| it.strip_prefix("data:"));
    said.filter_map(|it| serde_json::from_str(it.trim()).ok()).collect()
}
