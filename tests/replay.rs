//! Runs taken again from their records: the same way, and where another one is taken.

mod endpoint;
mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use callboard_scheduler::{Desk, Node, PlanAsk, Replayed, TaskAsk};
use callboard_trace::{Action, Control, RunId, State};
use endpoint::{Act, Endpoint};
use serde_json::{Value, json};
use stage::{Stage, ask, caller, end, play, records, told};

const SUMMARY: &str =
    "summary: {did: looked at the task and at what is there, must_know: use tokio, do_next: go on}";

fn act(action: Action, value: Value) -> Control {
    Control { action, value, reason: String::new() }
}

async fn again(desk: &Desk, run: &RunId, today: bool) -> Replayed {
    let data = tempfile::tempdir().expect("a folder");
    desk.replay(run, &caller(), today, data.path()).await.expect("it is over")
}

/// Fails unless the run goes the same way, with every prompt as it was.
async fn goes_the_same_way(desk: &Desk, run: &RunId) -> Replayed {
    let before = records(desk, run).await.len();
    let replayed = again(desk, run, false).await;
    let story = told(desk, run).await;
    assert!(replayed.same, "{:?}\n{story}", replayed.departure);
    assert!(replayed.notes.is_empty(), "{:?}\n{story}", replayed.notes);
    assert_eq!(Some(&replayed.was), replayed.now.as_ref());
    assert_eq!(records(desk, run).await.len(), before, "nothing is written here");
    replayed
}

/// Another process, with the same team and a model that would answer otherwise.
async fn later(stage: &Stage, node: Node) -> Node {
    node.stop().await;
    stage.write("playbook.yaml", "- {answer: {summary: never asked, confidence: 0.1}}\n");
    stage.node().await
}

