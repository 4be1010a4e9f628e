//! Three processes of the built binary on one file, one of them killed with `kill -9` every few
//! milliseconds, while tasks are given: nothing is lost, nothing is repeated, nothing is stuck.
//!
//! `STORM_KILLS=3000 STORM_SEED=7 cargo test --test storm -- --nocapture` for a longer one.
#![cfg(unix)]
#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

#[path = "damage/dice.rs"]
#[allow(dead_code, reason = "a storm needs a part of them")]
mod dice;
mod endpoint;
#[path = "storm/journal.rs"]
mod journal;
mod stage;
#[path = "storm/workers.rs"]
mod workers;

use std::path::Path;
use std::time::Duration;

use callboard_scheduler::{Desk, PlanAsk, TaskAsk, World};
use callboard_store::{List, Store};
use callboard_trace::{Question, Record, RunId};
use dice::Dice;
use endpoint::{Act, Ask, Endpoint};
use journal::Journal;
use serde_json::json;
use stage::{Stage, ask, caller};
use tokio::time::{Instant, sleep};
use workers::{Told, Worker};

/// Milliseconds between two kills, at most.
const BETWEEN_MS: usize = 100;
/// Kills between two tasks, and between two looks at what people are asked.
const TASKS_EVERY: u32 = 4;
const LOOKS_EVERY: u32 = 25;
/// How long what is left may take once nobody is killed any more.
const CALM: Duration = Duration::from_secs(300);

/// What shares the storm.
struct Field {
    stage: Stage,
    told: Told,
    dice: Dice,
    /// Processes started so far.
    started: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_kills_loses_repeats_and_leaves_nothing() {
    let (kills, seed) = (number("STORM_KILLS", 300), number("STORM_SEED", 1));
    let endpoint = Endpoint::start(script).await;
    let ledger = tempfile::tempdir().expect("a folder");
    // What a kill takes is charged as it was set aside; here the kills are many and the runs small.
    let free = "budgets: {run: {tokens: null, model_calls: null}, task: {tokens: null}}\n";
    let more = format!("{}\n{free}", tools(ledger.path()).trim_end());
    let stage = Stage::at(&endpoint.base_url(), &more);
    let front = stage.node_with(false).await;
    let desk = front.desk();
    let (told, dice) = (Told::default(), Dice::new(u64::from(seed)));
    let mut field = Field { stage, told, dice, started: 0 };
    let begun = Instant::now();
    let mut workers: Vec<Worker> = (0..3).map(|slot| field.worker(slot)).collect();
    for kill in 0..kills {
        if kill % TASKS_EVERY == 0 {
            let run = field.give(&desk, kill).await;
            field.told.add(run);
        }
        if kill % LOOKS_EVERY == 0 {
            field.answer_all(&desk).await;
        }
        sleep(Duration::from_millis(1 + field.dice.below(BETWEEN_MS) as u64)).await;
        let slot = field.dice.below(workers.len());
        workers[slot] = field.worker(slot);
    }
    let stormed = begun.elapsed();
    let done = finished(&field.stage).await;
    let until = Instant::now() + CALM;
    while field.answer_all(&desk).await > 0 {
        assert!(Instant::now() < until, "stuck: {:?}", open(&field.stage).await);
        sleep(Duration::from_millis(200)).await;
    }
    drop(workers);
    front.stop().await;
    let (records, counts) = all_of(&field.stage).await;
    let journal = Journal::read(&records);
    println!(
        "{kills} kills in {:.1} s, {done} runs over by then, all after {:.1} s: {}; {} records, {} \
         requests, {} told",
        stormed.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        journal.told(),
        records.len(),
        endpoint.requests().len(),
        field.told.all().len(),
    );
    journal.all_ended_well(&field.told.all());
    journal.nothing_was_asked_behind_it(&endpoint.requests());
    journal.no_call_was_repeated_without_a_word(&lines(&ledger.path().join("seen")));
    assert_eq!((counts.ready, counts.running, counts.waiting, counts.open_roots), (0, 0, 0, 0));
    nothing_is_left(&field.stage, &journal).await;
    let n_all = u64::from(kills / TASKS_EVERY);
    assert!(counts.ended >= n_all * 4, "{counts:?}");
    until_nobody_runs(&[field.stage.data().as_path(), ledger.path()]).await;
}

impl Field {
    /// Starts the next process of that place among the three.
    fn worker(&mut self, slot: usize) -> Worker {
        self.started += 1;
        let task = format!("served {}", self.started);
        match slot {
            0 => Worker::serves(&self.stage, &task, &self.told),
            _ => Worker::works(&self.stage),
        }
    }

    /// One more task, or a plan.
    async fn give(&mut self, desk: &Desk, kill: u32) -> RunId {
        let submitted = match self.dice.below(3) {
            0 => desk.submit_plan(diamond(kill)).await,
            _ => desk.submit(ask("coordinator", &format!("given {kill}"))).await,
        };
        submitted.expect("taken in").run
    }

