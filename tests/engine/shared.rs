//! Four stores on one database at once: they share its rates, its budgets and its order of writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callboard_store::gates::{Charge, Gate, Ruling, Spent, Went};
use callboard_store::{Advance, Lease, Next, Store};
use callboard_trace::{Event, RunId};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::{Fixture, Words, end, fact, id, story};
use crate::gates::{asks, bucket, gate, gives};

const STORES: usize = 4;

fn four(db: &Fixture) -> Vec<Store> {
    (0..STORES).map(|n| db.open(&format!("n_{n}"))).collect()
}

/// Waits until all are done.
async fn all<T: Send + 'static>(mut work: JoinSet<T>) -> Vec<T> {
    let mut done = Vec::new();
    while let Some(it) = timeout(Duration::from_secs(120), work.join_next()).await.unwrap() {
        done.push(it.unwrap());
    }
    done
}

/// 600 in a minute. What stands in the bucket bridges a pause of the machine.
const CAPACITY: f64 = 20.0;
const PER_SECOND: f64 = 10.0;
/// Seconds that this goes on; `RATE_SECONDS` asks for more.
const FOR_S: u64 = 9;
const RUNS: u128 = 32;

pub(crate) async fn a_rate_is_used_up_by_four_stores_and_never_exceeded(db: Fixture) {
    #[expect(clippy::disallowed_methods, reason = "how long the test is to be, not configuration")]
    let asked = std::env::var("RATE_SECONDS").ok().and_then(|it| it.parse().ok());
    let how_long = Duration::from_secs(asked.unwrap_or(FOR_S));
    let stores = four(&db);
    for n in 0..RUNS {
        stores[0].begin(n).await;
    }
    let (begun, mut work) = (Instant::now(), JoinSet::new());
    for store in stores.clone() {
        work.spawn(async move {
            let mut steps = JoinSet::new();
            while begun.elapsed() < how_long {
                store.sweep().await.unwrap();
                for lease in store.claim(RUNS as u32, 1_000).await.unwrap() {
                    steps.spawn(passes(store.clone(), lease));
                }
                sleep(Duration::from_millis(2)).await;
            }
            all(steps).await;
        });
    }
    all(work).await;
    let mut begins = Vec::new();
    for n in 0..RUNS {
        let of_run = stores[0].all(&id(n)).await;
        begins.extend(of_run.iter().filter(|it| story([*it]) == "begins").map(|it| it.at));
    }
    begins.sort_unstable();
    let may = |from: i64, to: i64| CAPACITY + (to - from) as f64 / 1e6 * PER_SECOND;
    for (n, from) in begins.iter().enumerate() {
        for (m, to) in begins.iter().enumerate().skip(n) {
            let (passed, may) = ((m - n + 1) as f64, may(*from, *to) * 1.01 + 1.0);
            assert!(passed <= may, "{passed} from {from} to {to}, at most {may}");
        }
    }
    let (first, last) = (begins[0], *begins.last().unwrap());
    assert!(last - first > how_long.as_micros() as i64 / 2, "it stopped after {} us", last - first);
    // What came in during the last second may stand in the bucket yet: the machine has others to serve.
    let (n, may) = (begins.len(), may(first, last));
    println!("{n} passed where {may:.1} might, in {:.1} s", (last - first) as f64 / 1e6);
    let passed = n as f64 + PER_SECOND;
    assert!(passed >= may * 0.99, "{passed} passed where {may} might");
}

/// Asks once; who passes does its step and is in the queue again.
async fn passes(store: Store, lease: Lease) {
    let take = bucket("api", CAPACITY, PER_SECOND);
    if asks(&store, &lease, gate(vec![take.clone()])).await == Ruling::Passed {
        gives(&store, &lease, take, Went::Good, Next::Yield).await;
    }
}

const CAP: i64 = 2_000;
const RESERVED: i64 = 10;
/// Beyond what a step has set aside it uses at most so much.
const OVER: i64 = 3;
const WORKERS: u128 = 16;

pub(crate) async fn a_budget_of_four_stores_is_not_overspent(db: Fixture) {
    let (stores, mut work) = (four(&db), JoinSet::new());
    for n in 0..WORKERS {
        let store = stores[n as usize % STORES].clone();
        store.begin(n).await;
        work.spawn(async move { spends(&store, n).await });
    }
    let used: i64 = all(work).await.into_iter().sum();
    let spent = stores[0].spent("task/x").await.unwrap()[0];
    assert_eq!(spent, used, "what was used is what is written");
    assert!(used > CAP - RESERVED, "{used} of {CAP}");
    assert!(used <= CAP + WORKERS as i64 * OVER, "{used} of {CAP}");
}

