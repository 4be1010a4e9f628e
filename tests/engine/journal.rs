//! The journal: what is written comes back, once, in order, unchanged and without secrets.

use std::sync::Arc;
use std::time::Duration;

use callboard_store::{List, NewRun, Next, Store};
use callboard_trace::{Event, FORMAT};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Words, child, end, fact, id, park, root, said, starts, step, story};

pub(crate) async fn records_come_back_as_written(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let lease = store.take().await;
    let done = store.advance(&lease, step(1, &["a", "b"], Next::Go)).await.unwrap();
    let all = store.all(&run).await;
    assert_eq!(done.records[..], all[1..]);
    let numbers: Vec<_> = all.iter().map(|it| it.seq).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let last = &all[2];
    assert_eq!((&last.run, &last.task, last.v, last.attempt), (&run, &run, FORMAT, 1));
    assert_eq!((last.by.as_str(), last.workspace.as_str()), ("tester", "default"));
    assert_eq!(last.agent.as_ref().map(|it| it.as_str()), Some("coder"));
    assert_eq!(last.at, done.at);
    assert_eq!(story(&store.journal(&run, 1, 1).await.unwrap()), "a");
    assert!(store.journal(&run, 3, 10).await.unwrap().is_empty());
    assert!(store.journal(&id(9), 0, 10).await.unwrap().is_empty());
}

pub(crate) async fn a_tree_is_in_order_of_writing(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let top = store.take().await;
    store.begin(2).await;
    let mut write = step(1, &["ask"], park());
    write = starts(&store, write, vec![child(3, &top)]);
    store.advance(&top, write).await.unwrap();
    store.signal(&run, vec![fact("hey")], false).await.unwrap();
    let tree = store.tree(&run, 0, 100).await.unwrap();
    assert_eq!(story(tree.iter().map(|it| &it.1)), "begin ask begin hey");
    assert!(tree.is_sorted_by_key(|it| it.0));
    assert!(tree.iter().all(|it| it.1.task == run));
    let rest = store.tree(&run, tree[1].0, 1).await.unwrap();
    assert_eq!(rest, tree[2..3]);
    let everything = store.log(0, 100).await.unwrap();
    assert_eq!(everything.len(), 5);
    assert_eq!(store.log(everything[2].0, 100).await.unwrap(), everything[3..]);
}

pub(crate) async fn long_text_comes_back(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    for length in [1_023, 1_024, 1_025, 1_000_000] {
        let value = json!({"text": "ö".repeat(length / 2), "list": ["x".repeat(length)]});
        store.signal(&run, vec![said("long", value.clone())], false).await.unwrap();
        let last = store.all(&run).await.pop().unwrap();
        let Event::PlanChanged { change: back, .. } = last.event else { panic!("another record") };
        assert_eq!(back, value, "at {length}");
    }
    assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
}

/// JSON that tries to look like what the store writes for itself.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        "\\$+blob",
        "\\$+deep",
        Just("blob".to_owned()),
        Just("$blobs".to_owned()),
        "[a-z$\\\\\"\u{e9}]{0,6}",
    ];
    let text = prop_oneof!["\\PC{0,20}", "[a-z\u{0}\n\"\\\\]{1000,1100}", Just("$blob".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

pub(crate) async fn any_json_comes_back(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let mut runner =
        TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let mut given = Vec::new();
    let kept = std::cell::RefCell::new(&mut given);
    runner
        .run(&any_json(), |value| {
            kept.borrow_mut().push(value);
            Ok(())
        })
        .unwrap();
    let mut deep = json!("x".repeat(2_000));
    for level in 0..190 {
        deep = if level % 2 == 0 { json!([deep]) } else { json!({"$deep": deep, "$blob": "y"}) };
        if level % 63 == 0 {
            given.push(deep.clone());
        }
    }
    let hash = "0".repeat(64);
    given.extend([
        json!({"$blob": hash}),
        json!({"$$blob": {"$blob": 1}}),
        json!({"$blob": "x".repeat(2_000)}),
    ]);
    for value in &given {
        store.signal(&run, vec![said("any", value.clone())], false).await.unwrap();
    }
    let back = store.all(&run).await;
    for (record, value) in back[1..].iter().zip(&given) {
        let Event::PlanChanged { change: back, .. } = &record.event else {
            panic!("another record")
        };
        assert_eq!(back, value);
    }
    assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
}

pub(crate) async fn secrets_are_not_in_the_records(db: Fixture) {
    let secret = "s3cr\"t\\k\u{e9}y-0123456789";
    let short = "tiny";
    let store =
        db.open_with("n_a", |it| it.secrets = vec![secret.to_owned(), short.to_owned()]).unwrap();
    // Others come with a team that is read anew; one that is longer than a known one too.
    store.learn(&["tester-x".to_owned(), format!("{secret}-and-more")]);
    let run = store.begin(1).await;
    let lease = store.take().await;
    let nested = json!({"inner": json!({"deep": json!({"key": secret}).to_string()}).to_string()});
    let value = json!({
        "plain": secret, "inside": format!("a {secret} b {secret}"), "nested": nested.to_string(),
        "long": format!("{}{secret}", "x".repeat(3_000)), secret: [secret, short],
    });
    let mut write = step(1, &[], Next::Go);
    write.facts = vec![said(secret, value)];
    write.facts[0].by = "tester-x".to_owned();
    let done = store.advance(&lease, write).await.unwrap();
    let all = store.all(&run).await;
    assert_eq!(done.records[..], all[1..]);
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains("0123456789"), "{text}");
    assert!(!text.contains("tester-x"));
    assert!(text.contains("a [secret] b [secret]") && text.contains("tiny"));
    drop((lease, store));
    let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|it| it == what);
    for entry in std::fs::read_dir(db.path()).unwrap().flatten().filter(|it| it.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!holds(&bytes, b"0123456789"), "in {}", entry.path().display());
    }
    if let Some(database) = db.database() {
        let bytes = database.look().await.everything().await;
        assert!(holds(&bytes, b"a [secret] b [secret]"), "the bodies are there");
        assert!(!holds(&bytes, b"0123456789"), "in the tables");
    }
}

