//! The queue: who goes first, how many at once, and who is let in.

use std::time::Duration;

use callboard_store::{Advance, Lease, List, NewRun, Next, RunState, StoreError, Wanted};
use callboard_trace::rank::LEADER;

use crate::fixture::{Fixture, Words, child, end, fact, id, park, root, starts, step};

/// Takes one after the other.
async fn order(db: &callboard_store::Store) -> Vec<String> {
    let mut taken = Vec::new();
    while let Some(lease) = db.claim(1, 1_000).await.unwrap().pop() {
        taken.push(lease);
    }
    taken.iter().map(|it| it.run.to_string()).collect()
}

fn names(all: &[u128]) -> Vec<String> {
    all.iter().map(|it| id(*it).to_string()).collect()
}

pub(crate) async fn the_most_urgent_goes_first(db: Fixture) {
    let store = db.open("n_a");
    for (n, priority) in [(1, 100), (2, 900), (3, 0), (4, 500)] {
        store.submit(root(n, priority)).await.unwrap();
    }
    assert_eq!(order(&store).await, names(&[2, 4, 1, 3]));
}

pub(crate) async fn equals_go_in_order_of_acceptance(db: Fixture) {
    let store = db.open("n_a");
    let runs: Vec<u128> = (0..40).map(|it| (it * 7 + 3) % 40).collect();
    for n in &runs {
        store.submit(root(*n, 100)).await.unwrap();
    }
    let first = store.claim(15, 100).await.unwrap();
    let first: Vec<_> = first.iter().map(|it| it.run.to_string()).collect();
    assert_eq!([first, order(&store).await].concat(), names(&runs));
}

pub(crate) async fn children_stand_where_their_root_stands(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    let first = store.take().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    store.begin(2).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut write = step(1, &["hand"], park());
    write = starts(&store, write, vec![child(3, &first), child(4, &first)]);
    store.advance(&first, write).await.unwrap();
    assert_eq!(order(&store).await, names(&[3, 4, 2]));
}

