//! What is past its time leaves whole, and nothing else does.

use std::time::Duration;

use callboard_store::{Advance, List, Next, Store};
use callboard_trace::memory::{Body, MEMORY, OUTPUTS};
use callboard_trace::{Event, Fact, RunId};
use serde_json::{Value, json};

use crate::away::Away;
use crate::fixture::{Fixture, Words, child, end, fact, id, park, root, said, starts, step, story};

/// Later than anything that happens here.
const LATER: i64 = i64::MAX;

/// Another text for each letter, long enough to be kept apart.
fn long(letter: &str) -> String {
    letter.repeat(2_000)
}

/// What a tool gave, whose long texts leave before the record.
fn gave(text: &str) -> Fact {
    let result = json!({"ok": true, "text": text});
    let event = Event::ToolReturned {
        step: 1,
        call: "call".to_owned(),
        ok: true,
        result,
        ms: 1,
        documents: vec![],
        files: vec![],
    };
    Fact::new("tool", event)
}

fn noted(slot: &str, key: &str, text: &str, expires: Option<i64>) -> Fact {
    let value = match slot {
        MEMORY => Body { text: text.to_owned(), of: format!("r_x/{key}") }.value(),
        _ => json!({"task": text}),
    };
    let event = Event::Noted {
        slot: slot.to_owned(),
        key: key.to_owned(),
        value,
        artifact: String::new(),
        confidence: None,
        taint: None,
        provenance: None,
        tags: vec![],
        expires,
    };
    Fact::new("coder", event)
}

/// A root that says this and is over.
async fn over(store: &Store, n: u128, facts: Vec<Fact>) -> RunId {
    store.begin(n).await;
    let lease = store.take().await;
    assert_eq!(lease.run, id(n));
    store.advance(&lease, Advance::new(lease.seq, facts, end())).await.unwrap();
    id(n)
}

/// The places of all roots that are over.
async fn all_over(store: &Store) -> Vec<u64> {
    let (rows, next) = store.ended_before("default", LATER, 0).await.unwrap();
    assert_eq!(next, None);
    rows.iter().map(|it| it.pos).collect()
}

/// Lets go of all that may leave; answers how many roots.
async fn drop_all(store: &Store) -> u64 {
    let (places, mut from, mut gone) = (all_over(store).await, 0, 0);
    while from < places.len() {
        let dropped = store.drop_roots(&places[from..], LATER).await.unwrap();
        from += dropped.looked_at;
        gone += dropped.roots;
    }
    gone
}

async fn text_of(store: &Store, run: &RunId, seq: usize) -> String {
    let record = &store.all(run).await[seq - 1].event;
    if let Event::ToolReturned { result, .. } = record {
        return result["text"].as_str().unwrap().to_owned();
    }
    let Event::PlanChanged { change, .. } = record else { panic!("another record: {record:?}") };
    change.as_str().unwrap().to_owned()
}

async fn holds(store: &Store, run: &RunId) {
    assert_eq!(store.verify(run).await.unwrap().breaks, vec![], "{run}");
}

pub(crate) async fn a_root_past_its_time_leaves_whole(db: Fixture) {
    let store = db.open("n_a");
    let (old, young) = (store.begin(1).await, store.begin(2).await);
    let top = store.take().await;
    let mut write = step(1, &["ask"], park());
    write = starts(&store, write, vec![child(3, &top)]);
    write.facts.push(said("own", Value::from(long("a"))));
    write.facts.push(said("both", Value::from(long("b"))));
    store.advance(&top, write).await.unwrap();
    let kid = store.take().await;
    assert_eq!(kid.run, id(3));
    let mut write = step(1, &[], end());
    write.facts.push(noted(OUTPUTS, "out", "what it came to", None));
    write.tell = vec![(old.clone(), fact("told"))];
    store.advance(&kid, write).await.unwrap();
    let top = store.take().await;
    assert_eq!(top.run, old);
    store.advance(&top, step(top.seq, &[], end())).await.unwrap();
    let other = store.take().await;
    assert_eq!(other.run, young);
    let both = vec![said("both", Value::from(long("b")))];
    store.advance(&other, Advance::new(1, both, park())).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.ended, counts.open_roots), (2, 1));

    let begun = store.row(&old).await.unwrap().unwrap();
    let early = store.drop_roots(&[begun.pos], begun.ended.unwrap()).await.unwrap();
    assert_eq!((early.looked_at, early.roots), (1, 0), "its time has not come");
    let places = [begun.pos, store.row(&young).await.unwrap().unwrap().pos];
    let dropped = store.drop_roots(&places, LATER).await.unwrap();
    assert_eq!((dropped.looked_at, dropped.roots, dropped.runs), (2, 1, 2));

    for run in [old, id(3)] {
        assert!(store.row(&run).await.unwrap().is_none());
        assert!(store.all(&run).await.is_empty());
        assert!(store.begin_with(run.as_str(), None, 9).await.unwrap().is_empty());
    }
    let (counts, listed) = (store.counts().await.unwrap(), List { limit: 9, ..List::default() });
    assert_eq!((counts.ended, counts.open_roots, counts.waiting), (0, 1, 1));
    assert_eq!(store.list(listed).await.unwrap().len(), 1);
    let log = store.log(0, 99).await.unwrap();
    assert_eq!(story(log.iter().map(|it| &it.1)), "begin both");
    assert_eq!(store.rebuild_memory().await.unwrap(), 0, "nothing is left of what it noted");

    assert!(store.bodies_are_due("default", None).await.unwrap());
    let swept = store.sweep_bodies("default", None).await.unwrap();
    assert_eq!((swept.texts, swept.is_whole), (1, true), "the shared one stays");
    assert!(!store.bodies_are_due("default", None).await.unwrap());
    assert_eq!(text_of(&store, &young, 2).await, long("b"));
    holds(&store, &young).await;
    assert_eq!(store.take_again(2).await, "begin both more");
}

