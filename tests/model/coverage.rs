//! Every exchange with an endpoint is in the journal, and nothing in it that was none.

#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use callboard_trace::{Event, FailureCode, Record, RunId, State, Work};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::endpoint::{Act, Ask, Endpoint, Request};
use crate::stage::{Stage, ask, play, records, tell};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

/// A team whose endpoint is limited, fails, refuses fields and loses calls on the way.
fn script(ask: &Ask, limited: &AtomicUsize) -> Act {
    let has = |words: &str| ask.system().contains(words);
    let slow = std::time::Duration::from_millis(40);
    let summary = json!({"did": "looked at the task at hand", "must_know": "use tokio for it",
        "do_next": "go on from there"});
    let hand = |to: &str| json!({"to": to, "task": "your part", "summary": summary});
    let answer = |text: &str| Act::answer(&json!({"summary": text, "confidence": 0.7})).after(slow);
    match (ask.body["model"].as_str(), ask.turn()) {
        (Some("picky"), _) if ask.body.get("temperature").is_some() => Act::error(
            400,
            &json!({"error":
            {"message": "Unsupported parameter: 'temperature' is not supported with this model."}}),
        ),
        (Some("dead"), _) => Act::status(500),
        (Some("lossy"), 1) if ask.streams() => Act::say(""),
        (Some("lossy"), 1) => Act::call("note", json!({"slot": "notes", "key": "k", "text": "t"})),
        (Some(_), 1) if has("You are the coordinator") => {
            Act::calls(&[("delegate", hand("researcher")), ("delegate", hand("coder"))]).after(slow)
        }
        (Some(_), 1) if has("You are the researcher") => {
            Act::call("note", json!({"slot": "findings", "key": "r", "text": "found"}))
        }
        (Some(_), 2) if has("You are the researcher") && limited.fetch_add(1, Relaxed) < 2 => {
            Act::status(429).header("retry-after-ms", "20")
        }
        _ => answer("done"),
    }
}

fn team(base_url: &str) -> Stage {
    let stage = Stage::at(base_url, "");
    stage.write(
        "team.yaml",
        &format!(
            "providers:\n  streamed: {{base_url: \"{base_url}\"}}\n  \
             whole: {{base_url: \"{base_url}\", stream: false}}\nmodels:\n  default: streamed/plain\n  \
             picky: whole/picky\n  dead: {{provider: whole, model: dead, fallback: [lossy]}}\n  \
             lossy: streamed/lossy\n"
        ),
    );
    let agent = |name: &str, fields: &str| {
        let text = format!("---\nname: {name}\ndescription: x\n{fields}---\nYou are the {name}.\n");
        stage.write(&format!("agents/{name}.md"), &text);
    };
    agent("coordinator", "model: picky\ntemperature: 0.5\nhandoffs: [researcher, coder]\n");
    agent("coder", "model: dead\n");
    stage
}

/// What both sides know of an exchange: span, model, hash of the prompt.
type Key = (String, String, String);

fn seen_by_the_endpoint(requests: &[Request]) -> BTreeMap<Key, usize> {
    let mut all = BTreeMap::new();
    for request in requests {
        let trace = request.headers["traceparent"].to_str().expect("a trace").to_owned();
        let model = request.body["model"].as_str().expect("a model").to_owned();
        let prompt = serde_json::to_vec(&request.body["messages"]).expect("JSON");
        *all.entry((trace, model, hex(&Sha256::digest(prompt)))).or_default() += 1;
    }
    all
}

