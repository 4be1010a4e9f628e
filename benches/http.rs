//! The whole program over HTTP: memory with many who listen, and a good client among slow ones.

#[path = "http/client.rs"]
mod client;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::{Served, Wire, hello, listens, modern, stream};
use serde_json::json;
use tokio::time::Instant;

/// Streams that are open and say nothing.
const STREAMS: usize = 2_000;
/// Sessions of the older era.
const SESSIONS: usize = 256;
/// Resident memory that this may take, MiB.
const MEMORY_MIB: f64 = 128.0;
/// Sockets that drip the head of a request.
const SLOW: usize = 500;
/// What the good client's slowest percent may take beside them, milliseconds.
const P99_MS: f64 = 100.0;
/// Requests of the good client, of each kind.
const ASKED: usize = 500;
/// Between two bytes of a slow socket.
const DRIP: Duration = Duration::from_millis(100);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    more_files();
    start()?;
    memory("modern listen streams", false)?;
    memory("older GET streams", true)?;
    slow()
}

fn start() -> Result<()> {
    let mut took = Vec::new();
    for _ in 0..10 {
        let begun = Instant::now();
        let served = Served::start()?;
        Wire::open(served.address)?.ask(&modern("tools/list", json!({})))?;
        took.push(begun.elapsed());
    }
    let (middle, last) = percentiles(&mut took);
    say(&format!("start to first tools/list over HTTP: p50 {middle:.1} ms, slowest {last:.1} ms"))
}

/// Resident memory with all streams of one kind and all sessions.
fn memory(what: &str, older: bool) -> Result<()> {
    let served = Served::start()?;
    let alone = served.resident_mib();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Wire::open(served.address)?.session(&hello())?);
    }
    let with_sessions = served.resident_mib();
    let mut streams = Vec::new();
    for at in 0..STREAMS {
        let request = if older { stream(&sessions[at % SESSIONS]) } else { listens() };
        let mut wire = Wire::open(served.address)?;
        wire.begin(&request)?;
        streams.push(wire);
    }
    Wire::open(served.address)?.ask(&modern("tools/list", json!({})))?;
    let all = served.resident_mib();
    say(&format!(
        "{SESSIONS} older sessions and {STREAMS} {what}: {all:.1} MiB resident, at most \
         {MEMORY_MIB:.0} (alone {alone:.1}, with the sessions {with_sessions:.1})"
    ))
}

/// A good client while many others never come to the end of their heads.
fn slow() -> Result<()> {
    let served = Served::start()?;
    let quiet = good(&served, "alone")?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(Wire::open(served.address)?);
    }
    let stop = Arc::clone(&is_over);
    let drips = std::thread::spawn(move || {
        let head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: yes\r\nX-More: ";
        for byte in head.iter().chain(std::iter::repeat(&b'x')) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            // Whoever is given up is given up.
            slow.iter_mut().for_each(|it| drop(it.write(&[*byte])));
            std::thread::sleep(DRIP);
        }
        slow.len()
    });
    let beside = good(&served, &format!("beside {SLOW} slow sockets"))?;
    is_over.store(true, Ordering::Relaxed);
    let n_slow = drips.join().map_err(|_| "the slow ones broke down")?;
    say(&format!(
        "the slowest percent of {n_slow} neighbours: {:.1} ms at most, may be {P99_MS:.0} \
         (alone {:.1})",
        beside, quiet
    ))
}

/// The worse of both kinds' p99, milliseconds.
fn good(served: &Served, how: &str) -> Result<f64> {
    let mut wire = Wire::open(served.address)?;
    let call = json!({"name": "team_status", "arguments": {}});
    let mut worst: f64 = 0.0;
    for (what, request) in [
        ("tools/list", modern("tools/list", json!({}))),
        ("team_status", modern("tools/call", call)),
    ] {
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let begun = Instant::now();
            wire.ask(&request)?;
            took.push(begun.elapsed());
        }
        let (middle, last) = percentiles(&mut took);
        say(&format!("{what} {how}: p50 {middle:.2} ms, p99 {last:.2} ms"))?;
        worst = worst.max(last);
    }
    Ok(worst)
}

/// The middle and the last percent, milliseconds.
fn percentiles(took: &mut [Duration]) -> (f64, f64) {
    took.sort();
    let at = |part: usize| took.get(took.len() * part / 100).or(took.last());
    let ms = |it: Option<&Duration>| it.map_or(0.0, |it| it.as_secs_f64() * 1_000.0);
    (ms(at(50)), ms(at(99)))
}

/// As many open files as may be: each socket is one, here and in the server.
fn more_files() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit) {
        let _ = say(&format!("no more files than before: {error}"));
    }
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
