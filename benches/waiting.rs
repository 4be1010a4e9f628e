//! Much that waits and much that is over: calls taken in one by one, ten thousand runs on a model that
//! does not answer, and a journal full of past runs.
//!
//! `cargo bench --bench waiting [-- submit | open | past [RUNS]]`
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a measurement looks at a few kinds, and its readers end with its process"
)]

mod served;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use served::endpoint::{Endpoint, Reply};
use served::past::{AT_ONCE, called, looks, over};
use served::{Result, Served, Team, load, more_files, percentile, say};
use tokio::time::Instant;

/// Single calls that are taken in.
const CALLS: usize = 20_000;
/// Runs that wait for their model at once.
const OPEN: usize = 10_000;
/// Past runs unless another number is given.
const PAST: u32 = 100_000;
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    more_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asked = std::env::args().skip(1).filter(|it| !it.starts_with('-'));
        let only = asked.next();
        let is_wanted = |name: &str| only.as_deref().is_none_or(|it| it == name);
        let past = asked.next().map_or(Ok(PAST), |it| it.parse())?;
        let home = tempfile::tempdir_in(".")?;
        if is_wanted("submit") {
            submit(&home.path().join("one"), Some(0)).await?;
            submit(&home.path().join("both"), None).await?;
        }
        if is_wanted("open") {
            open(&home.path().join("open")).await?;
        }
        if is_wanted("past") {
            for size in [past / 10, past] {
                let team = Team::rehearsed(&home.path().join(size.to_string()), 0)?;
                over(&team, None, size).await?;
            }
        }
        Ok(())
    })
}

/// Calls one by one, on a team that is busy with its first fifty.
async fn submit(home: &Path, core: Option<usize>) -> Result<()> {
    let endpoint = Endpoint::start(|_| Reply::never()).await?;
    let team = Team::new(home, &["writer"], &at(&endpoint, ""))?;
    let served = team.serve(core).await?;
    let begun = Instant::now();
    let (_, mut took_ms) = called(&served, CALLS).await?;
    say(&format!(
        "{CALLS} calls, {AT_ONCE} at once, server {}: {:.0} taken in a second, wanted 2000; p50 {:.1} ms, p99 \
         {:.1} ms; load {}",
        core.map_or("beside its caller on all cores", |_| "on one core"),
        CALLS as f64 / begun.elapsed().as_secs_f64(),
        percentile(&mut took_ms, 50),
        percentile(&mut took_ms, 99),
        load()
    ));
    served.kill().await
}

/// Ten thousand runs whose model does not answer, and how soon they are cancelled.
async fn open(home: &Path) -> Result<()> {
    let endpoint = Endpoint::start(|_| Reply::never()).await?;
    let limits = format!("limits: {{concurrent: {OPEN}, raise: true}}\n");
    let team = Team::new(home, &["writer"], &at(&endpoint, &limits))?;
    let served = team.serve(None).await?;
    let begun = Instant::now();
    let (runs, _) = called(&served, OPEN).await?;
    let taken = begun.elapsed();
    until(|| endpoint.waiting() == OPEN).await?;
    let all = begun.elapsed();
    let mut looks_ms = looks(&served, &runs).await?;
    let (now, peak) = served.memory_mib();
    say(&format!(
        "{OPEN} runs wait for their model: taken in after {:.1} s, all under way after {:.1} s; {now} MiB, \
         {peak} at the peak, may be 512; status p99 {:.1} ms; load {}",
        taken.as_secs_f64(),
        all.as_secs_f64(),
        percentile(&mut looks_ms, 99),
        load()
    ));
    let begun = Instant::now();
    cancel(&served, &runs[0]).await?;
    until(|| endpoint.waiting() == OPEN - 1).await?;
    say(&format!(
        "one of them is cancelled, its socket closed, after {:.3} s, may be 1",
        begun.elapsed().as_secs_f64()
    ));
    let begun = Instant::now();
    cancel(&served, &json!("all")).await?;
    let told = begun.elapsed();
    until(|| endpoint.waiting() == 0).await?;
    say(&format!(
        "all others: their cancel is answered after {:.2} s, the last socket closed after {:.2} s, may be 3; \
         load {}",
        told.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        load()
    ));
    for run in &runs {
        let begun = Instant::now();
        loop {
            let view = served.call("team_status", json!({"run": run, "wait_s": 1})).await?;
            match view["state"].as_str() {
                Some("cancelled") => break,
                _ if begun.elapsed() < PATIENCE => (),
                _ => return Err(format!("not cancelled: {view}").into()),
            }
        }
    }
    served.kill().await
}

async fn cancel(served: &Served, run: &Value) -> Result<()> {
    served.call("team_control", json!({"run": run, "action": "cancel"})).await.map(|_| ())
}

async fn until(is_so: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            return Err("it never came to be".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The part of `team.yaml` that says where the models are.
fn at(endpoint: &Endpoint, more: &str) -> String {
    format!(
        "entry: writer\nproviders:\n  bench: {{base_url: \"{}\", idle_s: 3600}}\nmodels:\n  default: \
         bench/m\n{more}",
        endpoint.base_url
    )
}
