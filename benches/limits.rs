//! A limit of the other side that three processes share, and a provider that is dead.
//!
//! `cargo bench --bench limits [-- known | learning | dead]`
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a measurement looks at a few kinds, and its readers end with its process"
)]

mod served;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use served::endpoint::{Endpoint, Reply};
use served::{Result, Team, load, say};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Requests that the other side takes in any minute.
const PER_MINUTE: usize = 600;
/// How long it is measured.
const FOR: Duration = Duration::from_secs(100);
/// What each request takes.
const STEP: Duration = Duration::from_millis(200);
/// Processes that share the limit.
const PROCESSES: usize = 3;
/// Requests under way in each of them where nobody shares anything.
const SEATS: usize = 50;
/// Tasks of each half of a team, one half of which has a dead provider.
const HALF: usize = 3_000;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let only = std::env::args().skip(1).find(|it| !it.starts_with('-'));
        let is_wanted = |name: &str| only.as_deref().is_none_or(|it| it == name);
        let home = tempfile::tempdir_in(".")?;
        if is_wanted("known") {
            shared(&home.path().join("known"), true).await?;
        }
        if is_wanted("learning") {
            let alone = unarbitrated().await?;
            let shared = shared(&home.path().join("learning"), false).await?;
            say(&format!(
                "while learning: {shared} refused, {:.1} % of the {alone} of workers that share \
                 nothing; may be 5",
                shared as f64 * 100.0 / alone.max(1) as f64
            ));
        }
        if is_wanted("dead") {
            dead(home.path()).await?;
        }
        Ok(())
    })
}

/// The other side: it counts minute by minute, and says so as endpoints do.
#[derive(Default)]
struct Door {
    /// Since when this minute runs, and what was taken in it.
    minute: Mutex<Option<(Instant, usize)>>,
    served: AtomicUsize,
    refused: AtomicUsize,
}

impl Door {
    fn knock(&self) -> Reply {
        let now = Instant::now();
        let whole = Duration::from_secs(60);
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, taken) = match *minute {
            Some((begun, taken)) if now - begun < whole => (begun, taken),
            _ => (now, 0),
        };
        let opens = whole - (now - begun);
        let is_full = taken >= PER_MINUTE;
        let taken = if is_full { taken } else { taken + 1 };
        *minute = Some((begun, taken));
        let head = format!(
            "x-ratelimit-limit-requests: {PER_MINUTE}\r\nx-ratelimit-remaining-requests: {}\r\n\
             x-ratelimit-reset-requests: {:.1}s\r\n",
            PER_MINUTE - taken,
            opens.as_secs_f64()
        );
        if !is_full {
            self.served.fetch_add(1, Ordering::Relaxed);
            return Reply { head, ..Reply::good(STEP) };
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let wait = opens.as_secs() + 1;
        Reply {
            after: Some(Duration::ZERO),
            status: 429,
            head: format!("{head}retry-after: {wait}\r\n"),
        }
    }

    async fn open() -> Result<(Arc<Door>, Endpoint)> {
        let door = Arc::new(Door::default());
        let knocked = door.clone();
        Ok((door, Endpoint::start(move |_| knocked.knock()).await?))
    }
}

/// Three processes on one data folder; answers how many requests were refused.
async fn shared(home: &Path, known: bool) -> Result<usize> {
    let (door, endpoint) = Door::open().await?;
    let limit = if known { format!(", requests_per_min: {PER_MINUTE}") } else { String::new() };
    let team = Team::new(home, &["writer"], &providers(&[("bench", &endpoint.base_url, &limit)]))?;
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(team.serve(None).await?);
    }
    let begun = Instant::now();
    processes[0].call("team_run", json!({"tasks": tasks("writer", 5_000), "wait_s": 0})).await?;
    tokio::time::sleep(FOR).await;
    let (served, refused) =
        (door.served.load(Ordering::Relaxed), door.refused.load(Ordering::Relaxed));
    // What the limit lets through in that time when it is used evenly.
    let allowed = PER_MINUTE as f64 * begun.elapsed().as_secs_f64() / 60.0;
    say(&format!(
        "{PROCESSES} processes, {PER_MINUTE} requests a minute{}: {served} served in {} s, {:.1} % of \
         the limit, wanted 95; {refused} refused{}; load {}",
        if known { ", known" } else { ", told by headers only" },
        FOR.as_secs(),
        served as f64 * 100.0 / allowed,
        if known { ", may be 0" } else { "" },
        load()
    ));
    for process in processes {
        process.kill().await?;
    }
    Ok(refused)
}