pub(crate) async fn a_point_of_priority_is_a_second(db: Fixture) {
    let store = db.open("n_a");
    store.submit(root(1, 100)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    store.submit(root(2, 101)).await.unwrap();
    store.submit(root(3, 160)).await.unwrap();
    assert_eq!(order(&store).await, names(&[3, 1, 2]));
}

pub(crate) async fn priority_reaches_open_descendants(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let first = store.take().await;
    let mut write = step(1, &["hand"], park());
    write = starts(&store, write, vec![child(2, &first), child(3, &first)]);
    store.advance(&first, write).await.unwrap();
    let second = store.take().await;
    let mut write = step(1, &["hand"], end());
    write = starts(&store, write, vec![child(4, &second)]);
    store.advance(&second, write).await.unwrap();
    store.submit(root(5, 800)).await.unwrap();
    assert!(store.prioritise(&run, 900, fact("hurry")).await.unwrap());
    assert_eq!(store.story(&run).await, "begin hand hurry");
    assert_eq!(store.story(&id(4)).await, "begin hurry", "each is told");
    for n in [1, 3, 4] {
        assert_eq!(store.row(&id(n)).await.unwrap().unwrap().priority, 900, "of {n}");
    }
    assert_eq!(store.row(&id(2)).await.unwrap().unwrap().priority, 100, "it has ended");
    assert_eq!(order(&store).await, names(&[3, 4, 5]));
    assert!(!store.prioritise(&id(2), 900, fact("late")).await.unwrap());
    assert!(!store.prioritise(&id(77), 900, fact("whom")).await.unwrap());
}

/// A root with points for these many that wait, and for how it fits.
fn with_points(n: u128, priority: u16, waiters: u16, fit: u16) -> NewRun {
    let points = callboard_trace::rank::Points { given: false, waiters, fit };
    NewRun { points, unscored: true, ..root(n, priority) }
}

pub(crate) async fn what_comes_on_top_of_a_base_stays_when_it_is_set(db: Fixture) {
    let store = db.open("n_a");
    let effective = async |n: u128| store.row(&id(n)).await.unwrap().unwrap().effective();
    store.submit(with_points(1, 100, 10, 0)).await.unwrap();
    store.submit(with_points(2, 100, 2, 300)).await.unwrap();
    store.submit(root(3, 700)).await.unwrap();
    assert_eq!((effective(1).await, effective(2).await), (900, 560));
    assert!(store.prioritise(&id(1), 20, fact("later")).await.unwrap());
    assert!(store.prioritise(&id(2), 600, fact("sooner")).await.unwrap());
    assert_eq!((effective(1).await, effective(2).await), (820, 760), "a set base has no goal fit");
    assert!(store.prioritise(&id(3), 1_000, fact("now")).await.unwrap());
    store.submit(with_points(4, 900, 10, 300)).await.unwrap();
    assert_eq!(effective(4).await, 1_000, "more than 1000 is 1000");
    assert_eq!(order(&store).await, names(&[3, 4, 1, 2]));
}

pub(crate) async fn a_score_counts_only_where_nobody_set_a_base(db: Fixture) {
    let store = db.open("n_a");
    for n in 1..=3 {
        store.submit(with_points(n, 100, 0, 300)).await.unwrap();
    }
    store.submit(root(4, 100)).await.unwrap();
    let unscored = async |seats| {
        let found = store.unscored(seats, 20).await.unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(unscored(4).await.is_empty(), "there are seats for all");
    assert_eq!(unscored(3).await, names(&[1, 2, 3]));
    store.prioritise(&id(2), 500, fact("mine")).await.unwrap();
    assert_eq!(unscored(3).await, names(&[1, 3]));
    assert!(store.score(&id(1), Some(950), vec![fact("scored")]).await.unwrap());
    for n in [1, 2, 4, 77] {
        assert!(!store.score(&id(n), Some(7), vec![fact("again")]).await.unwrap(), "of {n}");
    }
    let row = store.row(&id(1)).await.unwrap().unwrap();
    assert_eq!((row.priority, row.effective()), (950, 950), "a score has no goal fit");
    assert_eq!(store.story(&id(1)).await, "begin scored");
    assert_eq!(store.story(&id(2)).await, "begin mine");
    assert_eq!(order(&store).await, names(&[1, 2, 3, 4]));
    assert!(
        store.score(&id(3), Some(7), vec![fact("late")]).await.unwrap(),
        "it has begun and is open"
    );
    assert!(unscored(0).await.is_empty());
}

pub(crate) async fn one_urgent_run_overtakes_ten_thousand(db: Fixture) {
    let store = db.open("n_a");
    let low: Vec<_> = (10..10_010).map(|n| store.submit(root(n, 50))).collect();
    for taken in futures::future::join_all(low).await {
        taken.unwrap();
    }
    store.submit(root(1, 900)).await.unwrap();
    let first = store.claim(1, 1_000).await.unwrap();
    assert_eq!(first[0].run, id(1));
}

pub(crate) async fn places_are_counted_up_to_a_thousand(db: Fixture) {
    let store = db.open("n_a");
    let all: Vec<_> = (1..=1_000).map(|n| store.submit(root(n, 100))).collect();
    futures::future::join_all(all).await.into_iter().for_each(|it| drop(it.unwrap()));
    store.submit(root(1_001, 100)).await.unwrap();
    let place = async || store.row(&id(1_001)).await.unwrap().unwrap().position;
    assert_eq!(place().await, None);
    let lease = store.claim(1, 1).await.unwrap();
    assert_eq!((lease.len(), place().await), (1, Some(1_000)));
}

pub(crate) async fn seats_are_counted_over_all_nodes(db: Fixture) {
    let (one, two) = (db.open("n_a"), db.open("n_b"));
    for n in 0..10 {
        one.begin(n).await;
    }
    let mine = one.claim(3, 5).await.unwrap();
    let others = two.claim(10, 5).await.unwrap();
    assert_eq!((mine.len(), others.len()), (3, 2));
    assert!(two.claim(10, 5).await.unwrap().is_empty());
    one.advance(&mine[0], step(1, &[], park())).await.unwrap();
    assert_eq!(two.claim(10, 5).await.unwrap().len(), 1);
    assert!(one.claim(0, 100).await.unwrap().is_empty());
}

pub(crate) async fn claims_side_by_side_keep_to_their_nodes_part(db: Fixture) {
    let (store, other) = (db.open("n_a"), db.open("n_b"));
    for n in 0..30 {
        store.begin(n).await;
    }
    let wanted = Wanted { max: 4, seats: 20, own: Some(5), ..Wanted::default() };
    let claims = (0..4).map(|_| store.claim_or_press(wanted.clone(), 20));
    let claimed = futures::future::try_join_all(claims).await.unwrap();
    let mut held: Vec<Lease> = claimed.into_iter().flat_map(|it| it.0).collect();
    assert_eq!(held.len(), 5, "each by itself thought that it may");
    // Who leaves gives its place to another one, and not to two.
    let leaves =
        Advance { takes: Some(Wanted { max: 2, ..wanted.clone() }), ..step(1, &[], end()) };
    assert_eq!(store.advance(&held[0], leaves).await.unwrap().taken.len(), 1);
    held.remove(0);
    assert_eq!(other.claim(20, 20).await.unwrap().len(), 15, "the others have the rest");
}

pub(crate) async fn urgent_runs_go_beyond_the_seats(db: Fixture) {
    let store = db.open("n_a");
    let waiting = store.begin(1).await;
    let parked = store.take().await;
    store.advance(&parked, step(1, &[], park())).await.unwrap();
    store.submit(root(2, 1_000)).await.unwrap();
    store.begin(3).await;
    let busy = store.claim(1, 1).await.unwrap();
    assert!(store.claim(10, 1).await.unwrap().is_empty());
    store.signal(&waiting, vec![fact("cancel")], true).await.unwrap();
    let urgent = store.claim(10, 1).await.unwrap();
    assert_eq!(urgent.len(), 1);
    assert_eq!((&urgent[0].run, urgent[0].urgent), (&waiting, true));
    // Who has read the signal is urgent no more.
    store.advance(&urgent[0], step(2, &["heard"], park())).await.unwrap();
    store.signal(&waiting, vec![fact("go on")], false).await.unwrap();
    assert!(store.claim(10, 1).await.unwrap().is_empty());
    drop(busy);
}

pub(crate) async fn who_only_begins_work_of_others_needs_no_seat(db: Fixture) {
    let store = db.open("n_a");
    let leader = store.begin(1).await;
    let lead = store.take().await;
    let mut write = step(1, &["hand"], park());
    write = starts(&store, write, vec![child(2, &lead)]);
    store.advance(&lead, write).await.unwrap();
    let task = store.take().await;
    store.submit(root(3, 1_000)).await.unwrap();
    let busy = store.claim(10, 2).await.unwrap();
    let mut write = step(1, &[], end());
    (write.tell, write.hurry) = (vec![(leader.clone(), fact("child ended"))], vec![leader.clone()]);
    store.advance(&task, write).await.unwrap();
    let led = store.claim(10, 1).await.unwrap();
    assert_eq!((busy.len(), led.len(), &led[0].run), (1, 1, &leader));
}

pub(crate) async fn a_write_takes_who_comes_next(db: Fixture) {
    let store = db.open("n_a");
    store.submit(NewRun { agent: LEADER.to_owned(), ..root(1, 100) }).await.unwrap();
    for n in 2..=5 {
        store.submit(root(n, 100)).await.unwrap();
    }
    let held = store.claim(3, 2).await.unwrap();
    assert_eq!(held.iter().map(|it| &it.run).collect::<Vec<_>>(), [&id(1), &id(2)]);
    let wanted = |max, seats| Some(Wanted { max, seats, ..Wanted::default() });
    // Who leads a plan holds no seat: one of two is free.
    let mut write = step(1, &["led"], Next::Go);
    write.takes = wanted(9, 2);
    let led = store.advance(&held[0], write).await.unwrap().taken;
    assert_eq!(led.iter().map(|it| &it.run).collect::<Vec<_>>(), [&id(3)]);
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.running, counts.seated), (3, 2));
    // A run that ends has left its seat when the next is taken.
    let mut write = step(1, &[], end());
    write.takes = wanted(1, 2);
    let next = store.advance(&held[1], write.clone()).await.unwrap().taken;
    assert_eq!((next.len(), &next[0].run, next[0].seq), (1, &id(4), 1));
    // What is taken is ours: it is written, and the heartbeat leaves it with us.
    store.advance(&next[0], step(1, &["on"], Next::Go)).await.unwrap();
    assert!(store.beat().await.unwrap().lost.is_empty());
    assert_eq!(store.row(&id(4)).await.unwrap().unwrap().state, RunState::Running);
    // A write that is refused takes nobody.
    store.advance(&held[1], write).await.unwrap_err();
    assert_eq!(store.row(&id(5)).await.unwrap().unwrap().state, RunState::Ready);
}

