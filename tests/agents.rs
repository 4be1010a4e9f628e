//! Agents as a team's own resources: paused, drained, and how they are doing.

#![allow(clippy::panic, reason = "a test says why and fails")]

mod stage;

use std::time::Duration;

use callboard_scheduler::{
    Desk, HandoffAsk, Listens, Node, PlanAsk, Refusal, RefusalCode, TaskAsk,
};
use callboard_tools::{Call, Outcome, Patience, Toolset};
use callboard_trace::{Caller, RunId, State, Summary};
use serde_json::{Value, json};
use stage::{Stage, ask, caller, end, play, told};
use tokio_util::sync::CancellationToken;

/// Calls a tool of the team as this caller.
async fn call_as(node: &Node, tool: &str, arguments: Value, caller: &Caller) -> Outcome {
    let arguments = arguments.as_object().cloned().expect("an object");
    let call = Call { tool: tool.to_owned(), arguments, meta: serde_json::Map::new() };
    let wait = Duration::from_secs(10);
    let (patience, _) = Patience::new(wait, wait, CancellationToken::new());
    let desk = node.desk();
    let done = Toolset::of(&desk.team()).apply(&desk, call, caller, &patience).await;
    done.unwrap_or_else(|it| panic!("{}", it.0))
}

async fn act(node: &Node, agent: &str, action: &str) -> Value {
    let asked = json!({"agent": agent, "action": action, "reason": "so"});
    let done = call_as(node, "team_control", asked, &caller()).await;
    assert!(!done.is_error, "{}", done.body);
    done.body
}

async fn line(node: &Node, agent: &str) -> Value {
    let shown = call_as(node, "team_status", json!({"view": "agents"}), &caller()).await.body;
    let lines = shown["agents"].as_array().expect("agents").clone();
    lines.into_iter().find(|it| it["name"] == agent).expect("the agent")
}

