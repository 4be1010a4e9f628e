//! Work that nobody is named for: whom it goes to, on which side of a comparison, and what is done
//! when a team fails.

#![allow(clippy::panic, reason = "a test says why and fails")]

mod endpoint;
mod stage;

use callboard_scheduler::{Ask, Desk, Listens};
use callboard_trace::rank::Routed;
use callboard_trace::{Event, RunId, RunView, State};
use endpoint::{Act, Endpoint};
use serde_json::json;
use stage::{Stage, ask, end, records, told};

/// The usual team, answering by this playbook, with these lines of `route`.
fn stage(playbook: &str) -> Stage {
    Stage::new(playbook)
}

/// Takes in work that nobody is named for.
async fn give(desk: &Desk, task: &str) -> RunId {
    let ask = Ask { to: desk.team().entry.clone(), ..ask("coordinator", task) };
    desk.call_team(ask, Listens::default()).await.expect("taken in").run
}

async fn play(desk: &Desk, task: &str) -> RunView {
    end(desk, &give(desk, task).await).await
}

/// How a run was routed.
async fn routed(desk: &Desk, run: &RunId) -> Routed {
    let found = records(desk, run).await.into_iter().find_map(|it| {
        let Event::Routed(routed) = it.event else { return None };
        Some(*routed)
    });
    found.expect("it was routed")
}

const DONE: &str = "- {answer: {summary: done, confidence: 0.9}}\n";
const ALL: &str = "Research it, implement an example, test it, review it, verify the code";

#[tokio::test]
async fn a_task_goes_the_way_it_is_complex() {
    let stage = stage(DONE);
    let node = stage.node().await;
    let desk = node.desk();
    for (task, way, to) in [
        ("what time is it?", "one_agent", "coordinator"),
        ("implement the code of a parser", "one_agent", "coder"),
        ("verify it, please", "one_agent", "tester"),
        (ALL, "two_levels", "coordinator"),
    ] {
        let view = play(&desk, task).await;
        assert_eq!(view.state, State::Completed, "{task}");
        let routed = routed(&desk, &view.run).await;
        assert_eq!((routed.way.as_str(), routed.to.as_str()), (way, to), "{task}: {routed:?}");
        assert_eq!((routed.mode.as_str(), routed.arm.as_str()), ("auto", "team"));
        let why = serde_json::to_value(desk.why(&view.run, &stage::caller()).await.expect("there"));
        let words = why.expect("json")["words"].to_string();
        assert!(words.contains(&format!("routed to {to}, {}", way.replace('_', " "))), "{words}");
    }
    let view = play(&desk, ALL).await;
    let routed = routed(&desk, &view.run).await;
    assert_eq!((routed.domains, routed.asks), (3, 5), "{routed:?}");
    assert!(routed.candidates.len() == routed.matches.len() && routed.matches[0] >= 2);
    node.stop().await;
}

#[tokio::test]
async fn one_agent_alone_hands_nothing_on_and_has_few_turns() {
    let last =
        "- {when: {purpose: finalise}, answer: {summary: as far as I got, confidence: 0.3}}\n";
    let thinks = |turn| {
        format!(
            "- {{when: {{turn: {turn}}}, note: {{slot: findings, key: k, text: thought {turn}}}}}\n"
        )
    };
    let stage =
        stage(&std::iter::once(last.to_owned()).chain((1..40).map(thinks)).collect::<String>());
    let node = stage.node().await;
    let view = play(&node.desk(), "implement the code").await;
    let begun = records(&node.desk(), &view.run).await;
    let started = begun.iter().find_map(|it| {
        let Event::RunStarted(started) = &it.event else { return None };
        Some(started.clone())
    });
    let started = started.expect("it began");
    assert_eq!((started.fuses.turns, started.agent.handoffs.len()), (5, 0));
    assert_eq!(view.state, State::Partial, "the turns are used");
    // Who says in its own file how many turns it has, keeps them.
    let named = ask("writer", "think");
    let view = stage::play(&node.desk(), named).await;
    assert_eq!(view.state, State::Partial);
    node.stop().await;
}

#[tokio::test]
async fn a_team_that_failed_is_followed_by_its_entry_agent_alone_once() {
    let summary = "summary: {did: looked at the task and what is there, must_know: all of it, do_next: go on}";
    let stage = stage(&format!(
        "- when: {{agent: coordinator, turn: 1}}\n  handoff: {{to: coder, task: do it, {summary}}}\n  times: 1\n\
         - {{when: {{agent: coordinator, handed: true}}, answer: {{summary: did it myself, confidence: 0.5}}}}\n\
         - {{fail: {{status: 400}}}}\n"
    ));
    let node = stage.node().await;
    let desk = node.desk();
    let view = play(&desk, ALL).await;
    let story = told(&desk, &view.run).await;
    assert_eq!((view.state, view.degraded), (State::Completed, true), "{story}");
    assert_eq!(view.result.as_deref(), Some("did it myself"));
    assert_eq!(story.matches("fallback: alone").count(), 1, "{story}");
    node.stop().await;

    let stage = Stage::new("- {fail: {status: 400}}\n");
    let node = stage.node().await;
    let desk = node.desk();
    let view = play(&desk, ALL).await;
    let story = told(&desk, &view.run).await;
    assert_eq!((view.state, view.degraded), (State::Failed, true), "{story}");
    assert_eq!(story.matches("fallback: alone").count(), 1, "once: {story}");
    let named = stage::play(&desk, ask("coordinator", ALL)).await;
    assert!(!named.degraded, "who was named has no team's way");
    node.stop().await;
}