pub(crate) async fn one_roots_runs_can_be_taken_alone(db: Fixture) {
    let store = db.open("n_a");
    let own = store.begin(1).await;
    let first = store.take().await;
    store.submit(root(2, 900)).await.unwrap();
    let mut write = step(1, &["hand"], park());
    write = starts(&store, write, vec![child(3, &first), child(4, &first)]);
    store.advance(&first, write).await.unwrap();
    let one = store.claim_of(&own, 10, 1).await.unwrap();
    assert_eq!(one.iter().map(|it| it.run.to_string()).collect::<Vec<_>>(), names(&[3]));
    assert!(store.claim_of(&own, 10, 1).await.unwrap().is_empty(), "there is one seat");
    store.signal_trees(vec![own.clone()], fact("stop"), true).await.unwrap();
    let urgent = store.claim_of(&own, 10, 1).await.unwrap();
    let urgent: Vec<_> = urgent.iter().map(|it| it.run.to_string()).collect();
    assert_eq!(urgent.len(), 2, "the root and its other child, beyond the seats: {urgent:?}");
    assert!(store.claim_of(&id(9), 10, 100).await.unwrap().is_empty());
    assert_eq!(order(&store).await, names(&[2]), "nobody else was taken");
}

pub(crate) async fn two_nodes_never_take_the_same_run(db: Fixture) {
    let (one, two) = (db.open("n_a"), db.open("n_b"));
    for n in 0..100 {
        one.begin(n).await;
    }
    let take = async |store: callboard_store::Store| {
        let mut mine = Vec::new();
        loop {
            let taken = store.claim(3, 1_000).await.unwrap();
            if taken.is_empty() {
                return mine;
            }
            mine.extend(taken);
        }
    };
    let (a, b) = tokio::join!(take(one), take(two));
    let mut all: Vec<_> = a.iter().chain(&b).map(|it| it.run.clone()).collect();
    assert_eq!(all.len(), 100);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 100);
}

