//! Gates: what steps share over all nodes is taken as a whole, in order, and comes back.

use std::time::Duration;

use callboard_store::gates::{
    Blown, Charge, Fragile, Gate, Give, Growth, Held, Rate, Return, Ruling, Spent, Take, Wait, Went,
};
use callboard_store::{Advance, Lease, NewRun, Next, Store};
use callboard_trace::Event;
use tokio::time::sleep;

use crate::fixture::{Fixture, Words, child, end, fact, id, park, root};

fn take(name: &str) -> Take {
    Take { name: name.to_owned(), units: 1.0, rate: None, width: None, breaker: None }
}

pub(crate) fn bucket(name: &str, capacity: f64, per_second: f64) -> Take {
    Take { rate: Some(Rate { capacity, per_second }), ..take(name) }
}

fn wide(name: &str, width: u32) -> Take {
    Take { width: Some(width), ..take(name) }
}

pub(crate) fn gate(takes: Vec<Take>) -> Gate {
    Gate {
        step: 1,
        facts: vec![fact("begins")],
        spawn: Vec::new(),
        takes,
        charges: Vec::new(),
        starts: None,
        growth: None,
        since: None,
        told: None,
        parks: true,
    }
}

pub(crate) async fn asks(store: &Store, lease: &Lease, gate: Gate) -> Ruling {
    let seen = store.row(&lease.run).await.unwrap().unwrap().seq;
    let write = Advance { gate: Some(gate), ..Advance::new(seen, vec![], Next::Go) };
    store.advance(lease, write).await.unwrap().ruling.unwrap()
}

pub(crate) async fn gives(
    store: &Store,
    lease: &Lease,
    take: Take,
    went: Went,
    next: Next,
) -> Vec<Event> {
    let seen = store.row(&lease.run).await.unwrap().unwrap().seq;
    let give = Give { step: 1, take, used: None, went, learned: None };
    let write = Advance { gives: vec![give], ..Advance::new(seen, vec![], next) };
    store.advance(lease, write).await.unwrap().turned
}

fn held(ruling: Ruling) -> Wait {
    let Ruling::Held(wait) = ruling else { panic!("not held: {ruling:?}") };
    wait
}

