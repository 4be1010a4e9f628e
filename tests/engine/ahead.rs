//! What a write that ends a run takes from the queue.

use callboard_store::{Advance, Wanted};

use crate::fixture::{Fixture, Words, end, id, root, step};

pub(crate) async fn a_seat_is_left_free_where_nobody_is_as_urgent(db: Fixture) {
    let store = db.open("n_a");
    for (n, priority) in [(1, 500), (2, 300), (3, 200)] {
        store.submit(root(n, priority)).await.unwrap();
    }
    let own = store.take().await;
    let second = store.first_ready().await.unwrap().unwrap();
    let wanted = |before| Some(Wanted { max: 1, seats: 1, before, ..Wanted::default() });
    let ends = |before| Advance { takes: wanted(before), ..step(1, &[], end()) };
    let left = store.advance(&own, ends(Some(second - 1))).await.unwrap().taken;
    assert_eq!(left.len(), 0, "nobody before that rank");
    let second_own = store.take().await;
    let third = store.first_ready().await.unwrap();
    let taken = store.advance(&second_own, ends(third)).await.unwrap().taken;
    assert_eq!(taken.iter().map(|it| &it.run).collect::<Vec<_>>(), [&id(3)]);
}
