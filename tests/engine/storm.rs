//! Many runs, two nodes, lost answers and forgotten leases: each step is there once, in order.

use std::time::Duration;

use callboard_store::{Lease, List, Next, Store, StoreError};
use callboard_trace::{Record, RunId};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Words, chance, child, fact, root, starts, step, story};

const ROOTS: u128 = 40;
const STEPS: usize = 6;

pub(crate) async fn nothing_is_lost_or_done_twice(db: Fixture) {
    let nodes = [db.open("n_a"), db.open("n_b")];
    for n in 0..ROOTS {
        nodes[0].submit(root(n, (n * 37 % 1_000) as u16)).await.unwrap();
    }
    let mut work = JoinSet::new();
    for store in nodes.clone() {
        work.spawn(node(store));
    }
    let storm = async { while work.join_next().await.is_some_and(|it| it.is_ok()) {} };
    tokio::time::timeout(Duration::from_secs(60), storm).await.unwrap();
    check(&nodes[0]).await;
}

/// Claims and works, forgets every eighth run, beats, until nothing is open.
async fn node(store: Store) {
    while store.counts().await.unwrap().open_roots > 0 {
        let mut runs = JoinSet::new();
        for lease in store.claim(8, 12).await.unwrap() {
            runs.spawn(run(store.clone(), lease));
        }
        while runs.join_next().await.is_some() {}
        store.beat().await.unwrap();
        store.sweep().await.unwrap();
    }
}

async fn run(store: Store, lease: Lease) {
    let mut seen = store.all(&lease.run).await;
    while !is_over(&seen) {
        let said = seen.iter().filter(|it| story([*it]).starts_with('s')).count();
        match chance() % 16 {
            0 => return,
            1 => {
                store
                    .signal(&lease.run, vec![fact("poke")], chance().is_multiple_of(2))
                    .await
                    .unwrap();
            }
            2 => {
                // The caller goes away; whether the step was kept is found out later.
                let write = advance(&store, &lease, seen.len() as u64, said);
                drop(tokio::time::timeout(Duration::from_micros(300), write).await);
                return;
            }
            _ => {}
        }
        match advance(&store, &lease, seen.len() as u64, said).await {
            Ok(more) => seen.extend(more),
            Err(StoreError::Fenced) => return,
            Err(other) => panic!("{other}"),
        }
        if chance().is_multiple_of(16) {
            let parked = Next::Park { until: Some(store.now().await.unwrap() + 3_000) };
            return match store.advance(&lease, step(seen.len() as u64, &[], parked)).await {
                Ok(_) | Err(StoreError::Fenced) => {}
                Err(other) => panic!("{other}"),
            };
        }
    }
}

async fn advance(
    store: &Store,
    lease: &Lease,
    seen: u64,
    said: usize,
) -> Result<Vec<Record>, StoreError> {
    let word = format!("s{said}");
    let last = said + 1 == STEPS;
    let next = if last { Next::End { state: "completed".into() } } else { Next::Go };
    let mut write = step(seen, &[&word], next);
    // Roots start one child, and children tell their root when they end.
    if said == 2 && lease.run == lease.root {
        write = starts(store, write, vec![child(chance(), lease)]);
    }
    if last && lease.run != lease.root {
        write.tell = vec![(lease.root.clone(), fact("told"))];
    }
    store.advance(lease, write).await.map(|it| it.records)
}

fn is_over(seen: &[Record]) -> bool {
    story(seen).split(' ').any(|it| it == format!("s{}", STEPS - 1))
}

/// Every run has every step once and in order, its numbers have no gap, and every chain holds.
async fn check(store: &Store) {
    drain(store).await;
    let roots = store.list(List { limit: 1_000, ..List::default() }).await.unwrap();
    assert_eq!(roots.len() as u128, ROOTS);
    for row in roots {
        let tree = store.tree(&row.run, 0, u32::MAX).await.unwrap();
        let mut runs: Vec<RunId> = tree.iter().map(|it| it.1.run.clone()).collect();
        runs.sort();
        runs.dedup();
        assert_eq!(runs.len(), 2, "a root and its child");
        for run in runs {
            let all = store.all(&run).await;
            assert!(all.iter().enumerate().all(|(at, it)| it.seq == at as u64 + 1));
            let told = store.story(&run).await;
            let steps: Vec<_> = told.split(' ').filter(|it| it.starts_with('s')).collect();
            assert_eq!(steps, ["s0", "s1", "s2", "s3", "s4", "s5"], "of {run}: {told}");
        }
        assert_eq!(store.verify(&row.run).await.unwrap().breaks, vec![]);
    }
}

/// Children that outlived their roots.
async fn drain(store: &Store) {
    for _ in 0..1_000 {
        let counts = store.counts().await.unwrap();
        if counts.ready + counts.running + counts.waiting == 0 {
            return;
        }
        for lease in store.claim(8, 100).await.unwrap() {
            run(store.clone(), lease).await;
        }
        store.beat().await.unwrap();
        store.sweep().await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("runs stay open: {:?}", store.counts().await);
}
