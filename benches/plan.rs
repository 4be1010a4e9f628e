//! A caller's plan of very many tasks through the whole program: how soon it is accepted, how fast it
//! is done, how large the answers and the process are.

#[path = "calls/client.rs"]
mod client;
#[path = "calls/endpoint.rs"]
mod endpoint;

use std::io::Write;
use std::time::Duration;

use client::Client;
use endpoint::Endpoint;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Tasks of each plan.
const SIZES: [usize; 2] = [10_000, 100_000];
/// Each task waits for the one before it, in rows of so many.
const ROW: usize = 10;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    let home = tempfile::tempdir_in(".")?;
    for size in SIZES {
        let endpoint = Endpoint::start(Duration::ZERO).await?;
        let mut client =
            Client::start(&home.path().join(size.to_string()), &endpoint, false).await?;
        let begun = Instant::now();
        let accepted = client.told("team_run", &json!({"tasks": tasks(size), "wait_s": 0})).await?;
        let took = begun.elapsed();
        let run = accepted["run"].clone();
        let (mut bytes, mut slowest) = (accepted.to_string().len(), Duration::ZERO);
        loop {
            let looked = Instant::now();
            let view = client.told("team_status", &json!({"run": run, "wait_s": 0})).await?;
            slowest = slowest.max(looked.elapsed());
            bytes = bytes.max(view.to_string().len());
            match view["state"].as_str() {
                Some("working" | "queued") => tokio::time::sleep(Duration::from_millis(200)).await,
                Some("completed") => break,
                _ => return Err(format!("not completed: {view}").into()),
            }
        }
        let rate = size as f64 / begun.elapsed().as_secs_f64();
        let memory = client.peak_mib().map_or("not told here".into(), |it| format!("{it} MiB"));
        say(&format!(
            "{size} tasks: accepted in {:.2} s, {rate:.0} tasks/s to the end; slowest status {:.0} ms, \
             largest answer {bytes} bytes, most memory {memory}",
            took.as_secs_f64(),
            slowest.as_secs_f64() * 1_000.0
        ));
        client.leave().await?;
    }
    Ok(())
}

fn tasks(size: usize) -> Vec<Value> {
    let task = |at: usize| {
        let after: Vec<String> =
            if at.is_multiple_of(ROW) { Vec::new() } else { vec![(at - 1).to_string()] };
        json!({"id": at.to_string(), "to": "writer", "task": format!("task {at}"), "after": after})
    };
    (0..size).map(task).collect()
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The median.
fn middle(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
