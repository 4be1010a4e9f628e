//! A plan whose budget is split, through the whole house: who overspends its share lands, the others
//! keep theirs, and what is left over is for those that have none.

#![allow(clippy::panic, reason = "a test says why and fails")]

mod endpoint;
mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use callboard_scheduler::Node;
use callboard_tools::{Call, Outcome, Patience, Toolset};
use callboard_trace::{EndState, Event, Record, RunId, RunView, State, Stop};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::worker::Worker;
use stage::{Stage, caller, records};
use tokio_util::sync::CancellationToken;

/// No agent has less than the plan.
const BUDGETS: &str = "budgets: {run: {tokens: 500000}}\n";

async fn call(node: &Node, arguments: Value) -> Outcome {
    let Value::Object(arguments) = arguments else { panic!("an object") };
    let meta = serde_json::Map::new();
    let call = Call { tool: "team_run".to_owned(), arguments, meta };
    let (patience, _) = Patience::new(stage::PATIENCE, stage::PATIENCE, CancellationToken::new());
    let desk = node.desk();
    let done = Toolset::of(&desk.team()).apply(&desk, call, &caller(), &patience).await;
    done.unwrap_or_else(|it| panic!("{}", it.0))
}

fn view(outcome: &Outcome) -> RunView {
    assert!(!outcome.is_error, "{}", outcome.body);
    serde_json::from_value(outcome.body.clone()).expect("a view")
}

/// Who is to be busy goes on for as long as it is let, 600 tokens in and at most 4,000 out a turn;
/// the others answer at once, with 2,600.
fn script(ask: &Ask) -> Act {
    let n_most = ["max_tokens", "max_completion_tokens"].iter();
    let most = n_most.filter_map(|it| ask.body[*it].as_u64()).next().unwrap_or(4_096);
    let used = |out: u64| json!({"prompt_tokens": 600, "completion_tokens": most.min(out)});
    if ask.user().contains("break") {
        return Act::status(400);
    }
    let is_last = ask.body.get("response_format").is_some() || ask.tools().is_empty();
    if is_last || !ask.user().contains("busy") {
        let text = if is_last { "as far as it went" } else { "done" };
        return Act::answer(&json!({"summary": text, "confidence": 0.5})).usage(used(2_000));
    }
    let note = json!({"slot": "notes", "key": format!("k{}", ask.turn()), "text": "a line"});
    Act::call("note", note).usage(used(4_000)).after(Duration::from_millis(20))
}

/// What each step came to: how it ended, why, and the tokens it used.
struct Came {
    state: EndState,
    stop: Stop,
    error: String,
    tokens: u64,
    alerts: Vec<(String, f64)>,
}

fn came(all: &[Record]) -> BTreeMap<String, Came> {
    let mut steps: BTreeMap<RunId, String> = BTreeMap::new();
    for record in all {
        if let Event::HandedOff(it) = &record.event {
            steps.extend(it.step.clone().map(|step| (it.run.clone(), step)));
        }
    }
    let mut came = BTreeMap::new();
    for (run, step) in steps {
        let own = || all.iter().filter(|it| it.run == run).map(|it| &it.event);
        let (mut tokens, mut alerts, mut end) = (0, Vec::new(), None);
        for event in own() {
            if let Event::ModelReplied(it) = event {
                tokens += it.usage.input + it.usage.output;
            }
            if let Event::BudgetAlerted { node, limit, .. } = event {
                alerts.push((node.clone(), *limit));
            }
            if let Event::RunEnded(it) = event {
                end = Some(it);
            }
        }
        let end = end.unwrap_or_else(|| panic!("{step} is open"));
        let error = end.error.as_ref().map(|it| it.message.clone()).unwrap_or_default();
        let (state, stop) = (end.state, end.stop);
        came.insert(step, Came { state, stop, error, tokens, alerts });
    }
    came
}

/// The example of a document analysis, with one task more that has no share.
fn analysis() -> Value {
    json!({
        "tasks": [
            {"id": "plan", "to": "coordinator", "task": "coordinate"},
            {"id": "extract", "to": "researcher", "task": "extract, busy"},
            {"id": "analyse", "to": "coder", "task": "analyse"},
            {"id": "check", "to": "reviewer", "task": "check, busy", "after": ["analyse", "plan"]},
            {"id": "write", "to": "writer", "task": "put together", "after": ["extract", "check"]},
        ],
        "split": {"coordinator": 0.1, "extract": 0.3, "coder": 0.4, "writer": 0.2},
        "budget": {"tokens": 100_000},
    })
}

