//! The one write of a step, and everything that may stand in its way.

use std::time::Duration;

use callboard_store::{NewRun, Next, RunState, StoreError};

use crate::fixture::{Fixture, Words, child, end, fact, id, park, root, starts, step, story};

pub(crate) async fn a_step_is_whole_or_not_at_all(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    let mut write = step(1, &["a", "b"], end());
    write.tell = vec![(id(9), fact("lost"))];
    write = starts(
        &store,
        write,
        vec![child(2, &lease), NewRun { parent: Some(id(8)), ..child(3, &lease) }],
    );
    let refused = store.advance(&lease, write.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Db(_)), "{refused}");
    assert_eq!(store.story(&run).await, "begin");
    assert!(store.row(&id(2)).await.unwrap().is_none());
    write.spawn.pop();
    let done = store.advance(&lease, write).await.unwrap();
    assert_eq!((done.seq, done.children.len()), (3, 1));
    assert_eq!(story(&done.records), "a b");
    assert_eq!(store.story(&run).await, "begin a b");
    assert_eq!(store.story(&id(2)).await, "begin");
    assert_eq!(store.row(&id(2)).await.unwrap().unwrap().parent, Some(run));
}

pub(crate) async fn a_stale_lease_writes_nothing(db: Fixture) {
    let (one, two) = (db.open("n_a"), db.open("n_b"));
    let run = one.begin(1).await;
    let stale = one.take().await;
    one.advance(&stale, step(1, &["mine"], Next::Go)).await.unwrap();
    // Another node takes it over behind our back.
    one.leave().await.unwrap();
    let fresh = two.take().await;
    let late = one.advance(&stale, step(2, &["late"], Next::Go)).await.unwrap_err();
    assert_eq!(late, StoreError::Fenced);
    two.advance(&fresh, step(2, &["theirs"], end())).await.unwrap();
    let later = one.advance(&stale, step(2, &["later"], end())).await.unwrap_err();
    assert_eq!(later, StoreError::Fenced);
    assert_eq!(two.story(&run).await, "begin mine theirs");
}

pub(crate) async fn a_shorter_journal_is_fenced(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    let ahead = store.advance(&lease, step(2, &["x"], Next::Go)).await.unwrap_err();
    assert_eq!(ahead, StoreError::Fenced);
    assert_eq!(store.story(&run).await, "begin");
}

pub(crate) async fn tokens_are_not_counted_up(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    // The same node takes the same run again and again: an older lease stays worthless.
    let mut old = Vec::new();
    for n in 1..=5 {
        let lease = store.take().await;
        for it in &old {
            let late = store.advance(it, step(n, &["late"], Next::Go)).await;
            assert_eq!(late.unwrap_err(), StoreError::Fenced);
        }
        store.advance(&lease, step(n, &["x"], park())).await.unwrap();
        old.push(lease);
        store.signal(&run, vec![], false).await.unwrap();
    }
}

pub(crate) async fn what_slipped_in_is_told(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    assert_eq!(store.signal(&run, vec![fact("hey"), fact("ho")], false).await.unwrap(), Some(3));
    assert_eq!(store.news(&[(run.clone(), 1), (id(5), 0)]).await.unwrap(), vec![(run.clone(), 3)]);
    let done = store.advance(&lease, step(1, &["a"], Next::Go)).await.unwrap();
    assert_eq!((story(&done.records).as_str(), done.seq), ("hey ho a", 4));
    assert_eq!(done.records[..], store.all(&run).await[1..]);
    assert_eq!(store.news(&[(run.clone(), 4)]).await.unwrap(), vec![]);
    // Nothing to say is a step too, and an end is an end.
    store.signal(&run, vec![fact("last")], false).await.unwrap();
    let done = store.advance(&lease, step(4, &["bye"], end())).await.unwrap();
    assert_eq!(story(&done.records), "last bye");
    assert_eq!(store.row(&run).await.unwrap().unwrap().state, RunState::Ended);
}

/// Jobs that wait for the same commit are written one behind the other: each sees what those before it
/// did, and all of it is on disk.
pub(crate) async fn writes_that_share_a_commit_see_one_another(db: Fixture) {
    const RUNS: u128 = 90;
    let store = db.open("n_a");
    for n in 1..=RUNS {
        store.begin(n).await;
    }
    let leases = store.claim(RUNS as u32, RUNS as u32).await.unwrap();
    let long = "x".repeat(1_000);
    let both = leases.iter().map(|lease| async {
        let words = vec![fact("hey"), fact(&long), fact("ho")];
        let told = store.signal(&lease.run, words, false);
        let done = store.advance(lease, step(1, &["a", "b"], Next::Go));
        let (told, done) = tokio::join!(biased; told, done);
        assert_eq!(told.unwrap(), Some(4));
        let done = done.unwrap();
        assert_eq!((story(&done.records), done.seq), (format!("hey {long} ho a b"), 6));
        done.records
    });
    let written = futures::future::join_all(both).await;
    for (lease, records) in leases.iter().zip(written) {
        assert_eq!(records[..], store.all(&lease.run).await[1..]);
        assert_eq!(store.verify(&lease.run).await.unwrap().breaks, vec![]);
    }
}

