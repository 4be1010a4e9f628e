//! A team file that changes while it is served: a new tool server is there for new runs, with its
//! secret kept, and nothing is left of one that is gone from the file.

use serde_json::{Value, json};

use super::called;
use super::fixture::{Fixture, eventually, is_there};
use super::stage::{PATIENCE, Stage, ask, play, records};

fn has(desk: &callboard_scheduler::Desk, name: &str) -> bool {
    desk.team().servers.values().any(|it| it.name == name)
}

fn with(stage: &Stage, servers: &Value) {
    stage.write(
        "team.yaml",
        &format!(
            "team: stage\nproviders:\n  rehearsal: {{kind: rehearsal, playbook: playbook.yaml}}\n\
             models:\n  default: rehearsal/rehearsal\nmcpServers: {servers}\n\
             approvals: {{tainted: allow}}\n"
        ),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_comes_and_goes_with_the_file_that_names_it() {
    let (old, new) = (Fixture::new(""), Fixture::new(""));
    let calls = [("mcp__old__echo", json!({"text": "one"})), ("mcp__new__env", json!({}))];
    let stage = super::stage(&json!({"old": old.entry(json!({}))}), &calls);
    stage.write("key", "secret-of-the-new-one");
    let mut node = stage.node().await;
    node.watch(stage.team());
    let desk = node.desk();
    let view = play(&desk, ask("writer", "before")).await;
    assert_eq!(called(&desk, &view.run).await.len(), 1, "the new one is not there yet");
    let first = old.pids();

    with(&stage, &json!({"new": new.entry(json!({"API_KEY": "file:key"}))}));
    let has_new = || has(&desk, "new");
    let begun = tokio::time::Instant::now();
    while !has_new() {
        assert!(begun.elapsed() < PATIENCE, "the file is not read anew");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let view = play(&desk, ask("writer", "after")).await;
    let told = called(&desk, &view.run).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "mcp__new__env");
    assert!(told[0].3.as_str().is_some_and(|it| it.contains("\"API_KEY\": \"[secret]\"")));
    let all = records(&desk, &view.run).await;
    assert!(!format!("{all:?}").contains("secret-of-the-new-one"));
    eventually("nothing is left of the old one", || first.iter().all(|it| !is_there(*it)));
    node.stop().await;
    new.until_gone();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_agreed_to_while_the_team_is_served_is_used() {
    let server = Fixture::new("");
    let stage = super::stage(&json!({}), &[("mcp__other__echo", json!({"text": "one"}))]);
    let entry = json!({"mcpServers": {"other": server.entry(json!({}))}});
    stage.write(".mcp.json", &entry.to_string());
    let mut node = stage.node().await;
    node.watch(stage.team());
    let desk = node.desk();
    assert!(desk.team().servers.is_empty(), "nobody agreed to it");
    let sources = desk.team().untrusted.iter().map(|it| it.source.clone()).collect::<Vec<_>>();
    assert_eq!(sources.len(), 1);
    // The files have been looked at once before anybody agrees.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let mut trust = callboard_config::servers::Trust::read(&stage.data(), true);
    trust.record(sources.into_iter()).expect("recorded");
    let begun = tokio::time::Instant::now();
    while !has(&desk, "other") {
        assert!(begun.elapsed() < PATIENCE, "the record is not read");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let view = play(&desk, ask("writer", "after")).await;
    assert_eq!(called(&desk, &view.run).await.len(), 1);
    node.stop().await;
    server.until_gone();
}
