//! Fair share: who has its part of the seats is passed over while another has less.

use std::collections::BTreeMap;

use callboard_store::{Lease, NewRun, Store, Wanted};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Words, end, id, root, step};

fn of(workspace: &str, n: u128, priority: u16) -> NewRun {
    NewRun { workspace: workspace.to_owned(), ..root(n, priority) }
}

/// Runs of a workspace, each with the number it begins at.
async fn submit(store: &Store, workspace: &str, runs: std::ops::Range<u128>) {
    let all = runs.map(|n| store.submit(of(workspace, n, 100)));
    futures::future::join_all(all).await.into_iter().for_each(|it| drop(it.unwrap()));
}

/// The workspaces of what was taken, in order.
fn whose(leases: &[Lease]) -> String {
    leases.iter().map(|it| it.workspace.as_str()).collect::<Vec<_>>().join(" ")
}

/// Ends one of those that are held, and holds what comes in its place.
async fn passes(store: &Store, held: &mut Vec<Lease>, at: usize, seats: u32) {
    let ended = held.remove(at);
    held.extend(next(store, ended, seats).await);
}

/// The workspaces that are passed over with four seats.
async fn over(store: &Store) -> Vec<String> {
    store.claim_or_press(Wanted::default(), 4).await.unwrap().1.over
}

/// Ends a run and takes the next with the same write.
async fn next(store: &Store, lease: Lease, seats: u32) -> Vec<Lease> {
    let mut write = step(lease.seq, &[], end());
    write.takes = Some(Wanted { max: 1, seats, ..Wanted::default() });
    store.advance(&lease, write).await.unwrap().taken
}

pub(crate) async fn who_has_its_share_is_passed_over(db: Fixture) {
    let store = db.open("n_a");
    submit(&store, "a", 0..8).await;
    submit(&store, "b", 100..103).await;
    assert!(over(&store).await.is_empty(), "nobody holds a seat");
    let mut held = store.claim(9, 4).await.unwrap();
    assert_eq!(whose(&held), "a a b b");
    let third = store.row(&id(2)).await.unwrap().unwrap();
    assert_eq!(store.passed_over(&third, 4).await.unwrap(), None, "nobody has less");
    // The seat of the one goes to who holds fewer, whoever came first.
    passes(&store, &mut held, 3, 4).await;
    assert_eq!(whose(&held), "a a b b");
    passes(&store, &mut held, 0, 4).await;
    assert_eq!(whose(&held), "a b b a", "the other has nothing ready");
    passes(&store, &mut held, 1, 4).await;
    passes(&store, &mut held, 1, 4).await;
    assert_eq!(whose(&held), "a a a a", "what one does not want is for the others");
    store.submit(of("c", 200, 0)).await.unwrap();
    assert_eq!(over(&store).await, ["a"]);
    let waits = store.row(&id(7)).await.unwrap().unwrap();
    let shares = store.passed_over(&waits, 4).await.unwrap().unwrap();
    assert_eq!((shares.held("a"), shares.held("c"), shares.workspaces), (4, 0, 2));
    let wanted = store.row(&id(200)).await.unwrap().unwrap();
    assert_eq!(store.passed_over(&wanted, 4).await.unwrap(), None);
    assert_eq!(whose(&next(&store, held.remove(0), 4).await), "c");
}

pub(crate) async fn the_urgent_are_passed_over_by_nobody(db: Fixture) {
    let store = db.open("n_a");
    submit(&store, "a", 0..4).await;
    let mut held = store.claim(9, 4).await.unwrap();
    for (n, priority) in [(5, 899), (6, 900), (7, 950)] {
        store.submit(of("a", n, priority)).await.unwrap();
    }
    submit(&store, "b", 100..103).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.extend(next(&store, held.remove(0), 4).await);
    }
    // Two that are urgent enough go first, then those whose workspace has less.
    assert_eq!(whose(&order), "a a b b");
    let names: Vec<_> = order.iter().take(2).map(|it| it.run.clone()).collect();
    assert_eq!(names, [id(7), id(6)]);
    let passed = store.row(&id(5)).await.unwrap().unwrap();
    assert_eq!(store.passed_over(&passed, 4).await.unwrap(), None);
}

/// Four processes take and end runs of two workspaces; whenever all rest, each workspace has its half
/// of the seats, though one came with all its work long before the other.
pub(crate) async fn every_node_counts_the_seats_of_all(db: Fixture) {
    const SEATS: u32 = 8;
    let nodes: Vec<_> = ["n_a", "n_b", "n_c", "n_d"].iter().map(|it| db.open(it)).collect();
    submit(&nodes[0], "a", 0..150).await;
    submit(&nodes[0], "b", 1_000..1_060).await;
    let mut held: Vec<(usize, Lease)> = Vec::new();
    for round in 0..12 {
        let mut work = JoinSet::new();
        for (at, lease) in held.drain(..) {
            let store = nodes[at].clone();
            work.spawn(async move { (at, next(&store, lease, SEATS).await) });
        }
        for (at, store) in nodes.iter().cloned().enumerate() {
            work.spawn(async move { (at, store.claim(3, SEATS).await.unwrap()) });
        }
        while let Some(done) = work.join_next().await {
            let (at, taken) = done.unwrap();
            held.extend(taken.into_iter().map(|it| (at, it)));
        }
        let mut seats: BTreeMap<&str, u32> = BTreeMap::new();
        held.iter().for_each(|it| *seats.entry(it.1.workspace.as_str()).or_default() += 1);
        assert_eq!(seats, BTreeMap::from([("a", 4), ("b", 4)]), "in round {round}");
    }
}

pub(crate) async fn who_works_on_one_root_asks_for_no_share(db: Fixture) {
    let store = db.open("n_a");
    submit(&store, "a", 0..3).await;
    let held = store.claim(2, 3).await.unwrap();
    submit(&store, "b", 100..102).await;
    let own = store.claim_of(&id(2), 5, 3).await.unwrap();
    assert_eq!((whose(&held).as_str(), whose(&own).as_str()), ("a a", "a"));
}

pub(crate) async fn what_a_dead_node_held_is_shared_anew(db: Fixture) {
    let (dead, store) = (db.open_hasty("n_dead"), db.open_hasty("n_b"));
    submit(&store, "a", 0..8).await;
    let lost = dead.claim(4, 4).await.unwrap();
    submit(&store, "b", 100..103).await;
    assert_eq!(lost.len(), 4);
    assert!(store.claim(4, 4).await.unwrap().is_empty(), "its seats are held until it is dead");
    store.sweep_at_last().await;
    assert_eq!(whose(&store.claim(9, 4).await.unwrap()), "a a b b");
}

pub(crate) async fn one_behind_many_thousands_has_its_share(db: Fixture) {
    let store = db.open("n_a");
    submit(&store, "a", 0..20_000).await;
    let mut held = store.claim(4, 4).await.unwrap();
    submit(&store, "b", 200_000..200_040).await;
    let mut order = Vec::new();
    for _ in 0..20 {
        let taken = next(&store, held.remove(0), 4).await;
        order.push(whose(&taken));
        held.extend(taken);
    }
    assert_eq!(order[..4], ["b", "b", "a", "a"], "two of four are the share");
}
