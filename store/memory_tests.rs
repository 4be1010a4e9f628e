//! The index over memory: what is found, by whom, how much of it stays, and what erasing leaves.

use callboard_trace::memory::{Body, ERASED, MEMORY, OUTPUTS, Provenance, Source};
use callboard_trace::{Call, Event, Fact, Finish, ModelReplied, RunId, Usage};
use serde_json::json;

use crate::recall::Asked;
use crate::tests::{file, fresh, options, raw, root};
use crate::{Advance, Lease, NewRun, Next, Store};

/// A run of that caller in that workspace, under a lease.
async fn begun(store: &Store, n: u128, principal: &str, workspace: &str) -> Lease {
    let (principal, workspace) = (principal.to_owned(), workspace.to_owned());
    store.submit(NewRun { principal, workspace, ..root(n) }).await.unwrap();
    store.claim(1, 100).await.unwrap().remove(0)
}

fn note(slot: &str, key: &str, value: serde_json::Value, expires: Option<i64>) -> Event {
    let run = RunId::new(7);
    let provenance = Provenance {
        run,
        step: 1,
        agent: "coder".into(),
        at: 5,
        taint: false,
        source: Source::Model,
    };
    Event::Noted {
        slot: slot.into(),
        key: key.into(),
        value,
        artifact: String::new(),
        confidence: None,
        taint: None,
        provenance: Some(Box::new(provenance)),
        tags: vec!["tagged".into()],
        expires,
    }
}

fn memory(key: &str, text: &str) -> Event {
    note(MEMORY, key, Body { text: text.into(), of: format!("r_x/{key}/{text}") }.value(), None)
}

async fn write(store: &Store, lease: &Lease, seen: u64, events: Vec<Event>) -> u64 {
    let facts = events.into_iter().map(|it| Fact::new("coder", it)).collect();
    store.advance(lease, Advance::new(seen, facts, Next::Go)).await.unwrap().seq
}

fn asked(principal: &str, workspace: &str, words: &[&str]) -> Asked {
    let words = words.iter().map(|it| (*it).to_owned()).collect();
    Asked { workspace: workspace.into(), principal: principal.into(), words, ..Asked::default() }
}

async fn texts(store: &Store, asked: Asked) -> Vec<String> {
    let found = store.recall(asked).await.unwrap().memory;
    let text = |it: &Event| {
        let Event::Noted { value, .. } = it else { return None };
        Body::read(value).map(|it| it.text)
    };
    found.iter().filter_map(|it| text(&it.event)).collect()
}

#[tokio::test]
async fn nobody_finds_what_is_anothers() {
    let (_home, store) = fresh();
    let ann = begun(&store, 1, "ann", "default").await;
    write(&store, &ann, 1, vec![memory("port", "the port is 8080")]).await;
    let there = begun(&store, 2, "ann", "elsewhere").await;
    write(&store, &there, 1, vec![memory("port", "the port is 9090")]).await;
    let owners = vec![Fact::new("local", memory("rule", "ports are written down"))];
    store.note_memory("default", owners).await.unwrap();
    let words = ["ports"];
    let mut found = texts(&store, asked("ann", "default", &words)).await;
    found.sort();
    assert_eq!(found, ["ports are written down", "the port is 8080"]);
    assert_eq!(texts(&store, asked("bob", "default", &words)).await, ["ports are written down"]);
    assert_eq!(texts(&store, asked("ann", "elsewhere", &words)).await, ["the port is 9090"]);
    assert_eq!(texts(&store, asked("", "elsewhere", &words)).await, Vec::<String>::new());
    for hostile in ["\" OR words:*", "NEAR(", "*", "a AND b", "\0", "port\"; DROP TABLE memory"] {
        let found = store.recall(asked("ann", "default", &[hostile])).await;
        assert!(found.is_ok(), "{hostile:?}: {found:?}");
    }
    // One caller forgets what is its own; the owner whatever there is under that key.
    write(&store, &ann, 2, vec![Event::Forgotten { key: "rule".into() }]).await;
    assert_eq!(texts(&store, asked("bob", "default", &words)).await, ["ports are written down"]);
    let forgotten = vec![Fact::new("local", Event::Forgotten { key: "port".into() })];
    store.note_memory("default", forgotten).await.unwrap();
    assert_eq!(texts(&store, asked("ann", "default", &words)).await, ["ports are written down"]);
    assert_eq!(texts(&store, asked("ann", "elsewhere", &words)).await, ["the port is 9090"]);
}