trait Again {
    async fn take_again(&self, n: u128) -> String;
}

impl Again for Store {
    /// Wakes a run, has it say one more word, and tells its story.
    async fn take_again(&self, n: u128) -> String {
        self.signal(&id(n), vec![], false).await.unwrap();
        let lease = self.take().await;
        self.advance(&lease, step(lease.seq, &["more"], end())).await.unwrap();
        self.story(&id(n)).await
    }
}

pub(crate) async fn what_is_remembered_keeps_its_root(db: Fixture) {
    let store = db.open("n_a");
    let now = store.now().await.unwrap();
    let for_good = over(&store, 1, vec![noted(MEMORY, "harbour", "where ships lie", None)]).await;
    over(&store, 2, vec![noted(MEMORY, "tide", "out", Some(now - 1))]).await;
    over(&store, 3, vec![noted(OUTPUTS, "task", "a task", None)]).await;
    let held = store.row(&for_good).await.unwrap().unwrap().pos;
    let remembered = store.remembered_under("default").await.unwrap();
    assert_eq!(remembered.into_iter().collect::<Vec<_>>(), [held]);
    assert_eq!(drop_all(&store).await, 2, "what expired, and what a task came to, hold nothing");
    assert_eq!(store.story(&for_good).await, "begin noted");
    let swept = store.sweep_bodies("default", Some(LATER)).await.unwrap();
    assert_eq!((swept.texts, swept.is_whole), (1, true), "the text that expired");
    let found = store.remembered("default", vec!["ships".to_owned()]).await.unwrap();
    assert_eq!(found.len(), 1);
    let Event::Noted { value, .. } = &found[0].1.event else { panic!("another record") };
    assert_eq!(Body::read(value).unwrap().text, "where ships lie");

    over(&store, 4, vec![Fact::new("me", Event::Forgotten { key: "harbour".to_owned() })]).await;
    assert!(store.remembered_under("default").await.unwrap().is_empty());
    assert_eq!(drop_all(&store).await, 2);
    assert!(store.log(0, 9).await.unwrap().is_empty());
}

pub(crate) async fn what_is_open_keeps_its_root(db: Fixture) {
    let store = db.open("n_a");
    let top = store.begin(1).await;
    let lease = store.take().await;
    let mut write = step(1, &[], end());
    write = starts(&store, write, vec![child(2, &lease)]);
    store.advance(&lease, write).await.unwrap();
    assert_eq!(drop_all(&store).await, 0, "a run under it goes on");
    let kid = store.take().await;
    store.advance(&kid, step(1, &[], end())).await.unwrap();
    over(&store, 3, vec![]).await;
    store.reopen(vec![(top.clone(), vec![fact("again")])], LATER).await.unwrap();
    assert_eq!(drop_all(&store).await, 1, "what was retried goes on");
    assert_eq!(store.story(&top).await, "begin again");
    holds(&store, &top).await;
    // Another workspace's is another team's to let go of.
    let of_other = callboard_store::NewRun { workspace: "other".to_owned(), ..root(4, 900) };
    store.submit(of_other).await.unwrap();
    let lease = store.take().await;
    store.advance(&lease, step(1, &[], end())).await.unwrap();
    assert!(all_over(&store).await.is_empty());
    assert_eq!(store.ended_before("other", LATER, 0).await.unwrap().0.len(), 1);
}

