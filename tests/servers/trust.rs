//! Trust by the built binary: shown, agreed to, used; a changed file waits again.

use std::process::{Command, Output, Stdio};

use serde_json::json;

use super::fixture::Fixture;

pub(crate) fn callboard(
    stage: &super::Stage,
    folder: &std::path::Path,
    arguments: &[&str],
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command.args(arguments).arg("--data").arg(stage.data());
    command.current_dir(folder).stdin(Stdio::null()).output().expect("it runs")
}

#[test]
fn nothing_found_runs_before_the_owner_agreed_to_it() {
    let fixture = Fixture::new("");
    let stage = super::stage(&json!({}), &[("mcp__found__echo", json!({"text": "x"}))]);
    let entry = fixture.entry(json!({"API_KEY": "${HOME}", "MODE": "plain"}));
    let file = json!({"mcpServers": {"found": entry}}).to_string();
    stage.write(".mcp.json", &file);
    let team = stage.team();
    let run = || callboard(&stage, &team, &["run", "writer", "go", "--json", "--fresh"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    stage.write(".mcp.json", "{bad");
    let unread = callboard(&stage, &team, &["trust", "--yes"]);
    assert_eq!(unread.status.code(), Some(2), "what cannot be read is agreed to by nobody");
    assert!(text(&unread.stderr).contains("is no JSON here"), "{}", text(&unread.stderr));
    stage.write(".mcp.json", &file);

    let first = run();
    assert_eq!(first.status.code(), Some(0), "served without it: {}", text(&first.stderr));
    assert!(text(&first.stderr).contains("tool server `found` is not used"));
    assert!(text(&first.stderr).contains("`callboard trust`"));
    assert!(fixture.pids().is_empty(), "it ran");

    let asked = callboard(&stage, &team, &["trust"]);
    let shown = text(&asked.stdout);
    assert_eq!(asked.status.code(), Some(2), "nobody agreed");
    for words in [".mcp.json:1", "tool_server.py", "variables API_KEY, MODE", "sha256 ", "writer"] {
        assert!(shown.contains(words), "{words} is missing: {shown}");
    }
    run();
    assert!(fixture.pids().is_empty(), "showing is not agreeing");

    assert_eq!(callboard(&stage, &team, &["trust", "--yes"]).status.code(), Some(0));
    let after = run();
    assert!(!text(&after.stderr).contains("is not used"), "{}", text(&after.stderr));
    assert_eq!(fixture.seen().len(), 1, "{}", text(&after.stderr));
    fixture.until_gone();

    stage.write(".mcp.json", &file.replace("plain", "other"));
    assert!(text(&run().stderr).contains("is not used"), "a changed file waits again");
    assert_eq!(fixture.seen().len(), 1);
    let told = callboard(&stage, &team, &["status", "--json"]);
    assert!(text(&told.stdout).contains("is not used"), "the board tells: {}", text(&told.stdout));
}

#[test]
fn a_named_team_runs_its_own_and_an_unnamed_one_waits() {
    let fixture = Fixture::new("");
    let servers = json!({"x": fixture.entry(json!({}))});
    let stage = super::stage(&servers, &[("mcp__x__echo", json!({"text": "x"}))]);
    let team = stage.team();
    let here = callboard(&stage, &team, &["run", "writer", "go", "--json", "--fresh"]);
    assert_eq!(here.status.code(), Some(0));
    assert!(fixture.pids().is_empty(), "the folder was found, not named");
    let named = ["run", "writer", "go", "--json", "--fresh", "--team", "."];
    assert_eq!(callboard(&stage, &team, &named).status.code(), Some(0));
    assert_eq!(fixture.seen().len(), 1);
    fixture.until_gone();
}
