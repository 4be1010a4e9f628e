//! A client of the built binary: it writes lines, and counts the answers that come back.
#![allow(dead_code, reason = "each benchmark uses its part of the client")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::{Result, middle};

/// Files of the team: one agent that answers, and a chain of four.
const AGENTS: [(&str, &str, &str); 5] = [
    ("writer", "", "writer"),
    ("first", "handoffs: [second]\n", "first"),
    ("second", "handoffs: [third]\n", "second"),
    ("third", "handoffs: [fourth]\n", "third"),
    ("fourth", "", "fourth"),
];

/// One process of the server, and the two ends of its pipe.
pub(crate) struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
    calls: u64,
}

impl Client {
    /// Starts the server on one core and goes to the other itself.
    pub(crate) async fn start(home: &Path, endpoint: &Endpoint, streams: bool) -> Result<Client> {
        let team = home.join("team");
        std::fs::create_dir_all(team.join("agents"))?;
        for (name, fields, words) in AGENTS {
            let text = format!(
                "---\nname: {name}\ndescription: The {name}.\n{fields}---\nYou are the {words}.\n"
            );
            std::fs::write(team.join(format!("agents/{name}.md")), text)?;
        }
        let text = format!(
            "entry: writer\nproviders:\n  bench: {{base_url: \"{}\", stream: {streams}}}\n\
             models:\n  default: bench/m\nthrottle: off\n",
            endpoint.base_url
        );
        std::fs::write(team.join("team.yaml"), text)?;
        let cores = std::thread::available_parallelism()?.get();
        on_core(0)?;
        let child = Command::new(env!("CARGO_BIN_EXE_callboard"))
            .args(["serve", "--quiet", "--team"])
            .arg(&team)
            .arg("--data")
            .arg(home.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        on_core(cores - 1)?;
        let mut child = child?;
        let input = child.stdin.take().ok_or("no stdin")?;
        let output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut client = Client { child, input, output, line: String::new(), calls: 1 };
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"}}});
        client.send(&hello).await?;
        client.answer().await?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        Ok(client)
    }

    /// The middle of many calls, one after the other, in milliseconds.
    pub(crate) async fn alone(&mut self, calls: usize) -> Result<f64> {
        self.one_by_one("writer", calls).await
    }

    /// The same of an agent at the head of a chain.
    pub(crate) async fn chain(&mut self, calls: usize) -> Result<f64> {
        self.one_by_one("first", calls).await
    }

    async fn one_by_one(&mut self, agent: &str, calls: usize) -> Result<f64> {
        let mut took = Vec::new();
        for _ in 0..calls {
            let begun = Instant::now();
            self.call(agent).await?;
            self.completed().await?;
            took.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(middle(&mut took))
    }

    /// Completed runs a second, with so many calls open all the time.
    pub(crate) async fn at_once(&mut self, open: usize, how_long: Duration) -> Result<f64> {
        for _ in 0..open {
            self.call("writer").await?;
        }
        let (begun, mut done) = (Instant::now(), 0_u32);
        while begun.elapsed() < how_long {
            self.completed().await?;
            self.call("writer").await?;
            done += 1;
        }
        let rate = f64::from(done) / begun.elapsed().as_secs_f64();
        for _ in 0..open {
            self.completed().await?;
        }
        Ok(rate)
    }

    /// So many calls, all at once.
    pub(crate) async fn each_once(&mut self, calls: usize) -> Result<()> {
        for _ in 0..calls {
            self.call("writer").await?;
        }
        for _ in 0..calls {
            self.completed().await?;
        }
        Ok(())
    }

    /// Closes the pipe and waits for the end of the server.
    pub(crate) async fn leave(mut self) -> Result<()> {
        drop(self.input);
        match self.child.wait().await? {
            status if status.success() => Ok(()),
            status => Err(format!("the server left with {status}").into()),
        }
    }

    /// What one tool answers.
    pub(crate) async fn told(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        self.ask(tool, arguments).await?;
        self.answer().await?;
        let answer: Value = serde_json::from_str(&self.line)?;
        Ok(answer["result"]["structuredContent"].clone())
    }

    /// The most memory the server ever had resident, where the system tells.
    pub(crate) fn peak_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find(|it| it.starts_with("VmHWM:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1_024)
    }

    async fn call(&mut self, agent: &str) -> Result<()> {
        let task = format!("task {}", self.calls);
        self.ask(agent, &json!({ "task": task })).await
    }

    async fn ask(&mut self, tool: &str, arguments: &Value) -> Result<()> {
        self.calls += 1;
        let call = json!({"jsonrpc": "2.0", "id": self.calls, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        self.send(&call).await
    }

    async fn send(&mut self, message: &Value) -> Result<()> {
        Ok(self.input.write_all(format!("{message}\n").as_bytes()).await?)
    }

    async fn answer(&mut self) -> Result<()> {
        self.line.clear();
        match self.output.read_line(&mut self.line).await? {
            0 => Err("the server ended".into()),
            _ => Ok(()),
        }
    }

    async fn completed(&mut self) -> Result<()> {
        self.answer().await?;
        if self.line.contains("\"state\":\"completed\"") {
            return Ok(());
        }
        Err(format!("no completed run: {}", self.line).into())
    }
}

/// Binds this thread, and what it starts from then on, to one core where the system can do that.
fn on_core(core: usize) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        let mut only = rustix::thread::CpuSet::new();
        only.set(core);
        rustix::thread::sched_setaffinity(None, &only)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = core;
    Ok(())
}
