//! A server that crashes, falls silent, refuses, or does not answer a commit: what was acknowledged
//! is there, nothing is there twice, nobody waits for ever, and nobody has to open the store anew.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callboard_store::{Lease, List, Next, Store, StoreError};
use callboard_trace::RunId;
use futures::future::join_all;
use tokio::net::TcpSocket;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::{Fixture, Words, end, id, root, said, step, story};
use crate::proxy::{Proxy, Way};

const CRASHES: usize = 3;

/// Calls that are made at once while nobody answers.
const MANY: u128 = 40;
const STEPS: usize = 4;

/// In this time everybody has noticed that the server is back, or is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries of somebody who was told no.
const AGAIN: Duration = Duration::from_millis(10);

/// What the database acknowledged.
#[derive(Default)]
struct Acknowledged {
    records: Mutex<Vec<(RunId, u64, String)>>,
    n_roots: AtomicU64,
    is_enough: AtomicBool,
}

impl Acknowledged {
    fn add(&self, run: &RunId, seq: u64, word: &str) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push((run.clone(), seq, word.to_owned()));
    }

    fn n(&self) -> usize {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until more was acknowledged than there is now.
    async fn goes_on(&self) {
        let (before, begun) = (self.n(), Instant::now());
        while self.n() < before + 20 {
            assert!(begun.elapsed() < PATIENCE, "nothing goes on by itself");
            sleep(AGAIN).await;
        }
    }
}

pub(crate) async fn a_server_that_crashes_loses_nothing(db: Fixture) {
    let server = db.database().unwrap().server();
    let stores = [db.open("n_a"), db.open("n_b")];
    let told = Arc::new(Acknowledged::default());
    let mut work = JoinSet::new();
    for store in &stores {
        work.spawn(submits(store.clone(), told.clone()));
        work.spawn(works(store.clone(), told.clone()));
        work.spawn(works(store.clone(), told.clone()));
    }
    for crash in 0..CRASHES as u64 {
        told.goes_on().await;
        block_in_place(|| server.crash());
        sleep(Duration::from_millis(150 * crash)).await;
        block_in_place(|| server.rise());
    }
    told.goes_on().await;
    told.is_enough.store(true, Ordering::Relaxed);
    let all = async { while work.join_next().await.is_some_and(|it| it.is_ok()) {} };
    timeout(PATIENCE * 2, all).await.unwrap();
    is_whole(&stores[0], &told).await;
}

/// Submits each root until it is told that it is there.
async fn submits(store: Store, told: Arc<Acknowledged>) {
    while !told.is_enough.load(Ordering::Relaxed) {
        let n = told.n_roots.fetch_add(1, Ordering::Relaxed);
        while let Err(error) = store.submit(root(n.into(), 100)).await {
            is_an_outage(&error);
            sleep(AGAIN).await;
        }
        told.add(&id(n.into()), 1, "begin");
        sleep(AGAIN).await;
    }
}

/// Works until all that was submitted has ended.
async fn works(store: Store, told: Arc<Acknowledged>) {
    loop {
        let is_enough = told.is_enough.load(Ordering::Relaxed);
        if is_enough && store.counts().await.is_ok_and(|it| it.open_roots == 0) {
            return;
        }
        for lease in store.claim(4, 1_000).await.unwrap_or_default() {
            if let Err(error) = run(&store, &lease, &told).await {
                is_an_outage(&error);
            }
        }
        // Who cannot beat or sweep now does it the next time.
        let _ = (store.beat().await, store.sweep().await);
        sleep(AGAIN).await;
    }
}

/// Goes on where the journal ends, as after every answer that did not come.
async fn run(store: &Store, lease: &Lease, told: &Acknowledged) -> Result<(), StoreError> {
    let seen = store.journal(&lease.run, 0, u32::MAX).await?;
    let (mut seq, done) = (seen.len() as u64, seen.len() - 1);
    for at in done..STEPS {
        let word = format!("s{at}");
        let next = if at + 1 == STEPS { end() } else { Next::Go };
        seq = store.advance(lease, step(seq, &[&word], next)).await?.seq;
        told.add(&lease.run, seq, &word);
    }
    Ok(())
}

fn is_an_outage(error: &StoreError) {
    use StoreError::{Away, Db, Fenced, Unknown};
    let is_known = matches!(error, Unknown | Fenced | Away(_) | Db(_));
    assert!(is_known, "no outage: {error:?}");
}

/// Every root has each of its steps once and in order, and each where it was acknowledged.
async fn is_whole(store: &Store, told: &Acknowledged) {
    let n_roots = told.n_roots.load(Ordering::Relaxed);
    let limit = n_roots as u32 + 10;
    let rows = store.list(List { limit, ..List::default() }).await.unwrap();
    assert_eq!(rows.len() as u64, n_roots);
    let mut journals = BTreeMap::new();
    for row in rows {
        let all = store.all(&row.run).await;
        assert_eq!(story(&all), "begin s0 s1 s2 s3", "of {}", row.run);
        assert_eq!(store.verify(&row.run).await.unwrap().breaks, vec![]);
        journals.insert(row.run, all);
    }
    for (run, seq, word) in told.records.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        assert_eq!(story([&journals[run][*seq as usize - 1]]), *word, "acknowledged and lost");
    }
}