pub(crate) async fn long_texts_leave_before_their_records(db: Fixture) {
    let store = db.open("n_a");
    let [a, b, c] = ["a", "b", "c"].map(long);
    let facts = vec![gave(&a), gave(&b), gave("short"), said("plan", Value::from(c.clone()))];
    let old = over(&store, 1, facts).await;
    store.begin(2).await;
    let lease = store.take().await;
    store.advance(&lease, Advance::new(1, vec![gave(&b)], park())).await.unwrap();
    let ended = store.row(&old).await.unwrap().unwrap().ended.unwrap();
    assert!(!store.bodies_are_due("default", Some(ended)).await.unwrap());
    assert!(store.bodies_are_due("default", Some(ended + 1)).await.unwrap());
    for texts in [1, 0] {
        let swept = store.sweep_bodies("default", Some(ended + 1)).await.unwrap();
        assert_eq!((swept.texts, swept.is_whole), (texts, true));
        assert_eq!(text_of(&store, &old, 2).await, "[no longer kept]");
        assert_eq!(text_of(&store, &old, 3).await, b, "an open run said the same");
        assert_eq!(text_of(&store, &old, 4).await, "short");
        assert_eq!(text_of(&store, &old, 5).await, c, "what it was to do stays");
        holds(&store, &old).await;
    }
    assert!(!store.bodies_are_due("default", Some(ended + 1)).await.unwrap());
    // For another team's workspace nothing of it is old: all stays as it is.
    let swept = store.sweep_bodies("other", Some(LATER)).await.unwrap();
    assert_eq!((swept.texts, text_of(&store, &old, 2).await.as_str()), (0, "[no longer kept]"));
    // The same text comes again, and is whole for everybody.
    store.signal(&id(2), vec![gave(&a)], false).await.unwrap();
    assert_eq!(text_of(&store, &old, 2).await, a);
    store.sweep_bodies("default", Some(ended + 1)).await.unwrap();
    assert_eq!((text_of(&store, &old, 2).await, text_of(&store, &id(2), 3).await), (a.clone(), a));
    drop_all(&store).await;
    holds(&store, &id(2)).await;
}

