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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use callboard_store::{Advance, Lease, NewRun, Next, OpenOptions, Store};
use callboard_trace::{Fact, RunId};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use served::endpoint::{Endpoint, Reply};
use served::{Result, Served, Team, load, more_files, percentile, say};
use tokio::time::Instant;

/// Single calls that are taken in.
const CALLS: usize = 20_000;
/// Calls under way at once; a caller may have 64.
const AT_ONCE: usize = 48;
/// Runs that wait for their model at once.
const OPEN: usize = 10_000;
/// Looks of which the slowest is told.
const LOOKS: usize = 300;
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
            submit(&home.path().join("submit")).await?;
        }
        if is_wanted("open") {
            open(&home.path().join("open")).await?;
        }
        if is_wanted("past") {
            for size in [past / 10, past] {
                over(&home.path().join(size.to_string()), size).await?;
            }
        }
        Ok(())
    })
}

/// Calls one by one, on a team that is busy with its first fifty.
async fn submit(home: &Path) -> Result<()> {
    let endpoint = Endpoint::start(|_| Reply::never()).await?;
    let team = Team::new(home, &["writer"], &at(&endpoint, ""))?;
    let served = team.serve(Some(0)).await?;
    let begun = Instant::now();
    let (_, mut took_ms) = called(&served, CALLS).await?;
    say(&format!(
        "{CALLS} calls, {AT_ONCE} at once, server on one core: {:.0} taken in a second, wanted 2000; p50 \
         {:.1} ms, p99 {:.1} ms; load {}",
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
    cancel(&served, &runs[..1]).await?;
    until(|| endpoint.waiting() == OPEN - 1).await?;
    say(&format!(
        "one of them is cancelled, its socket closed, after {:.3} s, may be 1",
        begun.elapsed().as_secs_f64()
    ));
    let begun = Instant::now();
    cancel(&served, &runs[1..]).await?;
    let told = begun.elapsed();
    until(|| endpoint.waiting() == 0).await?;
    say(&format!(
        "all others: the last cancel is answered after {:.2} s, the last socket closed after {:.2} s, may \
         be 3; load {}",
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

/// What a journal full of runs that are over costs those who come later.
async fn over(home: &Path, runs: u32) -> Result<()> {
    let team = Team::rehearsed(home, 0)?;
    let served = team.serve(None).await?;
    let (made, _) = called(&served, 1).await?;
    served.call("team_status", json!({"run": made[0], "wait_s": 20})).await?;
    served.leave().await?;
    let begun = Instant::now();
    let some = fill(&team, &RunId::from_text(made[0].as_str().unwrap_or_default()), runs).await?;
    let filled = begun.elapsed();
    let begun = Instant::now();
    let served = team.serve(None).await?;
    let started = begun.elapsed();
    let mut of_one = looks(&served, &some).await?;
    let mut of_all = looks(&served, &[Value::Null]).await?;
    let (_, mut calls) = called(&served, LOOKS).await?;
    let (now, peak) = served.memory_mib();
    say(&format!(
        "{runs} past runs (written in {:.0} s): start {:.0} ms; status of one p50 {:.1} ms, p99 {:.1} ms; of \
         the team p50 {:.1} ms, p99 {:.1} ms, may be 50; a call is taken in within p50 {:.1} ms, p99 {:.1} \
         ms; {now} MiB, {peak} at the peak; load {}",
        filled.as_secs_f64(),
        started.as_secs_f64() * 1_000.0,
        percentile(&mut of_one, 50),
        percentile(&mut of_one, 99),
        percentile(&mut of_all, 50),
        percentile(&mut of_all, 99),
        percentile(&mut calls, 50),
        percentile(&mut calls, 99),
        load()
    ));
    served.leave().await
}

/// Writes so many copies of a run that is over, through the store itself; answers some of them.
async fn fill(team: &Team, made: &RunId, runs: u32) -> Result<Vec<Value>> {
    let state = AtomicU64::new(1);
    let chance = move || u128::from(state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed));
    let store = Store::open(OpenOptions::new(team.data(), "n_fill", Arc::new(chance)))?;
    let row = store.row(made).await?.ok_or("the first run is there")?;
    let records = store.journal(made, 0, 100).await?;
    let facts: Vec<Fact> = records.into_iter().map(|it| Fact::new(it.by, it.event)).collect();
    let new = |nth: u32| NewRun {
        run: RunId::new(u128::from(nth) << 64 | u128::from(nth)),
        root: None,
        parent: None,
        agent: row.agent.clone(),
        workspace: row.workspace.clone(),
        principal: row.principal.clone(),
        key: None,
        fingerprint: String::new(),
        priority: 100,
        points: callboard_trace::rank::Points::default(),
        unscored: false,
        deadline: row.deadline,
        facts: facts.clone(),
        queue_cap: u32::MAX,
    };
    let mut some = Vec::new();
    for first in (0..runs).step_by(10_000) {
        let last = runs.min(first + 10_000);
        let taken = futures::stream::iter(first..last).map(|nth| store.submit(new(nth)));
        let taken: Vec<_> = taken.buffer_unordered(512).try_collect().await?;
        some.extend(taken.first().map(|it| json!(it.run)));
        let leases = store.claim(last - first, u32::MAX).await?;
        let end = |lease: Lease| {
            let store = store.clone();
            async move {
                let next = Next::End { state: "completed".into() };
                store.advance(&lease, Advance::new(lease.seq, Vec::new(), next)).await
            }
        };
        let ended = futures::stream::iter(leases.into_iter().map(end));
        ended.buffer_unordered(512).try_collect::<Vec<_>>().await?;
    }
    store.leave().await?;
    Ok(some)
}

/// Gives so many tasks, each as a call of its own; answers their runs and what each took, ms.
async fn called(served: &Served, calls: usize) -> Result<(Vec<Value>, Vec<f64>)> {
    let call = |nth: usize| async move {
        let begun = Instant::now();
        let told =
            served.call("writer", json!({"task": format!("task {nth}"), "wait_s": 0})).await?;
        let took = begun.elapsed().as_secs_f64() * 1_000.0;
        Result::Ok((told["run"].clone(), took))
    };
    let all = futures::stream::iter(0..calls).map(call).buffer_unordered(AT_ONCE);
    Ok(all.try_collect::<Vec<_>>().await?.into_iter().unzip())
}

async fn cancel(served: &Served, runs: &[Value]) -> Result<()> {
    let cancel = |run: &Value| served.call("team_control", json!({"run": run, "action": "cancel"}));
    let all = futures::stream::iter(runs).map(cancel).buffer_unordered(AT_ONCE);
    all.try_for_each(|_| async { Ok(()) }).await
}

/// Looks at some runs in turn, or at the whole team; what each look took, ms.
async fn looks(served: &Served, runs: &[Value]) -> Result<Vec<f64>> {
    let mut took = Vec::new();
    for run in runs.iter().cycle().take(LOOKS) {
        let asked = match run {
            Value::Null => json!({}),
            run => json!({"run": run, "wait_s": 0}),
        };
        let begun = Instant::now();
        served.call("team_status", asked).await?;
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(took)
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
