//! Stores to be moved: one with rows of every kind, and one with many runs.

use callboard_store::gates::{Charge, Gate, Ruling, Take};
use callboard_store::{Advance, NewRun, Next, Store};
use callboard_trace::memory::{Body, MEMORY};
use callboard_trace::{Event, Fact};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Words, child, end, fact, id, park, root, said, starts, step};
use crate::gates::{asks, bucket, gate};
use crate::rows;

/// A run that is over, with a child.
pub(crate) const ENDED: u128 = 1;
/// A run whose records have long and deep bodies, and odd signs.
pub(crate) const LONG: u128 = 2;
/// A run with a key.
const KEYED: u128 = 3;
/// A run that a node holds which is dead.
pub(crate) const HELD: u128 = 9;

/// An entry of memory.
pub(crate) fn note(key: &str, text: &str) -> Fact {
    let value = Body { text: text.to_owned(), of: format!("r_x/{key}") }.value();
    let event = Event::Noted {
        slot: MEMORY.to_owned(),
        key: key.to_owned(),
        value,
        artifact: String::new(),
        confidence: None,
        taint: None,
        provenance: None,
        tags: vec!["tagged".to_owned()],
        expires: None,
    };
    Fact::new("owner", event)
}

/// A run with a key, which joins the one that is there.
pub(crate) fn keyed() -> NewRun {
    NewRun { key: Some("once".to_owned()), ..root(KEYED, 300) }
}

/// Rows in every table, of runs in every state.
pub(crate) async fn everything(home: &Fixture) {
    let store = home.open("n_one");
    store.begin(ENDED).await;
    let lease = store.take().await;
    let spawn = vec![child(100, &lease)];
    let first = starts(&store, step(lease.seq, &["hands on"], park()), spawn);
    store.advance(&lease, first).await.unwrap();
    let of_child = store.take().await;
    let tell = vec![(id(ENDED), fact("child ended"))];
    let last = Advance { tell, ..step(of_child.seq, &["works"], end()) };
    store.advance(&of_child, last).await.unwrap();
    let lease = store.take().await;
    store.advance(&lease, step(lease.seq, &["is over"], end())).await.unwrap();
    long(&store).await;
    waits(&store).await;
    let notes =
        [note("harbour", "where ships lie"), note("zero", "a \0 byte"), note("old", "gone")];
    store.note_memory("default", notes.to_vec()).await.unwrap();
    let forgotten = Fact::new("owner", Event::Forgotten { key: "old".to_owned() });
    store.note_memory("default", vec![forgotten]).await.unwrap();
    store.note("n_one", vec![fact("a node says")]).await.unwrap();
    // It stays in the list of nodes, and holds a run, as one that was killed.
    let dead = home.open("n_dead");
    shares(&dead).await;
    dead.submit(root(HELD, 900)).await.unwrap();
    let held = dead.take().await;
    assert_eq!(held.run, id(HELD));
    store.submit(keyed()).await.unwrap();
    store.leave().await.unwrap();
    drop((store, dead));
    rows::put_pace(home.path());
}

async fn long(store: &Store) {
    store.begin(LONG).await;
    let lease = store.take().await;
    let deep = (0..150).fold(json!("bottom"), |it, _| json!([it]));
    let odd = json!({"text": "Ünïcödé \u{0}\u{1}\u{10ffff} 'quoted' \\ \"twice\"", "$blob": "no", "n": -1.5});
    let facts = vec![
        said("long", json!("ä".repeat(700_000))),
        said("longer", json!("z".repeat(6 << 20))),
        said("deep", deep),
        said("odd", odd),
        said("many", Value::from((0..2_000).map(|it| format!("item {it}")).collect::<Vec<_>>())),
    ];
    store.advance(&lease, Advance::new(lease.seq, facts, end())).await.unwrap();
}

async fn waits(store: &Store) {
    store.begin(4).await;
    let lease = store.take().await;
    let until = Some(store.now().await.unwrap() + 3_600_000_000);
    store.advance(&lease, step(lease.seq, &["waits"], Next::Park { until })).await.unwrap();
}

/// One run holds what it shares with others, one stands in line for it, and a budget is charged.
async fn shares(store: &Store) {
    let desk = || Take { width: Some(1), ..bucket("desk", 5.0, 0.01) };
    for n in [5, 6] {
        store.begin(n).await;
        let lease = store.take().await;
        let add = [10, 0, 0, 1, 0, 0];
        let charge = Charge { node: format!("task/{n}"), add, caps: [None; 6] };
        let asked = Gate { charges: vec![charge], ..gate(vec![desk()]) };
        let ruling = asks(store, &lease, asked).await;
        assert_eq!(ruling == Ruling::Passed, n == 5, "{ruling:?}");
    }
}

/// Writes so many runs that are over, five records each, two of them with long texts.
pub(crate) async fn fill(store: &Store, runs: u32) {
    let shared = "what all agents are told ".repeat(100);
    for first in (0..runs).step_by(10_000) {
        let some = first..runs.min(first + 10_000);
        let (n, begin) = (some.len() as u32, said("one", json!(shared)));
        let new = |nth: u32| NewRun {
            facts: vec![begin.clone()],
            ..root(1 << 40 | u128::from(nth), 100)
        };
        let taken = stream::iter(some).map(|nth| store.submit(new(nth))).buffer_unordered(512);
        taken.try_for_each(|_| async { Ok(()) }).await.unwrap();
        let leases = store.claim(n, u32::MAX).await.unwrap();
        assert_eq!(leases.len(), n as usize);
        let over = stream::iter(&leases).map(|lease| {
            let own = said("four", json!(format!("{} ", lease.run).repeat(60)));
            let facts = vec![fact("two"), fact("three"), own, fact("five")];
            store.advance(lease, Advance::new(lease.seq, facts, end()))
        });
        over.buffer_unordered(512).try_for_each(|_| async { Ok(()) }).await.unwrap();
    }
}
