//! Three nodes and two databases, each on a host of its own: a node is killed, one is frozen, one loses
//! its cable, the primary loses its cable and its standby takes over, all while tasks are given. Nothing
//! that was acknowledged is lost, nothing is done twice, nothing is stuck, and it goes on in time.
//!
//! `HOSTS_ROUNDS=20 cargo test --test hosts -- --nocapture` for a longer one.
#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

mod endpoint;
#[path = "storm/journal.rs"]
#[allow(dead_code, reason = "no endpoint and no tool server is asked here")]
mod journal;
#[path = "hosts/load.rs"]
mod load;
#[path = "hosts/net.rs"]
mod net;
#[path = "hosts/node.rs"]
mod node;
#[path = "engine/script.rs"]
mod script;
mod stage;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use callboard_scheduler::World;
use callboard_store::{Address, OpenOptions, Store};
use callboard_trace::{Record, RunId};
use journal::Journal;
use load::{Field, HOSTS};
use net::{Net, PRIMARY, STANDBY};
use tokio::time::{Instant, sleep};

/// Within this time somebody goes on after a fault, and a host that is back does.
const GOES_ON: Duration = Duration::from_secs(10);
/// A node that was silent for so long is taken for dead: the ttl and a little more.
const FROZEN: Duration = Duration::from_secs(33);
/// How long a cable is out: longer than any wait for the database.
const CUT: Duration = Duration::from_secs(14);
/// After this nothing goes on any more.
const NEVER: Duration = Duration::from_secs(60);
/// Between two faults.
const CALM: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// A fault, or its end, and what came after it.
struct Seen {
    what: &'static str,
    /// Until a step was begun and came to its outcome.
    steps: Duration,
    /// Until each node that is there took a task in, as far as was waited for.
    tasks: Vec<Duration>,
}

/// Who has to take a task in before the next fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    One,
    All,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_fail_lose_nothing_and_repeat_nothing() {
    for round in 0..rounds() {
        let net = match Net::start() {
            Ok(net) => net,
            Err(why) => return println!("no hosts can be made here, so none failed: {why}"),
        };
        let begun = Instant::now();
        let told = play(net, round).await;
        println!("round {}, {:.0} s: {told}", round + 1, begun.elapsed().as_secs_f64());
    }
}

async fn play(net: Net, round: usize) -> String {
    let field = Field::new(net).await;
    let mut asking = field.load();
    let all = [0, 1, 2];
    let mut seen = vec![fault(&field, "at first", &all, Who::All, async || ()).await];
    sleep(CALM).await;
    nodes_fail(&field, round, &mut seen).await;
    sleep(CALM).await;
    field.net.cut(PRIMARY);
    sleep(Duration::from_secs(round as u64 % 4)).await;
    let takes_over = async || {
        field.net.promote();
        field.look_at(STANDBY).await;
    };
    seen.push(fault(&field, "primary cut, standby promoted", &all, Who::All, takes_over).await);
    let told = seen.iter().map(Seen::told).collect::<Vec<_>>().join("; ");
    sleep(CALM).await;
    field.enough();
    while let Some(ended) = asking.join_next().await {
        ended.expect("it asked to its end");
    }
    let enough = Instant::now();
    let (mut fewest, mut since) = (i64::MAX, Instant::now());
    while fewest > 0 {
        let open = field.eye().open_runs().await;
        if open < fewest {
            (fewest, since) = (open, Instant::now());
        }
        assert!(since.elapsed() < NEVER, "stuck: {open} runs; {told}");
        sleep(LOOK * 10).await;
    }
    let rest = enough.elapsed().as_secs_f64();
    let whole = is_whole(&field).await;
    assert!(seen.iter().all(Seen::is_in_time), "too late: {told}");
    format!("{told}; over after {rest:.1} s; {whole}")
}

