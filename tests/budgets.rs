//! What callers say of money, tokens and time, and what they are told of them.

#![allow(clippy::panic, reason = "a test says why and fails")]

mod endpoint;
mod shell;
mod stage;

use std::time::Duration;

use callboard_scheduler::{Desk, Node, RefusalCode};
use callboard_tools::{Call, Outcome, Patience, Toolset};
use callboard_trace::{Action, Control, Event, Purpose, RunId, RunView, State, Stop, Work};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use shell::House;
use stage::{Stage, ask, caller, end, records};
use tokio_util::sync::CancellationToken;

/// Calls a tool as a client does, with this `_meta`.
async fn call(node: &Node, tool: &str, arguments: Value, meta: Value) -> Outcome {
    let object = |it: Value| it.as_object().cloned().expect("an object");
    let (arguments, meta) = (object(arguments), object(meta));
    let call = Call { tool: tool.to_owned(), arguments, meta };
    let (wait, most) = (Duration::from_secs(30), Duration::from_secs(30));
    let (patience, _) = Patience::new(wait, most, CancellationToken::new());
    let desk = node.desk();
    let done = Toolset::of(&desk.team()).apply(&desk, call, &caller(), &patience).await;
    done.unwrap_or_else(|it| panic!("{}", it.0))
}

fn view(outcome: &Outcome) -> RunView {
    assert!(!outcome.is_error, "{}", outcome.body);
    serde_json::from_value(outcome.body.clone()).expect("a view")
}

async fn control(desk: &Desk, run: &RunId, action: Action, value: Value) -> RunView {
    let control = Control { action, value, reason: "so".into() };
    desk.control(run, control, &caller()).await.expect("done")
}

/// Writes notes for twelve turns, or as long as it is let; 600 tokens in and 4,000
/// out each time, or what it may say.
fn busy(ask: &Ask) -> Act {
    let n_most = ["max_tokens", "max_completion_tokens"].iter();
    let most = n_most.filter_map(|it| ask.body[*it].as_u64()).next().unwrap_or(4_096);
    let used = json!({"prompt_tokens": 600, "completion_tokens": most.min(4_000)});
    let is_last = ask.body.get("response_format").is_some() || ask.tools().is_empty();
    if is_last || ask.turn() > 12 {
        return Act::answer(&json!({"summary": "as far as it went", "confidence": 0.5}))
            .usage(used);
    }
    let note = json!({"slot": "notes", "key": format!("k{}", ask.turn()), "text": "a line"});
    Act::call("note", note).usage(used)
}

