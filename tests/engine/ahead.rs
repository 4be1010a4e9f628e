//! What a write that ends a run takes from the queue, and what begins with it.

use std::sync::Arc;

use callboard_store::gates::{Gate, Openers, Take};
use callboard_store::{Advance, Lease, NewRun, Next, Wanted};

use crate::fixture::{Fixture, Words, child, end, fact, id, park, root, starts, step};

pub(crate) async fn a_seat_is_left_free_where_nobody_is_as_urgent(db: Fixture) {
    let store = db.open("n_a");
    for (n, priority) in [(1, 500), (2, 300), (3, 200)] {
        store.submit(root(n, priority)).await.unwrap();
    }
    let own = store.take().await;
    let first = async || store.claim_or_press(Wanted::default(), 1).await.unwrap().1.first;
    let second = first().await.unwrap();
    let wanted = |before| Some(Wanted { max: 1, seats: 1, before, ..Wanted::default() });
    let ends = |before| Advance { takes: wanted(before), ..step(1, &[], end()) };
    let left = store.advance(&own, ends(Some(second - 1))).await.unwrap().taken;
    assert_eq!(left.len(), 0, "nobody before that rank");
    let second_own = store.take().await;
    let third = first().await;
    let taken = store.advance(&second_own, ends(third)).await.unwrap().taken;
    assert_eq!(taken.iter().map(|it| &it.run).collect::<Vec<_>>(), [&id(3)]);
}

pub(crate) async fn a_first_step_begins_with_the_write_that_takes_its_run(db: Fixture) {
    let store = db.open("n_a");
    for n in 1..=6 {
        store.submit(root(n, 100)).await.unwrap();
    }
    let narrow =
        Take { name: "narrow".into(), units: 1.0, rate: None, width: Some(1), breaker: None };
    let opener = |seq, takes| {
        let facts = vec![fact("begins")];
        store.opener(seq, Gate { step: 1, facts, takes, ..Gate::default() }).unwrap()
    };
    let openers = Arc::new(Openers::default());
    // One as it should be, one decided by another journal, one that its gate holds, one without anybody
    // left to perform it.
    openers.put(id(2), Arc::new(opener(1, vec![narrow.clone()])));
    openers.put(id(3), Arc::new(opener(2, vec![])));
    openers.put(id(4), Arc::new(opener(1, vec![narrow])));
    let spent = Arc::new(opener(1, vec![]));
    assert!(!spent.spend(), "nobody began it");
    openers.put(id(5), spent);
    let own = store.take().await;
    let takes = Some(Wanted { max: 5, seats: 9, openers: openers.clone(), ..Wanted::default() });
    let write = Advance { takes, ..step(1, &[], end()) };
    let taken = store.advance(&own, write.clone()).await.unwrap().taken;
    let begun: Vec<_> = taken.iter().map(|it| (it.begun.is_some(), it.seq)).collect();
    assert_eq!(begun, [(true, 2), (false, 1), (false, 1), (false, 1), (false, 1)]);
    let is_begun = |n| openers.remove(&id(n)).unwrap().spend();
    assert_eq!([2, 3].map(is_begun), [true, false]);
    let journal = store.journal(&id(2), 0, 9).await.unwrap();
    assert_eq!(journal.len(), 2, "{journal:?}");
    for lease in &taken {
        let seq = store.row(&lease.run).await.unwrap().unwrap().seq;
        assert_eq!(seq, lease.seq, "{}", lease.run);
        store.advance(lease, step(lease.seq, &["on"], Next::Go)).await.unwrap();
    }
    assert_eq!(store.verify(&id(2)).await.unwrap().breaks, []);
    // A write that is refused begins nothing.
    store.advance(&own, write).await.unwrap_err();
}

pub(crate) async fn a_run_begins_with_the_write_that_starts_it_and_its_end_is_told_with_its_place(
    db: Fixture,
) {
    let store = db.open("n_a");
    store.submit(root(1, 100)).await.unwrap();
    let parent = store.take().await;
    let gate = Gate { step: 1, facts: vec![fact("begins")], ..Gate::default() };
    let opener = Arc::new(store.opener(1, gate).unwrap());
    let openers = Arc::new(Openers::default());
    openers.put(id(2), opener);
    let takes = Some(Wanted { max: 2, seats: 9, openers, ..Wanted::default() });
    let spawn = vec![child(2, &parent), child(3, &parent)];
    let write = Advance { takes, ..step(1, &["starts"], Next::Go) };
    let taken = store.advance(&parent, starts(&store, write, spawn)).await.unwrap().taken;
    let begun: Vec<_> = taken.iter().map(|it| (&it.run, it.begun.is_some(), it.seq)).collect();
    assert_eq!(begun, [(&id(2), true, 2), (&id(3), false, 1)]);
    let nobody = id(77);
    let tell = [&id(1), &nobody].map(|it| (it.clone(), fact("it ended"))).to_vec();
    let write = Advance { tell, ..step(2, &["says"], end()) };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    store.hears(move |run, heard, _| drop(tell.send((run.clone(), heard.0, heard.1))));
    store.advance(&taken[0], write).await.unwrap();
    assert_eq!(told.try_recv().unwrap(), (id(1), 3, fact("it ended")));
    assert!(told.try_recv().is_err(), "the other is not there");
    let journal = store.journal(&id(1), 2, 9).await.unwrap();
    assert_eq!(
        journal.iter().map(|it| (it.seq, &it.event)).collect::<Vec<_>>(),
        [(3, &fact("it ended").event)]
    );
    assert_eq!(store.verify(&id(2)).await.unwrap().breaks, []);
}

/// The end of a step wakes the plan that waits for it, which is first in the queue then and needs no
/// seat: the seat is the next one's all the same.
pub(crate) async fn a_plan_that_is_woken_takes_nobodys_seat(db: Fixture) {
    let store = db.open("n_a");
    store.submit(NewRun { agent: "plan".into(), ..root(1, 100) }).await.unwrap();
    let plan = store.take().await;
    let spawn = (2..=4).map(|n| child(n, &plan)).collect();
    let write = starts(&store, step(1, &["starts"], park()), spawn);
    store.advance(&plan, write).await.unwrap();
    let own = store.claim(1, 1).await.unwrap().remove(0);
    let ends = |lease: &Lease, before| {
        let takes = Some(Wanted { max: 1, seats: 1, before, ..Wanted::default() });
        let tell = vec![(id(1), fact("it ended"))];
        Advance { tell, takes, ..step(lease.seq, &[], end()) }
    };
    let names = |taken: &[Lease]| taken.iter().map(|it| it.run.clone()).collect::<Vec<_>>();
    let taken = store.advance(&own, ends(&own, None)).await.unwrap().taken;
    assert_eq!(names(&taken), [id(1), id(3)]);
    assert!(store.claim(1, 1).await.unwrap().is_empty(), "no more than there are seats");
    store.advance(&taken[0], step(taken[0].seq, &[], park())).await.unwrap();
    let left = store.advance(&taken[1], ends(&taken[1], Some(i64::MAX - 1))).await.unwrap().taken;
    assert_eq!(names(&left), [id(1)], "the seat is left to one that the plan starts");
}
