//! Whole histories from a number: two or three processes on one store, a team, tasks, callers who
//! change their minds, and every fault between them; at the end the laws are looked for in what is
//! on record. A history is decided by its seed alone: `CALLBOARD_SEED=` plays one again and tells
//! its story, `CALLBOARD_SEEDS=` says how many are played. The same histories are played on a PostgreSQL
//! too, where time and faults are real: `on_a_server.rs`.
#![expect(
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a history that breaks a law is told, and fails; a law looks at a few kinds of records"
)]

#[path = "simulate/asks.rs"]
mod asks;
#[path = "simulate/base.rs"]
mod base;
#[path = "simulate/cast.rs"]
mod cast;
#[allow(dead_code, reason = "not every test throws them in every way")]
#[path = "damage/dice.rs"]
mod dice;
#[path = "simulate/history.rs"]
mod history;
#[path = "simulate/laws.rs"]
mod laws;
#[path = "simulate/ledger.rs"]
mod ledger;
#[path = "simulate/on_a_server.rs"]
mod on_a_server;
#[path = "simulate/outside.rs"]
mod outside;
#[path = "simulate/scene.rs"]
mod scene;
#[allow(dead_code, reason = "histories need a part of it")]
#[path = "engine/server.rs"]
mod server;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

use callboard_trace::{Event, Record, story};
use sha2::{Digest, Sha256};

use base::Ground;
use history::History;
use scene::inside;

/// Histories that are played where nobody says how many.
const SEEDS: u64 = 2_000;
/// How one of them is played again.
const PLAY: &str = "cargo test --test simulate every_history";
/// Histories that are played twice.
const TWICE: u64 = 12;
/// Broken histories after which no more are played.
const BROKEN_MAX: usize = 4;
/// In so many histories everything has happened that can be survived.
const ENOUGH: u64 = 500;
/// What histories must not do without, or the laws are kept where nothing is against them.
const WANTED: &[&str] = &[
    "step_failed in_doubt",
    "step_failed rate_limited",
    "step_failed timeout",
    "step_decided rerun",
    "step_decided skip",
    "step_decided abort",
    "run_ended completed",
    "run_ended partial",
    "run_ended failed",
    "run_ended cancelled",
    "controlled pause",
    "controlled retry",
    "controlled redirect",
    "controlled drain",
    "handoff_refused",
    "handoff_failed",
    "fuse_blown",
    "node_stopped",
];

/// One test plays at a time: where time is real, a machine that is busy all over is a fault more.
static TURN: Mutex<()> = Mutex::new(());
/// What went wrong on threads of stores.
static STRAY: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    /// What went wrong on this thread where nobody looks: a panic inside a task.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What became of one history.
struct Played {
    wrong: Vec<String>,
    /// What happened, for people.
    told: String,
    /// All records as one hash.
    hash: String,
    /// Which kinds of things happened.
    seen: BTreeSet<String>,
}

#[test]
fn every_history_keeps_the_laws() {
    let _turn = inside(&TURN);
    if let Some(seed) = said("CALLBOARD_SEED") {
        let played = play(seed, &Ground::Memory);
        println!("{}", played.told);
        return holds(&BTreeMap::from([(seed, played)]), PLAY);
    }
    let (next, seeds) = (AtomicU64::new(0), said("CALLBOARD_SEEDS").unwrap_or(SEEDS));
    let (broken, seen) = (Mutex::new(BTreeMap::new()), Mutex::new(BTreeMap::new()));
    let some = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || inside(&broken).len() >= BROKEN_MAX {
                return;
            }
            let played = play(seed, &Ground::Memory);
            for what in &played.seen {
                *inside(&seen).entry(what.clone()).or_insert(0) += 1;
            }
            if !played.wrong.is_empty() {
                println!("seed {seed}: {}", played.wrong.join("; "));
                inside(&broken).insert(seed, played);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(some);
        }
    });
    holds(&inside(&broken), PLAY);
    let seen: BTreeMap<String, u64> = std::mem::take(&mut *inside(&seen));
    println!("histories with each of these: {seen:?}");
    let unseen: Vec<&&str> = WANTED.iter().filter(|it| !seen.contains_key(**it)).collect();
    assert!(seeds < ENOUGH || unseen.is_empty(), "in no history there was {unseen:?}");
}

