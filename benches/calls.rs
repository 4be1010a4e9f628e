//! Whole calls over stdio: the server on one core, its client and a scripted endpoint on the other.

#[path = "calls/client.rs"]
mod client;
#[path = "calls/endpoint.rs"]
mod endpoint;

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use client::Client;
use endpoint::Endpoint;
use tokio::time::Instant;

/// How long each rate is measured.
const FOR: Duration = Duration::from_secs(5);
/// Calls of which the middle one is told.
const ALONE: usize = 200;
/// Calls open at once.
const AT_ONCE: usize = 50;
/// What a slow model takes.
const SLOW: Duration = Duration::from_millis(500);
/// What each model of a chain takes.
const STEP: Duration = Duration::from_millis(50);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    let home = tempfile::tempdir_in(".")?;
    let fsync = fsync_ms(home.path())?;
    say(&format!("disk: one confirmed 4 KiB write takes {fsync:.2} ms (p50)"));
    for (mode, streams) in [("streaming", true), ("plain", false)] {
        let endpoint = Endpoint::start(Duration::ZERO).await?;
        let mut client = Client::start(&home.path().join(mode), &endpoint, streams).await?;
        let one = client.alone(ALONE).await?;
        say(&format!(
            "one call alone, {mode}: p50 {one:.2} ms; four writes and 2 ms are {:.2} ms",
            4.0 * fsync + 2.0
        ));
        let rate = client.at_once(AT_ONCE, FOR).await?;
        say(&format!("{AT_ONCE} calls at once, {mode}: {rate:.0} durable runs/s"));
        client.leave().await?;
    }
    let endpoint = Endpoint::start(SLOW).await?;
    let mut client = Client::start(&home.path().join("slow"), &endpoint, true).await?;
    let begun = Instant::now();
    client.each_once(AT_ONCE).await?;
    let ratio = begun.elapsed().as_secs_f64() / SLOW.as_secs_f64();
    say(&format!("{AT_ONCE} runs on a model of {SLOW:?}: {ratio:.2} times the ideal"));
    client.leave().await?;
    let endpoint = Endpoint::start(STEP).await?;
    let mut client = Client::start(&home.path().join("chain"), &endpoint, true).await?;
    let chain = client.chain(20).await?;
    let own = chain - 4.0 * STEP.as_secs_f64() * 1_000.0;
    say(&format!("a chain of three handoffs: {own:.1} ms beside its four models (p50)"));
    client.leave().await
}

/// The middle of many single writes, in the same folder.
fn fsync_ms(folder: &Path) -> Result<f64> {
    let mut file = std::fs::File::create(folder.join("disk"))?;
    let mut took = Vec::new();
    for at in 0..500 {
        let begun = Instant::now();
        file.seek(SeekFrom::Start(at * 4096))?;
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(middle(&mut took))
}

/// The median.
fn middle(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