pub(crate) async fn a_server_that_says_no_word_holds_nobody_up(db: Fixture) {
    let database = db.database().unwrap();
    let proxy = Proxy::to(database.server().port()).await;
    let place = db.through(database.address_through(proxy.port));
    let store = place.open("n_a", |_| {}).unwrap();
    let run = store.begin(1).await;
    proxy.is(Way::Silent);
    let writes = (2..2 + MANY).map(|n| store.submit(root(n, 100)));
    let reads = (0..MANY).map(|_| store.row(&run));
    let all = futures::future::join(join_all(writes), join_all(reads));
    let (writes, reads) = timeout(PATIENCE, all).await.expect("many wait no longer than one");
    writes.into_iter().for_each(|it| is_an_outage(&it.unwrap_err()));
    reads.into_iter().for_each(|it| is_an_outage(&it.unwrap_err()));
    // Who comes later is not held up longer than who came first.
    let late = timeout(PATIENCE, store.beat()).await.unwrap();
    is_an_outage(&late.unwrap_err());
    proxy.is(Way::Open);
    let begun = Instant::now();
    while store.submit(root(2, 100)).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "it never works again");
        sleep(AGAIN).await;
    }
    assert_eq!(store.story(&run).await, "begin");
    assert_eq!(store.story(&id(2)).await, "begin");
    assert_eq!(store.claim(9, 9).await.unwrap().len(), 2);
}

pub(crate) async fn the_next_host_is_asked_where_one_refuses(db: Fixture) {
    // Bound and not listening: nobody else can listen there meanwhile.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refuses = format!("@{},127.0.0.1:", deaf.local_addr().unwrap());
    let both = db.database().unwrap().address().replacen("@127.0.0.1:", &refuses, 1);
    let store = db.through(both).open("n_a", |_| {}).unwrap();
    let run = store.begin(1).await;
    assert_eq!(db.open("n_b").story(&run).await, "begin");
}

/// A root that carries a mark.
fn marked(mark: &str) -> callboard_store::NewRun {
    callboard_store::NewRun { facts: vec![said(mark, serde_json::Value::Null)], ..root(1, 100) }
}

/// Breaks the way in one commit and answers what the store says of it.
async fn breaks(db: &Fixture, way: Way, mark: &str) -> (Store, Option<StoreError>) {
    let database = db.database().unwrap();
    let proxy = Proxy::to(database.server().port()).await;
    let place = db.through(database.address_through(proxy.port));
    let store = place.open("n_a", |_| {}).unwrap();
    store.begin(2).await;
    proxy.is(way);
    let answer = timeout(PATIENCE, store.submit(marked(mark))).await.unwrap();
    timeout(PATIENCE, proxy.is_open_again()).await.expect("it broke in a commit");
    // The same call again, through the same store.
    let begun = Instant::now();
    while store.submit(marked(mark)).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "it never works again");
        sleep(AGAIN).await;
    }
    drop((store, proxy));
    (db.open("n_b"), answer.err())
}

pub(crate) async fn a_commit_without_an_answer_is_unknown(db: Fixture) {
    let mark = "the answer is lost";
    let (store, error) = breaks(&db, Way::BreaksAfterCommit(mark), mark).await;
    assert_eq!(error, Some(StoreError::Unknown));
    assert_eq!(store.story(&id(1)).await, mark, "it was kept, once");
    assert_eq!(store.counts().await.unwrap().open_roots, 2);
}

pub(crate) async fn a_commit_that_never_arrived_is_no_success(db: Fixture) {
    let mark = "the commit is lost";
    let (store, error) = breaks(&db, Way::BreaksBeforeCommit(mark), mark).await;
    assert_eq!(error, Some(StoreError::Unknown));
    assert_eq!(store.story(&id(1)).await, mark, "it was not kept, and then it was");
    assert_eq!(store.counts().await.unwrap().open_roots, 2);
}

pub(crate) async fn who_is_not_let_in_is_told_so(db: Fixture) {
    let address = db.database().unwrap().address();
    let refused = |address: String| {
        let opened = block_in_place(|| db.through(address).open("n_a", |_| {}));
        let error = opened.err().expect("it is not let in").to_string();
        assert!(!error.contains("wrong word"), "the password is told: {error}");
        error
    };
    let password = address.split_once("callboard:").unwrap().1.split_once('@').unwrap().0;
    let told = refused(address.replacen(password, "wrong%20word", 1));
    assert!(told.contains("callboard") && told.contains("password"), "{told}");
    let (server, _) = address.rsplit_once('/').unwrap();
    let told = refused(format!("{server}/not_there"));
    assert!(told.contains("not_there"), "{told}");
}
