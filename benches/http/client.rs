//! The built binary over HTTP, and as much of a client as the measurements need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Result;

const VERSION: &str = "2026-07-28";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server on a fresh team.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    _home: TempDir,
}

/// One connection.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Served {
    pub(crate) fn start() -> Result<Served> {
        let home = tempfile::tempdir()?;
        let team = home.path().join("team");
        let program = || Command::new(env!("CARGO_BIN_EXE_callboard"));
        let written = program().arg("init").arg(&team).stderr(Stdio::null()).output()?;
        if !written.status.success() {
            return Err("`callboard init` failed".into());
        }
        let mut serve = program();
        serve.args(["serve", "--http", "127.0.0.1:0", "--team"]).arg(&team);
        serve.arg("--data").arg(home.path().join("data"));
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = serve.spawn()?;
        let errors = BufReader::new(child.stderr.take().ok_or("no stderr")?);
        for line in errors.lines() {
            if let Some(address) = line?.strip_prefix("listening on http://") {
                let address = address.trim_end_matches("/mcp").parse()?;
                return Ok(Served { child, address, _home: home });
            }
        }
        Err("the server did not start".into())
    }

    /// Resident memory; 0 where the system does not tell.
    pub(crate) fn resident_mib(&self) -> f64 {
        std::thread::sleep(Duration::from_secs(1));
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok());
        kib.unwrap_or(0.0) / 1_024.0
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Wire {
    pub(crate) fn open(address: SocketAddr) -> Result<Wire> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Wire(BufReader::with_capacity(1 << 10, stream)))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.get_mut().write_all(bytes)?)
    }

    /// Asks, and reads the answer to its end.
    pub(crate) fn ask(&mut self, request: &str) -> Result<()> {
        let head = self.begin(request)?;
        if let Some(length) = value(&head, "content-length") {
            let mut body = vec![0; length.parse()?];
            return Ok(self.0.read_exact(&mut body)?);
        }
        loop {
            let length = usize::from_str_radix(self.line()?.trim(), 16)?;
            let mut chunk = vec![0; length + 2];
            self.0.read_exact(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    /// Asks, and reads the head of the answer.
    pub(crate) fn begin(&mut self, request: &str) -> Result<String> {
        self.write(request.as_bytes())?;
        let mut head = String::new();
        loop {
            let line = self.line()?;
            if line.trim().is_empty() {
                break;
            }
            head += &line;
        }
        if head.starts_with("HTTP/1.1 200") { Ok(head) } else { Err(head.into()) }
    }

    /// Opens a session, and answers with its name.
    pub(crate) fn session(&mut self, request: &str) -> Result<String> {
        let head = self.begin(request)?;
        Ok(value(&head, "mcp-session-id").ok_or("no session")?.to_owned())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err("the server hung up".into());
        }
        Ok(line)
    }
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let pairs = head.lines().filter_map(|it| it.split_once(':'));
    pairs.into_iter().find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1.trim())
}

fn post(message: &Value, headers: &str) -> String {
    let body = message.to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request of the newest version.
pub(crate) fn modern(method: &str, mut params: Value) -> String {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}});
    let name = params["name"].as_str().map(|it| format!("Mcp-Name: {it}\r\n"));
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let named = name.unwrap_or_default();
    post(&message, &format!("MCP-Protocol-Version: {VERSION}\r\nMcp-Method: {method}\r\n{named}"))
}

/// A stream of the newest version.
pub(crate) fn listens() -> String {
    modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))
}

/// The handshake of older versions.
pub(crate) fn hello() -> String {
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    post(&hello, "")
}

/// A stream of a session.
pub(crate) fn stream(session: &str) -> String {
    format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
         Mcp-Session-Id: {session}\r\n\r\n"
    )
}