fn the_analysis_went_as_it_should(all: &[Record]) {
    let came = came(all);
    let told = stage::tell(all);
    for step in ["plan", "analyse", "write"] {
        let it = &came[step];
        assert_eq!((it.state, it.stop), (EndState::Completed, Stop::Done), "{step}: {told}");
    }
    let extract = &came["extract"];
    assert_eq!((extract.state, extract.stop), (EndState::Partial, Stop::Budget), "{told}");
    assert!((22_000..=30_000).contains(&extract.tokens), "{}: {told}", extract.tokens);
    // It began with nothing; 37,400 came back from the analysis and 7,400 from the coordination.
    let check = &came["check"];
    assert_eq!((check.state, check.stop), (EndState::Partial, Stop::Budget), "{told}");
    // It lands while a turn of 2,600 and a last one that sets 7,200 aside still fit.
    assert!((35_000..=53_000).contains(&check.tokens), "{}: {told}", check.tokens);
    assert!(check.alerts.iter().any(|it| it.0 == "pool"), "{:?}", check.alerts);
    assert!(check.error.contains("tokens of the pool's budget are used"), "{}", check.error);
    let sum: u64 = came.values().map(|it| it.tokens).sum();
    assert!(sum <= 100_000, "{sum}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_overspends_its_share_lands_and_what_others_left_goes_to_who_has_none() {
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), BUDGETS);
    let node = stage.node().await;
    let view = view(&call(&node, analysis()).await);
    assert_eq!(view.state, State::Partial, "{view:?}");
    let lacking: Vec<&str> = view.missing.iter().map(|it| it.impact.as_str()).collect();
    assert_eq!(lacking.len(), 2, "{lacking:?}");
    assert!(lacking[0].starts_with("task extract is done in part"), "{lacking:?}");
    the_analysis_went_as_it_should(&records(&node.desk(), &view.run).await);
    let steps = node.desk().plan_steps(&view.run, &caller(), 0, 10).await.expect("there");
    let shares: Vec<Option<f64>> =
        steps.expect("a plan").0.into_iter().map(|it| it.share).collect();
    assert_eq!(shares, [Some(0.1), Some(0.3), Some(0.4), None, Some(0.2)]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_of_a_task_that_is_left_out_is_not_lost() {
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), BUDGETS);
    let node = stage.node().await;
    let asked = json!({
        "tasks": [
            {"id": "bad", "to": "coder", "task": "break", "share": 0.2},
            {"id": "heir", "to": "writer", "task": "go on", "after": ["bad"], "share": 0.6,
             "impact_if_missing": "there is no report"},
            {"id": "free", "to": "researcher", "task": "be busy"},
        ],
        "budget": {"tokens": 100_000},
    });
    let view = view(&call(&node, asked).await);
    assert_eq!(view.state, State::Partial, "{view:?}");
    assert_eq!(view.missing[1].impact, "there is no report");
    let came = came(&records(&node.desk(), &view.run).await);
    let free = &came["free"];
    assert!((60_000..=100_000).contains(&free.tokens), "{} {}", free.tokens, free.error);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_are_the_same_after_a_process_was_killed() {
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), BUDGETS);
    let front = stage.node_with(false).await;
    let mut asked = analysis();
    asked["wait_s"] = json!(0);
    let run = view(&call(&front, asked).await).run;
    for requests in [3, 9] {
        let worker = Worker::start(&stage);
        endpoint.until(|all| all.len() >= requests).await;
        drop(worker);
    }
    let worker = Worker::start(&stage);
    let end = stage::end(&front.desk(), &run).await;
    let told = stage::told(&front.desk(), &run).await;
    assert!(matches!(end.state, State::Completed | State::Partial), "{told}");
    // A call whose process went away counts as it was set aside, so that less is left than was.
    let came = came(&records(&front.desk(), &run).await);
    assert!(came["extract"].tokens <= 30_000, "{told}");
    assert_eq!(came["write"].state, EndState::Completed, "its share is its own: {told}");
    let sum: u64 = came.values().map(|it| it.tokens).sum();
    assert!(sum <= 100_000, "{sum}: {told}");
    drop(worker);
    front.stop().await;
}

#[tokio::test]
async fn shares_that_do_not_fit_are_refused_with_every_problem() {
    let stage = Stage::new("- {when: {}, answer: {summary: done, confidence: 0.9}}\n");
    let node = stage.node().await;
    let asked = json!({
        "tasks": [{"id": "a", "task": "t", "to": "writer", "share": 0.5}, {"id": "b", "task": " "}],
        "split": {"b": 0.7, "writer": 0.1, "nobody": 0.1},
    });
    let refused = call(&node, asked).await;
    assert_eq!(
        refused.body["problems"],
        json!([
            "split.nobody: no task and no agent of them has that name",
            "split.writer: has its share already; write it once",
            "split: the shares are 1.2 together, at most 1",
            "tasks[1].task: empty; write what to do",
        ])
    );
    let asked = json!({
        "tasks": [{"id": "a", "task": "t", "share": -0.5}], "split": {"a": "half", "b": 2},
    });
    let refused = call(&node, asked).await;
    let problems = refused.body["problems"].to_string();
    for told in [
        "tasks[0].share: -0.5 is less than 0",
        "split.a: a text is not taken here; write shares of the budget, by task or agent",
        "split.b: 2 is more than 1",
    ] {
        assert!(problems.contains(told), "{problems}");
    }
    let refused = call(&node, json!({"task": "t", "split": {"a": 1}})).await;
    assert_eq!(refused.body["problems"], json!(["split: only `tasks` have shares"]));
    let runs = node.desk().board(&caller()).await.expect("a board").runs;
    assert_eq!(runs.len(), 0, "nothing was started");
    node.stop().await;
}
