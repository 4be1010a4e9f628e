//! The heartbeat and the broom: a run never stays with a node that does not work on it.

use std::time::Duration;

use callboard_store::{Beat, Next, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, TTL, Words, end, step};

pub(crate) async fn what_was_dropped_is_given_back(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    assert_eq!(store.beat().await.unwrap(), Beat::default());
    drop(lease);
    let beat = store.beat().await.unwrap();
    assert_eq!((beat.lost, beat.given_back), (vec![], vec![run.clone()]));
    assert_eq!(store.take().await.run, run);
    // An answer that nobody waited for is given back as well.
    store.beat().await.unwrap();
    let claim = store.claim(1, 10);
    drop(tokio::time::timeout(Duration::from_micros(1), claim).await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    store.beat().await.unwrap();
    assert_eq!(store.take().await.run, run);
}

pub(crate) async fn a_claim_under_way_is_not_given_back(db: Fixture) {
    let store = db.open("n_a");
    for n in 0..200 {
        store.begin(n).await;
    }
    let mut beats = JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        beats.spawn(async move {
            for _ in 0..50 {
                let beat = store.beat().await.unwrap();
                assert_eq!(beat, Beat::default());
            }
        });
    }
    let mut held = Vec::new();
    while held.len() < 200 {
        held.extend(store.claim(5, 1_000).await.unwrap());
    }
    while let Some(beat) = beats.join_next().await {
        beat.unwrap();
    }
    for lease in &held {
        store.advance(lease, step(1, &["x"], end())).await.unwrap();
    }
    assert_eq!(store.beat().await.unwrap(), Beat::default());
}

pub(crate) async fn what_was_taken_is_reported(db: Fixture) {
    let (sleepy, brisk) = (db.open_hasty("n_a"), db.open_hasty("n_b"));
    let run = sleepy.begin(1).await;
    let lease = sleepy.take().await;
    brisk.sweep_at_last().await;
    assert_eq!(sleepy.beat().await.unwrap().lost, [run]);
    drop(lease);
    assert_eq!(sleepy.beat().await.unwrap().lost, []);
}

pub(crate) async fn a_silent_node_is_swept_after_a_ttl(db: Fixture) {
    let (silent, brisk) = (db.open_hasty("n_a"), db.open_hasty("n_b"));
    silent.begin(1).await;
    let stale = silent.take().await;
    let swept = brisk.sweep_at_last().await;
    assert!(swept >= TTL, "swept after {swept:?}");
    let fresh = brisk.take().await;
    let late = silent.advance(&stale, step(1, &["late"], Next::Go)).await.unwrap_err();
    assert_eq!(late, StoreError::Fenced);
    // Back among the living, it works again.
    silent.beat().await.unwrap();
    brisk.give_back(fresh).await.unwrap();
    let again = silent.take().await;
    silent.advance(&again, step(1, &["x"], end())).await.unwrap();
}

pub(crate) async fn only_who_is_well_may_sweep(db: Fixture) {
    let (silent, drowsy) = (db.open_hasty("n_a"), db.open_hasty("n_b"));
    silent.begin(1).await;
    let _held = silent.take().await;
    tokio::time::sleep(TTL * 2).await;
    assert_eq!(drowsy.sweep().await.unwrap(), 0, "it never beat");
    drowsy.beat().await.unwrap();
    assert_eq!(drowsy.sweep().await.unwrap(), 0, "it beat once");
    tokio::time::sleep(TTL * 2).await;
    drowsy.beat().await.unwrap();
    assert_eq!(drowsy.sweep().await.unwrap(), 0, "it was silent itself");
    assert!(drowsy.sweep_at_last().await >= TTL);
}

pub(crate) async fn leaving_is_at_once(db: Fixture) {
    let (one, two) = (db.open("n_a"), db.open("n_b"));
    one.begin(1).await;
    let lease = one.take().await;
    one.leave().await.unwrap();
    assert_eq!(one.claim(1, 10).await.err(), Some(StoreError::Closed));
    assert_eq!(one.beat().await.err(), Some(StoreError::Closed));
    assert_eq!(two.take().await.run, lease.run);
}

pub(crate) async fn giving_back_is_at_once(db: Fixture) {
    let (one, two) = (db.open("n_a"), db.open("n_b"));
    let run = one.begin(1).await;
    let lease = one.take().await;
    one.give_back(lease).await.unwrap();
    assert_eq!(two.take().await.run, run);
    assert_eq!(one.beat().await.unwrap(), Beat::default());
}
