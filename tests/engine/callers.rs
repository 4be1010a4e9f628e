//! What callers hear: deliveries in ended journals, what is unread, and calls that come again.

use callboard_store::{List, Listens, NewRun, Store, Word};
use callboard_trace::{Event, Fact, RunId};

use crate::fixture::{Fixture, TTL, Words, child, end, fact, id, root, starts, step};

fn word(run: &RunId, event: Event) -> Word {
    Word { run: run.clone(), fact: Fact::new("me", event), awaited: false }
}

fn delivered(run: &RunId) -> Word {
    word(run, Event::Delivered { to: "client".to_owned(), form: "stdio".to_owned() })
}

fn left(run: &RunId) -> Word {
    word(run, Event::CallerLeft { after_s: 5.0 })
}

fn waits() -> Listens {
    Listens { waits: true, ..Listens::default() }
}

fn again() -> Listens {
    Listens { rejoins: true, ..waits() }
}

async fn finish(store: &Store) -> RunId {
    let lease = store.take().await;
    store.advance(&lease, step(lease.seq, &[], end())).await.unwrap();
    lease.run.clone()
}

async fn unread(store: &Store) -> Vec<String> {
    let found = store.unread("me", 0, 10).await.unwrap();
    assert_eq!(found.n_all, found.newest.len() as u64);
    found.newest.iter().map(|it| it.run.to_string()).collect()
}

pub(crate) async fn what_nobody_heard_is_unread_until_it_is_delivered(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    assert!(unread(&store).await.is_empty(), "it is open");
    let run = finish(&store).await;
    assert_eq!(unread(&store).await, [run.to_string()]);
    assert_eq!(store.unread("you", 0, 10).await.unwrap().n_all, 0);
    let later = store.now().await.unwrap() + 1_000_000;
    assert_eq!(store.unread("me", later, 10).await.unwrap().n_all, 0);
    store.hear(vec![delivered(&run), delivered(&run)]).await.unwrap();
    store.hear(vec![delivered(&run)]).await.unwrap();
    assert!(unread(&store).await.is_empty());
    assert_eq!(store.story(&run).await, "begin delivered", "once");
    assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
    assert!(store.claim(9, 9).await.unwrap().is_empty(), "it wakes nobody");
}

pub(crate) async fn an_end_that_is_awaited_is_not_unread(db: Fixture) {
    let store = db.open("n_a");
    store.call(root(1, 100), waits(), vec![]).await.unwrap();
    let run = finish(&store).await;
    assert!(unread(&store).await.is_empty(), "its answer is on the way");
    store.hear(vec![left(&run)]).await.unwrap();
    assert_eq!(unread(&store).await, [run.to_string()]);
    // A delivery of what is open still is none, and what begins again is to be told again.
    store.reopen(vec![(run.clone(), vec![fact("retry")])], 0).await.unwrap();
    store.hear(vec![delivered(&run)]).await.unwrap();
    assert_eq!(store.story(&run).await, "begin caller_left retry");
    finish(&store).await;
    assert_eq!(unread(&store).await, [run.to_string()]);
}

