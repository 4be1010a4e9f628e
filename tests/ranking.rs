//! Who goes first, and why: what waits for a task, what the team is for, and what a model thinks of it.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says why and fails, and what it measured"
)]

mod endpoint;
mod stage;

use std::time::Duration;

use callboard_scheduler::{Desk, PlanAsk, TaskAsk};
use callboard_trace::RunId;
use endpoint::{Act, Endpoint};
use serde_json::{Value, json};
use stage::{Stage, ask, caller};

async fn why(desk: &Desk, run: &RunId) -> Value {
    json!(desk.why(run, &caller()).await.expect("there"))
}

fn task(id: String, after: Vec<String>) -> TaskAsk {
    let (to, task) = (Some("writer".into()), format!("do {id}"));
    TaskAsk { id: Some(id), to, task, after, ..TaskAsk::default() }
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
    let plan = PlanAsk { tasks, split: std::collections::BTreeMap::new(), ask: ask("writer", "") };
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

/// A team on a scripted endpoint with one seat, whose model `small` ranks: tasks that speak of a
/// fire get 950, others 40; `more` names other models.
fn ranked(endpoint: &Endpoint, more: &str) -> Stage {
    let stage = Stage::at(&endpoint.base_url(), "");
    let (url, models) = (endpoint.base_url(), "default: endpoint/scripted, small: endpoint/small");
    stage.write(
        "team.yaml",
        &format!(
            "providers:\n  endpoint: {{base_url: \"{url}\"}}\nmodels: {{{models}{more}}}\n\
             limits: {{concurrent: 1}}\nthrottle: off\n"
        ),
    );
    stage
}

/// What the endpoint of such a team does: it ranks, embeds, and works slowly.
fn act(ask: &endpoint::Ask) -> Act {
    if ask.path.ends_with("/embeddings") {
        let texts = ask.body["input"].as_array().expect("texts");
        let vector = |it: &Value| match it.as_str().unwrap_or_default().contains("fire") {
            true => json!([0.9, 0.1]),
            false => json!([0.1, 0.9]),
        };
        let data: Vec<Value> = (0..)
            .zip(texts)
            .map(|(at, it): (usize, _)| json!({"index": at, "embedding": vector(it)}))
            .collect();
        return Act::bytes(
            "application/json",
            vec![json!({"data": data}).to_string().into_bytes()],
        );
    }
    if ask.body["model"] != "small" {
        return Act::answer(&json!({"summary": "done", "confidence": 1}))
            .after(Duration::from_secs(60));
    }
    let asked: Value = serde_json::from_str(&ask.user()).expect("tasks as json");
    let score = |it: &Value| {
        let is_urgent = it["task"].as_str().unwrap_or_default().contains("fire");
        json!({"n": it["n"], "score": if is_urgent { 950 } else { 40 }})
    };
    let scores: Vec<Value> = asked["tasks"].as_array().expect("tasks").iter().map(score).collect();
    Act::say(&json!({"scores": scores}).to_string())
}

/// How often the endpoint was asked to rank.
fn n_ranked(endpoint: &Endpoint) -> usize {
    endpoint.requests().iter().filter(|it| it.body["model"] == "small").count()
}

/// Waits until a run's base is from there.
async fn from(desk: &Desk, run: &RunId, source: &str) -> Value {
    for _ in 0..1_000 {
        let told = why(desk, run).await;
        if told["priority_from"].as_str().is_some_and(|it| it.starts_with(source)) {
            // The row was read a moment before the records.
            return why(desk, run).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never ranked: {}", why(desk, run).await)
}

async fn submit(desk: &Desk, task: &str) -> RunId {
    desk.submit(ask("writer", task)).await.expect("in").run
}

/// Takes the only seat, of which nobody is asked.
async fn hold(desk: &Desk) {
    let urgent = callboard_scheduler::Ask { priority: Some(1_000), ..ask("writer", "hold it") };
    desk.submit(urgent).await.expect("in");
}

#[tokio::test]
async fn what_waits_is_ranked_in_the_background_and_the_score_is_found_again() {
    let endpoint = Endpoint::start(act).await;
    let stage = ranked(&endpoint, "");
    let node = stage.node().await;
    let desk = node.desk();
    hold(&desk).await;
    let plain = submit(&desk, "Write a blog post about AI").await;
    let urgent = submit(&desk, "put out the fire in the kitchen").await;
    let given = callboard_scheduler::Ask { priority: Some(300), ..ask("writer", "a fire, I say") };
    let given = desk.submit(given).await.expect("in").run;
    let told = from(&desk, &urgent, "a model").await;
    assert_eq!((&told["addends"]["base"], &told["place"]), (&json!(950), &json!(1)));
    assert_eq!(from(&desk, &plain, "a model").await["addends"]["base"], 40);
    assert_eq!(why(&desk, &given).await["priority_from"], "caller", "nobody asks about it");
    let asked = n_ranked(&endpoint);
    let again = submit(&desk, "Create an article on artificial intelligence").await;
    let told = from(&desk, &again, "a model, of the same task").await;
    assert_eq!(told["addends"]["base"], 40);
    assert_eq!(n_ranked(&endpoint), asked, "nobody was asked again");
    node.stop().await;

    // Another process knows what was scored; nothing of it is anywhere but in the journal.
    let node = stage.node().await;
    let desk = node.desk();
    let alike = submit(&desk, "extinguish it: put out the fire in the kitchen").await;
    let told = from(&desk, &alike, "a model, of a task").await;
    assert_eq!(told["addends"]["base"], 950);
    assert_eq!(n_ranked(&endpoint), asked, "nobody was asked again");
    let story = stage::told(&desk, &alike).await;
    assert!(story.contains("priority 950 (cache)"), "{story}");
    node.stop().await;
}

#[tokio::test]
async fn with_vectors_the_nearest_counts_whatever_the_words() {
    let endpoint = Endpoint::start(act).await;
    let stage = ranked(&endpoint, ", embed: endpoint/vectors");
    let node = stage.node().await;
    let desk = node.desk();
    hold(&desk).await;
    let first = submit(&desk, "a fire broke out").await;
    from(&desk, &first, "a model").await;
    let asked = n_ranked(&endpoint);
    let second = submit(&desk, "everybody out, there is fire").await;
    assert_eq!(from(&desk, &second, "a model, of").await["addends"]["base"], 950);
    assert_eq!(n_ranked(&endpoint), asked, "nobody was asked again");
    node.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_none_leaves_the_rules_value_and_is_not_asked_for_again_at_once() {
    let endpoint = Endpoint::start(|ask| match ask.body["model"] == "small" {
        true => Act::say("I would rather not."),
        false => act(ask),
    })
    .await;
    let stage = ranked(&endpoint, "");
    let node = stage.node().await;
    let desk = node.desk();
    hold(&desk).await;
    let run = submit(&desk, "put out the fire").await;
    stage::until("it is asked", async || n_ranked(&endpoint) > 0).await;
    submit(&desk, "another fire").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(n_ranked(&endpoint), 1, "it is left alone for a while");
    let told = why(&desk, &run).await;
    assert_eq!((&told["priority"], &told["priority_from"]), (&json!(100), &json!("class normal")));
    node.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_while_there_are_seats_or_no_model_for_it() {
    let endpoint = Endpoint::start(act).await;
    let stage = ranked(&endpoint, "");
    let node = stage.node().await;
    submit(&node.desk(), "a fire, and a seat for it").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(n_ranked(&endpoint), 0);
    node.stop().await;

    let stage = Stage::at(&endpoint.base_url(), "limits: {concurrent: 1}\n");
    let node = stage.node().await;
    hold(&node.desk()).await;
    submit(&node.desk(), "a fire").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(n_ranked(&endpoint), 0);
    node.stop().await;
}

/// Ten thousand tasks wait and the model that ranks takes four seconds: nothing waits for it. How
/// long the first one took to begin is printed; a busy machine may take longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_ten_thousand_begins_before_anything_is_ranked() {
    let endpoint = Endpoint::start(|ask| match ask.body["model"] == "small" {
        true => act(ask).after(Duration::from_secs(4)),
        false => act(ask),
    })
    .await;
    let stage = ranked(&endpoint, "");
    let node = stage.node_with(false).await;
    let desk = node.desk();
    let all = (0..10_000).map(|it| {
        let desk = desk.clone();
        async move { submit(&desk, &format!("task number {it}")).await }
    });
    futures::future::join_all(all).await;
    node.stop().await;
    let node = stage.node().await;
    let begun = tokio::time::Instant::now();
    let first = async || endpoint.requests().iter().any(|it| it.body["model"] != "small");
    stage::until("a run's own step", first).await;
    println!("first dispatch with 10,000 pending: {:?}", begun.elapsed());
    assert!(n_ranked(&endpoint) <= 1, "one question in flight");
    node.stop().await;
}
