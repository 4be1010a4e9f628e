//! What the store itself does in a second, on any database: steps, submissions, claims.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use callboard_store::{Advance, Lease, NewRun, Next, Store, StoreError};
use callboard_trace::{Event, Fact, RunId};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long each thing is measured.
pub(crate) const FOR: Duration = Duration::from_secs(3);
/// Runs in the queue while claims are measured.
pub(crate) const READY: u32 = 100_000;
/// Runs of one claim.
pub(crate) const CLAIM: u32 = 16;

/// Steps a second of so many producers: each holds one run and writes one record of about 1 KB a step.
pub(crate) async fn steps(store: &Store, producers: u32) -> Result<f64, StoreError> {
    for at in 0..producers {
        store.submit(new_run(at)).await?;
    }
    let start = Instant::now();
    let mut work = JoinSet::new();
    for lease in store.claim(producers, producers).await? {
        work.spawn(produce(store.clone(), lease, start + FOR));
    }
    let mut count = 0;
    while let Some(done) = work.join_next().await {
        count += done.map_err(|it| StoreError::Db(it.to_string()))??;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Submissions from 64 callers at once: how many a second, and what each took, ms.
pub(crate) async fn submissions(store: &Store) -> Result<(f64, Vec<f64>), StoreError> {
    let (start, mut took_ms) = (Instant::now(), Vec::new());
    let mut work = JoinSet::new();
    for producer in 0..64 {
        let store = store.clone();
        work.spawn(async move {
            let mut took_ms = Vec::new();
            for at in (producer..READY).step_by(64) {
                let begun = Instant::now();
                store.submit(NewRun { facts: vec![fact()], ..new_run(at) }).await?;
                took_ms.push(begun.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok::<_, StoreError>(took_ms)
        });
    }
    while let Some(done) = work.join_next().await {
        took_ms.extend(done.map_err(|it| StoreError::Db(it.to_string()))??);
    }
    Ok((f64::from(READY) / start.elapsed().as_secs_f64(), took_ms))
}

/// Claims out of what was submitted: runs a second, and what each claim took, ms.
pub(crate) async fn claims(store: &Store) -> Result<(f64, Vec<f64>), StoreError> {
    let (start, mut claimed, mut took_ms) = (Instant::now(), Vec::new(), Vec::new());
    while start.elapsed() < FOR && (claimed.len() as u32) < READY {
        let begun = Instant::now();
        claimed.extend(store.claim(CLAIM, u32::MAX).await?);
        took_ms.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok((claimed.len() as f64 / start.elapsed().as_secs_f64(), took_ms))
}

async fn produce(store: Store, lease: Lease, until: Instant) -> Result<u32, StoreError> {
    let (mut seen, mut count) = (0, 0);
    while Instant::now() < until {
        let (facts, next) = (vec![fact()], Next::Go);
        let write = Advance::new(seen, facts, next);
        seen = store.advance(&lease, write).await?.seq;
        count += 1;
    }
    Ok(count)
}

fn fact() -> Fact {
    let result = Value::from("x".repeat(900));
    Fact::new(
        "bench",
        Event::ToolReturned {
            step: 1,
            call: "c".into(),
            ok: true,
            result,
            ms: 1,
            documents: vec![],
            files: vec![],
        },
    )
}

fn new_run(at: u32) -> NewRun {
    NewRun {
        run: RunId::new(u128::from(at)),
        root: None,
        parent: None,
        agent: "bench".into(),
        workspace: "default".into(),
        principal: "bench".into(),
        key: None,
        fingerprint: String::new(),
        priority: 100,
        points: callboard_trace::rank::Points::default(),
        unscored: false,
        deadline: 0,
        facts: Vec::new(),
        queue_cap: u32::MAX,
    }
}

/// Where a store's chance comes from.
pub(crate) fn chance() -> Arc<dyn Fn() -> u128 + Send + Sync> {
    let state = AtomicU64::new(1);
    Arc::new(move || u128::from(state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)))
}
