//! The whole program from outside: start to first answer, memory at rest, size of the tool surface.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// Starts that are measured.
const STARTS: usize = 30;
/// When memory is looked at.
const REST: Duration = Duration::from_secs(2);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let home = tempfile::tempdir()?;
    let team = home.path().join("team");
    let written = program().arg("init").arg(&team).stderr(Stdio::null()).output()?;
    if !written.status.success() {
        return Err("`callboard init` failed".into());
    }
    let first = Served::start(&team, &home.path().join("data"))?;
    let mut took: Vec<Duration> = Vec::new();
    first.child.leave()?;
    for _ in 0..STARTS {
        let served = Served::start(&team, &home.path().join("data"))?;
        took.push(served.took);
        served.child.leave()?;
    }
    took.sort();
    let ms = |it: Duration| it.as_secs_f64() * 1_000.0;
    say(&format!("start to first tools/list, new journal: {:.1} ms", ms(first.took)));
    say(&format!(
        "start to first tools/list, {STARTS} starts: median {:.1} ms, fastest {:.1} ms, slowest {:.1} ms",
        ms(took[STARTS / 2]),
        ms(took[0]),
        ms(took[STARTS - 1])
    ));
    let served = Served::start(&team, &home.path().join("data"))?;
    std::thread::sleep(REST);
    match resident_kib(served.child.0.id()) {
        Some(kib) => say(&format!("resident memory at rest: {:.1} MiB", kib as f64 / 1024.0)),
        None => say("resident memory at rest: not told by this system"),
    }
    say(&format!(
        "tools/list and instructions: {} tools, {} bytes, {} tokens at 4 bytes a token",
        served.tools,
        served.bytes,
        served.bytes.div_ceil(4)
    ));
    served.child.leave()
}

/// A server that has answered once.
struct Served {
    child: Leaver,
    took: Duration,
    tools: usize,
    bytes: usize,
}

impl Served {
    fn start(team: &Path, data: &Path) -> Result<Served> {
        let begun = Instant::now();
        let mut child = Leaver(
            program()
                .args(["serve", "--quiet", "--team"])
                .arg(team)
                .arg("--data")
                .arg(data)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?,
        );
        let mut input = child.0.stdin.take().ok_or("no stdin")?;
        let mut output = BufReader::new(child.0.stdout.take().ok_or("no stdout")?);
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"}}});
        writeln!(input, "{hello}")?;
        let hello = answer(&mut output, 1)?;
        writeln!(input, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}))?;
        let listed = answer(&mut output, 2)?;
        let took = begun.elapsed();
        child.0.stdin = Some(input);
        let tools = listed.get("tools").and_then(Value::as_array).ok_or("no tools")?;
        let instructions = hello.get("instructions").and_then(Value::as_str).unwrap_or_default();
        let bytes = serde_json::to_string(tools)?.len() + instructions.len();
        Ok(Served { took, tools: tools.len(), bytes, child })
    }
}

/// A server that is asked to leave by the end of its input, and killed if the bench fails.
struct Leaver(Child);

impl Leaver {
    fn leave(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        match self.0.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("the server left with {status}").into()),
        }
    }
}

impl Drop for Leaver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn answer(output: &mut impl BufRead, id: u64) -> Result<Value> {
    let mut line = String::new();
    while output.read_line(&mut line)? > 0 {
        let message: Value = serde_json::from_str(&line)?;
        if message.get("id").and_then(Value::as_u64) == Some(id) {
            return message.get("result").cloned().ok_or_else(|| line.into());
        }
        line.clear();
    }
    Err("the server ended".into())
}

/// What Linux counts as resident, page cache of the program's own file included.
fn resident_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|it| it.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_callboard"))
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