/// A node is killed, and another takes its place; one is frozen until it is taken for dead; meanwhile
/// the third is cut off for a while.
async fn nodes_fail(field: &Arc<Field>, round: usize, seen: &mut Vec<Seen>) {
    let [killed, frozen, cut] = [round, round + 1, round + 2].map(|it| it % HOSTS.len());
    let kill = async || field.node(killed).kill();
    seen.push(fault(field, "killed", &[frozen, cut], Who::One, kill).await);
    sleep(CALM).await;
    field.replace(killed).await;
    sleep(CALM).await;
    let freeze = async || field.node(frozen).freeze();
    seen.push(fault(field, "frozen", &[killed, cut], Who::One, freeze).await);
    let thaws = Instant::now() + FROZEN;
    sleep(CALM).await;
    let takes_out = async || field.net.cut(HOSTS[cut]);
    seen.push(fault(field, "cut", &[killed], Who::One, takes_out).await);
    sleep(CUT).await;
    let mend = async || field.net.mend(HOSTS[cut]);
    seen.push(fault(field, "mended", &[cut], Who::All, mend).await);
    tokio::time::sleep_until(thaws).await;
    let thaw = async || field.node(frozen).thaw();
    seen.push(fault(field, "thawed", &[frozen], Who::All, thaw).await);
}

/// Does something to a host, and waits until a step goes on that began after it, and until the nodes
/// that are there take tasks in.
async fn fault(
    field: &Field,
    what: &'static str,
    here: &[usize],
    who: Who,
    happens: impl AsyncFnOnce(),
) -> Seen {
    let since = Instant::now();
    happens().await;
    let eye = field.eye();
    let place = eye.last().await;
    while !eye.has_moved(place).await {
        assert!(since.elapsed() < NEVER, "nothing goes on: {what}");
        sleep(LOOK).await;
    }
    let steps = since.elapsed();
    let needed = if who == Who::All { here.len() } else { 1 };
    loop {
        let all = field.takes_in(since);
        let tasks: Vec<Duration> = here.iter().filter_map(|at| all[*at]).collect();
        if tasks.len() >= needed {
            return Seen { what, steps, tasks };
        }
        assert!(since.elapsed() < NEVER, "nothing is taken in: {what}");
        sleep(LOOK).await;
    }
}

impl Seen {
    fn told(&self) -> String {
        let seconds = |it: &Duration| format!("{:.1}", it.as_secs_f64());
        let tasks: Vec<String> = self.tasks.iter().map(seconds).collect();
        format!("{}: steps {} s, tasks {} s", self.what, seconds(&self.steps), tasks.join(", "))
    }

    fn is_in_time(&self) -> bool {
        self.steps < GOES_ON && self.tasks.iter().all(|it| *it < GOES_ON)
    }
}

/// What the last primary says of all that was given.
async fn is_whole(field: &Field) -> String {
    let world = World::real();
    let data = field.stage.data().join("looks");
    let mut open = OpenOptions::new(data, world.name("n_"), world.bits.clone());
    open.server = Some(Address::parse(&field.net.past(STANDBY)).expect("an address"));
    let store = Store::open(open).expect("it opens");
    let (records, counts) = (all_of(&store).await, store.counts().await.expect("counts"));
    let journal = Journal::read(&records);
    let told: Vec<RunId> = {
        let told = field.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().map(|it| it.run.clone()).collect()
    };
    journal.all_ended_well(&told);
    assert_eq!((counts.ready, counts.running, counts.waiting, counts.open_roots), (0, 0, 0, 0));
    for root in journal.roots() {
        let verdict = store.verify(root).await.expect("checked");
        assert!(verdict.breaks.is_empty(), "{verdict:?}");
    }
    store.leave().await.expect("left");
    format!("{} told; {}; {} records", told.len(), journal.told(), records.len())
}

async fn all_of(store: &Store) -> Vec<Record> {
    let (mut records, mut after) = (Vec::new(), 0);
    loop {
        let page = store.log(after, 1_000).await.expect("the journal");
        let Some(last) = page.last() else { return records };
        after = last.0;
        records.extend(page.into_iter().map(|it| it.1));
    }
}

#[expect(clippy::disallowed_methods, reason = "how long the test is to be, not configuration")]
fn rounds() -> usize {
    std::env::var("HOSTS_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(2)
}