#[test]
fn a_seed_is_one_history() {
    let _turn = inside(&TURN);
    let play = |seed| play(seed, &Ground::Memory);
    for seed in 0..TWICE {
        let (first, second) = (play(seed), play(seed));
        if first.hash != second.hash {
            let mut pairs = first.told.lines().zip(second.told.lines());
            let parted = pairs.find(|(one, other)| one != other);
            panic!("seed {seed} has two histories, which part at\n{parted:#?}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "which histories are played is said from outside")]
fn said(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().expect("a number"))
}

/// Fails with the story of the first history that is not as it should be.
fn holds(broken: &BTreeMap<u64, Played>, again: &str) {
    let Some((seed, first)) = broken.iter().find(|it| !it.1.wrong.is_empty()) else { return };
    panic!(
        "seed {seed}:\n{}\n\n{}\nplay it again: CALLBOARD_SEED={seed} {again}\n\
         broken: {:?}",
        first.told,
        first.wrong.join("\n"),
        broken.iter().filter(|it| !it.1.wrong.is_empty()).map(|it| it.0).collect::<Vec<_>>()
    );
}

/// Plays one history on a thread's own runtime, whose time is nobody's where all is simulated.
fn play(seed: u64, ground: &Ground) -> Played {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |it| {
            PANICS.with_borrow_mut(|all| all.push(it.to_string()));
            if thread::current().name().is_some_and(|it| it.starts_with("store-")) {
                inside(&STRAY).push(it.to_string());
            }
            before(it);
        }));
    });
    PANICS.take();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let is_paused = matches!(ground, Ground::Memory);
    let runtime = runtime.enable_all().start_paused(is_paused).build().expect("a runtime");
    let history = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let history = history::play(seed, ground).await;
            laws::look(&history).await;
            history
        })
    }));
    let panics = PANICS.take();
    match history {
        Ok(history) => played(&history, panics),
        Err(_) => Played {
            wrong: panics,
            told: String::new(),
            hash: String::new(),
            seen: BTreeSet::new(),
        },
    }
}

fn played(history: &History, panics: Vec<String>) -> Played {
    let noted = inside(&history.scene.noted);
    let text = serde_json::to_vec(&history.records).expect("records are JSON");
    Played {
        wrong: noted.wrong.iter().cloned().chain(panics).collect(),
        hash: Sha256::digest(text).iter().map(|it| format!("{it:02x}")).collect(),
        told: story_of(history, &noted.story),
        seen: history.records.iter().map(kind).collect(),
    }
}

/// The kind of a record, and which of its kinds.
fn kind(record: &Record) -> String {
    let word = |it: &dyn std::fmt::Debug| snake(&format!("{it:?}"));
    let which = match &record.event {
        Event::StepFailed(it) => word(&it.code),
        Event::StepDecided { decision, .. } => decision.clone(),
        Event::RunEnded(it) => word(&it.state),
        Event::Controlled(it) => word(&it.action),
        _ => String::new(),
    };
    format!("{} {which}", record.event.kind()).trim().to_owned()
}

fn snake(camel: &str) -> String {
    let letter = |(at, it): (usize, char)| match it.is_uppercase() && at > 0 {
        true => format!("_{}", it.to_lowercase()),
        false => it.to_lowercase().to_string(),
    };
    camel.chars().enumerate().map(letter).collect()
}

/// What happened to the world, and then the story of each task.
fn story_of(history: &History, happened: &[String]) -> String {
    let mut told = happened.join("\n");
    let mut roots: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    for record in history.records.iter().filter(|it| it.agent.is_some()) {
        roots.entry(record.task.as_str()).or_default().push(record.clone());
    }
    for (root, records) in roots {
        told.push_str(&format!("\n\n{root}\n{}", story(&records)));
    }
    told
}