pub(crate) async fn a_key_joins_its_run(db: Fixture) {
    let store = db.open("n_a");
    let keyed = |n, who: &str, what: &str| NewRun {
        key: Some("k".to_owned()),
        principal: who.to_owned(),
        fingerprint: what.to_owned(),
        ..root(n, 100)
    };
    let first = store.submit(keyed(1, "me", "this")).await.unwrap();
    assert!(!first.joined);
    let again = store.submit(keyed(2, "me", "this")).await.unwrap();
    assert_eq!((again.run, again.joined), (id(1), true));
    let other = store.submit(keyed(3, "me", "that")).await.unwrap_err();
    assert_eq!(other, StoreError::Conflict { run: id(1) });
    let theirs = store.submit(keyed(4, "you", "that")).await.unwrap();
    assert_eq!((theirs.run, theirs.joined), (id(4), false));
    assert_eq!(store.story(&id(1)).await, "begin");
    assert!(store.row(&id(2)).await.unwrap().is_none());
}

pub(crate) async fn the_same_name_joins_its_run(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    assert!(store.submit(root(1, 100)).await.unwrap().joined);
    let other = NewRun { fingerprint: "other".to_owned(), ..root(1, 100) };
    assert_eq!(store.submit(other).await.unwrap_err(), StoreError::Conflict { run: id(1) });
    let theirs = NewRun { principal: "you".to_owned(), ..root(1, 100) };
    assert_eq!(store.submit(theirs).await.unwrap_err(), StoreError::Conflict { run: id(1) });
    assert_eq!(store.counts().await.unwrap().open_roots, 1);
}