/// Each attempt by its run, step and number, with what it asked and what came of it.
fn attempts(records: &[Record]) -> Vec<(Key, &Record)> {
    let traces: BTreeMap<&RunId, &str> = records
        .iter()
        .filter_map(|it| match &it.event {
            Event::RunStarted(started) => Some((&it.run, started.trace.as_str())),
            _ => None,
        })
        .collect();
    let mut open: BTreeMap<(&RunId, u32), Key> = BTreeMap::new();
    let mut all = Vec::new();
    for record in records {
        let step = match &record.event {
            Event::StepBegun(begun) => {
                if let Work::Model { model, prompt, .. } = &begun.work {
                    let span = Sha256::digest(format!("{}/{}", record.run, begun.step));
                    let trace = format!("00-{}-{}-01", traces[&record.run], hex(&span[..8]));
                    let key = (trace, model.clone(), prompt.clone());
                    let last = open.insert((&record.run, begun.step), key);
                    assert!(last.is_none(), "one attempt at a time");
                }
                continue;
            }
            Event::ModelReplied(reply) => reply.step,
            Event::StepFailed(failure) => failure.step,
            _ => continue,
        };
        if let Some(key) = open.remove(&(&record.run, step)) {
            all.push((key, record));
        }
    }
    assert!(open.is_empty(), "every attempt has its outcome: {open:?}");
    all
}

#[tokio::test]
async fn the_journal_holds_every_exchange_and_no_other() {
    let limited = AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |ask| script(ask, &limited)).await;
    let stage = team(&endpoint.base_url());
    let node = stage.node().await;
    let began = tokio::time::Instant::now();
    let view = play(&node.desk(), ask("coordinator", "do it all")).await;
    let elapsed = began.elapsed().as_millis() as u64;
    let records = records(&node.desk(), &view.run).await;
    let story = tell(&records);
    assert_eq!(view.state, State::Completed, "{story}");
    let requests = endpoint.requests();
    let attempts = attempts(&records);

    let mut known: BTreeMap<Key, usize> = BTreeMap::new();
    let mut replies = Vec::new();
    let mut failures = Vec::new();
    for (key, record) in &attempts {
        let (again, ms) = match &record.event {
            Event::ModelReplied(reply) => {
                assert_eq!(reply.model.split('/').nth(1), Some(key.1.as_str()));
                assert_eq!((reply.usage.input, reply.usage.output), (10, 5));
                assert!(reply.first_token_ms <= reply.ms, "{reply:?}");
                if reply.calls.is_empty() {
                    assert!(reply.ms >= 40, "the endpoint thought for 40 ms: {reply:?}");
                }
                replies.push(reply.reply.to_string());
                (reply.asked_again, reply.ms)
            }
            Event::StepFailed(failure) => {
                failures.push(failure.code);
                (failure.asked_again, failure.ms)
            }
            other => panic!("{other:?} is no outcome"),
        };
        assert!(ms <= elapsed, "{ms} of {elapsed}");
        *known.entry(key.clone()).or_default() += 1 + again as usize;
    }
    assert_eq!(seen_by_the_endpoint(&requests), known, "{story}");

    // The last answer to each exchange that was a reply, against the replies that were kept.
    let said = |it: &&Request| it.status == 200 && it.said["content"] != json!("");
    let mut told: Vec<String> =
        requests.iter().filter(said).map(|it| it.said.to_string()).collect();
    told.sort();
    replies.sort();
    assert_eq!(told, replies, "{story}");

    let of = |code: FailureCode| failures.iter().filter(|it| **it == code).count();
    let with = |status: u16| requests.iter().filter(|it| it.status == status).count();
    assert_eq!(of(FailureCode::RateLimited), with(429), "{story}");
    assert_eq!(of(FailureCode::ModelUnavailable), with(500), "{story}");
    assert_eq!(failures.len(), with(429) + with(500), "{story}");
    assert_eq!((with(500), with(429), with(400), view.handoffs), (3, 2, 1, 2), "{story}");
    let lost = requests.iter().filter(|it| it.said["content"] == json!("")).count();
    let again = attempts.iter().filter_map(|(_, it)| match &it.event {
        Event::ModelReplied(reply) => Some(reply.asked_again as usize),
        _ => None,
    });
    assert_eq!(again.sum::<usize>(), with(400) + lost, "{story}");
    let streams: Vec<&Value> = requests.iter().map(|it| &it.body["stream"]).collect();
    assert!(streams.contains(&&json!(true)) && streams.contains(&&json!(false)));
    node.stop().await;
}