/// Takes steps until the budget has no room for another; answers what it used.
async fn spends(store: &Store, n: u128) -> i64 {
    let mut claimed = store.claim_of(&id(n), 1, 1_000).await.unwrap();
    let lease = claimed.pop().unwrap();
    let (mut used, mut seen) = (0, lease.seq);
    for turn in 0_i64.. {
        let charge = Charge {
            node: "task/x".to_owned(),
            add: [RESERVED, 0, 0, 1, 0, 0],
            caps: [Some(CAP), None, None, None, None, None],
        };
        let asked = Gate { charges: vec![charge], ..gate(vec![]) };
        let write = Advance { gate: Some(asked), ..Advance::new(seen, vec![], Next::Go) };
        let done = store.advance(&lease, write).await.unwrap();
        if done.ruling != Some(Ruling::Passed) {
            assert!(matches!(done.ruling, Some(Ruling::Poor(_))), "{:?}", done.ruling);
            break;
        }
        let beyond = (turn + n as i64) % (2 * OVER + 1) - OVER;
        used += RESERVED + beyond;
        let spent = Spent { node: "task/x".to_owned(), add: [beyond, 0, 0, 0, 0, 0] };
        let write = Advance { spent: vec![spent], ..Advance::new(done.seq, vec![], Next::Go) };
        seen = store.advance(&lease, write).await.unwrap().seq;
    }
    store.advance(&lease, Advance::new(seen, vec![], end())).await.unwrap();
    used
}

/// Records that each writer writes.
const WORDS: u64 = 60;

pub(crate) async fn who_follows_the_log_misses_nothing(db: Fixture) {
    let (stores, mut work) = (four(&db), JoinSet::new());
    let reader = db.open("n_reader");
    let is_over = Arc::new(AtomicBool::new(false));
    let mut reads = JoinSet::new();
    reads.spawn(follows_writes(reader.clone(), is_over.clone()));
    reads.spawn(follows_log(reader.clone(), is_over.clone()));
    for n in 0..WORKERS {
        let store = stores[n as usize % STORES].clone();
        store.begin(n).await;
        work.spawn(async move {
            for word in 0..WORDS {
                store.signal(&id(n), vec![fact(&format!("w{word}"))], false).await.unwrap();
            }
        });
    }
    all(work).await;
    is_over.store(true, Ordering::Relaxed);
    let mut wanted: Vec<_> =
        (0..WORKERS).flat_map(|n| (1..=WORDS + 1).map(move |seq| (id(n), seq))).collect();
    wanted.sort();
    for mut found in all(reads).await {
        found.sort();
        assert_eq!(found.len(), wanted.len(), "records were missed or told twice");
        assert_eq!(found, wanted);
    }
}

/// As a node does that wants to know which runs have something new.
async fn follows_writes(store: Store, is_over: Arc<AtomicBool>) -> Vec<(RunId, u64)> {
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let is_last = is_over.load(Ordering::Relaxed);
        let (last, some) = store.written(Some(after)).await.unwrap();
        if is_last && some.is_empty() {
            return found;
        }
        found.extend(some.into_iter().map(|(run, seq, _)| (run, seq)));
        after = last;
    }
}

/// As somebody does who reads everything that is written, page by page.
async fn follows_log(store: Store, is_over: Arc<AtomicBool>) -> Vec<(RunId, u64)> {
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let is_last = is_over.load(Ordering::Relaxed);
        let some = store.log(after, 50).await.unwrap();
        if is_last && some.is_empty() {
            return found;
        }
        after = some.last().map_or(after, |it| it.0);
        let of_runs = some.into_iter().filter(|it| matches!(it.1.event, Event::PlanChanged { .. }));
        found.extend(of_runs.map(|it| (it.1.run, it.1.seq)));
    }
}

const SEATS: u32 = 5;

/// Whoever owns a database may have set how its transactions are by default.
pub(crate) async fn seats_hold_whatever_a_database_has_for_its_defaults(db: Fixture) {
    if let Some(database) = db.database() {
        database.sets("default_transaction_isolation", "repeatable read").await;
    }
    let (stores, mut work) = (four(&db), JoinSet::new());
    for n in 0..RUNS {
        stores[0].begin(n).await;
    }
    for store in stores.clone() {
        work.spawn(async move {
            let mut held = Vec::new();
            for _ in 0..20 {
                held.extend(store.claim(1, SEATS).await.unwrap());
                let counts = store.counts().await.unwrap();
                assert!(counts.running <= u64::from(SEATS), "{counts:?}");
                if let Some(lease) = held.pop() {
                    store.give_back(lease).await.unwrap();
                }
            }
        });
    }
    all(work).await;
}
