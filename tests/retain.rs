//! What is past its time leaves a whole house, on a store whose time is told: long texts first, then
//! whole tasks, each day after its totals; and a process that dies on the way changes nothing of that.
#![expect(clippy::panic, reason = "a story that cannot go on says why and fails")]

mod stage;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use callboard_agents::ToolServers;
use callboard_agents::model::{Models, Reply};
use callboard_config::Team;
use callboard_scheduler::{Node, NodeOptions, RefusalCode, World};
use callboard_store::simulated::{Fate, Lot, Simulated};
use callboard_store::{OpenOptions, Store};
use callboard_trace::{Event, Finish, RunId, State, Usage};
use serde_json::{Value, json};
use stage::{Stage, ask, caller, end};
use tokio::time::{Instant, sleep};

/// A day's noon, microseconds since 1970.
const BEGIN: i64 = 20_000 * DAY + DAY / 2;
const DAY: i64 = 86_400 * 1_000_000;
/// By then every node has looked twice.
const LOOKS: Duration = Duration::from_secs(3 * 3_600);
/// Just before a node looks first.
const EARLY: Duration = Duration::from_millis(119_900);

/// One store whose clock can be put forward, and who comes to it.
struct Scene {
    db: Simulated,
    team: Team,
    off: Arc<AtomicI64>,
    begun: Instant,
    bits: Arc<AtomicU64>,
}

impl Scene {
    fn new(more: &str) -> Scene {
        let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
        let path = stage.team().join("team.yaml");
        let text = std::fs::read_to_string(path).expect("a team");
        stage.write("team.yaml", &format!("{text}{more}"));
        let team = callboard_config::load_here(&stage.team());
        let team = team.unwrap_or_else(|problems| panic!("{problems}"));
        let (off, begun) = (Arc::new(AtomicI64::new(0)), Instant::now());
        let clock = clock(off.clone(), begun);
        let db = Simulated::new(clock, Arc::new(|_| false)).expect("a database");
        // Small numbers: the pauses that are drawn with them are short.
        Scene { db, team, off, begun, bits: Arc::default() }
    }

    fn world(&self) -> World {
        let bits = self.bits.clone();
        World {
            now: clock(self.off.clone(), self.begun),
            bits: Arc::new(move || u128::from(bits.fetch_add(1, Ordering::Relaxed))),
            load: Arc::new(|| None),
        }
    }

    /// A store whose process dies at its n-th write once so much time is over.
    fn store(&self, dies: Option<(u64, bool)>) -> Store {
        let world = self.world();
        let name = world.name("n_");
        let options = OpenOptions::new(PathBuf::new(), &name, world.bits.clone());
        let (writes, opened) = (AtomicU64::new(0), Instant::now());
        let lots = move |is_write: bool| {
            let is_late = is_write && opened.elapsed() >= EARLY;
            let nth = writes.fetch_add(u64::from(is_late), Ordering::Relaxed) + 1;
            let fate = match dies {
                Some((at, kept)) if is_late && nth == at => Fate::Dead { kept },
                Some((at, _)) if nth > at => Fate::Dead { kept: false },
                Some(_) | None => Fate::Done,
            };
            Lot { before: Duration::ZERO, fate, after: Duration::ZERO }
        };
        self.db.open(options, Arc::new(lots)).expect("a store")
    }

    fn node(&self, store: Store) -> Node {
        let team = self.team.clone();
        let models = Models::simulated(
            &team.providers,
            Arc::new(|request| {
                let summary = format!("{}in {}", "said ".repeat(300), request.run);
                let text = json!({"summary": summary, "confidence": 1.0}).to_string();
                Box::pin(async move { Ok(reply(text)) })
            }),
        );
        let servers = ToolServers::new(&team, None, Arc::new(|| 0));
        let (data, world) = (PathBuf::new(), self.world());
        let options = NodeOptions { team, data, work: true, keeper: None, world };
        Node::start_on(options, store, models, servers)
    }

    fn days_later(&self, days: i64) {
        self.off.fetch_add(days * DAY, Ordering::Relaxed);
    }

    /// Plays tasks to their end.
    async fn play(&self, node: &Node, tasks: &[&str]) -> Vec<RunId> {
        let mut runs = vec![];
        for task in tasks {
            let run = node.desk().submit(ask("writer", task)).await.expect("taken in").run;
            assert_eq!(end(&node.desk(), &run).await.state, State::Completed);
            runs.push(run);
        }
        runs
    }
}

fn clock(off: Arc<AtomicI64>, begun: Instant) -> Arc<dyn Fn() -> i64 + Send + Sync> {
    Arc::new(move || {
        let elapsed = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
        BEGIN + elapsed + off.load(Ordering::Relaxed)
    })
}

fn reply(text: String) -> Reply {
    Reply {
        raw: json!({"role": "assistant", "content": text}),
        text,
        calls: vec![],
        finish: Finish::Stop,
        usage: Usage { input: 100, output: 10, ..Usage::default() },
        first_token_ms: 1,
        ms: 2,
        asked_again: 0,
        learned: vec![],
    }
}

/// Every day that was closed, with its totals.
async fn closed(store: &Store) -> Vec<(String, Value)> {
    let stream = RunId::from_text("days/default");
    assert_eq!(store.verify(&stream).await.expect("read").breaks, vec![]);
    let records = store.journal(&stream, 0, 1_000).await.expect("read");
    let day = |event| {
        let Event::DayClosed { day, totals } = event else { panic!("no day: {event:?}") };
        (day, totals)
    };
    records.into_iter().map(|it| day(it.event)).collect()
}

fn totals(tasks: u64) -> Value {
    json!({"roots": {"completed": tasks}, "runs": tasks, "tokens": 110 * tasks, "usd": 0.0,
        "model_calls": tasks, "tool_calls": 0})
}

