//! Agents that never stop passing work on: they stop exactly at the caps, however often the process
//! that drives them is killed.

mod endpoint;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callboard_trace::{Event, FailureCode, Finished, MadeBy, Record, RunId, Started, State, Stop};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::worker::{Worker, come_to_an_end, rerun};
use stage::{Stage, ask, no_finished_step_is_taken_again, records, tell};

/// Times the worker is killed.
const KILLS: usize = 20;
/// Nothing but the fuses is in the way. What a killed process had asked for counts as it was set
/// aside, so that budgets would end it sooner.
const MORE: &str = "entry: l0\nbudgets:\n  run: {tokens: null, model_calls: null}\n  \
    task: {tokens: null, model_calls: null}\n";
/// Without a request for so long, somebody looks.
const LULL: Duration = Duration::from_millis(500);
/// Words that make each piece of work another one.
const WORDS: [&str; 8] = ["north", "salt", "wheel", "amber", "river", "glass", "plum", "stone"];

/// A row of agents, each of which may turn to the next one only, and so many runs for all of them.
fn row(base_url: &str, length: usize, most: usize) -> Stage {
    let stage = Stage::at(base_url, MORE);
    stage.limit(&format!("tasks_per_root: {most}, spawn_burst: {most}"));
    for at in 0..length {
        let next = at + 1;
        let handoffs = if next < length { format!("handoffs: [l{next}]\n") } else { String::new() };
        write(&stage, at, &handoffs);
    }
    stage
}

/// Agents of whom each may turn to the next one, and the last to the first.
fn ring(base_url: &str, length: usize) -> Stage {
    let stage = Stage::at(base_url, MORE);
    for at in 0..length {
        write(&stage, at, &format!("handoffs: [l{}]\n", (at + 1) % length));
    }
    stage
}

fn write(stage: &Stage, at: usize, handoffs: &str) {
    // The fuses are to stop them: their breakers would, and sooner.
    let text = format!(
        "---\nname: l{at}\ndescription: Level {at}.\nbreaker: {{failures: 10000}}\n{handoffs}---\n\
             You are l{at}.\n"
    );
    stage.write(&format!("agents/l{at}.md"), &text);
}

/// Whose model is asked.
fn level(ask: &Ask) -> usize {
    let system = ask.system();
    let at = system.find("You are l").map_or("", |it| &system[it + "You are l".len()..]);
    at.split('.').next().and_then(|it| it.parse().ok()).expect("a level")
}

/// Passes work on by this tool, so many pieces a turn, and never says anything else.
fn passes(ask: &Ask, tool: &str, pieces: usize) -> Act {
    let level = level(ask);
    let piece = |nth: usize| {
        let nth = ask.turn() * pieces + nth;
        let (one, two) = (WORDS[nth % 8], WORDS[nth / 8 % 8]);
        let summary = json!({
            "did": "looked at the task and split it", "must_know": "be brief", "do_next": "your part",
        });
        json!({"to": format!("l{}", level + 1), "task": format!("{one} {two}"), "summary": summary})
    };
    let calls: Vec<(&str, Value)> = (0..pieces).map(|it| (tool, piece(it))).collect();
    Act::calls(&calls)
}

/// Plays it with a kill after every so many requests.
async fn killed(stage: &Stage, asked: &AtomicUsize, between: usize) -> Vec<Record> {
    let front = stage.node_with(false).await;
    let desk = front.desk();
    let run = desk.submit(ask("l0", "begin")).await.expect("taken in").run;
    for kill in 1..=KILLS {
        let worker = Worker::start(stage);
        while asked.load(Ordering::Relaxed) < kill * between {
            if tokio::time::timeout(LULL, grown(asked)).await.is_err() {
                let view = desk.view(&run, &stage::caller()).await.expect("there");
                assert!(!view.state.is_over(), "it ended before the kill {kill}: {view:?}");
                // A step that was lost three times in a row asks a person.
                if view.state == State::Halted {
                    rerun(&desk, &view).await;
                }
            }
        }
        drop(worker);
    }
    let worker = Worker::start(stage);
    let mut view = come_to_an_end(&desk, &run).await;
    for _ in 0..4 {
        if !view.state.is_over() {
            view = come_to_an_end(&desk, &run).await;
        }
    }
    let all = records(&desk, &run).await;
    let rows = if view.state.is_over() { String::new() } else { stage.rows().await };
    assert!(view.state.is_over(), "not over in time: {view:?}\n{rows}\n{}", tell(&all));
    drop(worker);
    front.stop().await;
    no_finished_step_is_taken_again(&all, "the journal");
    all
}