/// Takes the run again once its time or its turn has come.
async fn again(store: &Store, run: &callboard_trace::RunId) -> Lease {
    for _ in 0..2_000 {
        store.sweep().await.unwrap();
        if let Some(lease) = store.claim_of(run, 1, 1_000).await.unwrap().pop() {
            return lease;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("{run} never woke")
}

pub(crate) async fn a_rate_is_shared_and_kept(db: Fixture) {
    let (one, two) = (db.open("n_a"), db.open("n_b"));
    for n in 1..=40 {
        one.begin(n).await;
    }
    let begun = tokio::time::Instant::now();
    let mut passed = 0;
    while passed < 40 {
        for store in [&one, &two] {
            store.sweep().await.unwrap();
            for lease in store.claim(4, 1_000).await.unwrap() {
                if asks(store, &lease, gate(vec![bucket("api", 10.0, 100.0)])).await
                    == Ruling::Passed
                {
                    passed += 1;
                    let done = Next::End { state: "completed".to_owned() };
                    gives(store, &lease, bucket("api", 10.0, 100.0), Went::Good, done).await;
                }
            }
        }
        let most = 10.0 + begun.elapsed().as_secs_f64() * 100.0 + 1.0;
        assert!(f64::from(passed) <= most, "{passed} of {most}");
    }
    assert!(begun.elapsed() >= Duration::from_millis(280), "{:?}", begun.elapsed());
}

pub(crate) async fn all_is_taken_or_nothing(db: Fixture) {
    let store = db.open("n_a");
    let first = store.begin(1).await;
    store.begin(2).await;
    let (a, b) = (store.take().await, store.take().await);
    assert_eq!(a.run, first);
    let both = || vec![bucket("api", 2.0, 0.01), wide("desk", 1)];
    assert_eq!(asks(&store, &a, gate(both())).await, Ruling::Passed);
    // The second finds the desk taken, and leaves the bucket as it was.
    assert_eq!(held(asks(&store, &b, gate(both())).await).why, Held::Width);
    assert_eq!(store.story(&b.run).await, "begin step_waiting");
    gives(&store, &a, wide("desk", 1), Went::Good, Next::Go).await;
    let b = again(&store, &b.run).await;
    assert_eq!(asks(&store, &b, gate(both())).await, Ruling::Passed);
    assert_eq!(store.story(&b.run).await, "begin step_waiting begins");
}

pub(crate) async fn more_than_there_ever_is_is_said_at_once(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    let lease = store.take().await;
    let much = Take { units: 11.0, ..bucket("api", 10.0, 1.0) };
    let Ruling::Never { name, units, capacity } = asks(&store, &lease, gate(vec![much])).await
    else {
        panic!("it can never begin")
    };
    assert_eq!((name.as_str(), units, capacity), ("api", 11.0, 10.0));
    assert_eq!(store.story(&lease.run).await, "begin");
}

pub(crate) async fn who_waits_stands_in_order_of_rank(db: Fixture) {
    let store = db.open("n_a");
    let holder = store.begin(1).await;
    let h = store.take().await;
    assert_eq!(asks(&store, &h, gate(vec![wide("desk", 1)])).await, Ruling::Passed);
    for (n, priority) in [(2, 100), (3, 900), (4, 100)] {
        store.submit(root(n, priority)).await.unwrap();
    }
    for lease in store.claim(3, 1_000).await.unwrap() {
        held(asks(&store, &lease, gate(vec![wide("desk", 1)])).await);
    }
    store.prioritise(&id(4), 500, fact("first")).await.unwrap();
    gives(&store, &h, wide("desk", 1), Went::Good, end()).await;
    assert_eq!(store.row(&holder).await.unwrap().unwrap().outcome.as_deref(), Some("completed"));
    let mut order = Vec::new();
    for _ in 0..3 {
        let lease = store.take().await;
        assert_eq!(asks(&store, &lease, gate_since(wide("desk", 1))).await, Ruling::Passed);
        order.push(lease.run.clone());
        gives(&store, &lease, wide("desk", 1), Went::Good, end()).await;
    }
    assert_eq!(order, [id(3), id(4), id(2)]);
}

/// So many runs ask for this: the first gets it and goes on, the others wait as is answered.
async fn line_for(store: &Store, count: u32, takes: &Take) -> (Lease, Vec<Wait>) {
    for n in 1..=count {
        store.begin(n.into()).await;
    }
    let mut leases = store.claim(count, 1_000).await.unwrap().into_iter();
    let (first, mut waits) = (leases.next().expect("the first"), Vec::new());
    assert_eq!(asks(store, &first, gate(vec![takes.clone()])).await, Ruling::Passed);
    for lease in leases {
        waits.push(held(asks(store, &lease, gate(vec![takes.clone()])).await));
    }
    (first, waits)
}

pub(crate) async fn who_comes_forward_in_a_line_for_a_rate_goes_sooner(db: Fixture) {
    let store = db.open("n_a");
    let slow = bucket("api", 1.0, 0.1);
    let (_first, waits) = line_for(&store, 3, &slow).await;
    assert_eq!((waits[0].ahead, waits[1].ahead), (0, 1));
    store.prioritise(&id(3), 900, fact("first")).await.unwrap();
    let last = store.take().await;
    assert_eq!(last.run, id(3), "it looks again at once");
    let wait = held(asks(&store, &last, gate(vec![slow])).await);
    assert_eq!(wait.ahead, 0);
    assert!((wait.again - waits[0].again).abs() < 1_000, "{wait:?} {waits:?}");
    store.prioritise(&id(3), 1, fact("last")).await.unwrap();
    let both = store.claim(3, 1_000).await.unwrap();
    let names: Vec<_> = both.iter().map(|it| it.run.clone()).collect();
    assert_eq!(names, [id(2), id(3)], "who is first by that looks again too");
}

pub(crate) async fn who_goes_out_of_a_line_for_a_rate_leaves_no_gap(db: Fixture) {
    let store = db.open("n_a");
    let rate = bucket("api", 1.0, 0.5);
    let slow = || gate(vec![rate.clone()]);
    let (_first, waits) = line_for(&store, 4, &rate).await;
    assert_eq!(waits.len(), 3);
    store.signal(&id(3), vec![fact("cancel")], false).await.unwrap();
    let gone = store.take().await;
    let seen = store.row(&id(3)).await.unwrap().unwrap().seq;
    store.advance(&gone, Advance::new(seen, vec![], end())).await.unwrap();
    let first = store.take().await;
    assert_eq!(first.run, id(2));
    held(asks(&store, &first, slow()).await);
    let first = again(&store, &id(2)).await;
    assert_eq!(asks(&store, &first, gate_since(rate.clone())).await, Ruling::Passed);
    let next = store.take().await;
    assert_eq!(next.run, id(4), "it was to look two turns later");
    held(asks(&store, &next, slow()).await);
}

fn gate_since(take: Take) -> Gate {
    Gate { since: Some(1), ..gate(vec![take]) }
}

pub(crate) async fn who_waits_for_something_else_leaves_the_line(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    let holder = store.take().await;
    assert_eq!(asks(&store, &holder, gate(vec![wide("desk", 1)])).await, Ruling::Passed);
    for n in 2..=4 {
        store.begin(n).await;
        let lease = store.take().await;
        held(asks(&store, &lease, gate(vec![wide("desk", 1)])).await);
    }
    // The first is told something, and then waits for that alone; the second ends in line.
    store.signal(&id(2), vec![fact("pause")], false).await.unwrap();
    let paused = again(&store, &id(2)).await;
    let seen = store.row(&id(2)).await.unwrap().unwrap().seq;
    gives(&store, &holder, wide("desk", 1), Went::Good, Next::Go).await;
    store.advance(&paused, Advance::new(seen, vec![], park())).await.unwrap();
    let second = store.take().await;
    assert_eq!(second.run, id(3));
    let seen = store.row(&id(3)).await.unwrap().unwrap().seq;
    store.advance(&second, Advance::new(seen, vec![], end())).await.unwrap();
    let third = store.take().await;
    assert_eq!(asks(&store, &third, gate_since(wide("desk", 1))).await, Ruling::Passed);
}

pub(crate) async fn who_is_woken_and_held_elsewhere_wakes_the_next(db: Fixture) {
    let store = db.open("n_a");
    for n in 1..=4 {
        store.begin(n).await;
    }
    let leases = store.claim(4, 1_000).await.unwrap();
    let (both, desk) = (|| vec![wide("desk", 1), wide("lamp", 1)], || vec![wide("desk", 1)]);
    assert_eq!(asks(&store, &leases[0], gate(desk())).await, Ruling::Passed);
    assert_eq!(asks(&store, &leases[1], gate(vec![wide("lamp", 1)])).await, Ruling::Passed);
    assert_eq!(held(asks(&store, &leases[2], gate(both())).await).name, "desk");
    held(asks(&store, &leases[3], gate(desk())).await);
    gives(&store, &leases[0], wide("desk", 1), Went::Good, Next::Go).await;
    let woken = store.take().await;
    assert_eq!(held(asks(&store, &woken, gate(both())).await).name, "lamp");
    let next = store.take().await;
    assert_eq!(next.run, id(4));
    assert_eq!(asks(&store, &next, gate_since(wide("desk", 1))).await, Ruling::Passed);
}

pub(crate) async fn nobody_waits_in_line_beyond_a_deadline(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    let holder = store.take().await;
    let slow = || bucket("api", 1.0, 0.001);
    assert_eq!(asks(&store, &holder, gate(vec![wide("desk", 1), slow()])).await, Ruling::Passed);
    let deadline = store.now().await.unwrap() + 5_000_000;
    for (n, take) in [(2, wide("desk", 1)), (3, slow())] {
        store.submit(NewRun { deadline, ..root(n, 100) }).await.unwrap();
        let lease = store.take().await;
        held(asks(&store, &lease, gate(vec![take])).await);
        assert_eq!(store.row(&id(n)).await.unwrap().unwrap().wake, Some(deadline));
    }
    let seen = store.row(&holder.run).await.unwrap().unwrap().seq;
    store.advance(&holder, Advance::new(seen, vec![], end())).await.unwrap();
    // They look again of themselves: this is no rest.
    assert!(!store.is_at_rest().await.unwrap());
}

pub(crate) async fn what_the_dead_held_comes_back(db: Fixture) {
    let (dead, alive) = (db.open("n_dead"), db.open("n_alive"));
    let first = dead.begin(1).await;
    dead.begin(2).await;
    let (a, b) = (dead.take().await, alive.take().await);
    assert_eq!(asks(&dead, &a, gate(vec![wide("desk", 1)])).await, Ruling::Passed);
    held(asks(&alive, &b, gate(vec![wide("desk", 1)])).await);
    drop(a);
    drop(dead);
    alive.beat().await.unwrap();
    let b = again(&alive, &b.run).await;
    assert_eq!(asks(&alive, &b, gate_since(wide("desk", 1))).await, Ruling::Passed);
    let a = again(&alive, &first).await;
    assert_eq!(held(asks(&alive, &a, gate(vec![wide("desk", 1)])).await).why, Held::Width);
}

pub(crate) async fn a_breaker_opens_lets_one_try_and_closes(db: Fixture) {
    let store = db.open("n_a");
    let reset = Duration::from_millis(400);
    let breaker =
        Some(Fragile { failures: 3, reset, probe: Duration::from_secs(60), wait: Duration::MAX });
    let model = || Take { breaker, ..take("model") };
    for n in 1..=5 {
        store.begin(n).await;
    }
    let mut turned = Vec::new();
    let mut leases = store.claim(5, 1_000).await.unwrap();
    for lease in &leases[..3] {
        assert_eq!(asks(&store, lease, gate(vec![model()])).await, Ruling::Passed);
        turned = gives(&store, lease, model(), Went::Bad, end()).await;
    }
    let is_opened =
        |it: &Event| matches!(it, Event::BreakerChanged { to, failures: 3, .. } if to == "open");
    assert!(turned.iter().any(is_opened), "{turned:?}");
    let (y, x) = (leases.pop().unwrap(), leases.pop().unwrap());
    assert_eq!(held(asks(&store, &x, gate(vec![model()])).await).why, Held::Breaker);
    assert_eq!(held(asks(&store, &y, gate(vec![model()])).await).why, Held::Breaker);
    // One may try, the other still waits.
    let x = again(&store, &x.run).await;
    assert_eq!(asks(&store, &x, gate_since(model())).await, Ruling::Passed);
    let y = again(&store, &y.run).await;
    assert_eq!(held(asks(&store, &y, gate_since(model())).await).why, Held::Breaker);
    let turned = gives(&store, &x, model(), Went::Good, Next::Go).await;
    let is_closed = |it: &Event| matches!(it, Event::BreakerChanged { from, to, .. } if from == "half_open" && to == "closed");
    assert!(turned.iter().any(is_closed), "{turned:?}");
    let y = again(&store, &y.run).await;
    assert_eq!(asks(&store, &y, gate_since(model())).await, Ruling::Passed);
}

pub(crate) async fn a_pause_that_was_asked_for_is_kept_and_less_is_asked_then(db: Fixture) {
    let store = db.open("n_a");
    for n in 1..=8 {
        store.begin(n).await;
    }
    let leases = store.claim(8, 1_000).await.unwrap();
    for lease in &leases {
        assert_eq!(asks(&store, lease, gate(vec![take("acme")])).await, Ruling::Passed);
    }
    let pause = Duration::from_millis(300);
    let begun = tokio::time::Instant::now();
    let limited = Went::Limited(Some(pause));
    gives(&store, &leases[0], take("acme"), limited, Next::Park { until: None }).await;
    for lease in &leases[1..] {
        gives(&store, lease, take("acme"), Went::Neither, Next::Yield).await;
    }
    let (mut passed, mut wide) = (0, 0);
    for n in 2..=8 {
        let lease = again(&store, &id(n)).await;
        let mut ruling = asks(&store, &lease, gate(vec![take("acme")])).await;
        if matches!(&ruling, Ruling::Held(wait) if wait.why == Held::Shut) {
            let lease = again(&store, &id(n)).await;
            ruling = asks(&store, &lease, gate_since(take("acme"))).await;
        }
        if ruling == Ruling::Passed {
            passed += 1;
        } else {
            wide += u32::from(held(ruling).why == Held::Width);
        }
    }
    assert!(begun.elapsed() >= pause, "{:?}", begun.elapsed());
    // Eight were under way when it complained: four at once from then on.
    assert_eq!((passed, wide), (4, 3));
}

pub(crate) async fn a_ledger_is_exact(db: Fixture) {
    let (one, two) = (db.open("n_a"), db.open("n_b"));
    for n in 1..=24 {
        one.begin(n).await;
    }
    let charge = Charge {
        node: "task/x".to_owned(),
        add: [10, 0, 0, 1, 0, 0],
        caps: [Some(105), None, None, None, None, None],
    };
    let tries = (0..24).map(|at| {
        let (store, charge) = (if at % 2 == 0 { &one } else { &two }, charge.clone());
        async move {
            let lease = store.take().await;
            let gate = Gate { charges: vec![charge], ..gate(vec![]) };
            let ruling = asks(store, &lease, gate).await;
            (lease, ruling)
        }
    });
    let (mut begun, mut poor) = (Vec::new(), 0);
    for (lease, ruling) in futures::future::join_all(tries).await {
        if ruling == Ruling::Passed {
            begun.push(lease);
            continue;
        }
        let Ruling::Poor(it) = ruling else { panic!("{ruling:?}") };
        assert_eq!((it.dimension, it.cap), ("tokens", 105));
        poor += 1;
    }
    assert_eq!((begun.len(), poor), (10, 14));
    assert_eq!(one.spent("task/x").await.unwrap(), [100, 0, 0, 10, 0, 0]);
    let spent = Spent { node: "task/x".to_owned(), add: [-7, 3, 0, 0, 0, 0] };
    let lease = &begun[0];
    let seen = one.row(&lease.run).await.unwrap().unwrap().seq;
    let store = if one.row(&lease.run).await.unwrap().unwrap().node.as_deref() == Some("n_a") {
        &one
    } else {
        &two
    };
    let write = Advance { spent: vec![spent], ..Advance::new(seen, vec![], Next::Go) };
    let stands = store.advance(lease, write).await.unwrap().ledger;
    assert_eq!(stands, [("task/x".to_owned(), [93, 3, 0, 10, 0, 0])]);
}

pub(crate) async fn what_is_left_of_a_share_goes_back_once(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    let lease = store.take().await;
    let share = |cap| Return {
        node: "share/x/a".to_owned(),
        caps: [Some(cap), None, None, Some(5), None, None],
        to: "back/x".to_owned(),
    };
    let spends = |tokens| Charge {
        node: "share/x/a".to_owned(),
        add: [tokens, 0, 0, 1, 0, 0],
        caps: [Some(30), None, None, Some(5), None, None],
    };
    let ask = |tokens| Gate { charges: vec![spends(tokens)], ..gate(vec![]) };
    assert_eq!(asks(&store, &lease, ask(20)).await, Ruling::Passed);
    let back =
        |seen, next| Advance { returns: vec![share(30)], ..Advance::new(seen, vec![], next) };
    let spent = |tokens| vec![Spent { node: "share/x/a".to_owned(), add: [tokens, 0, 0, 0, 0, 0] }];
    let stands =
        async || (store.spent("share/x/a").await.unwrap(), store.spent("back/x").await.unwrap());
    // With a step's settling in the same write: 20 were set aside, and 15 used.
    store.advance(&lease, Advance { spent: spent(-5), ..back(2, Next::Go) }).await.unwrap();
    let after = ([30, 0, 0, 5, 0, 0], [15, 0, 0, 4, 0, 0]);
    assert_eq!(stands().await, after);
    store.advance(&lease, back(2, Next::Go)).await.unwrap();
    assert_eq!(stands().await, after, "a second time moves nothing");
    let more = asks(&store, &lease, ask(1)).await;
    assert!(matches!(more, Ruling::Poor(it) if (it.used, it.cap) == (30, 30)));
    // More than the share was used: the others have so much less.
    store.advance(&lease, Advance { spent: spent(8), ..back(2, end()) }).await.unwrap();
    assert_eq!(stands().await, ([30, 0, 0, 5, 0, 0], [7, 0, 0, 4, 0, 0]));
    // Who is fenced moves nothing.
    store.begin(2).await;
    let lease = store.take().await;
    let write = Advance { returns: vec![share(90)], ..Advance::new(9, vec![], end()) };
    assert!(store.advance(&lease, write).await.is_err());
    assert_eq!(stands().await.0[0], 30);
}

pub(crate) async fn what_agents_create_is_counted_for_good(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    let lease = store.take().await;
    let growth = |root: &str, burst| Growth {
        root: root.to_owned(),
        tasks_per_root: 3,
        workspace: root.to_owned(),
        tasks_per_workspace: 2,
        burst,
        rate: 1,
    };
    let spawns = |lease: &Lease, n, growth| Gate {
        spawn: vec![child(n, lease)],
        growth: Some(growth),
        ..gate(vec![])
    };
    let blown =
        |fuse, value, limit| Ruling::Blown(Blown { fuse, value, limit, retry_after_s: None });
    assert_eq!(asks(&store, &lease, spawns(&lease, 10, growth("a", 20))).await, Ruling::Passed);
    assert_eq!(asks(&store, &lease, spawns(&lease, 11, growth("a", 20))).await, Ruling::Passed);
    let third = asks(&store, &lease, spawns(&lease, 12, growth("a", 20))).await;
    assert_eq!(third, blown("tasks_per_workspace", 3, 2));
    let done = store.take().await;
    assert_eq!(done.run, id(10));
    store.advance(&done, Advance::new(1, vec![], end())).await.unwrap();
    drop((lease, store));
    let store = db.open("n_b");
    store.beat().await.unwrap();
    let lease = again(&store, &id(1)).await;
    assert_eq!(asks(&store, &lease, spawns(&lease, 12, growth("a", 20))).await, Ruling::Passed);
    let fourth = asks(&store, &lease, spawns(&lease, 13, growth("a", 20))).await;
    assert_eq!(fourth, blown("tasks_per_root", 4, 3));
    assert!(store.row(&id(13)).await.unwrap().is_none());
    // And how fast.
    assert_eq!(asks(&store, &lease, spawns(&lease, 20, growth("b", 1))).await, Ruling::Passed);
    let Ruling::Blown(fast) = asks(&store, &lease, spawns(&lease, 21, growth("b", 1))).await else {
        panic!("one at a stretch")
    };
    assert_eq!((fast.fuse, fast.limit, fast.retry_after_s), ("spawn_rate", 1, Some(10)));
}

pub(crate) async fn what_slips_in_goes_before_the_gate(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    store.signal(&run, vec![fact("stop")], true).await.unwrap();
    let write = Advance { gate: Some(gate(vec![])), ..Advance::new(1, vec![], Next::Go) };
    let advanced = store.advance(&lease, write).await.unwrap();
    assert_eq!(advanced.ruling, Some(Ruling::Overtaken));
    assert_eq!(store.story(&run).await, "begin stop");
}

pub(crate) async fn who_yields_is_in_the_queue_again(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    store.submit(root(2, 900)).await.unwrap();
    let write = Advance::new(1, vec![fact("done")], Next::Yield);
    store.advance(&lease, write).await.unwrap();
    assert_eq!(store.take().await.run, id(2));
    assert_eq!(store.take().await.run, run);
    assert_eq!(store.story(&run).await, "begin done");
}