#[tokio::test]
async fn the_newest_version_is_found_until_its_time_is_over() {
    let (_home, store) = fresh();
    let lease = begun(&store, 1, "me", "default").await;
    let seen =
        write(&store, &lease, 1, vec![memory("k", "red apples"), memory("k", "green apples")])
            .await;
    let found = texts(&store, asked("me", "default", &["apple"])).await;
    assert_eq!(found, ["green apples"], "words are found in all their forms");
    let old =
        note(MEMORY, "old", Body { text: "old apples".into(), of: "x".into() }.value(), Some(9));
    write(&store, &lease, seen, vec![old]).await;
    assert_eq!(texts(&store, asked("me", "default", &["apples"])).await, ["green apples"]);
}

#[tokio::test]
async fn a_conversation_ends_with_its_last_exchanges() {
    let (_home, store) = fresh();
    for n in 1..=13_u128 {
        let lease = begun(&store, n, "me", "default").await;
        let session = if n == 5 { "other" } else { "s" };
        let value = json!({"task": format!("task {n}"), "result": "r", "session": session});
        write(&store, &lease, 1, vec![note(OUTPUTS, &format!("r_{n}"), value, None)]).await;
    }
    let asked = Asked { session: Some(("s".into(), 10)), ..asked("me", "default", &[]) };
    let found = store.recall(asked.clone()).await.unwrap().session;
    let tasks: Vec<String> = found
        .iter()
        .map(|it| {
            serde_json::to_value(&it.event).unwrap()["value"]["task"].as_str().unwrap().into()
        })
        .collect();
    let expected: Vec<String> =
        [3, 4, 6, 7, 8, 9, 10, 11, 12, 13].iter().map(|it| format!("task {it}")).collect();
    assert_eq!(tasks, expected);
    let others = Asked { principal: "you".into(), ..asked };
    assert_eq!(store.recall(others).await.unwrap().session, []);
}

#[tokio::test]
async fn a_flood_leaves_five_hundred_of_which_the_used_ones_stay() {
    let (home, store) = fresh();
    let lease = begun(&store, 1, "me", "default").await;
    let mut seen = 1;
    for part in 0..100 {
        let events = (0..100).map(|it| memory(&format!("k{part}-{it}"), "a flood")).collect();
        seen = write(&store, &lease, seen, events).await;
        let shown = json!({"memory": [{"key": "k0-0", "body": "b"}]});
        let (call, ok) = (callboard_trace::Work::LOOK.to_owned(), true);
        let (result, documents, files) = (shown, vec![], vec![]);
        let used = Event::ToolReturned { step: 1, call, ok, result, ms: 0, documents, files };
        seen = write(&store, &lease, seen, vec![used]).await;
    }
    let all = store.remembered("default", Vec::new()).await.unwrap();
    assert_eq!(all.len(), 500);
    let keys = |all: &[(String, callboard_trace::Record)]| {
        let key =
            |it: &Event| serde_json::to_value(it).unwrap()["key"].as_str().unwrap().to_owned();
        all.iter().map(|it| key(&it.1.event)).collect::<Vec<_>>()
    };
    let kept = keys(&all);
    assert!(kept.contains(&"k0-0".to_owned()), "it was of use");
    assert!(kept.contains(&"k99-99".to_owned()) && !kept.contains(&"k0-1".to_owned()));
    // The index is made of records: made anew it is the same.
    raw(&home).execute_batch("DELETE FROM memory; DELETE FROM memory_text").unwrap();
    assert_eq!(store.remembered("default", Vec::new()).await.unwrap().len(), 0);
    assert_eq!(store.rebuild_memory().await.unwrap(), 10_100);
    assert_eq!(keys(&store.remembered("default", Vec::new()).await.unwrap()), kept);
    let found = store.remembered("default", vec!["flooding".into()]).await.unwrap();
    assert_eq!(found.len(), 500, "their words are found again too");
}

