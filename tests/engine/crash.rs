//! Several processes on one database, some of which die or freeze.

use std::time::Duration;

use callboard_store::{List, Next};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout};

use crate::away::{self, Away};
use crate::fixture::{Fixture, TTL, Words, child, end, id, root, starts, step};

pub(crate) async fn what_was_answered_survives_a_kill(db: Fixture) {
    for round in 0..6 {
        let before = db.open(&format!("n_before{round}"));
        let run = before.begin(round).await;
        drop(before);
        let mut writer = Away::start(db.place(), &format!("n_writer{round}"), "write");
        let mut heard: Vec<String> = (0..5).map(|_| writer.hear().unwrap()).collect();
        sleep(Duration::from_millis(7 * round as u64)).await;
        heard.extend(writer.kill());
        let store = db.open(&format!("n_after{round}"));
        let all = store.all(&run).await;
        for line in &heard {
            let Some((seq, word)) = line.split_once(' ') else { continue };
            let Ok(seq) = seq.parse::<usize>() else { continue };
            assert_eq!(crate::fixture::story([&all[seq - 1]]), word, "answered and then lost");
        }
        assert!(all.len() >= heard.len());
        assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
        assert_eq!(store.sweep().await.unwrap(), 1, "its lock is free: no ttl needed");
        let lease = store.take().await;
        store.advance(&lease, step(all.len() as u64, &["bye"], end())).await.unwrap();
        store.leave().await.unwrap();
    }
}

pub(crate) async fn a_dead_process_is_taken_over_at_once(db: Fixture) {
    let store = db.open("n_here");
    let run = store.begin(1).await;
    let mut far = Away::start(db.place(), "n_far", "hold");
    assert_eq!(far.hear().as_deref(), Some("held"));
    assert_eq!(store.sweep().await.unwrap(), 0, "it lives");
    far.kill();
    let start = Instant::now();
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert_eq!(store.take().await.run, run);
    assert!(start.elapsed() < Duration::from_secs(2));
    let locks = std::fs::read_dir(db.path().join("nodes")).unwrap().count();
    assert_eq!(locks, 1, "the dead one's lock is cleared away");
}

pub(crate) async fn a_frozen_process_is_fenced(db: Fixture) {
    let store = db.open_hasty("n_here");
    let run = store.begin(1).await;
    let mut far = Away::start(db.place(), "n_far", "hold");
    assert_eq!(far.hear().as_deref(), Some("held"));
    let pid = Pid::from_raw(far.id() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let swept = store.sweep_at_last().await;
    assert!(swept >= TTL, "swept after {swept:?}");
    let lease = store.take().await;
    store.advance(&lease, step(1, &["taken"], Next::Go)).await.unwrap();
    kill_process(pid, Signal::CONT).unwrap();
    far.tell("write now");
    assert_eq!(far.hear().as_deref(), Some("fenced"));
    assert_eq!(store.story(&run).await, "begin taken");
}

pub(crate) async fn processes_share_the_work(db: Fixture) {
    let store = db.open("n_here");
    for n in 0..60 {
        store.submit(root(n, 100)).await.unwrap();
    }
    let mut far = Away::start(db.place(), "n_far", "work");
    timeout(Duration::from_secs(60), away::work(&store)).await.unwrap();
    far.hear().unwrap();
    let roots = store.list(List { limit: 100, ..List::default() }).await.unwrap();
    assert_eq!(roots.len(), 60);
    for row in roots {
        assert_eq!(store.story(&row.run).await, "begin s0 s1 s2");
    }
}

pub(crate) async fn another_process_is_heard(db: Fixture) {
    let store = db.open("n_here");
    let mut far = Away::start(db.place(), "n_far", "beat");
    assert_eq!(far.hear().as_deref(), Some("ready"));
    sleep(Duration::from_millis(200)).await;
    for _ in 0..5 {
        let heard = store.changed();
        far.tell("hello");
        timeout(Duration::from_secs(5), heard).await.unwrap();
    }
}

pub(crate) async fn writers_of_two_processes_take_turns(db: Fixture) {
    let store = db.open("n_here");
    let run = store.begin(1).await;
    let mut far = Away::start(db.place(), "n_far", "write");
    far.hear().unwrap();
    // The other process never pauses: we must get in between all the same.
    let start = Instant::now();
    for n in 0..20 {
        store.begin(10 + n).await;
    }
    let took = start.elapsed();
    let told = store.signal(&run, vec![], false).await.unwrap();
    assert!(told.is_some() && took < Duration::from_secs(5), "20 writes took {took:?}");
    let lease = store.take().await;
    let mut write = step(1, &["x"], end());
    write = starts(&store, write, vec![child(99, &lease)]);
    store.advance(&lease, write).await.unwrap();
    assert_eq!(store.story(&id(99)).await, "begin");
}
