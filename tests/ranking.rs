//! Who goes first, and why: what waits for a task, what the team is for, and what a model thinks of it.

mod stage;

use callboard_scheduler::{Desk, PlanAsk, TaskAsk};
use callboard_trace::RunId;
use serde_json::{Value, json};
use stage::{Stage, ask, caller};

async fn why(desk: &Desk, run: &RunId) -> Value {
    json!(desk.why(run, &caller()).await.expect("there"))
}

fn task(id: String, after: Vec<String>) -> TaskAsk {
    let (to, task) = (Some("writer".into()), format!("do {id}"));
    TaskAsk { id: Some(id), to, task, after, priority: None }
}

/// Runs of a plan's steps that have one, by the id of the step.
async fn run_of(desk: &Desk, plan: &RunId, step: &str) -> RunId {
    for _ in 0..500 {
        let page = desk.plan_steps(plan, &caller(), 0, 100).await.expect("there");
        let line = page.and_then(|it| it.0.into_iter().find(|it| it.id == step));
        if let Some(run) = line.and_then(|it| it.run) {
            return run;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{step} never began")
}

#[tokio::test]
async fn a_task_that_ten_others_wait_for_counts_900() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}, after_ms: 60000}\n");
    let node = stage.node().await;
    let desk = node.desk();
    // Six wait for the first directly, and behind them four in a row.
    let mut tasks = vec![task("first".into(), vec![])];
    tasks.extend((0..6).map(|it| task(format!("w{it}"), vec!["first".into()])));
    tasks.extend((0..4).map(|it| {
        let before = if it == 0 { "w0".into() } else { format!("x{}", it - 1) };
        task(format!("x{it}"), vec![before])
    }));
    tasks.push(task("alone".into(), vec![]));
    let plan = PlanAsk { tasks, ask: ask("writer", "") };
    let plan = desk.submit_plan(plan).await.expect("taken in").run;
    let told = why(&desk, &run_of(&desk, &plan, "first").await).await;
    assert_eq!(told["addends"], json!({"base": 100, "unblocking": 800, "goal_fit": 0}));
    assert_eq!(told["priority"], 900);
    let said = told["words"][0].as_str().expect("words");
    assert_eq!(said, "priority 900 = base 100 (its root) + 10 waiting for it × 80");
    let told = why(&desk, &run_of(&desk, &plan, "alone").await).await;
    assert_eq!((&told["priority"], &told["addends"]["unblocking"]), (&json!(100), &json!(0)));
    node.stop().await;
}

#[tokio::test]
async fn a_task_that_fits_the_goal_goes_before_one_that_does_not() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    stage.write(
        "team.yaml",
        "providers:\n  rehearsal: {kind: rehearsal, playbook: playbook.yaml}\n\
         models:\n  default: rehearsal/rehearsal\ngoal: fix bugs in the payment service\n",
    );
    let node = stage.node_with(false).await;
    let desk = node.desk();
    let other = desk.submit(ask("writer", "draft a poem about the sea")).await.expect("in").run;
    let fits = desk.submit(ask("writer", "repair a defect of the payment service")).await;
    let fits = fits.expect("in").run;
    let given =
        callboard_scheduler::Ask { priority: Some(90), ..ask("writer", "fix payment bugs") };
    let given = desk.submit(given).await.expect("in").run;
    let told = why(&desk, &fits).await;
    assert_eq!(told["addends"], json!({"base": 100, "unblocking": 0, "goal_fit": 300}));
    assert_eq!(told["place"], 1);
    assert_eq!(told["words"][0], "priority 400 = base 100 (class normal) + goal fit 300");
    let told = why(&desk, &other).await;
    assert_eq!((&told["addends"]["goal_fit"], &told["priority"]), (&json!(0), &json!(100)));
    let told = why(&desk, &given).await;
    assert_eq!((&told["addends"]["goal_fit"], &told["priority"]), (&json!(0), &json!(90)));
    node.stop().await;
}