pub(crate) async fn the_unread_are_counted_and_the_newest_named(db: Fixture) {
    let store = db.open("n_a");
    for n in 1..=8 {
        let listens = if n % 2 == 0 { waits() } else { Listens::default() };
        store.call(root(n, 100), listens, vec![]).await.unwrap();
    }
    for n in 1..=8 {
        assert_eq!(finish(&store).await, id(n));
        store.hear(vec![left(&id(n))]).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let found = store.unread("me", 0, 3).await.unwrap();
    let named: Vec<_> = found.newest.iter().map(|it| it.run.clone()).collect();
    assert_eq!((named, found.n_all), (vec![id(8), id(7), id(6)], 8));
}

pub(crate) async fn an_equal_call_joins_what_was_left(db: Fixture) {
    let store = db.open("n_a");
    let run = store.call(root(1, 100), again(), vec![]).await.unwrap().run;
    let twin = store.call(root(2, 100), again(), vec![]).await.unwrap();
    assert_eq!((twin.run, twin.joined), (id(2), false), "the first is open still");
    store.hear(vec![left(&run)]).await.unwrap();
    let other = NewRun { fingerprint: "other".to_owned(), ..root(3, 100) };
    assert!(!store.call(other, again(), vec![]).await.unwrap().joined);
    let theirs = NewRun { principal: "you".to_owned(), ..root(4, 100) };
    assert!(!store.call(theirs, again(), vec![]).await.unwrap().joined);
    assert!(
        !store.call(root(5, 100), waits(), vec![]).await.unwrap().joined,
        "it is to be a new one"
    );
    let back = store.call(root(6, 100), again(), vec![]).await.unwrap();
    assert_eq!((back.run, back.joined), (run.clone(), true));
    assert!(
        !store.call(root(7, 100), again(), vec![]).await.unwrap().joined,
        "somebody waits again"
    );
    finish(&store).await;
    store.hear(vec![delivered(&run)]).await.unwrap();
    assert!(!store.call(root(8, 100), again(), vec![]).await.unwrap().joined, "it was delivered");
}

pub(crate) async fn a_call_that_left_a_moment_ago_is_joined_before_that_is_written(db: Fixture) {
    let store = db.open("n_a");
    let run = store.call(root(1, 100), again(), vec![]).await.unwrap().run;
    assert!(store.call(root(2, 100), again(), vec![run.clone()]).await.unwrap().joined);
    let late = Word { awaited: true, ..left(&run) };
    store.hear(vec![late]).await.unwrap();
    assert_eq!(store.story(&run).await, "begin caller_left");
    assert!(!store.call(root(3, 100), again(), vec![]).await.unwrap().joined, "the second waits");
}

pub(crate) async fn what_a_dead_or_leaving_node_waited_for_is_left(db: Fixture) {
    let (one, two) = (db.open_hasty("n_a"), db.open_hasty("n_b"));
    one.call(root(1, 100), again(), vec![]).await.unwrap();
    assert!(
        !two.call(root(2, 100), again(), vec![]).await.unwrap().joined,
        "it waits at the other node"
    );
    one.leave().await.unwrap();
    assert_eq!(two.call(root(3, 100), again(), vec![]).await.unwrap().run, id(1));
    two.hear(vec![left(&id(1))]).await.unwrap();
    let three = db.open_hasty("n_c");
    three.call(root(4, 100), again(), vec![]).await.unwrap();
    drop(two);
    // The second waited for run 2 and is gone without a word.
    let until = tokio::time::Instant::now() + TTL * 20;
    loop {
        three.beat().await.unwrap();
        three.sweep().await.unwrap();
        let back = three.call(root(5, 100), again(), vec![]).await.unwrap();
        if back.run == id(2) {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "it was never left");
        tokio::time::sleep(TTL / 4).await;
    }
}

pub(crate) async fn children_are_nobodys_to_hear(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    let parent = store.take().await;
    let mut write = step(1, &["hand"], end());
    write = starts(&store, write, vec![child(2, &parent)]);
    store.advance(&parent, write).await.unwrap();
    finish(&store).await;
    store.hear(vec![delivered(&id(2)), left(&id(2))]).await.unwrap();
    assert_eq!(store.story(&id(2)).await, "begin");
    assert_eq!(unread(&store).await, [id(1).to_string()]);
    assert_eq!(store.under(&id(1), 9).await.unwrap(), [id(1), id(2)]);
    let listed = store.list(List { limit: 9, ..List::default() }).await.unwrap();
    assert_eq!((listed.len(), listed[0].rank), (1, listed[0].root_at - 100_000_000));
}

pub(crate) async fn the_last_records_come_oldest_first(db: Fixture) {
    let store = db.open("n_a");
    for word in ["a", "b", "c"] {
        store.note("c_client", vec![fact(word)]).await.unwrap();
    }
    let last = store.latest(&RunId::from_text("c_client"), 2).await.unwrap();
    assert_eq!(crate::fixture::story(&last), "b c");
    store.hear(vec![delivered(&RunId::from_text("c_client"))]).await.unwrap();
    assert_eq!(store.story(&RunId::from_text("c_client")).await, "a b c");
}