pub(crate) async fn chains_hold_over_a_tree(db: Fixture) {
    let store = db.open("n_a");
    let run = store.begin(1).await;
    let top = store.take().await;
    let mut write = step(1, &["ask"], park());
    write = starts(&store, write, vec![child(2, &top), child(3, &top)]);
    store.advance(&top, write).await.unwrap();
    let kid = store.take().await;
    let mut write = step(1, &[], end());
    write.tell = vec![(run.clone(), said("told", Value::from("y".repeat(3_000))))];
    store.advance(&kid, write).await.unwrap();
    let lone = store.submit(NewRun { root: Some(run.clone()), ..root(4, 1) }).await.unwrap();
    store.signal(&lone.run, vec![fact("x")], false).await.unwrap();
    let verdict = store.verify(&run).await.unwrap();
    assert_eq!((verdict.runs, verdict.records, verdict.breaks), (4, 7, vec![]));
    let all = store.all(&run).await;
    assert_eq!(all[0].prev, "");
    assert!(all.iter().skip(1).all(|it| it.prev.len() == 64));
    let first = |all: Vec<callboard_trace::Record>| all[0].prev.clone();
    assert_eq!(first(store.all(&id(2)).await), all[2].prev, "it follows the step that made it");
    let nothing = store.verify(&id(99)).await.unwrap();
    assert_eq!((nothing.runs, nothing.records), (0, 0));
}

pub(crate) async fn notes_have_a_stream_of_their_own(db: Fixture) {
    let store = db.open("n_a");
    store.note("n_a", vec![fact("up")]).await.unwrap();
    store.note("n_a", vec![fact("down")]).await.unwrap();
    store.note("team", vec![fact("loaded")]).await.unwrap();
    let stream = callboard_trace::RunId::from_text("n_a");
    assert_eq!(store.story(&stream).await, "up down");
    let first = store.all(&stream).await.remove(0);
    assert_eq!((first.agent, first.workspace.as_str()), (None, "default"));
    assert_eq!(store.verify(&stream).await.unwrap().breaks, vec![]);
    assert!(store.row(&stream).await.unwrap().is_none());
    assert!(store.list(List { limit: 9, ..List::default() }).await.unwrap().is_empty());
    assert!(store.claim(9, 9).await.unwrap().is_empty());
    assert_eq!(store.signal(&stream, vec![fact("x")], true).await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap(), callboard_store::Counts::default());
    let run = store.begin(1).await;
    assert!(store.note(run.as_str(), vec![fact("x")]).await.is_err());
}

pub(crate) async fn a_change_is_heard(db: Fixture) {
    let store: Arc<Store> = Arc::new(db.open("n_a"));
    let heard = store.changed();
    store.begin(1).await;
    tokio::time::timeout(Duration::from_secs(5), heard).await.unwrap();
    let far = db.open("n_b");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let heard = far.changed();
    store.begin(2).await;
    tokio::time::timeout(Duration::from_secs(5), heard).await.unwrap();
}
