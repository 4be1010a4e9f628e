//! Durable steps, submissions and claims a second through the store, beside what the disk itself can
//! confirm.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use callboard_store::{Advance, Lease, NewRun, Next, OpenOptions, Store};
use callboard_trace::{Event, Fact, RunId};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

const FOR: Duration = Duration::from_secs(3);
/// Runs in the queue while claims are measured.
const READY: u32 = 100_000;
/// Runs of one claim.
const CLAIM: u32 = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = tempfile::tempdir_in(".")?;
    let disk = fsyncs(home.path())?;
    say(&format!("disk: {disk:.0} confirmed 4 KiB writes/s, one after the other"));
    let runtime = tokio::runtime::Runtime::new()?;
    for producers in [1, 16, 64] {
        let steps = runtime.block_on(steps(&home.path().join(producers.to_string()), producers))?;
        let ratio = steps / disk;
        say(&format!(
            "{producers:>2} producers: {steps:.0} durable steps/s, {ratio:.1} x the disk"
        ));
    }
    runtime.block_on(queue(&home.path().join("queue"), disk))
}

/// The disk's own rate, in the same folder.
fn fsyncs(folder: &Path) -> std::io::Result<f64> {
    let mut file = std::fs::File::create(folder.join("disk"))?;
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < FOR {
        file.seek(SeekFrom::Start(count % 1024 * 4096))?;
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Submissions from many at once, then claims of what they make.
async fn queue(folder: &Path, disk: f64) -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::open(OpenOptions::new(folder, "n_bench", chance()))?;
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
            Ok::<_, callboard_store::StoreError>(took_ms)
        });
    }
    while let Some(done) = work.join_next().await {
        took_ms.extend(done??);
    }
    let rate = f64::from(READY) / start.elapsed().as_secs_f64();
    took_ms.sort_by(f64::total_cmp);
    let p99 = took_ms.get(took_ms.len() * 99 / 100).copied().unwrap_or_default();
    say(&format!(
        "64 callers: {rate:.0} runs taken in a second, wanted 2000, p99 {p99:.1} ms, {:.1} x the disk",
        rate / disk
    ));
    let (start, mut claimed) = (Instant::now(), Vec::new());
    while start.elapsed() < FOR && (claimed.len() as u32) < READY {
        claimed.extend(store.claim(CLAIM, u32::MAX).await?);
    }
    let claims = claimed.len() as f64 / start.elapsed().as_secs_f64();
    say(&format!(
        "claims of {CLAIM} out of {READY} ready: {claims:.0} runs/s, {:.1} x the disk",
        claims / disk
    ));
    Ok(())
}

/// Each producer holds one run and writes one record of about 1 KB a step.
async fn steps(folder: &Path, producers: u32) -> Result<f64, Box<dyn std::error::Error>> {
    let store = Store::open(OpenOptions::new(folder, "n_bench", chance()))?;
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
        count += done??;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

async fn produce(
    store: Store,
    lease: Lease,
    until: Instant,
) -> Result<u32, callboard_store::StoreError> {
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

fn chance() -> Arc<dyn Fn() -> u128 + Send + Sync> {
    let state = AtomicU64::new(1);
    Arc::new(move || u128::from(state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)))
}

#[expect(clippy::print_stdout, reason = "a benchmark's output is its result")]
fn say(line: &str) {
    println!("{line}");
}
