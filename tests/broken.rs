//! An agent whose runs fail one after the other is left alone: its work goes to others meanwhile, and
//! one run tries it again.

mod endpoint;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callboard_scheduler::{Desk, PlanAsk, TaskAsk};
use callboard_trace::{FailureCode, RunView, State, Stop};
use endpoint::{Act, Endpoint};
use serde_json::{Value, json};
use stage::{Stage, ask, caller, end, play, told, until};

/// The coder cannot work as long as this is set; the others always can.
struct Broken(Arc<AtomicBool>);

impl Broken {
    async fn endpoint() -> (Endpoint, Broken) {
        let broken = Arc::new(AtomicBool::new(true));
        let is = broken.clone();
        let endpoint = Endpoint::start(move |ask| {
            if is.load(Ordering::Relaxed) && ask.system().contains("You are the coder") {
                return Act::status(400);
            }
            if ask.system().contains("You are the researcher") && ask.turn() == 1 {
                let summary = json!({"did": "looked at the task and at what is there",
                    "must_know": "all of it is new", "do_next": "write the code"});
                let arguments = json!({"to": "coder", "task": "implement it", "summary": summary});
                return Act::call("delegate", arguments);
            }
            Act::answer(&json!({"summary": "done in its place", "confidence": 0.8}))
        })
        .await;
        (endpoint, Broken(broken))
    }

    fn mend(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A second agent that codes, and a breaker of the coder that opens for so long.
fn stage(endpoint: &Endpoint, reset_s: u32) -> Stage {
    let breaker = format!("agents: {{coder: {{breaker: {{reset_s: {reset_s}}}}}}}\n");
    let stage = Stage::at(&endpoint.base_url(), &breaker);
    stage.write(
        "agents/scripter.md",
        "---\nname: scripter\ndescription: Writes scripts.\ncapabilities: [code]\n---\nYou are the scripter.\n",
    );
    stage
}

async fn fails_three_times(desk: &Desk) {
    for _ in 0..3 {
        let view = play(desk, ask("coder", "mend the pipes")).await;
        assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Error)), "{view:?}");
    }
}

/// What the node wrote of the breaker of the coder.
fn changes(stage: &Stage) -> Vec<String> {
    let file = stage.data().join("callboard.sqlite");
    let conn = rusqlite::Connection::open(file).expect("the store");
    let sql = "SELECT body FROM journal WHERE kind = 'breaker_changed' ORDER BY pos";
    let mut rows = conn.prepare(sql).expect("a table");
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let all = rows.map(|it| serde_json::from_str::<Value>(&it.expect("a body")).expect("json"));
    let of_coder = all.filter(|it| it["resource"] == "agent coder");
    of_coder.map(|it| format!("{} {}", it["from"], it["to"]).replace('"', "")).collect()
}

async fn state_of(desk: &Desk, name: &str) -> &'static str {
    let board = desk.board_of_agents(&caller()).await.expect("a board");
    board.agents.iter().find(|it| it.name.as_str() == name).expect("it is there").state
}

fn error(view: &RunView) -> (FailureCode, String) {
    let error = view.error.clone().expect("an error");
    (error.code, error.message)
}