pub(crate) async fn a_text_that_comes_again_during_a_pass_stays(db: Fixture) {
    let store = db.open("n_a");
    let of = |what: &str, n: u128| gave(&long(&format!("{what} {n}")));
    // So many that it takes a while to let go of them: in between the same texts come again.
    over(&store, 0, (0..1_500).map(|it| of("own", it)).collect()).await;
    over(&store, 1, (0..40).map(|it| of("again", it)).collect()).await;
    over(&store, 2, (40..80).map(|it| of("again", it)).collect()).await;
    let ended = store.row(&id(2)).await.unwrap().unwrap().ended.unwrap();
    let pos = async |n| store.row(&id(n)).await.unwrap().unwrap().pos;
    let gone = [pos(0).await, pos(1).await];
    let mut from = 0;
    while from < 2 {
        from += store.drop_roots(&gone[from..], LATER).await.unwrap().looked_at;
    }
    let writes = async {
        for n in 0..80 {
            over(&store, 100 + n, vec![of("again", n)]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (swept, ()) = tokio::join!(store.sweep_bodies("default", Some(ended + 1)), writes);
    let swept = swept.unwrap();
    assert!(swept.is_whole && (1_500..=1_580).contains(&swept.texts), "{swept:?}");
    for n in 0..80 {
        holds(&store, &id(100 + n)).await;
        assert_eq!(text_of(&store, &id(100 + n), 2).await, long(&format!("again {n}")));
    }
    holds(&store, &id(2)).await;
}

pub(crate) async fn a_root_that_goes_on_keeps_its_texts(db: Fixture) {
    let store = db.open("n_a");
    let old = over(&store, 1, vec![gave(&long("a"))]).await;
    let many = (0..4_000).map(|it| fact(&format!("w{it}"))).collect();
    over(&store, 2, many).await;
    // A pass rests between two reads of a thousand records: it has seen the first root by then.
    let again = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        store.reopen(vec![(old.clone(), vec![fact("again")])], LATER).await.unwrap();
    };
    let (swept, ()) = tokio::join!(store.sweep_bodies("default", Some(LATER)), again);
    assert_eq!(swept.unwrap().texts, 0);
    assert_eq!(text_of(&store, &old, 2).await, long("a"));
    let swept = store.sweep_bodies("default", Some(LATER)).await.unwrap();
    assert_eq!((swept.texts, swept.is_whole), (0, true));
    assert_eq!(text_of(&store, &old, 2).await, long("a"));
}

pub(crate) async fn a_day_is_closed_once(db: Fixture) {
    let (store, other) = (db.open("n_a"), db.open("n_b"));
    let closed = |day: &str, n: u32| {
        let totals = json!({"runs": n});
        Fact::new("n_a", Event::DayClosed { day: day.to_owned(), totals })
    };
    assert_eq!(store.last_closed("default").await.unwrap(), None);
    assert!(store.close_day("default", closed("2026-09-10", 1)).await.unwrap());
    assert!(!other.close_day("default", closed("2026-09-10", 2)).await.unwrap());
    assert!(!other.close_day("default", closed("2026-09-09", 3)).await.unwrap());
    assert!(other.close_day("default", closed("2026-10-01", 4)).await.unwrap());
    assert!(other.close_day("other", closed("2026-09-09", 5)).await.unwrap());
    assert_eq!(store.last_closed("default").await.unwrap().as_deref(), Some("2026-10-01"));
    let stream = RunId::from_text("days/default");
    assert_eq!(store.story(&stream).await, "day_closed day_closed");
    holds(&store, &stream).await;
    let turn =
        async |of: &Store, every| of.turn("retain", Duration::from_secs(every)).await.unwrap();
    assert!(turn(&store, 60).await);
    assert!(!turn(&other, 60).await && !turn(&store, 60).await, "one node does it for all");
    assert!(turn(&other, 0).await);
}

pub(crate) async fn a_very_long_root_leaves_before_its_records(db: Fixture) {
    let store = db.open("n_a");
    store.begin(1).await;
    let mut lease = store.take().await;
    for n in 0..21_u64 {
        let words: Vec<String> = (0..1_000).map(|it| format!("w{n}.{it}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let next = if n == 20 { end() } else { Next::Yield };
        store.advance(&lease, step(1 + n * 1_000, &words, next)).await.unwrap();
        if n < 20 {
            lease = store.take().await;
        }
    }
    store.begin(2).await;
    assert_eq!(drop_all(&store).await, 1);
    assert!(store.row(&id(1)).await.unwrap().is_none());
    assert!(store.all(&id(1)).await.is_empty(), "nobody sees what is left");
    let mut writes = 0;
    while store.drop_left().await.unwrap() {
        writes += 1;
    }
    assert_eq!(writes, 12, "2,000 at once, and one look");
    assert_eq!(store.story(&id(2)).await, "begin");
    assert_eq!(store.counts().await.unwrap().ended, 0);
}

pub(crate) async fn a_kill_leaves_a_root_whole_or_not_at_all(db: Fixture) {
    let before = db.open("n_before");
    for n in 0..150 {
        before.begin(n).await;
        let lease = before.take().await;
        let mut write = step(1, &["a", "b"], end());
        write.facts.push(gave(&long(&format!("{n}"))));
        write.facts.push(noted(OUTPUTS, &format!("k{n}"), "words", None));
        write = starts(&before, write, vec![child(1_000 + n, &lease)]);
        before.advance(&lease, write).await.unwrap();
        let kid = before.take().await;
        before.advance(&kid, step(1, &["c"], end())).await.unwrap();
    }
    before.leave().await.unwrap();
    drop(before);
    let mut gone = 0;
    for round in 0..5_u64 {
        let mut far = Away::start(db.place(), &format!("n_far{round}"), "drop");
        let heard = (0..6).filter_map(|_| far.hear()).count();
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        let heard = heard + far.kill().len();
        let store = db.open(&format!("n_look{round}"));
        let (mut left, mut runs) = (0, 0);
        for n in 0..150 {
            let verdict = store.verify(&id(n)).await.unwrap();
            assert_eq!(verdict.breaks, vec![]);
            assert!([(0, 0), (2, 7)].contains(&(verdict.runs, verdict.records)), "{verdict:?}");
            let noted = store.all(&id(n)).await.len();
            assert_eq!(noted, if verdict.runs == 0 { 0 } else { 5 });
            (left, runs) = (left + u64::from(verdict.runs > 0), runs + verdict.runs);
        }
        assert_eq!(store.counts().await.unwrap().ended, runs);
        let now_gone = 150 - left;
        assert!(now_gone >= gone + heard as u64, "what was answered is gone: {now_gone}");
        gone = now_gone;
        store.leave().await.unwrap();
    }
    let store = db.open("n_last");
    assert_eq!(drop_all(&store).await, 150 - gone);
    let swept = store.sweep_bodies("default", None).await.unwrap();
    assert_eq!((swept.texts, swept.is_whole), (150, true));
    assert_eq!(store.rebuild_memory().await.unwrap(), 0);
}