fn n_last_turns(records: &[callboard_trace::Record]) -> usize {
    let is_last = |it: &Event| {
        let Event::StepBegun(begun) = it else { return false };
        matches!(&begun.work, Work::Model { purpose: Purpose::Finalise, .. })
    };
    records.iter().filter(|it| is_last(&it.event)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_stops_at_the_budget_of_its_caller_and_goes_on_with_another() {
    let endpoint = Endpoint::start(busy).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let asked = json!({"task": "write", "to": "coder", "budget": {"tokens": 40_000}});
    let stopped = view(&call(&node, "team_run", asked, json!({})).await);
    assert_eq!((stopped.state, stopped.stop), (State::Partial, Some(Stop::Budget)), "{stopped:?}");
    assert_eq!(stopped.result.as_deref(), Some("as far as it went"));
    assert!(stopped.cost.tokens <= 40_000, "{:?}", stopped.cost);
    assert!(stopped.recommendations[0].contains("`set_budget` with tokens"), "{stopped:?}");
    let all = records(&node.desk(), &stopped.run).await;
    assert_eq!(n_last_turns(&all), 1);
    let is_told = |it: &Event| {
        matches!(it, Event::BudgetAlerted { node, pct, limit, .. }
            if node == "run" && *limit == 40_000.0 && *pct >= 80.0)
    };
    assert!(all.iter().any(|it| is_told(&it.event)));
    assert!(stopped.cost.budget_pct.is_some_and(|it| it > 80.0), "{:?}", stopped.cost);
    let told = |what| stopped.notices.iter().any(|it| it.ends_with(what));
    let full = " % of coder's tokens are used, and no ordinary step fits any more";
    assert!(told(full), "{:?}", stopped.notices);

    let run = stopped.run.as_str();
    let more = json!({"run": run, "action": "set_budget", "value": {"tokens": 90_000}});
    let still = view(&call(&node, "team_control", more, json!({})).await);
    assert_eq!(still.state, State::Partial, "new limits reopen nothing");
    let again = json!({"run": run, "action": "retry"});
    view(&call(&node, "team_control", again, json!({})).await);
    let done = end(&node.desk(), &stopped.run).await;
    assert_eq!((done.state, done.stop), (State::Completed, Some(Stop::Done)), "{done:?}");
    assert!(done.cost.tokens > stopped.cost.tokens, "{:?}", done.cost);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_budget_has_its_last_turn_too() {
    let endpoint = Endpoint::start(busy).await;
    // Every tool takes its part of a prompt: so small a budget is for an agent of few.
    let stage = Stage::at(&endpoint.base_url(), "agents: {coder: {tools: []}}\n");
    let node = stage.node().await;
    for tokens in [4_000, 7_000, 10_000, 20_000] {
        let asked = json!({"task": format!("write for {tokens}"), "to": "coder", "budget": {"tokens": tokens}});
        let stopped = view(&call(&node, "team_run", asked, json!({})).await);
        assert_eq!(
            (stopped.state, stopped.stop),
            (State::Partial, Some(Stop::Budget)),
            "{stopped:?}"
        );
        assert_eq!(stopped.result.as_deref(), Some("as far as it went"), "{tokens}");
        assert!(stopped.cost.tokens <= tokens, "{tokens}: {:?}", stopped.cost);
        let all = records(&node.desk(), &stopped.run).await;
        assert_eq!(n_last_turns(&all), 1, "{tokens}");
        for record in all {
            let Event::BudgetAlerted { node, used, .. } = &record.event else { continue };
            assert!(
                *used <= stopped.cost.tokens as f64,
                "what is set aside of the {node} is not used"
            );
        }
    }
    node.stop().await;
}

/// A model that takes too long is left in time for one that is asked for what there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_budget_of_time_there_is_enough_left_for_a_last_turn() {
    let endpoint = Endpoint::start(|ask: &Ask| {
        let is_last = ask.body.get("response_format").is_some() || ask.tools().is_empty();
        if is_last || ask.turn() == 1 { busy(ask) } else { Act::silence() }
    });
    let endpoint = endpoint.await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let asked = json!({"task": "write", "to": "coder", "budget": {"seconds": 3}});
    let stopped = view(&call(&node, "team_run", asked, json!({})).await);
    let all = records(&node.desk(), &stopped.run).await;
    let told = stage::tell(&all);
    assert_eq!((stopped.state, stopped.stop), (State::Partial, Some(Stop::Budget)), "{told}");
    assert_eq!(stopped.result.as_deref(), Some("as far as it went"), "{told}");
    assert_eq!(n_last_turns(&all), 1, "{told}");
    let full = "50 % of coder's seconds are used, and no ordinary step fits any more";
    assert_eq!(stopped.notices, [full]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_task_takes_new_limits_with_all_its_runs() {
    let stage = Stage::new(
        "- {when: {agent: coordinator, turn: 1}, delegate: [{to: writer, task: write, summary: \
           {did: looked, must_know: all of it, do_next: write}}]}\n\
         - {when: {agent: coordinator}, answer: {summary: it is back, confidence: 0.7}}\n\
         - {when: {agent: writer}, answer: {summary: written, confidence: 0.6}, after_ms: 400}\n",
    );
    let node = stage.node_with(false).await;
    let desk = node.desk();
    let run = desk.submit(ask("coordinator", "go")).await.expect("taken in").run;
    let value = json!({"tokens": 0, "micro_usd": null});
    control(&desk, &run, Action::SetBudget, value).await;
    node.stop().await;
    let node = stage.node().await;
    let view = end(&node.desk(), &run).await;
    assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Budget)), "{view:?}");
    control(&node.desk(), &run, Action::SetBudget, json!({"tokens": null})).await;
    control(&node.desk(), &run, Action::Retry, json!(null)).await;
    assert_eq!(end(&node.desk(), &run).await.state, State::Completed);
    let set: Vec<Value> = records(&node.desk(), &run)
        .await
        .into_iter()
        .filter_map(|it| {
            let Event::Controlled(it) = it.event else { return None };
            (it.action == Action::SetBudget).then_some(it.value)
        })
        .collect();
    let (task, own) = (json!({"tokens": null, "node": "task"}), json!({"tokens": null}));
    assert_eq!(set[2..], [task, own], "of the task, and of its first run");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_may_come_beside_an_agents_task_and_is_never_more_than_the_teams() {
    let stage = Stage::new("- {when: {}, answer: {summary: done, confidence: 0.9}}\n");
    stage.write(
        "team.yaml",
        "providers:\n  rehearsal: {kind: rehearsal, playbook: playbook.yaml}\n\
         models:\n  default: rehearsal/rehearsal\nbudgets: {task: {tokens: 9000}}\n",
    );
    let node = stage.node().await;
    let meta = json!({"callboard/budget": {"tokens": 1_000_000, "usd": 0.5, "minutes": 3}});
    let view = view(&call(&node, "writer", json!({"task": "go"}), meta).await);
    let all = records(&node.desk(), &view.run).await;
    let started = all.iter().find_map(|it| {
        let Event::RunStarted(started) = &it.event else { return None };
        Some(started)
    });
    let purse = &started.expect("it began").purses[0].caps;
    assert_eq!((purse.tokens, purse.micro_usd), (Some(9_000), Some(500_000)));
    assert_eq!((purse.ms, purse.usd_is_written), (Some(180_000), true));
    let wrong = json!({"callboard/budget": {"tokns": 5}});
    let refused = call(&node, "writer", json!({"task": "go"}), wrong).await;
    assert_eq!(
        refused.body["problems"],
        json!(["_meta.callboard/budget.tokns: no such amount; did you mean \"tokens\"?"])
    );
    let wrong = json!({"task": "go", "budget": {"usd": -1, "tokens": "many"}});
    let refused = call(&node, "team_run", wrong, json!({})).await;
    assert_eq!(refused.body["code"], json!(RefusalCode::InvalidInput));
    assert_eq!(
        refused.body["problems"],
        json!([
            "budget.usd: does not fit; write an amount from 0 on",
            "budget.tokens: does not fit; write a whole number from 0 on",
        ])
    );
    node.stop().await;
}

#[test]
fn a_script_sets_a_budget_and_sees_it_reached() {
    let house = House::new();
    let stopped =
        house.does(&["run", "coder", "do it", "--budget", "tokens=0,minutes=1", "--json"]);
    assert_eq!(stopped.code, 12, "{}", stopped.err);
    assert_eq!(stopped.view().stop, Some(Stop::Budget));
    let run = stopped.view().run.to_string();
    let said = house.does(&["control", &run, "set_budget", "tokens=90000", "--quiet"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(house.does(&["status", &run]).code, 12, "new limits reopen nothing");
    assert_eq!(house.does(&["control", &run, "retry", "--quiet"]).code, 0);
    assert_eq!(house.does(&["work", "--until-idle"]).code, 0);
    assert_eq!(house.does(&["status", &run]).code, 0);
    let wrong: [(&[&str], &str); 3] = [
        (&["run", "coder", "x", "--budget", "tokns=5"], "did you mean \"tokens\"?"),
        (&["run", "coder", "x", "--budget", "usd=lots"], "--budget.usd: does not fit"),
        (&["control", &run, "set_budget", "tokens"], "value.tokens: does not fit"),
    ];
    for (words, told) in wrong {
        let said = house.does(words);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{words:?}");
        assert!(said.err.contains(told), "{words:?}: {}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_spent_is_told_in_money_and_in_per_cent() {
    let endpoint = Endpoint::start(|_: &Ask| {
        let used = json!({"prompt_tokens": 1_000, "completion_tokens": 500});
        Act::answer(&json!({"summary": "done", "confidence": 0.9})).usage(used)
    })
    .await;
    let few = "budgets: {day: {usd: 0.02}}\nagents: {coder: {tools: []}}\n";
    let stage = Stage::at(&endpoint.base_url(), few);
    stage.write("prices.yaml", "models:\n  endpoint/scripted: {input: 1, output: 2}\n");
    let node = stage.node().await;
    let budget = json!({"callboard/budget": {"usd": 0.0025, "tokens": 40_000}});
    // A whole reply would cost more: it is asked to say less.
    let cut = view(&call(&node, "coder", json!({"task": "go"}), budget).await);
    assert_eq!(cut.state, State::Completed, "{cut:?}");
    assert_eq!((cut.cost.usd, cut.cost.budget_pct), (Some(0.002), Some(80.0)));
    assert!(cut.notices.contains(&"80 % of coder's usd are used".to_owned()), "{cut:?}");
    let desk = node.desk();
    let board = desk.board(&caller()).await.expect("there");
    let today = json!(board.budget.expect("the day has a limit"));
    assert_eq!(today, json!({"today": [{"of": "usd", "used": 0.002, "limit": 0.02}]}));
    node.stop().await;

    stage.write("prices.yaml", "models:\n  endpoint/scripted: {input: 1, output: 0.2}\n");
    let node = stage.node().await;
    let keyed = json!({"callboard/budget": {"usd": 0.0025}, "callboard/key": "first"});
    let first = view(&call(&node, "coder", json!({"task": "go"}), keyed.clone()).await);
    assert_eq!(first.state, State::Completed, "{first:?}");
    assert_eq!((first.cost.usd, first.cost.budget_pct), (Some(0.0011), Some(44.0)));
    let run = first.run.as_str();
    let cost = call(&node, "team_status", json!({"run": run, "view": "cost"}), json!({})).await;
    assert_eq!(cost.body["cost"]["usd"], 0.0011);
    assert_eq!(cost.body["agents"][0]["usd"], 0.0011);
    assert_eq!(cost.body["agents"][0]["model"], "endpoint/scripted");
    for _ in 0..2 {
        let meta = json!({"callboard/fresh": true});
        view(&call(&node, "coder", json!({"task": "again"}), meta).await);
    }
    let desk = node.desk();
    let today = desk.board(&caller()).await.expect("there").budget.expect("limited").today;
    assert_eq!((today[0].used, today[0].limit), (0.0053, 0.02));
    node.stop().await;

    stage.write(
        "team.yaml",
        &format!(
            "team: stage\nproviders:\n  endpoint: {{base_url: \"{}\"}}\n\
             models:\n  default: endpoint/scripted\nbudgets: {{day: {{usd: 0.005}}}}\n",
            endpoint.base_url()
        ),
    );
    let node = stage.node().await;
    let meta = json!({"callboard/fresh": true});
    let refused = call(&node, "coder", json!({"task": "more"}), meta).await;
    assert_eq!(refused.body["code"], json!(RefusalCode::OverCapacity), "{}", refused.body);
    assert_eq!(refused.body["retryable"], true);
    assert_eq!(refused.body["message"], "the day's budget is spent: 0.0053 of 0.005 usd");
    let hint = refused.body["hint"].as_str().expect("a hint");
    assert!(hint.starts_with("it begins anew at 00:00 UTC, in "), "{hint}");
    let joined = call(&node, "coder", json!({"task": "go"}), keyed).await;
    assert_eq!((&joined.body["joined"], &joined.body["run"]), (&json!(true), &json!(run)));
    node.stop().await;
}