pub(crate) async fn the_queue_has_a_bound(db: Fixture) {
    let store = db.open("n_a");
    let small = |n| NewRun { queue_cap: 2, ..root(n, 100) };
    store.submit(small(1)).await.unwrap();
    let first = store.take().await;
    store.submit(small(2)).await.unwrap();
    let refused = store.submit(small(3)).await.unwrap_err();
    assert_eq!(refused, StoreError::OverCapacity { open: 2, cap: 2 });
    assert_eq!(store.journal(&id(3), 0, 10).await.unwrap(), vec![]);
    // Children are no roots, and an ended root makes room.
    let mut write = step(1, &[], end());
    write = starts(&store, write, vec![NewRun { queue_cap: 0, ..child(4, &first) }]);
    store.advance(&first, write).await.unwrap();
    store.submit(small(5)).await.unwrap();
}

pub(crate) async fn rows_lists_and_counts_agree(db: Fixture) {
    let store = db.open("n_a");
    for n in 1..=5 {
        store.submit(NewRun { principal: format!("p{}", n % 2), ..root(n, 100) }).await.unwrap();
    }
    let leases = store.claim(3, 100).await.unwrap();
    let before = store.now().await.unwrap();
    let until = Some(before + 3_600_000_000);
    store.advance(&leases[0], step(1, &[], end())).await.unwrap();
    store.advance(&leases[1], step(1, &["x"], Next::Park { until })).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.ready, counts.running, counts.waiting, counts.ended), (2, 1, 1, 1));
    assert_eq!(counts.open_roots, 4);
    assert_eq!(counts.oldest_ready, Some(store.row(&id(4)).await.unwrap().unwrap().created));
    let row = store.row(&id(2)).await.unwrap().unwrap();
    assert_eq!((row.state, row.wake, row.seq), (RunState::Waiting, until, 2));
    let row = store.row(&id(5)).await.unwrap().unwrap();
    assert_eq!((row.state, row.position, row.agent.as_str()), (RunState::Ready, Some(2), "coder"));
    let row = store.row(&id(1)).await.unwrap().unwrap();
    assert_eq!((row.state, row.outcome.as_deref()), (RunState::Ended, Some("completed")));
    assert!(row.ended.is_some() && row.ended <= Some(before + 60_000_000));
    let listed = async |filter: List| {
        let rows = store.list(List { limit: 10, ..filter }).await.unwrap();
        rows.iter().map(|it| it.run.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(List::default()).await, names(&[5, 4, 3, 2, 1]));
    assert_eq!(listed(List { open: Some(true), ..List::default() }).await, names(&[5, 4, 3, 2]));
    assert_eq!(listed(List { open: Some(false), ..List::default() }).await, names(&[1]));
    let state = Some(RunState::Ready);
    assert_eq!(listed(List { state, ..List::default() }).await, names(&[5, 4]));
    let principal = Some("p1".to_owned());
    let theirs = List { principal, ..List::default() };
    assert_eq!(listed(theirs.clone()).await, names(&[5, 3, 1]));
    assert_eq!(listed(List { open: Some(true), ..theirs.clone() }).await, names(&[5, 3]));
    assert_eq!(listed(List { before: Some(row.pos + 4), ..theirs }).await, names(&[3, 1]));
}
