//! An agent that runs commands, one a turn, and what it was told of each.
#![allow(dead_code, reason = "each test uses its part of it")]

use callboard_trace::{Event, State};
use serde_json::{Value, json};

use super::stage::{Stage, ask, play, records};

/// The folder that the agents of a stage work in.
pub(crate) const WORK: &str = "work";

/// A team of one agent that runs these commands, each as its arguments, and then answers. `more` is
/// the rest of its team.yaml.
pub(crate) fn stage(commands: &[Value], more: &str) -> Stage {
    let calls: Vec<Vec<Value>> = commands.iter().map(|it| vec![it.clone()]).collect();
    stage_of(&calls, &format!("roots: [{WORK}]\n{more}"))
}

/// The same with several commands a turn, and no roots of its own.
pub(crate) fn stage_of(turns: &[Vec<Value>], more: &str) -> Stage {
    let call = |it: &Value| json!({"tool": "Bash", "arguments": it});
    let mut rules: Vec<Value> = turns
        .iter()
        .zip(1..)
        .map(|(calls, turn)| {
            json!({"when": {"turn": turn}, "calls": calls.iter().map(call).collect::<Vec<_>>()})
        })
        .collect();
    rules.push(json!({"answer": {"summary": "done", "confidence": 1}}));
    let stage = Stage::new(&json!(rules).to_string());
    std::fs::create_dir_all(stage.team().join(WORK)).expect("a folder");
    stage.write(
        "agents/writer.md",
        &format!(
            "---\nname: writer\ndescription: Runs commands.\ntools: [Bash]\nmaxTurns: {}\n\
             permissions: {{run: allow}}\n---\nYou are the writer.\n",
            turns.len() + 2
        ),
    );
    stage.write(
        "team.yaml",
        &format!(
            "team: stage\nproviders:\n  rehearsal: {{kind: rehearsal, playbook: playbook.yaml}}\n\
             models:\n  default: rehearsal/rehearsal\nthrottle: off\n\
             permissions: {{run: allow}}\n\
             budgets: {{run: {{tokens: null}}, task: {{tokens: null}}}}\n{more}"
        ),
    );
    stage
}

/// Runs the commands of a stage; whether each went well, and what was told of it.
pub(crate) async fn run(stage: &Stage) -> Vec<(bool, String)> {
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "go")).await;
    assert_eq!(view.state, State::Completed, "{:?}", view.error);
    let all = records(&node.desk(), &view.run).await;
    node.stop().await;
    let told = |ok: bool, result: &Value| match result.get("error").unwrap_or(result) {
        Value::String(text) => (ok, text.clone()),
        other => panic!("no text: {other}"),
    };
    let told = all.iter().filter_map(|it| match &it.event {
        Event::ToolReturned { ok, result, .. } => Some(told(*ok, result)),
        _ => None,
    });
    told.collect()
}

/// What is told of commands in the usual stage.
pub(crate) async fn told(commands: &[&str]) -> Vec<String> {
    let commands: Vec<Value> = commands.iter().map(|it| json!({"command": it})).collect();
    run(&stage(&commands, "")).await.into_iter().map(|it| it.1).collect()
}