/// What a run waits for, once it waits for something of that kind.
async fn waits_for(desk: &Desk, run: &RunId, what: &str) -> String {
    for _ in 0..2_000 {
        let view = desk.view(run, &caller()).await.expect("the run is there");
        if let Some(it) = view.queue.map(|it| it.waiting_for).filter(|it| it.contains(what)) {
            return it;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never waited for {what}:\n{}", told(desk, run).await);
}

const DONE: &str = "- {answer: {summary: done, confidence: 0.9}}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_agents_steps_wait_in_every_process_and_go_on() {
    let stage = Stage::new(DONE);
    let (one, two) = (stage.node().await, stage.node().await);
    assert_eq!(act(&one, "coder", "pause").await["state"], "paused");
    let runs = [
        one.desk().submit(ask("coder", "write")).await.expect("taken in").run,
        two.desk().submit(ask("coder", "write more")).await.expect("taken in").run,
    ];
    for run in &runs {
        assert_eq!(waits_for(&one.desk(), run, "agent coder").await, "agent coder: paused");
    }
    // Nothing goes on by itself here, so no worker waits for it.
    assert!(one.desk().is_at_rest().await.expect("it is there"));
    // Others work on.
    assert_eq!(play(&two.desk(), ask("tester", "test")).await.state, State::Completed);
    one.stop().await;
    two.stop().await;

    let node = stage.node().await;
    assert_eq!(line(&node, "coder").await["state"], "paused", "it is kept");
    act(&node, "coder", "resume").await;
    for run in &runs {
        assert_eq!(end(&node.desk(), run).await.state, State::Completed);
    }
    assert_eq!(line(&node, "coder").await["state"], "idle");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_agent_ends_what_it_has_and_takes_nothing_new() {
    let stage = Stage::new(
        "- {when: {agent: coordinator, turn: 1}, delegate: [{to: coder, task: write, summary: \
           {did: looked at all of the code there is, must_know: all of it, do_next: write it}}]}\n\
         - {when: {agent: coordinator}, answer: {summary: nobody took it, confidence: 0.7}}\n\
         - {when: {agent: coder}, answer: {summary: written, confidence: 0.6}, after_ms: 300}\n\
         - {answer: {summary: done, confidence: 0.9}}\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let open = desk.submit(ask("coder", "write")).await.expect("taken in").run;
    assert_eq!(act(&node, "coder", "drain").await["state"], "draining");

    let is_told = |told: Refusal| {
        assert_eq!((told.code, told.retryable), (RefusalCode::OverCapacity, true));
        assert_eq!(told.message, "no new work is taken: coder is being drained");
        assert!(told.hint.contains("`resume` for agent coder"), "{told}");
    };
    is_told(desk.submit(ask("coder", "something else")).await.expect_err("drained"));
    let task = |to: &str| TaskAsk { to: Some(to.into()), task: "it".into(), ..TaskAsk::default() };
    let tasks = vec![task("tester"), task("coder")];
    let plan =
        PlanAsk { tasks, split: std::collections::BTreeMap::new(), ask: ask("coordinator", "") };
    is_told(desk.submit_plan(plan).await.expect_err("drained"));
    let summary = Summary { did: "looked".into(), ..Summary::default() };
    let handoff = |run: Option<RunId>| HandoffAsk {
        to: callboard_config::AgentName::parse("coder").expect("a name"),
        summary: summary.clone(),
        task: "write".into(),
        run,
        artifacts: vec![],
    };
    let handed = async |run| desk.handoff(handoff(run), &caller(), Listens::default()).await;
    is_told(handed(None).await.expect_err("drained"));
    is_told(handed(Some(open.clone())).await.expect_err("drained"));

    // Where nobody is named the next best has it, and the entry agent where nobody else fits.
    let unnamed = async |task: &str| {
        let run = desk
            .call_team(ask("coordinator", task), Listens::default())
            .await
            .expect("taken in")
            .run;
        end(&desk, &run).await.agent.to_string()
    };
    assert_eq!(unnamed("implement it and test it").await, "tester");
    assert_eq!(unnamed("implement it").await, "coordinator");

    // An agent that wants to pass work there is told so, and goes on.
    let view = play(&desk, ask("coordinator", "go")).await;
    assert_eq!(view.result.as_deref(), Some("nobody took it"));
    let story = told(&desk, &view.run).await;
    assert!(story.contains("coder takes no new work: it is being drained"), "{story}");
    assert_eq!(end(&desk, &open).await.state, State::Completed, "what was there ends well");

    act(&node, "coder", "resume").await;
    assert_eq!(play(&desk, ask("coder", "something else")).await.state, State::Completed);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_board_says_how_agents_do() {
    let stage = Stage::new(
        "- {when: {agent: tester}, fail: {status: 400}}\n- {answer: {summary: done, confidence: 0.9}}\n",
    );
    let node = stage.node().await;
    for n in 0..5 {
        assert!(line(&node, "coder").await.get("success_rate").is_none(), "{n} are not enough");
        play(&node.desk(), ask("coder", &format!("write {n}"))).await;
        play(&node.desk(), ask("tester", &format!("test {n}"))).await;
    }
    let (coder, tester) = (line(&node, "coder").await, line(&node, "tester").await);
    assert_eq!((&coder["state"], &coder["success_rate"]), (&json!("idle"), &json!(1.0)));
    assert!(coder["p95_s"].is_number() && coder.get("last_error").is_none(), "{coder}");
    // Its runs failed too often in a row: it is left alone for a while.
    assert_eq!((&tester["state"], &tester["success_rate"]), (&json!("open"), &json!(0.0)));
    let left_alone = tester["left_alone"].as_str().expect("why it is open");
    assert!(left_alone.starts_with("it, for ") && left_alone.ends_with(" s more"), "{left_alone}");
    assert!(
        tester["last_error"].as_str().is_some_and(|it| it.contains("is left alone after failures")),
        "{tester}"
    );
    let report = callboard_tools::Reading {
        uri: "team://report?by=agent".into(),
        most: 100_000,
        ..Default::default()
    };
    let page = callboard_tools::read(&node.desk(), &report, &caller()).await.expect("a page");
    let told = serde_json::from_str::<Value>(&page.text).expect("json");
    let names: Vec<_> = told["agents"].as_array().expect("agents").iter().collect();
    assert_eq!((&names[0]["agent"], &names[0]["steps"]), (&json!("coder"), &json!(5)), "{told}");
    let busy = names[0]["utilisation"].as_f64().expect("a part");
    assert!((0.0..=1.0).contains(&busy), "{told}");
    node.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_acting_on_an_agent_is_said() {
    let stage = Stage::new(DONE);
    let node = stage.node_with(false).await;
    let refused = async |asked: Value, caller: &Caller| {
        let done = call_as(&node, "team_control", asked, caller).await;
        assert!(done.is_error, "{}", done.body);
        done.body
    };
    let cases = [
        (
            json!({"action": "pause"}),
            "run: missing; write the run's id, or an agent's name as `agent`",
        ),
        (
            json!({"action": "pause", "run": "r_x", "agent": "coder"}),
            "agent: stands instead of `run`; leave one of them out",
        ),
    ];
    for (asked, problem) in cases {
        assert_eq!(refused(asked, &caller()).await["problems"][0], problem);
    }
    let told = refused(json!({"action": "cancel", "agent": "coder"}), &caller()).await;
    assert_eq!(told["message"], "an agent can be paused, resumed and drained, nothing else");
    let told = refused(json!({"action": "drain", "run": "r_x"}), &caller()).await;
    assert_eq!(told["code"], "not_found");
    let told = refused(json!({"action": "pause", "agent": "codre"}), &caller()).await;
    assert!(told["message"].as_str().is_some_and(|it| it.contains("did you mean \"coder\"")));
    let guest = Caller { principal: "guest".into(), ..caller() };
    let told = refused(json!({"action": "pause", "agent": "coder"}), &guest).await;
    assert_eq!(told["code"], "not_allowed");
    let run = node.desk().submit(ask("coder", "write")).await.expect("taken in").run;
    let told = refused(json!({"action": "drain", "run": run}), &caller()).await;
    assert_eq!(told["message"], "`drain` is for an agent, not for a run");
    node.stop().await;
}
