//! The same on PostgreSQL: what the store does in a second, how work grows with the processes that do
//! it, and what a million past runs cost. Starts a server of its own on loopback.
//!
//! `cargo bench --bench postgres [-- store | workers | past [RUNS]]`
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a measurement looks at a few kinds, ends where it cannot go on, and its readers end with it"
)]

mod engine;
mod served;
#[path = "../tests/engine/server.rs"]
#[allow(dead_code, reason = "the tests break it, which is not measured here")]
mod server;

use std::path::Path;
use std::sync::Arc;

use callboard_store::{Address, OpenOptions, Store};
use engine::{CLAIM, READY, chance};
use serde_json::{Value, json};
use served::past::over;
use served::{Result, Team, load, percentile, say};
use server::{Database, Server};
use tokio::time::Instant;

/// Producers of steps.
const PRODUCERS: [u32; 4] = [1, 16, 64, 256];
/// Workers of which each takes its part.
const WORKERS: [usize; 3] = [1, 2, 4];
/// Runs that a worker takes at once.
const AT_ONCE: u32 = 16;
/// What a model takes.
const STEP_MS: u64 = 200;
/// Tasks for each worker.
const TASKS: usize = 400;
/// Past runs unless another number is given.
const PAST: u32 = 100_000;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut asked = std::env::args().skip(1).filter(|it| !it.starts_with('-'));
        let only = asked.next();
        let is_wanted = |name: &str| only.as_deref().is_none_or(|it| it == name);
        let past = asked.next().map_or(Ok(PAST), |it| it.parse())?;
        let home = tempfile::tempdir_in(".")?;
        let server = Arc::new(Server::start());
        if is_wanted("store") {
            store(home.path(), &server).await?;
        }
        if is_wanted("workers") {
            let mut rates = Vec::new();
            for workers in WORKERS {
                rates.push(work(&home.path().join(workers.to_string()), &server, workers).await?);
            }
            let shares = rates.iter().zip(WORKERS).map(|it| it.0 / it.1 as f64 / rates[0]);
            let shares: Vec<String> = shares.map(|it| format!("{it:.2}")).collect();
            say(&format!("of linear: {}, wanted 0.9", shares.join(", ")));
        }
        if is_wanted("past") {
            let database = server.database().await;
            let team = Team::rehearsed(&home.path().join("past"), 0)?;
            team.add(&format!("store: {}\n", json!(database.address())))?;
            over(&team, Some(Address::parse(&database.address())?), past).await?;
        }
        Ok(())
    })
}

async fn store(home: &Path, server: &Arc<Server>) -> Result<()> {
    for producers in PRODUCERS {
        let database = server.database().await;
        let store = open(&home.join(format!("steps-{producers}")), &database)?;
        let steps = engine::steps(&store, producers).await?;
        say(&format!(
            "{producers:>3} producers: {steps:.0} durable steps/s, wanted 5000; load {}",
            load()
        ));
    }
    let database = server.database().await;
    let store = open(&home.join("queue"), &database)?;
    let (rate, mut took_ms) = engine::submissions(&store).await?;
    let p99 = percentile(&mut took_ms, 99);
    say(&format!("64 callers: {rate:.0} runs taken in a second, p99 {p99:.1} ms; load {}", load()));
    let (claims, mut took_ms) = engine::claims(&store).await?;
    say(&format!(
        "claims of {CLAIM} out of {READY} ready: {claims:.0} runs/s; one takes p50 {:.1} ms, p99 {:.1} ms, \
         may be 20; load {}",
        percentile(&mut took_ms, 50),
        percentile(&mut took_ms, 99),
        load()
    ));
    Ok(())
}

fn open(folder: &Path, database: &Database) -> Result<Store> {
    let mut options = OpenOptions::new(folder, "n_bench", chance());
    options.server = Some(Address::parse(&database.address())?);
    Ok(Store::open(options)?)
}

/// Tasks on a model that takes its time, in so many workers; how many end in a second.
async fn work(home: &Path, server: &Arc<Server>, workers: usize) -> Result<f64> {
    let database = server.database().await;
    let team = Team::rehearsed(home, STEP_MS)?;
    let seats = AT_ONCE as usize * workers;
    let url = json!(database.address());
    team.add(&format!("store: {url}\nlimits: {{concurrent: {seats}}}\n"))?;
    let front = team.serve_with(None, &["--no-work"]).await?;
    let at_work = (0..workers).map(|it| team.work(it, AT_ONCE)).collect::<Result<Vec<_>>>()?;
    let tasks = |count: usize| -> Vec<Value> {
        (0..count).map(|it| json!({"id": it.to_string(), "task": format!("task {it}")})).collect()
    };
    // They are all there when this is over.
    run(&front, tasks(seats)).await?;
    let begun = Instant::now();
    run(&front, tasks(TASKS * workers)).await?;
    let took = begun.elapsed().as_secs_f64();
    let ideal = (TASKS * workers) as f64 / seats as f64 * STEP_MS as f64 / 1_000.0;
    say(&format!(
        "{workers} workers, {AT_ONCE} runs each: {} tasks of {STEP_MS} ms in {took:.2} s, {:.3} times what \
         the models alone take; load {}",
        TASKS * workers,
        took / ideal,
        load()
    ));
    for mut worker in at_work {
        worker.kill().await?;
    }
    front.leave().await?;
    Ok((TASKS * workers) as f64 / took)
}

async fn run(front: &served::Served, tasks: Vec<Value>) -> Result<()> {
    let accepted = front.call("team_run", json!({"tasks": tasks, "wait_s": 0})).await?;
    loop {
        let asked = json!({"run": accepted["run"], "wait_s": 60});
        let view = front.call("team_status", asked).await?;
        match view["state"].as_str() {
            Some("working" | "queued") => (),
            Some("completed") => return Ok(()),
            _ => return Err(format!("not completed: {view}").into()),
        }
    }
}
