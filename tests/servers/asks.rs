//! Tools that do not answer at once: those that work on a task, and those that ask a person first.

use std::collections::BTreeMap;

use callboard_scheduler::Desk;
use callboard_trace::{RunId, RunView, State};
use serde_json::{Value, json};

use super::fixture::{Fixture, eventually};
use super::stage::{PATIENCE, ask, caller, play, told};
use super::{called, one, stage_with};

/// Answers each question of a run as it comes, and waits for its end; with what was asked.
async fn answered(
    desk: &Desk,
    run: &RunId,
    answers: &[&str],
) -> (RunView, Vec<(String, Vec<String>)>) {
    let mut asked = Vec::new();
    for answer in answers {
        let view = desk.wait(run, &caller(), PATIENCE).await.expect("there");
        assert_eq!(view.state, State::InputRequired, "{}", told(desk, run).await);
        let question = view.questions[0].clone();
        asked.push((question.prompt, question.options));
        let answer = BTreeMap::from([(question.id, (*answer).to_owned())]);
        desk.answer(run, &answer, &caller()).await.expect("answered");
    }
    let view = desk.wait(run, &caller(), PATIENCE).await.expect("there");
    assert!(view.state.is_over(), "{}", told(desk, run).await);
    (view, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_followed_to_its_end() {
    let fixture = Fixture::new("modern");
    let calls = ["done", "error", "gone"].map(|how| ("mcp__x__job", json!({"how": how})));
    let stage = one(&fixture, &calls);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "go")).await;
    assert_eq!(view.state, State::Completed, "{:?}", view.error);
    let told = called(&node.desk(), &view.run).await;
    assert_eq!(told[0].3, json!("made: null"), "{told:?}");
    let error = |at: usize| told[at].3["error"].as_str().unwrap_or_default();
    assert!(error(1).contains("failed in its task: out of luck"), "{told:?}");
    assert!(error(2).contains("cancelled its task"), "{told:?}");
    assert!(!fixture.folder().join("cancelled").exists(), "what is over is not cancelled");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_takes_too_long_is_cancelled_at_its_server() {
    let fixture = Fixture::new("modern");
    let servers = json!({"x": fixture.entry(json!({}))});
    let calls = [("mcp__x__job", json!({"how": "never"})), ("mcp__x__echo", json!({"text": "on"}))];
    let stage = stage_with(&servers, &calls, "{tool_timeout_s: 5}", 0);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "go")).await;
    let told = called(&node.desk(), &view.run).await;
    let why = told[0].3["error"].as_str().unwrap_or_default();
    assert!(why.contains("was not done with its task in time"), "{told:?}");
    assert_eq!(told[1].3, json!("on"));
    let cancelled = || std::fs::read_to_string(fixture.folder().join("cancelled")).ok();
    eventually("the server hears of it", || cancelled().as_deref() == Some("task-1\n"));
    assert_eq!(fixture.pids().len(), 1, "it is the same process all along");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_asks_gets_the_answers_of_a_person_and_what_it_had_given_along() {
    let fixture = Fixture::new("modern");
    let calls = [("mcp__x__ask_first", json!({})), ("mcp__x__echo", json!({"text": "on"}))];
    let stage = one(&fixture, &calls);
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("coder", "go")).await.expect("accepted").run;
    let (view, asked) = answered(&desk, &run, &["true", "Ada"]).await;
    assert_eq!(view.state, State::Completed, "{}", told(&desk, &run).await);
    assert_eq!(asked[0].1, ["true", "false", "decline"], "{asked:?}");
    assert!(asked[1].0.contains("`mcp__x__ask_first` asks before it goes on: who is it for?"));
    assert!(!asked[1].0.contains('\u{202e}'), "nothing in it hides: {asked:?}");
    let all = called(&desk, &run).await;
    let said: Value = serde_json::from_str(all[1].3.as_str().expect("text")).expect("JSON");
    assert_eq!(
        said,
        json!({"state": "sealed", "given": {
            "sure": {"action": "accept", "content": {"ok": true}},
            "who": {"action": "accept", "content": {"name": "Ada"}}}})
    );
    assert_eq!(fixture.seen().len(), 3, "asked, gone on, and the next");
    let scratch = tempfile::tempdir().expect("a folder");
    let again = desk.replay(&run, &caller(), false, scratch.path()).await.expect("it can be");
    assert!(again.same, "{again:?}");
    assert_eq!(fixture.seen().len(), 3, "a replay calls nobody");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declined_or_no_longer_asked_does_not_hold_the_run() {
    let fixture = Fixture::new("modern");
    let stage = one(&fixture, &[("mcp__x__ask_first", json!({}))]);
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("coder", "go")).await.expect("accepted").run;
    let (view, _) = answered(&desk, &run, &["decline", "decline"]).await;
    assert_eq!(view.state, State::Completed);
    let all = called(&desk, &run).await;
    assert!(all[1].3.as_str().is_some_and(|it| it.matches("decline").count() == 2), "{all:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_inside_a_task_is_answered_there_also_by_another_process_of_ours() {
    let fixture = Fixture::new("modern");
    let stage = one(&fixture, &[("mcp__x__job", json!({"how": "asks"}))]);
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("coder", "go")).await.expect("accepted").run;
    let (view, asked) = answered(&desk, &run, &["blue"]).await;
    assert_eq!(view.state, State::Completed, "{}", told(&desk, &run).await);
    assert_eq!(asked[0].1, ["red", "blue", "decline"]);
    let all = called(&desk, &run).await;
    assert!(all[1].3.as_str().is_some_and(|it| it.contains("{\"color\": \"blue\"}")), "{all:?}");
    assert!(!fixture.folder().join("cancelled").exists(), "a task at rest is not cancelled");

    // The server forgets its tasks when it is started anew: that is an error of the tool.
    let run = desk.submit(ask("coder", "go once more")).await.expect("accepted").run;
    let view = desk.wait(&run, &caller(), PATIENCE).await.expect("there");
    assert_eq!(view.state, State::InputRequired);
    node.stop().await;
    let node = stage.node().await;
    let (view, _) = answered(&node.desk(), &run, &["red"]).await;
    assert_eq!(view.state, State::Completed, "{}", told(&node.desk(), &run).await);
    assert!(!called(&node.desk(), &run).await[1].2);
    node.stop().await;
}