pub(crate) async fn parking_compares_the_length(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    store.signal(&run, vec![fact("slip")], false).await.unwrap();
    store.advance(&lease, step(1, &["park"], park())).await.unwrap();
    assert_eq!(store.row(&run).await.unwrap().unwrap().state, RunState::Ready);
    let lease = store.take().await;
    store.advance(&lease, step(3, &["park"], park())).await.unwrap();
    assert_eq!(store.row(&run).await.unwrap().unwrap().state, RunState::Waiting);
    assert_eq!(store.signal(&run, vec![fact("wake")], false).await.unwrap(), Some(5));
    assert_eq!(store.take().await.seq, 5);
}

pub(crate) async fn a_timer_wakes(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    let until = Some(store.now().await.unwrap() + 150_000);
    store.advance(&lease, step(1, &[], Next::Park { until })).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert!(store.claim(1, 10).await.unwrap().is_empty());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(store.sweep().await.unwrap(), 1);
    let lease = store.take().await;
    assert_eq!(lease.run, run);
    // A time that has passed is no wait at all.
    let until = Some(store.now().await.unwrap() - 1);
    store.advance(&lease, step(1, &[], Next::Park { until })).await.unwrap();
    assert_eq!(store.take().await.run, run);
}

pub(crate) async fn a_tell_wakes_the_parent(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let parent = store.take().await;
    let mut write = step(1, &["ask"], park());
    write = starts(&store, write, vec![child(2, &parent)]);
    store.advance(&parent, write).await.unwrap();
    let kid = store.take().await;
    let mut write = step(1, &["answer"], end());
    write.tell = vec![(run.clone(), fact("child ended"))];
    store.advance(&kid, write).await.unwrap();
    assert_eq!(store.story(&run).await, "begin ask child ended");
    assert_eq!(store.take().await.run, run);
}

pub(crate) async fn the_ended_hear_nothing(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    store.advance(&lease, step(1, &["bye"], end())).await.unwrap();
    assert_eq!(store.signal(&run, vec![fact("late")], true).await.unwrap(), None);
    assert_eq!(store.signal(&id(7), vec![fact("whom")], true).await.unwrap(), None);
    store.submit(root(2, 100)).await.unwrap();
    let other = store.take().await;
    let mut write = step(1, &[], Next::Go);
    write.tell = vec![(run.clone(), fact("late"))];
    store.advance(&other, write).await.unwrap();
    assert_eq!(store.story(&run).await, "begin bye");
}

pub(crate) async fn an_ended_run_reopens(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let again = |runs: &[u128], word: &str| {
        let runs = runs.iter().map(|it| (id(*it), vec![fact(word)])).collect();
        store.reopen(runs, 1_000)
    };
    assert!(!again(&[1], "early").await.unwrap());
    let lease = store.take().await;
    store.advance(&lease, step(1, &["bye"], end())).await.unwrap();
    assert_eq!(store.counts().await.unwrap().open_roots, 0);
    assert!(!again(&[1, 2], "both or none").await.unwrap());
    assert!(again(&[1], "again").await.unwrap());
    assert_eq!(store.row(&run).await.unwrap().unwrap().deadline, 1_000);
    let lease = store.take().await;
    assert_eq!((lease.attempt, lease.seq), (2, 3));
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.open_roots, counts.ended), (1, 0));
    store.advance(&lease, step(3, &["done"], end())).await.unwrap();
    let attempts: Vec<_> = store.all(&run).await.iter().map(|it| it.attempt).collect();
    assert_eq!(attempts, [1, 1, 2, 2]);
    assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
}

pub(crate) async fn a_tree_is_told_at_once(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let top = store.take().await;
    let mut write = step(1, &["ask"], park());
    write = starts(&store, write, vec![child(2, &top), child(3, &top)]);
    store.advance(&top, write).await.unwrap();
    let middle = store.take().await;
    let mut write = step(1, &["pass on"], end());
    write = starts(&store, write, vec![child(4, &middle)]);
    store.advance(&middle, write).await.unwrap();
    store.begin(5).await;
    store.begin(6).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    store.hears(move |run, heard, _| drop(tell.send((run.clone(), heard.0, heard.1))));
    let two_and_nobody = vec![run, id(6), id(9)];
    assert_eq!(store.signal_trees(two_and_nobody, fact("cancel"), true).await.unwrap(), 2);
    let reached: Vec<_> = (0..4).map(|_| told.try_recv().unwrap()).collect();
    assert_eq!(
        reached.iter().map(|it| &it.0).collect::<Vec<_>>(),
        [&id(1), &id(3), &id(4), &id(6)]
    );
    for (run, seq, fact) in &reached {
        let last = store.journal(run, seq - 1, 9).await.unwrap();
        assert_eq!(
            last.iter().map(|it| (it.seq, &it.event)).collect::<Vec<_>>(),
            [(*seq, &fact.event)]
        );
    }
    assert_eq!(store.story(&id(4)).await, "begin cancel");
    assert_eq!(store.story(&id(2)).await, "begin pass on");
    assert_eq!(store.story(&id(5)).await, "begin");
    assert_eq!(store.claim(10, 0).await.unwrap().len(), 4);
    assert_eq!(store.signal_trees(vec![id(3)], fact("x"), false).await.unwrap(), 1);
    assert_eq!(told.try_recv().unwrap().0, id(3));
    assert!(told.try_recv().is_err(), "nobody else");
}