    /// Says a person's word to whatever is asked; answers how many roots are open.
    async fn answer_all(&mut self, desk: &Desk) -> usize {
        let open = open(&self.stage).await;
        for run in &open {
            let view = desk.view(run, &caller()).await.expect("there");
            for question in view.questions {
                let word = self.word(&question);
                let answers = [(question.id, word)].into();
                // What was asked may have been overtaken meanwhile.
                let _ = desk.answer(run, &answers, &caller()).await;
            }
        }
        open.len()
    }

    fn word(&mut self, question: &Question) -> String {
        let of: Vec<&String> = question.options.iter().filter(|it| *it != "abort").collect();
        (*self.dice.one(&of)).clone()
    }
}

/// Two tasks side by side, one after both; the words are those of nobody else.
fn diamond(kill: u32) -> PlanAsk {
    let task = |id: &str, after: &[&str]| TaskAsk {
        id: Some(id.into()),
        to: Some("researcher".into()),
        task: format!("{id} of {kill}"),
        after: after.iter().map(ToString::to_string).collect(),
        ..TaskAsk::default()
    };
    let mut ask = ask("writer", "");
    ask.context = format!("planned {kill}");
    PlanAsk {
        split: std::collections::BTreeMap::new(),
        tasks: vec![task("a", &[]), task("b", &[]), task("c", &["a", "b"])],
        ask,
    }
}

/// A coordinator that asks two others side by side and then passes on; a researcher that writes
/// down what may be repeated and what may not.
fn script(ask: &Ask) -> Act {
    let summary = json!({
        "did": "looked at the task and split it", "must_know": "be brief", "do_next": "your part",
    });
    let pass = |to: &str| json!({"to": to, "task": "a part", "summary": summary});
    let mark = |tool: &'static str| (tool, json!({"mark": format!("{tool}-{}", ask.nth)}));
    let system = ask.system();
    let is = |name: &str| system.contains(&format!("You are the {name}"));
    let act = if is("coordinator") && ask.turn() == 1 {
        Act::calls(&[("delegate", pass("researcher")), ("delegate", pass("writer"))])
    } else if is("coordinator") {
        Act::call("handoff", pass("coder"))
    } else if is("researcher") && ask.turn() == 1 {
        Act::calls(&[mark("mcp__ledger__once"), mark("mcp__ledger__again")])
    } else {
        Act::answer(&json!({"summary": "done", "confidence": 0.9}))
    };
    act.after(Duration::from_millis(15))
}

fn tools(ledger: &Path) -> String {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/storm/ledger.sh");
    let entry = json!({"command": "sh", "args": [program, ledger]});
    format!("mcpServers: {}\n", json!({"ledger": entry}))
}

/// A node of its own that only reads, for as long as it is looked at.
async fn looked<T>(stage: &Stage, look: impl AsyncFnOnce(&Store) -> T) -> T {
    let store = stage.store(&World::real().name("n_"));
    let seen = look(&store).await;
    store.leave().await.expect("left");
    seen
}

async fn open(stage: &Stage) -> Vec<RunId> {
    let list = List { open: Some(true), limit: 100_000, ..List::default() };
    let rows = looked(stage, async |store| store.list(list).await.expect("a list")).await;
    rows.into_iter().map(|it| it.run).collect()
}

async fn finished(stage: &Stage) -> u64 {
    looked(stage, async |store| store.counts().await.expect("counts").ended).await
}

async fn all_of(stage: &Stage) -> (Vec<Record>, callboard_store::Counts) {
    looked(stage, async |store| {
        let (mut records, mut after) = (Vec::new(), 0);
        loop {
            let page = store.log(after, 1_000).await.expect("the journal");
            let Some(last) = page.last() else { break };
            after = last.0;
            records.extend(page.into_iter().map(|it| it.1));
        }
        (records, store.counts().await.expect("counts"))
    })
    .await
}

/// The chains hold, and no process is taken for alive.
async fn nothing_is_left(stage: &Stage, journal: &Journal) {
    looked(stage, async |store| {
        for root in journal.roots() {
            let verdict = store.verify(root).await.expect("checked");
            assert!(verdict.breaks.is_empty(), "{verdict:?}");
        }
        while store.sweep().await.expect("swept") > 0 {}
        let own = store.node().to_owned();
        assert_eq!(store.nodes().await.expect("the nodes"), [own]);
    })
    .await;
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("the ledger");
    text.lines().map(str::to_owned).collect()
}

/// Waits until no process names one of these folders: no worker, no keeper, no tool server.
async fn until_nobody_runs(folders: &[&Path]) {
    let mut left = Vec::new();
    for _ in 0..200 {
        let found = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let told = found.filter_map(|it| std::fs::read_to_string(it.path().join("cmdline")).ok());
        let names = |it: &String| folders.iter().any(|path| it.contains(&*path.to_string_lossy()));
        left = told.filter(names).collect();
        if left.is_empty() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("still there: {left:?}");
}

#[expect(clippy::disallowed_methods, reason = "how long the test is to be, not configuration")]
fn number(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(usual)
}