/// Waits for one more request.
async fn grown(asked: &AtomicUsize) {
    let before = asked.load(Ordering::Relaxed);
    while asked.load(Ordering::Relaxed) == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An endpoint that counts what it is asked.
async fn endpoint(tool: &'static str, pieces: usize) -> (Endpoint, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = asked.clone();
    let script = move |ask: &Ask| {
        counts.fetch_add(1, Ordering::Relaxed);
        passes(ask, tool, pieces)
    };
    (Endpoint::start(script).await, asked)
}

fn started(all: &[Record]) -> BTreeMap<&RunId, &Started> {
    let started = all.iter().filter_map(|it| {
        let Event::RunStarted(started) = &it.event else { return None };
        Some((&it.run, &**started))
    });
    started.collect()
}

fn ends(all: &[Record]) -> BTreeMap<&RunId, &Finished> {
    let ended = all.iter().filter_map(|it| {
        let Event::RunEnded(end) = &it.event else { return None };
        Some((&it.run, &**end))
    });
    ended.collect()
}

/// Each fuse that was blown, with what it counted and what it allows.
fn blown(all: &[Record]) -> BTreeMap<&str, (u64, u64)> {
    let blown = all.iter().filter_map(|it| {
        let Event::FuseBlown { fuse, value, limit, .. } = &it.event else { return None };
        Some((fuse.as_str(), (*value, *limit)))
    });
    blown.collect()
}

/// What must hold of every such tree: the root and so many runs made by agents, each of which has ended.
fn as_many_were_created(all: &[Record], most: usize) {
    let (started, ends) = (started(all), ends(all));
    let handed = all
        .iter()
        .filter(|it| matches!(&it.event, Event::HandedOff(it) if it.made_by != MadeBy::Outside));
    assert_eq!((handed.count(), started.len(), ends.len()), (most, most + 1, most + 1));
    assert_eq!(blown(all).get("tasks_per_root"), Some(&(most as u64 + 1, most as u64)));
}

/// The ends that a fuse brought name it, its number, and who led there.
fn every_end_names_its_fuse(all: &[Record]) {
    let (started, mut n_told) = (started(all), 0);
    for (run, end) in ends(all) {
        let Some(error) = end.error.as_ref().filter(|it| it.code == FailureCode::Fuse) else {
            continue;
        };
        assert_eq!(end.stop, Stop::Loop, "{error:?}");
        let chain: Vec<&str> = started[run].path.iter().map(|it| it.as_str()).collect();
        let told = |(fuse, (value, limit)): (&&str, &(u64, u64))| {
            format!(
                "3 creations in a row were refused, the last as number {value}: the fuse `{fuse}` \
                 allows {limit} (chain: {})",
                chain.join(" > ")
            )
        };
        let wanted: Vec<String> = blown(all).iter().map(told).collect();
        assert!(wanted.contains(&error.message), "{} is none of {wanted:#?}", error.message);
        n_told += 1;
    }
    assert!(n_told > 0, "nobody was stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_always_delegates_stops_at_the_caps_over_twenty_restarts() {
    let (endpoint, asked) = endpoint("delegate", 2).await;
    let stage = row(&endpoint.base_url(), 8, 200);
    let all = killed(&stage, &asked, 25).await;
    as_many_were_created(&all, 200);
    every_end_names_its_fuse(&all);
    let started = started(&all);
    assert_eq!(started.values().map(|it| it.depth).max(), Some(5));
    assert_eq!(started.values().map(|it| it.hops).max(), Some(0));
    assert_eq!(blown(&all).get("depth"), Some(&(6, 5)));
    let mut children: BTreeMap<&RunId, u64> = BTreeMap::new();
    started.values().filter_map(|it| it.parent.as_ref()).for_each(|it| {
        *children.entry(it).or_default() += 1;
    });
    assert!(children.values().all(|it| *it <= 20), "{children:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_always_hands_off_stops_at_the_caps_over_twenty_restarts() {
    let (endpoint, asked) = endpoint("handoff", 1).await;
    let stage = row(&endpoint.base_url(), 13, 60);
    let all = killed(&stage, &asked, 8).await;
    every_end_names_its_fuse(&all);
    let started = started(&all);
    let most = |of: fn(&Started) -> u32| started.values().map(|it| of(it)).max();
    assert_eq!((most(|it| it.hops), most(|it| it.depth)), (Some(10), Some(0)));
    assert_eq!(blown(&all).get("hops"), Some(&(11, 10)));
    as_many_were_created(&all, 60);
}

/// Everybody passes the same work on for ever, and nobody finds anything new.
#[tokio::test]
async fn who_goes_round_ends_at_once_with_the_circle_and_so_do_all_above() {
    for tool in ["delegate", "handoff"] {
        let script = move |ask: &Ask| {
            let summary = json!({
                "did": "looked at the task", "must_know": "be brief", "do_next": "the rest of it",
            });
            let to = format!("l{}", (level(ask) + 1) % 3);
            Act::calls(&[(tool, json!({"to": to, "task": "turn the wheel", "summary": summary}))])
        };
        let endpoint = Endpoint::start(script).await;
        let stage = ring(&endpoint.base_url(), 3);
        let node = stage.node().await;
        let view = stage::play(&node.desk(), ask("l0", "begin")).await;
        let all = records(&node.desk(), &view.run).await;
        node.stop().await;
        assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Loop)), "{}", tell(&all));
        assert_eq!(started(&all).len(), 5, "{}", tell(&all));
        for end in ends(&all).values() {
            let error = end.error.as_ref().expect("a reason");
            assert_eq!(error.code, FailureCode::Loop, "{}", tell(&all));
            assert!(error.message.ends_with("(chain: l0 > l1 > l2 > l0 > l1 > l2)"), "{error:?}");
        }
    }
}