#[tokio::test]
async fn work_goes_to_the_next_match_or_fails_and_one_run_tries_again() {
    let (endpoint, broken) = Broken::endpoint().await;
    let stage = stage(&endpoint, 3);
    let node = stage.node().await;
    let desk = node.desk();
    fails_three_times(&desk).await;
    assert_eq!(state_of(&desk, "coder").await, "open");
    // Somebody else can code, and nobody else is asked for pipes.
    let view = play(&desk, ask("coder", "code a parser")).await;
    let story = told(&desk, &view.run).await;
    assert_eq!((view.state, view.result.as_deref()), (State::Completed, Some("done in its place")));
    assert!(story.contains("scripter") && story.contains("agent coder is left alone"), "{story}");
    let view = play(&desk, ask("coder", "mend the pipes")).await;
    assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Breaker)));
    assert_eq!(error(&view).0, FailureCode::BreakerOpen);
    assert!(error(&view).1.contains("agent coder is left alone after failures; again in"));
    let n_asked = endpoint.requests().len();
    assert_eq!(n_asked, 4, "the coder was asked three times, the scripter once");
    // The one that tries it again fails, and it stays alone; the next one is well.
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let view = play(&desk, ask("coder", "mend the pipes")).await;
    assert_eq!(view.stop, Some(Stop::Error), "it was asked again");
    let view = play(&desk, ask("coder", "mend the pipes")).await;
    assert_eq!(view.stop, Some(Stop::Breaker));
    broken.mend();
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    for _ in 0..2 {
        let view = play(&desk, ask("coder", "mend the pipes")).await;
        assert_eq!(view.state, State::Completed, "{view:?}");
    }
    until("it is written down", async || {
        changes(&stage) == ["closed open", "half_open open", "half_open closed"]
    })
    .await;
    assert_ne!(state_of(&desk, "coder").await, "open");
    node.stop().await;
}

#[tokio::test]
async fn what_is_handed_to_it_goes_back_to_who_handed_it_over() {
    let (endpoint, _broken) = Broken::endpoint().await;
    let stage = stage(&endpoint, 300);
    let node = stage.node().await;
    let desk = node.desk();
    fails_three_times(&desk).await;
    let view = play(&desk, ask("researcher", "look into parsers")).await;
    let story = told(&desk, &view.run).await;
    assert_eq!(view.state, State::Completed, "{story}");
    assert!(story.contains("agent coder is left alone after failures"), "{story}");
    assert_eq!(endpoint.requests().len(), 5, "three of the coder, two of the researcher: {story}");
    node.stop().await;
}

#[tokio::test]
async fn a_task_of_a_plan_goes_to_another_or_fails_alone() {
    let (endpoint, _broken) = Broken::endpoint().await;
    let stage = stage(&endpoint, 300);
    let node = stage.node().await;
    let desk = node.desk();
    fails_three_times(&desk).await;
    let task = |id: &str, task: &str| TaskAsk {
        id: Some(id.into()),
        to: Some("coder".into()),
        task: task.into(),
        ..TaskAsk::default()
    };
    let tasks = vec![task("code", "code a parser"), task("pipes", "mend the pipes")];
    let plan = PlanAsk { tasks, split: BTreeMap::new(), ask: ask("writer", "") };
    let run = desk.submit_plan(plan).await.expect("taken in").run;
    let view = end(&desk, &run).await;
    let story = told(&desk, &run).await;
    assert_eq!(view.state, State::Partial, "{story}");
    assert_eq!(view.missing.len(), 1, "{view:?}");
    assert!(view.missing[0].error.contains("agent coder is left alone"), "{view:?}");
    assert_eq!(endpoint.requests().len(), 4, "{story}");
    node.stop().await;
}

/// Where it is written that work waits for the agent, it does, and says so.
#[tokio::test]
async fn who_is_to_wait_for_it_waits_and_says_so() {
    let (endpoint, broken) = Broken::endpoint().await;
    let breaker = "agents: {coder: {breaker: {failures: 1, reset_s: 3, wait_s: 60}}}\n";
    let stage = Stage::at(&endpoint.base_url(), breaker);
    let node = stage.node().await;
    let desk = node.desk();
    assert_eq!(play(&desk, ask("coder", "mend the pipes")).await.state, State::Failed);
    broken.mend();
    let run = desk.submit(ask("coder", "mend the pipes")).await.expect("taken in").run;
    until("it says what it waits for", async || {
        let why = desk.why(&run, &caller()).await.expect("there");
        why.words.join("\n").contains("waits for agent coder: left alone after failures")
    })
    .await;
    assert_eq!(end(&desk, &run).await.state, State::Completed);
    assert_eq!(endpoint.requests().len(), 2);
    node.stop().await;
}