#[tokio::test]
async fn a_tree_with_parallel_children_goes_the_same_way() {
    let stage = Stage::new(&format!(
        "- when: {{agent: coordinator, turn: 1}}\n  delegate:\n    - {{to: researcher, task: look, {SUMMARY}}}\n    - {{to: writer, task: write, {SUMMARY}}}\n\
         - {{when: {{agent: coordinator, turn: 2}}, calls: [{{tool: team_status}}, {{tool: note, arguments: {{slot: notes, key: k, text: t}}}}]}}\n\
         - {{when: {{agent: coordinator}}, handoff: {{to: reviewer, task: review, {SUMMARY}}}}}\n\
         - {{when: {{agent: researcher}}, answer: {{summary: found, confidence: 0.6}}, after_ms: 200}}\n\
         - {{when: {{agent: writer}}, answer: {{summary: written, confidence: 0.6}}, after_ms: 50}}\n\
         - {{when: {{agent: reviewer}}, answer: {{summary: reviewed, confidence: 0.9}}}}\n"
    ));
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coordinator", "do both")).await;
    assert_eq!(view.state, State::Completed);
    let node = later(&stage, node).await;
    let replayed = goes_the_same_way(&node.desk(), &view.run).await;
    assert_eq!((replayed.answered, &*replayed.was), (7, "completed (done)"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_that_end_at_one_moment_are_no_other_way() {
    let stage = Stage::new(&format!(
        "- when: {{agent: coordinator, turn: 1}}\n  delegate:\n    - {{to: researcher, task: look, {SUMMARY}}}\n    - {{to: writer, task: write, {SUMMARY}}}\n    - {{to: tester, task: test, {SUMMARY}}}\n\
         - {{answer: {{summary: done, confidence: 0.6}}}}\n"
    ));
    let node = stage.node().await;
    let mut runs = Vec::new();
    for nth in 0..8 {
        let view = play(&node.desk(), ask("coordinator", &format!("do all {nth}"))).await;
        assert_eq!(view.state, State::Completed);
        runs.push(view.run);
    }
    let node = later(&stage, node).await;
    for run in &runs {
        goes_the_same_way(&node.desk(), run).await;
    }
    node.stop().await;
}

#[tokio::test]
async fn failures_repairs_and_an_early_end_come_again() {
    for playbook in [
        "- {fail: {status: 500}, times: 2}\n- {say: \"{}\", times: 1}\n- {answer: {summary: at last, confidence: 1}}\n",
        "- {fail: {status: 500}}\n",
        "- {fail: {status: 429, retry_after_s: 0.1}, times: 3}\n- {answer: {summary: through, confidence: 1}}\n",
        "- {when: {purpose: finalise}, answer: {summary: as far as I got, confidence: 0.3}}\n\
         - {note: {slot: findings, key: k, text: a thought}}\n",
    ] {
        let stage = Stage::new(playbook);
        let node = stage.node().await;
        let view = play(&node.desk(), ask("writer", "try")).await;
        let node = later(&stage, node).await;
        goes_the_same_way(&node.desk(), &view.run).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn what_people_did_meanwhile_comes_again() {
    let stage = Stage::new(
        "- {when: {turn: 1}, note: {slot: notes, key: k, text: t}, after_ms: 400}\n\
         - {when: {turn: 2}, answer: {summary: never, confidence: 1}, after_ms: 60000}\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("writer", "work")).await.expect("taken in").run;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let message = act(Action::Message, json!("hurry up"));
    desk.control(&run, message, &caller()).await.expect("told");
    desk.control(&run, act(Action::Pause, Value::Null), &caller()).await.expect("paused");
    tokio::time::sleep(Duration::from_millis(700)).await;
    desk.control(&run, act(Action::Resume, Value::Null), &caller()).await.expect("resumed");
    tokio::time::sleep(Duration::from_millis(300)).await;
    desk.control(&run, act(Action::Cancel, Value::Null), &caller()).await.expect("cancelled");
    assert_eq!(end(&desk, &run).await.state, State::Cancelled);
    let node = later(&stage, node).await;
    let replayed = goes_the_same_way(&node.desk(), &run).await;
    assert_eq!(replayed.was, "cancelled (cancelled)");
    node.stop().await;
}

#[tokio::test]
async fn a_process_that_left_and_a_child_alone_are_no_other_way() {
    let stage = Stage::new(&format!(
        "- {{when: {{agent: coordinator, turn: 1}}, delegate: [{{to: writer, task: write, {SUMMARY}}}]}}\n\
         - {{answer: {{summary: done, confidence: 1}}, after_ms: 500}}\n"
    ));
    let node = stage.node().await;
    let run = node.desk().submit(ask("coordinator", "work")).await.expect("taken in").run;
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.stop().await;
    let node = stage.node().await;
    assert_eq!(end(&node.desk(), &run).await.state, State::Completed);
    let all = records(&node.desk(), &run).await;
    let child = all.iter().find(|it| it.run != run).expect("a child").run.clone();
    let node = later(&stage, node).await;
    goes_the_same_way(&node.desk(), &run).await;
    let alone = goes_the_same_way(&node.desk(), &child).await;
    assert_eq!((alone.run, &*alone.was), (child, "completed (done)"));
    node.stop().await;
}

#[tokio::test]
async fn definitions_of_today_that_change_the_way_are_told_where() {
    let stage = Stage::new(&format!(
        "- {{when: {{agent: coder, turn: 1}}, handoff: {{to: reviewer, task: review, {SUMMARY}}}}}\n\
         - {{answer: {{summary: done, confidence: 0.9}}}}\n"
    ));
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "look")).await;
    node.stop().await;

    let with = |handoffs: &str, words: &str| {
        format!(
            "---\nname: coder\ndescription: The coder of the stage.\nhandoffs: {handoffs}\n\
             capabilities: [code, implement]\n---\n{words}\n"
        )
    };
    let words = with("[tester, reviewer]", "You write code, and say so.");
    stage.write("agents/coder.md", &words);
    let node = stage.node().await;
    goes_the_same_way(&node.desk(), &view.run).await;
    let today = again(&node.desk(), &view.run, true).await;
    assert!(today.same, "{today:?}");
    assert_eq!(today.notes.len(), 1, "{today:?}");
    assert!(today.notes[0].contains("prompt of step 1"), "{today:?}");
    node.stop().await;

    stage.write("agents/coder.md", &with("[tester]", "You are the coder."));
    let node = stage.node().await;
    goes_the_same_way(&node.desk(), &view.run).await;
    let today = again(&node.desk(), &view.run, true).await;
    let departure = today.departure.clone().expect("reviewer is out of reach");
    assert!(!today.same && departure.run == view.run, "{today:?}");
    assert!(departure.was.is_some_and(|it| it.contains("handed off to reviewer")), "{today:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_plan_goes_the_same_way_step_by_step() {
    let stage = Stage::new(
        "- {when: {agent: tester}, fail: {status: 400}}\n\
         - {when: {agent: researcher}, answer: {summary: found, confidence: 0.6}, after_ms: 100}\n\
         - {answer: {summary: done, confidence: 0.9}}\n",
    );
    let node = stage.node().await;
    let task = |id: &str, to: &str, after: &[&str]| TaskAsk {
        id: Some(id.into()),
        to: Some(to.into()),
        task: format!("do {id}"),
        after: after.iter().map(ToString::to_string).collect(),
        ..TaskAsk::default()
    };
    let tasks = vec![
        task("a", "researcher", &[]),
        task("b", "writer", &[]),
        task("c", "tester", &["b"]),
        task("d", "writer", &["c"]),
        task("e", "writer", &["a", "b"]),
    ];
    let plan = PlanAsk { tasks, split: BTreeMap::new(), ask: ask("writer", "") };
    let run = node.desk().submit_plan(plan).await.expect("taken in").run;
    assert_eq!(end(&node.desk(), &run).await.state, State::Partial);
    let node = later(&stage, node).await;
    assert_eq!(goes_the_same_way(&node.desk(), &run).await.answered, 4);
    let today = again(&node.desk(), &run, true).await;
    assert!(today.same, "{today:?}");
    node.stop().await;
}

#[tokio::test]
async fn what_a_person_answered_comes_again() {
    let stage = Stage::new(&format!(
        "- {{when: {{agent: coordinator, turn: 1}}, delegate: [{{to: writer, task: decide, {SUMMARY}}}]}}\n\
         - {{answer: {{summary: done, confidence: 1}}}}\n"
    ));
    stage.write(
        "agents/writer.md",
        "---\nname: writer\ndescription: The owner.\nkind: human\n---\nDecide.\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("coordinator", "work")).await.expect("taken in").run;
    let shows = async |text: &str| loop {
        let view = desk.view(&run, &caller()).await.expect("there");
        let open = view.questions.first().filter(|it| it.prompt.contains(text));
        if let Some(question) = open {
            break question.id.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    shows("decide").await;
    let all = records(&desk, &run).await;
    let child = all.iter().find(|it| it.run != run).map(|it| it.run.clone()).expect("a child");
    desk.control(&child, act(Action::Message, json!("until noon")), &caller()).await.expect("open");
    let question = shows("until noon").await;
    let answers = BTreeMap::from([(question, "yes, as planned".to_owned())]);
    desk.answer(&run, &answers, &caller()).await.expect("answered");
    assert_eq!(end(&desk, &run).await.state, State::Completed);
    let node = later(&stage, node).await;
    assert_eq!(goes_the_same_way(&node.desk(), &run).await.answered, 2);
    node.stop().await;
}

#[tokio::test]
async fn a_run_that_is_not_over_or_not_there_is_refused() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}, after_ms: 60000}\n");
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("writer", "work")).await.expect("taken in").run;
    let data = tempfile::tempdir().expect("a folder");
    let refusal = desk.replay(&run, &caller(), false, data.path()).await.expect_err("open");
    assert_eq!(refusal.code, callboard_scheduler::RefusalCode::Conflict);
    let nobody = RunId::new(7);
    let refusal = desk.replay(&nobody, &caller(), false, data.path()).await.expect_err("none");
    assert_eq!(refusal.code, callboard_scheduler::RefusalCode::NotFound);
    for action in [Action::Cancel, Action::Retry, Action::Cancel] {
        desk.control(&run, act(action, Value::Null), &caller()).await.expect("fits");
        if action == Action::Cancel {
            end(&desk, &run).await;
        }
    }
    let refusal = desk.replay(&run, &caller(), false, data.path()).await.expect_err("retried");
    assert!(refusal.to_string().contains("was retried"), "{refusal}");
    node.stop().await;
}

#[tokio::test]
async fn no_endpoint_is_asked_and_fallbacks_come_again() {
    let endpoint = Endpoint::start(|ask| match ask.body["model"].as_str() {
        Some("second") => Act::answer(&json!({"summary": "done", "confidence": 0.8})),
        _ if ask.turn() == 1 => {
            Act::call("note", json!({"slot": "notes", "key": "k", "text": "t"}))
        }
        _ => Act::status(500),
    })
    .await;
    let stage = Stage::with_a_spare(&endpoint.base_url());
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "write")).await;
    assert_eq!(view.state, State::Completed);
    let asked = endpoint.requests().len();
    let replayed = goes_the_same_way(&node.desk(), &view.run).await;
    assert_eq!((replayed.answered, endpoint.requests().len()), (asked, asked));
    let _: BTreeMap<String, Value> =
        serde_json::from_value(serde_json::to_value(&replayed).expect("JSON")).expect("an object");
    node.stop().await;
}

#[tokio::test]
async fn the_command_answers_with_a_line_and_an_exit_code() {
    let stage = Stage::new(&format!(
        "- {{when: {{agent: coder, turn: 1}}, handoff: {{to: reviewer, task: review, {SUMMARY}}}}}\n\
         - {{answer: {{summary: done, confidence: 0.9}}}}\n"
    ));
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "look")).await;
    node.stop().await;
    let does = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.current_dir(stage.team()).args(["replay", "latest"]).args(more);
        let output = command.arg("--data").arg(stage.data()).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, out) = does(&[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("2 steps answered from its record"), "{out}");
    assert!(out.contains("the same way to the same end: completed (done)"), "{out}");
    stage.write(
        "agents/coder.md",
        "---\nname: coder\ndescription: The coder.\nhandoffs: [tester]\n---\nYou are the coder.\n",
    );
    let (code, out) = does(&["--json"]);
    let told: Value = serde_json::from_str(&out).expect("one object");
    assert_eq!((code, &told["same"], &told["run"]), (Some(0), &json!(true), &json!(view.run)));
    let (code, out) = does(&["--team", "."]);
    assert_eq!(code, Some(1), "{out}");
    for words in ["another way from here:", "  was: ", "handed off to reviewer", "  now: "] {
        assert!(out.contains(words), "{out}");
    }
}
