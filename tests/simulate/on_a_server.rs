//! The same histories where time is real: two or three processes on a PostgreSQL whose connections are
//! cut wherever they are in what they do, processes that are dropped without a word, and once in
//! each wave of histories the server is ended where it stands. The laws are the same.
//!
//! What a seed decides is who asks what, when, and what happens to whom; which statement a cut hits is
//! up to the machine, so a seed is a whole family of histories and is played many times over:
//! `CALLBOARD_SEED=7 CALLBOARD_TIMES=20 cargo test --test simulate on_a_server -- --ignored`, and
//! `CALLBOARD_WAVES=200` for a long night of new ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::Ground;
use crate::scene::inside;
use crate::server::Server;
use crate::{Played, STRAY, TURN, holds, play, said};

/// Histories beside each other, whose server ends for all of them.
const WAVE: u64 = 8;
/// The server ends and not its machine, so that what it wrote stays; else it would look through every
/// file of every database before it answers again.
const SETTINGS: [&str; 1] = ["fsync=off"];
/// How many waves are played where nobody says it.
const WAVES: u64 = 2;
/// How many more, until each of [`WANTED`] was there: which statement a cut hits is chance.
const MORE: u64 = 4;
/// Between the beginning of a wave and the end of its server, milliseconds: a part by its number.
const CRASH: (u64, u64) = (900, 1_600);
/// What must have happened in all waves together, or nothing was against the laws.
const WANTED: &[&str] = &["run_ended completed", "handed_off", "step_failed in_doubt"];
/// How one is played again.
const PLAY: &str = "CALLBOARD_TIMES=20 cargo test --test simulate on_a_server -- --ignored";

#[test]
#[ignore = "takes minutes; played by tests/engine/stories.sh"]
fn every_history_on_a_server_keeps_the_laws() {
    let _turn = inside(&TURN);
    let server = Arc::new(Server::with(&SETTINGS));
    if let Some(seed) = said("CALLBOARD_SEED") {
        for time in 0..said("CALLBOARD_TIMES").unwrap_or(1) {
            let played = wave(&server, &[seed], time);
            println!("{}", played[&seed].told);
            holds(&played, PLAY);
        }
        return;
    }
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let waves = said("CALLBOARD_WAVES").unwrap_or(WAVES);
    for at in 0..waves + MORE {
        if at >= waves && WANTED.iter().all(|it| seen.contains_key(*it)) {
            break;
        }
        let begun = Instant::now();
        let seeds: Vec<u64> = (at * WAVE..(at + 1) * WAVE).collect();
        let played = wave(&server, &seeds, at);
        for what in played.values().flat_map(|it| &it.seen) {
            *seen.entry(what.clone()).or_default() += 1;
        }
        println!("wave {at}: {} histories in {:.1} s", played.len(), begun.elapsed().as_secs_f64());
        holds(&played, PLAY);
    }
    println!("histories with each of these: {seen:?}");
    let unseen: Vec<&&str> = WANTED.iter().filter(|it| !seen.contains_key(**it)).collect();
    assert!(unseen.is_empty(), "in no history there was {unseen:?}");
}

/// Plays these beside each other on one server, which is ended where it stands once meanwhile.
fn wave(server: &Arc<Server>, seeds: &[u64], number: u64) -> BTreeMap<u64, Played> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ground =
        async |seed: &u64| (*seed, Ground::Server(Mutex::new(Some(server.database().await))));
    let all = futures::future::join_all(seeds.iter().map(ground));
    let grounds = runtime.expect("a runtime").block_on(all);
    let played = thread::scope(|scope| {
        let begin =
            |(seed, ground): (u64, Ground)| scope.spawn(move || (seed, play(seed, &ground)));
        let playing: Vec<_> = grounds.into_iter().map(begin).collect();
        let wait = CRASH.0 + number.wrapping_mul(0x9E37_79B9) % CRASH.1;
        thread::sleep(Duration::from_millis(wait));
        server.crash();
        server.rise();
        playing.into_iter().map(|it| it.join().expect("a history ends")).collect()
    });
    let stray = std::mem::take(&mut *inside(&STRAY));
    assert!(stray.is_empty(), "on threads of stores: {stray:?}");
    played
}
