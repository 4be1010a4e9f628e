//! A journal full of runs that are over, and what it costs those who come later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use callboard_store::{Address, Advance, Lease, NewRun, Next, OpenOptions, Store};
use callboard_trace::{Fact, RunId};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Result, Served, Team, load, percentile, say};

/// Looks of which the slowest is told.
const LOOKS: usize = 300;
/// Calls under way at once; a caller may have 64.
pub(crate) const AT_ONCE: usize = 48;

/// What a journal full of runs that are over costs those who come later.
pub(crate) async fn over(team: &Team, server: Option<Address>, runs: u32) -> Result<()> {
    let served = team.serve(None).await?;
    let (made, _) = called(&served, 1).await?;
    served.call("team_status", json!({"run": made[0], "wait_s": 20})).await?;
    served.leave().await?;
    let begun = Instant::now();
    let made = RunId::from_text(made[0].as_str().unwrap_or_default());
    let some = fill(team, server, &made, runs).await?;
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
async fn fill(team: &Team, server: Option<Address>, made: &RunId, runs: u32) -> Result<Vec<Value>> {
    let state = AtomicU64::new(1);
    let chance = move || u128::from(state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed));
    let mut options = OpenOptions::new(team.data(), "n_fill", Arc::new(chance));
    options.server = server;
    let store = Store::open(options)?;
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
pub(crate) async fn called(served: &Served, calls: usize) -> Result<(Vec<Value>, Vec<f64>)> {
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

/// Looks at some runs in turn, or at the whole team; what each look took, ms.
pub(crate) async fn looks(served: &Served, runs: &[Value]) -> Result<Vec<f64>> {
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
