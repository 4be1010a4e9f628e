//! A resource without room, and what stands in for it: what a call takes then is in its record.

use callboard_trace::{Event, Record, State};
use serde_json::json;

use super::fixture::Fixture;
use super::stage::{Stage, ask, caller, play, records, told, until};
use super::{called, one, stage as stage_of};

/// With these resources, and with every tool of a server taking the first of them.
fn with(stage: &Stage, resources: &str) {
    let team = std::fs::read_to_string(stage.team().join("team.yaml")).expect("a team");
    let more = format!("resources: {resources}\ntools: {{\"mcp__*\": shared}}\n");
    stage.write("team.yaml", &format!("{team}{more}"));
}

/// What each call of a tool took in the place of its own resource.
fn taken(records: &[Record]) -> Vec<Option<String>> {
    let calls = records.iter().filter_map(|it| match &it.event {
        Event::StepBegun(begun)
            if matches!(&begun.work, callboard_trace::Work::Tool { tool, .. }
            if tool.starts_with("mcp__")) =>
        {
            Some(begun.stead.as_ref().map(|it| format!("{} for {}", it.resource, it.of)))
        }
        _ => None,
    });
    calls.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_wait_for_over_a_minute_takes_the_next_resource_with_room() {
    let fixture = Fixture::new("");
    let echo = |text: &str| ("mcp__x__echo", json!({"text": text}));
    let stage = one(&fixture, &[echo("a"), echo("b"), echo("c")]);
    let resources = "{shared: {capacity: 1, refill_per_s: 0.001, fallback: [first, second]}, \
        first: {capacity: 1, refill_per_s: 0.001}, second: {capacity: 9, refill_per_s: 1}}";
    with(&stage, resources);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "greet")).await;
    let story = told(&node.desk(), &view.run).await;
    assert_eq!(view.state, State::Completed, "{story}");
    let all = records(&node.desk(), &view.run).await;
    let expected = [None, Some("first for shared".into()), Some("second for shared".into())];
    assert_eq!(taken(&all), expected, "{story}");
    assert!(story.contains("on second in the place of shared"), "{story}");
    node.stop().await;
    fixture.until_gone();
}

/// With nothing that has room a step stands in the line of its own resource, as without any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_room_anywhere_waits_for_its_own() {
    let fixture = Fixture::new("");
    let echo = |text: &str| ("mcp__x__echo", json!({"text": text}));
    let stage = one(&fixture, &[echo("a"), echo("b"), echo("c")]);
    let resources = "{shared: {capacity: 1, refill_per_s: 0.001, fallback: spare}, \
        spare: {capacity: 1, refill_per_s: 0.001}}";
    with(&stage, resources);
    let node = stage.node().await;
    let run = node.desk().submit(ask("coder", "greet")).await.expect("taken in").run;
    until("it waits and says so", async || {
        let why = node.desk().why(&run, &caller()).await.expect("there");
        let waits = why.words.join("\n").contains("waits for resource shared, about");
        // The second call is written as waiting too, for as long as it takes to turn aside.
        waits && called(&node.desk(), &run).await.len() == 2
    })
    .await;
    node.stop().await;
    fixture.until_gone();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_alone_after_failures_has_a_stand_in() {
    let (broken, well) = (Fixture::new(""), Fixture::new(""));
    let servers = json!({"a": broken.entry(json!({})), "b": well.entry(json!({}))});
    let calls = [("mcp__a__crash", json!({})), ("mcp__b__echo", json!({"text": "hello"}))];
    let stage = stage_of(&servers, &calls);
    let resources = "{shared: {concurrency: 9, breaker: {failures: 1}, fallback: spare}, \
        spare: {concurrency: 9}}";
    with(&stage, resources);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "greet")).await;
    let story = told(&node.desk(), &view.run).await;
    assert_eq!(view.state, State::Completed, "{story}");
    let all = records(&node.desk(), &view.run).await;
    assert_eq!(taken(&all), [None, Some("spare for shared".into())], "{story}");
    assert_eq!(called(&node.desk(), &view.run).await[1].3, json!("hello"), "{story}");
    node.stop().await;
    [broken, well].iter().for_each(Fixture::until_gone);
}
