//! Durable steps, submissions and claims a second through the store, beside what the disk itself can
//! confirm.

mod engine;

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use callboard_store::{OpenOptions, Store};
use engine::{CLAIM, FOR, READY, chance};
use tokio::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = tempfile::tempdir_in(".")?;
    let disk = fsyncs(home.path())?;
    say(&format!("disk: {disk:.0} confirmed 4 KiB writes/s, one after the other"));
    let runtime = tokio::runtime::Runtime::new()?;
    for producers in [1, 16, 64] {
        let store = open(&home.path().join(producers.to_string()))?;
        let steps = runtime.block_on(engine::steps(&store, producers))?;
        let ratio = steps / disk;
        say(&format!(
            "{producers:>2} producers: {steps:.0} durable steps/s, {ratio:.1} x the disk"
        ));
    }
    runtime.block_on(queue(&open(&home.path().join("queue"))?, disk))
}

fn open(folder: &Path) -> Result<Store, callboard_store::StoreError> {
    Store::open(OpenOptions::new(folder, "n_bench", chance()))
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
async fn queue(store: &Store, disk: f64) -> Result<(), Box<dyn std::error::Error>> {
    let (rate, mut took_ms) = engine::submissions(store).await?;
    took_ms.sort_by(f64::total_cmp);
    let p99 = took_ms.get(took_ms.len() * 99 / 100).copied().unwrap_or_default();
    say(&format!(
        "64 callers: {rate:.0} runs taken in a second, wanted 2000, p99 {p99:.1} ms, {:.1} x the disk",
        rate / disk
    ));
    let (claims, _) = engine::claims(store).await?;
    say(&format!(
        "claims of {CLAIM} out of {READY} ready: {claims:.0} runs/s, {:.1} x the disk",
        claims / disk
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's output is its result")]
fn say(line: &str) {
    println!("{line}");
}