/// What the models of a run said, as it is read now.
async fn said(node: &Node, run: &RunId) -> Vec<String> {
    let records = stage::records(&node.desk(), run).await;
    let text = |event| {
        let Event::ModelReplied(it) = event else { return None };
        Some(it.text.chars().take(16).collect())
    };
    records.into_iter().filter_map(|it| text(it.event)).collect()
}

#[tokio::test(start_paused = true)]
async fn long_texts_leave_first_and_then_whole_tasks_after_their_days_totals() {
    let scene = Scene::new("");
    let store = scene.store(None);
    let nodes = [scene.node(store.clone()), scene.node(scene.store(None))];
    let old = scene.play(&nodes[0], &["one", "two"]).await;
    scene.days_later(91);
    let young = scene.play(&nodes[0], &["three"]).await;
    sleep(LOOKS).await;
    let desk = nodes[0].desk();
    assert_eq!(said(&nodes[0], &old[0]).await, ["[no longer kept]"]);
    assert_eq!(said(&nodes[0], &young[0]).await, ["{\"summary\":\"said"]);
    for run in &old {
        let view = desk.view(run, &caller()).await.expect("it is there");
        assert!(view.result.is_some_and(|it| it.starts_with("said ")), "what it came to stays");
        assert_eq!(store.verify(run).await.expect("read").breaks, vec![]);
    }
    let replayed = desk.replay(&old[0], &caller(), false, &PathBuf::new()).await;
    let refused = replayed.expect_err("its texts are not there");
    assert_eq!(refused.code, RefusalCode::Conflict, "{refused}");
    assert!(refused.message.contains("ended more than 90 days ago"), "{refused}");
    assert_eq!((closed(&store).await, desk.past_their_time().await.expect("read")), (vec![], None));

    scene.days_later(275);
    assert_eq!(desk.past_their_time().await.expect("read"), Some((2, 365)));
    sleep(LOOKS).await;
    assert_eq!(desk.past_their_time().await.expect("read"), None);
    assert_eq!(closed(&store).await, [("2024-10-04".to_owned(), totals(2))]);
    for run in &old {
        let refused = desk.view(run, &caller()).await.expect_err("it is gone");
        assert_eq!(refused.code, RefusalCode::NotFound);
        let hint = "`team_status` without arguments lists your runs; runs are kept for 365 days after \
            their end, those of 2024-10-04 and before are gone";
        assert_eq!(refused.hint, hint);
    }
    assert_eq!(said(&nodes[0], &young[0]).await, ["[no longer kept]"]);
    let report = serde_json::to_value(desk.report("agent", &caller()).await.expect("a report"));
    let report = report.expect("JSON");
    assert_eq!((&report["gone_up_to"], &report["looked_at"]), (&json!("2024-10-04"), &json!(1)));
    assert_eq!(store.counts().await.expect("read").ended, 1);
    let later = scene.play(&nodes[1], &["four"]).await;
    assert_eq!(said(&nodes[1], &later[0]).await, ["{\"summary\":\"said"]);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_kept_for_ever_is() {
    let scene = Scene::new("retain: off\n");
    let node = scene.node(scene.store(None));
    let old = scene.play(&node, &["one"]).await;
    scene.days_later(10_000);
    sleep(LOOKS).await;
    assert_eq!(said(&node, &old[0]).await, ["{\"summary\":\"said"]);
    assert_eq!(node.desk().past_their_time().await.expect("read"), None);
    node.stop().await;
}

/// Writes of a look at four tasks of two days are fewer.
const WRITES_MAX: u64 = 14;

#[tokio::test(start_paused = true)]
async fn who_dies_at_any_write_of_it_changes_nothing_of_the_end() {
    let mut last = 0;
    for nth in 1..=WRITES_MAX {
        for kept in [true, false] {
            last = last.max(nth * u64::from(cut(nth, kept).await));
        }
    }
    assert!((5..WRITES_MAX).contains(&last), "the last write that mattered was the {last}th");
}

/// Answers whether there was something left to do for the next node.
async fn cut(nth: u64, kept: bool) -> bool {
    let scene = Scene::new("");
    let node = scene.node(scene.store(None));
    let mut old = scene.play(&node, &["one", "two", "three"]).await;
    scene.days_later(2);
    old.extend(scene.play(&node, &["four"]).await);
    node.stop().await;
    scene.days_later(400);
    let dying = scene.node(scene.store(Some((nth, kept))));
    sleep(EARLY + Duration::from_secs(10)).await;
    drop(dying);
    let store = scene.store(None);
    for run in &old {
        let (row, verdict) = (store.row(run).await, store.verify(run).await.expect("read"));
        assert_eq!(verdict.breaks, vec![], "cut at {nth}");
        assert_eq!(row.expect("read").is_some(), verdict.records > 0, "cut at {nth}");
    }
    let left = !store.ended_before("default", i64::MAX, 0).await.expect("read").0.is_empty();
    // Who died may have taken its turn of this hour, and the pass of this day.
    scene.days_later(1);
    let node = scene.node(store.clone());
    sleep(EARLY + Duration::from_secs(30)).await;
    let days = [("2024-10-04".to_owned(), totals(3)), ("2024-10-06".to_owned(), totals(1))];
    assert_eq!(closed(&store).await, days, "cut at {nth}, kept: {kept}");
    for run in &old {
        assert!(store.row(run).await.expect("read").is_none(), "cut at {nth}");
    }
    assert_eq!(store.counts().await.expect("read").ended, 0);
    assert!(!store.bodies_are_due("default", None).await.expect("read"), "cut at {nth}");
    node.stop().await;
    left
}