#[tokio::test]
async fn the_report_compares_the_sides() {
    let stage = stage(
        "- {when: {agent: tester}, fail: {status: 400}}\n- {answer: {summary: done, confidence: 0.9}}\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    for task in ["what time is it?", "implement the code", "verify it", ALL] {
        play(&desk, task).await;
    }
    stage::play(&desk, ask("writer", "by name")).await;
    let read = async |uri: &str| {
        let reading =
            callboard_tools::Reading { uri: uri.into(), most: 100_000, ..Default::default() };
        let page = callboard_tools::read(&desk, &reading, &stage::caller()).await.expect("a page");
        serde_json::from_str::<serde_json::Value>(&page.text).expect("json")
    };
    let told = read("team://report?by=arm").await;
    assert_eq!((&told["looked_at"], &told["is_cut"]), (&5.into(), &false.into()), "{told}");
    let group = &told["groups"][0];
    assert_eq!((&group["name"], &group["runs"]), (&"team".into(), &4.into()), "{told}");
    assert_eq!((&group["completed"], &group["failed"]), (&3.into(), &1.into()), "{told}");
    assert_eq!(group["success"], 0.75);
    assert!(group["tokens"].as_u64() > Some(0) && group["p95_s"].is_number(), "{told}");
    let told = read("team://report?by=agent").await;
    let names: Vec<&str> = told["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["coder", "coordinator", "tester", "writer"]);
    node.stop().await;
}

/// A team with a model `small` that judges, and says this of every task.
async fn judging(small: impl Fn() -> Act + Send + Sync + 'static) -> (Endpoint, Stage) {
    let endpoint = Endpoint::start(move |ask| {
        if ask.body["model"] == "small" {
            return small();
        }
        Act::answer(&json!({"summary": "done", "confidence": 0.9}))
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "route: {judge: model}\n");
    let path = stage.team().join("team.yaml");
    let team = std::fs::read_to_string(path).expect("a team");
    let models = "default: endpoint/scripted\n  small: {provider: endpoint, model: small}";
    stage.write("team.yaml", &team.replace("default: endpoint/scripted", models));
    (endpoint, stage)
}

async fn words(desk: &Desk, run: &RunId) -> String {
    desk.why(run, &stage::caller()).await.expect("there").words.join("\n")
}

fn asked_small(endpoint: &Endpoint) -> usize {
    endpoint.requests().iter().filter(|it| it.body["model"] == "small").count()
}

#[tokio::test]
async fn a_model_may_say_how_complex_a_task_is() {
    let (endpoint, stage) = judging(|| Act::say("I think {\"complexity\": 0.9}")).await;
    let node = stage.node().await;
    let desk = node.desk();
    let view = play(&desk, "what time is it?").await;
    let routed = routed(&desk, &view.run).await;
    assert_eq!((routed.way.as_str(), routed.score), ("full_team", 0.9), "{routed:?}");
    let said = words(&desk, &view.run).await;
    assert!(said.contains("complexity 0.90 as endpoint/small judged it"), "{said}");
    assert_eq!(asked_small(&endpoint), 1);
    let asked = &endpoint.requests()[0].body.to_string();
    assert!(
        asked.contains("what time is it?") && asked.contains("The coder of the stage."),
        "{asked}"
    );
    // Its cost is kept where those of the ranks are.
    let line =
        stage.store("n_look").latest(&RunId::from_text("route_default"), 9).await.expect("a line");
    let Event::ModelReplied(reply) = &line[0].event else { panic!("{line:?}") };
    assert_eq!((reply.usage.input, reply.usage.output), (10, 5));
    // Who is named is asked about by nobody.
    stage::play(&desk, ask("writer", "by name")).await;
    assert_eq!(asked_small(&endpoint), 1);
    node.stop().await;
}

#[tokio::test]
async fn without_a_word_that_can_be_read_the_formula_counts_and_it_is_said() {
    for (act, why) in [
        (Act::say("quite complex"), "its answer cannot be read"),
        (Act::status(400), "scripted 400"),
    ] {
        let (_endpoint, stage) = judging(move || act.clone()).await;
        let node = stage.node().await;
        let desk = node.desk();
        let view = play(&desk, "what time is it?").await;
        assert_eq!(view.state, State::Completed);
        let routed = routed(&desk, &view.run).await;
        assert!(routed.way == "one_agent" && routed.score < 0.01, "{routed:?}");
        let said = words(&desk, &view.run).await;
        assert!(
            said.contains("since endpoint/small was not heard: ") && said.contains(why),
            "{said}"
        );
        node.stop().await;
    }
}

/// Agents use the model too, and it fails them: then nobody waits for its word either.
#[tokio::test]
async fn a_judge_that_is_left_alone_is_not_asked() {
    let (endpoint, stage) = judging(|| Act::status(500)).await;
    stage.write(
        "agents/small.md",
        "---\nname: small_one\ndescription: Small.\nmodel: small\n---\nYou are small.\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let view = stage::play(&desk, ask("small_one", "try")).await;
    assert_eq!(view.state, State::Failed);
    let before = asked_small(&endpoint);
    let view = play(&desk, "what time is it?").await;
    let said = words(&desk, &view.run).await;
    assert!(said.contains("was not heard: it is left alone after failures"), "{said}");
    assert_eq!((asked_small(&endpoint), before), (before, 3));
    node.stop().await;
}