/// What a model says along with a call that remembers.
fn reply(text: &str) -> Event {
    let given = json!({"key": "pin", "text": text});
    let function = json!({"name": "remember", "arguments": given.to_string()});
    let message = json!({"role": "assistant", "content": format!("I keep {text} in mind"),
        "tool_calls": [{"id": "c", "type": "function", "function": function}]});
    Event::ModelReplied(Box::new(ModelReplied {
        step: 1,
        reply: message,
        text: format!("I keep {text} in mind"),
        calls: vec![Call { id: "c".into(), tool: "remember".into(), arguments: Ok(given) }],
        finish: Finish::ToolCalls,
        usage: Usage::default(),
        model: "m".into(),
        first_token_ms: 0,
        ms: 0,
        asked_again: 0,
        micro_usd: None,
    }))
}

#[tokio::test]
async fn what_is_forgotten_is_in_no_byte_of_the_file() {
    let (home, store) = fresh();
    let secret = "xylophone\n\"quoted\" marmalade";
    let lease = begun(&store, 1, "me", "default").await;
    let seen = write(&store, &lease, 1, vec![reply(secret), memory("pin", secret)]).await;
    let value = Body { text: secret.into(), of: format!("r_x/pin/{secret}") }.value();
    let shown = json!({"memory": [{"key": "pin", "body": value}]});
    let call = callboard_trace::Work::LOOK.to_owned();
    let (ok, result, documents, files) = (true, shown, vec![], vec![]);
    let looked = Event::ToolReturned { step: 2, call, ok, result, ms: 0, documents, files };
    let other = begun(&store, 2, "me", "default").await;
    write(&store, &other, 1, vec![looked]).await;
    let before = store.journal(&lease.run, 0, 9).await.unwrap();
    assert_eq!(before[1].event, reply(secret), "it is read as it was written");
    write(&store, &lease, seen, vec![Event::Forgotten { key: "pin".into() }]).await;
    let after = store.journal(&lease.run, 0, 9).await.unwrap();
    assert_eq!(
        after.iter().map(|it| &it.prev).take(3).collect::<Vec<_>>(),
        before.iter().map(|it| &it.prev).collect::<Vec<_>>(),
        "no record is touched"
    );
    let told = serde_json::to_string(&after).unwrap();
    assert!(!told.contains("xylophone") && !told.contains("marmalade"), "{told}");
    assert!(told.contains(ERASED), "{told}");
    let Event::ModelReplied(reply) = &after[1].event else { panic!("a reply") };
    let spoken = reply.reply["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let spoken: serde_json::Value = serde_json::from_str(spoken).expect("still JSON");
    assert_eq!(spoken["text"], ERASED);
    let looked = store.journal(&other.run, 0, 9).await.unwrap();
    assert!(!serde_json::to_string(&looked).unwrap().contains("xylophone"), "{looked:?}");
    assert_eq!(texts(&store, asked("me", "default", &["xylophone"])).await, Vec::<String>::new());
    for run in [1, 2] {
        assert_eq!(store.verify(&RunId::new(run)).await.unwrap().breaks, vec![], "no damage");
    }
    // The log holds what was there before until it is taken into the file.
    store.leave().await.unwrap();
    drop((lease, other, store));
    let bytes = std::fs::read(file(&home)).unwrap();
    for word in ["xylophone", "marmalade", "Xylophone"] {
        let found = bytes.windows(word.len()).filter(|it| it.eq_ignore_ascii_case(word.as_bytes()));
        assert_eq!(found.count(), 0, "{word}");
    }
    let store = Store::open(options(&home.path().join("data"), "n_b")).unwrap();
    assert!(store.rebuild_memory().await.unwrap() > 0);
    assert_eq!(store.remembered("default", Vec::new()).await.unwrap(), vec![]);
}

#[tokio::test]
async fn equal_texts_of_two_callers_are_two_bodies() {
    let (_home, store) = fresh();
    for (n, who) in [(1, "ann"), (2, "bob")] {
        let lease = begun(&store, n, who, "default").await;
        let value = Body { text: "same".into(), of: format!("r_{n}/1") }.value();
        write(&store, &lease, 1, vec![note(MEMORY, "k", value, None)]).await;
        if who == "bob" {
            write(&store, &lease, 2, vec![Event::Forgotten { key: "k".into() }]).await;
        }
    }
    assert_eq!(texts(&store, asked("ann", "default", &["same"])).await, ["same"]);
    assert_eq!(texts(&store, asked("bob", "default", &["same"])).await, Vec::<String>::new());
}
