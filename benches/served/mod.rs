//! The built binary as its caller sees it: a team in a folder, a process on stdin and stdout, and
//! what the system tells of it.
#![allow(dead_code, reason = "each benchmark uses its part")]

pub(crate) mod endpoint;
pub(crate) mod found;
pub(crate) mod past;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A team in a folder, with its data beside it.
pub(crate) struct Team(PathBuf);

impl Team {
    /// One agent of each name; `yaml` says where the models are.
    pub(crate) fn new(home: &Path, agents: &[&str], yaml: &str) -> Result<Team> {
        std::fs::create_dir_all(home.join("team/agents"))?;
        for name in agents {
            let text =
                format!("---\nname: {name}\ndescription: The {name}.\n---\nYou are the {name}.\n");
            std::fs::write(home.join(format!("team/agents/{name}.md")), text)?;
        }
        std::fs::write(home.join("team/team.yaml"), format!("{yaml}throttle: off\n"))?;
        Ok(Team(home.to_owned()))
    }

    /// A team of one writer on the rehearsal model, which answers after so many milliseconds.
    pub(crate) fn rehearsed(home: &Path, after_ms: u64) -> Result<Team> {
        let team = Team::new(
            home,
            &["writer"],
            "entry: writer\nproviders:\n  bench: {kind: rehearsal, playbook: playbook.yaml}\n\
             models:\n  default: bench/m\n",
        )?;
        let play =
            format!("- {{after_ms: {after_ms}, answer: {{summary: done, confidence: 0.9}}}}\n");
        std::fs::write(home.join("team/playbook.yaml"), play)?;
        Ok(team)
    }

    /// More keys of its `team.yaml`.
    pub(crate) fn add(&self, yaml: &str) -> Result<()> {
        let path = self.0.join("team/team.yaml");
        let text = std::fs::read_to_string(&path)?;
        Ok(std::fs::write(path, format!("{text}{yaml}"))?)
    }

    /// A process that works for it and takes so many runs at once; with a data folder of its own, as
    /// on a machine of its own.
    pub(crate) fn work(&self, nth: usize, at_once: u32) -> Result<Child> {
        let child = Command::new(env!("CARGO_BIN_EXE_callboard"))
            .args(["work", "--quiet", "--at-once", &at_once.to_string(), "--team"])
            .arg(self.0.join("team"))
            .arg("--data")
            .arg(self.0.join(format!("worker-{nth}")))
            .kill_on_drop(true)
            .spawn();
        Ok(child?)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// A process that serves it, on one core if one is named.
    pub(crate) async fn serve(&self, core: Option<usize>) -> Result<Served> {
        self.serve_with(core, &[]).await
    }

    /// The same with more words on its command line.
    pub(crate) async fn serve_with(&self, core: Option<usize>, more: &[&str]) -> Result<Served> {
        let cores = std::thread::available_parallelism()?.get();
        if let Some(core) = core {
            on_cores(core..core + 1)?;
        }
        let child = Command::new(env!("CARGO_BIN_EXE_callboard"))
            .args(["serve", "--quiet", "--team"])
            .arg(self.0.join("team"))
            .arg("--data")
            .arg(self.data())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        match core {
            Some(0) if cores > 1 => on_cores(1..cores)?,
            _ => on_cores(0..cores)?,
        }
        Served::greet(child?).await
    }
}

/// A process that serves a team. Dropping it is `kill -9`.
pub(crate) struct Served {
    child: Child,
    input: tokio::sync::Mutex<ChildStdin>,
    asked: Asked,
    calls: std::sync::atomic::AtomicU64,
}

/// Who waits for which answer.
type Asked = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

impl Served {
    async fn greet(mut child: Child) -> Result<Served> {
        let input = tokio::sync::Mutex::new(child.stdin.take().ok_or("no stdin")?);
        let output = child.stdout.take().ok_or("no stdout")?;
        let asked = Asked::default();
        tokio::spawn(hear(BufReader::new(output), asked.clone()));
        let served = Served { child, input, asked, calls: Default::default() };
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"}});
        served.ask("initialize", &hello).await?;
        served.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        Ok(served)
    }

    /// What one tool answers.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Value> {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments})).await?;
        match answer["result"]["structuredContent"].clone() {
            Value::Null => Err(format!("{tool}: {answer}").into()),
            told => Ok(told),
        }
    }

    async fn ask(&self, method: &str, params: &Value) -> Result<Value> {
        let id = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tell);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&message).await?;
        told.await.map_err(|_| "the server ended".into())
    }

    async fn send(&self, message: &Value) -> Result<()> {
        let line = format!("{message}\n");
        Ok(self.input.lock().await.write_all(line.as_bytes()).await?)
    }

    /// Closes the pipe and waits for the end of the server.
    pub(crate) async fn leave(mut self) -> Result<()> {
        drop(self.input);
        match self.child.wait().await? {
            status if status.success() => Ok(()),
            status => Err(format!("the server left with {status}").into()),
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Resident memory now and at the peak, MiB; zero where the system does not tell.
    pub(crate) fn memory_mib(&self) -> (u64, u64) {
        let status = self.told("status");
        let of = |key: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(key));
            let kib = line.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
            kib.unwrap_or_default() / 1_024
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// Seconds of a processor that it used; zero where the system does not tell.
    pub(crate) fn cpu_s(&self) -> f64 {
        let stat = self.told("stat");
        let fields = stat.rsplit_once(')').map_or("", |it| it.1).split_whitespace().skip(11);
        fields.take(2).filter_map(|it| it.parse::<f64>().ok()).sum::<f64>() / 100.0
    }

    fn told(&self, file: &str) -> String {
        let path = self.child.id().map(|it| format!("/proc/{it}/{file}"));
        path.and_then(|it| std::fs::read_to_string(it).ok()).unwrap_or_default()
    }
}

async fn hear(mut output: BufReader<ChildStdout>, asked: Asked) {
    let mut line = String::new();
    loop {
        line.clear();
        if !output.read_line(&mut line).await.is_ok_and(|it| it > 0) {
            break;
        }
        let Ok(message) = serde_json::from_str::<Value>(&line) else { break };
        let id = message["id"].as_u64();
        let waits = id.and_then(|id| asked.lock().ok()?.remove(&id));
        // Who gave up waiting needs no answer.
        waits.map(|it| it.send(message));
    }
    asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Binds this thread, and what it starts from then on, to some cores where the system can do that.
fn on_cores(cores: std::ops::Range<usize>) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        let mut only = rustix::thread::CpuSet::new();
        cores.for_each(|it| only.set(it));
        rustix::thread::sched_setaffinity(None, &only)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cores;
    Ok(())
}

/// As many open files as may be: each socket is one, here and in the server.
pub(crate) fn more_files() -> Result<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = rustix::process::Rlimit { current: limit.maximum, ..limit };
    Ok(rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)?)
}

/// The value below which so many per cent of them lie.
pub(crate) fn percentile(all: &mut [f64], percent: usize) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() * percent / 100).or(all.last()).copied().unwrap_or_default()
}

/// What else the machine does: its load over the last minute.
pub(crate) fn load() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split_whitespace().next().unwrap_or("?").to_owned()
}

pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