/// As many workers as those processes have seats, each of which minds its own `Retry-After` only.
async fn unarbitrated() -> Result<usize> {
    let (door, endpoint) = Door::open().await?;
    let address =
        endpoint.base_url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let until = Instant::now() + FOR;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..PROCESSES * SEATS {
        let address = address.clone();
        workers.spawn(async move {
            while Instant::now() < until {
                let wait = asked(&address).await.unwrap_or_default();
                tokio::time::sleep_until(until.min(Instant::now() + wait)).await;
            }
        });
    }
    while workers.join_next().await.is_some() {}
    let (served, refused) =
        (door.served.load(Ordering::Relaxed), door.refused.load(Ordering::Relaxed));
    say(&format!(
        "{} workers that share nothing but mind `Retry-After`: {served} served in {} s, {refused} refused",
        PROCESSES * SEATS,
        FOR.as_secs()
    ));
    Ok(refused)
}

/// One request; answers how long it is to be left alone.
async fn asked(address: &str) -> std::io::Result<Duration> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let request = "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).await?;
    let (mut wait, mut line, mut length) = (Duration::ZERO, String::new(), 0);
    while stream.read_line(&mut line).await? > 2 {
        if let Some(it) = line.strip_prefix("retry-after:") {
            wait = Duration::from_secs(it.trim().parse().unwrap_or(1));
        }
        if let Some(it) = line.strip_prefix("content-length:") {
            length = it.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(wait)
}

/// Half of the work has a provider that is dead: what the other half loses by it.
async fn dead(home: &Path) -> Result<()> {
    let (alive, _) = halves(&home.join("alive"), false).await?;
    let (beside, failed) = halves(&home.join("dead"), true).await?;
    say(&format!(
        "{HALF} tasks on a provider that answers: {alive:.0}/s alone, {beside:.0}/s beside {HALF} on \
         one that is dead: {:.1} %, wanted 95; {failed} of those were over by then; load {}",
        beside * 100.0 / alive,
        load()
    ));
    Ok(())
}

/// Tasks a second of the half that is well, and how many of the other are over by then.
async fn halves(home: &Path, with_dead: bool) -> Result<(f64, usize)> {
    let good = Endpoint::start(|_| Reply::good(STEP)).await?;
    let bad = Endpoint::start(|_| Reply { status: 500, ..Reply::good(Duration::from_millis(20)) })
        .await?;
    let said = providers(&[("bench", &good.base_url, ""), ("dead", &bad.base_url, "")]);
    let team = Team::new(home, &["writer", "reader"], &said)?;
    let reader = "---\nname: reader\ndescription: The reader.\nmodel: dead/m\n---\nRead.\n";
    std::fs::write(home.join("team/agents/reader.md"), reader)?;
    let served = team.serve(None).await?;
    let other = if with_dead {
        let tasks = json!({"tasks": tasks("reader", HALF), "wait_s": 0});
        Some(served.call("team_run", tasks).await?["run"].clone())
    } else {
        None
    };
    let begun = Instant::now();
    let plan = json!({"tasks": tasks("writer", HALF), "wait_s": 0});
    let run = served.call("team_run", plan).await?["run"].clone();
    loop {
        let view = served.call("team_status", json!({"run": run, "wait_s": 5})).await?;
        match view["state"].as_str() {
            Some("working" | "queued") => (),
            Some("completed") => break,
            _ => return Err(format!("not completed: {view}").into()),
        }
    }
    let rate = HALF as f64 / begun.elapsed().as_secs_f64();
    let over = match other {
        None => 0,
        Some(run) => {
            let view = served.call("team_status", json!({"run": run, "wait_s": 0})).await?;
            let step = view["step"].as_str().unwrap_or_default().to_owned();
            step.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(HALF)
        }
    };
    served.kill().await?;
    Ok((rate, over))
}

fn providers(all: &[(&str, &str, &str)]) -> String {
    let each = |(name, url, more): &(&str, &str, &str)| {
        format!("  {name}: {{base_url: \"{url}\"{more}}}\n")
    };
    let each: String = all.iter().map(each).collect();
    format!("entry: writer\nproviders:\n{each}models:\n  default: bench/m\n")
}

fn tasks(agent: &str, count: usize) -> Vec<Value> {
    (0..count).map(|at| json!({"to": agent, "task": format!("task {at}")})).collect()
}
