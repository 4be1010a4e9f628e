//! The built binary over stdio, driven in both eras of the protocol by the official Python SDK.

#![expect(clippy::panic, reason = "where the test cannot begin, it says what is missing and fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_callboard");

/// What `init` wrote, on the rehearsal model.
const TEAM: &str = "\
providers: {rehearsal: {kind: rehearsal, playbook: playbook.yaml}}
models: {default: rehearsal/rehearsal}
";

#[test]
fn an_older_client_lists_the_team() {
    drive("legacy", "list");
}

#[test]
fn a_newer_client_lists_the_team() {
    drive("modern", "list");
}

#[test]
fn an_older_client_sees_a_handoff_through() {
    drive("legacy", "handoff");
}

#[test]
fn a_newer_client_sees_a_handoff_through() {
    drive("modern", "handoff");
}

#[test]
fn an_older_client_leaves_with_a_handle_and_comes_back() {
    drive("legacy", "status");
}

#[test]
fn a_newer_client_leaves_with_a_handle_and_comes_back() {
    drive("modern", "status");
}

#[test]
fn an_older_client_cancels_within_a_second() {
    drive("legacy", "cancel");
}

#[test]
fn a_newer_client_cancels_within_a_second() {
    drive("modern", "cancel");
}

#[test]
fn an_older_client_finds_its_run_after_a_crash() {
    drive("legacy", "resume");
}

#[test]
fn a_newer_client_finds_its_run_after_a_crash() {
    drive("modern", "resume");
}

/// Runs one scenario of `tests/clients/` on a team and a journal of its own.
fn drive(era: &str, scenario: &str) {
    let place = TempDir::new().expect("a folder for the team and its journal");
    let (team, data) = (place.path().join("team"), place.path().join("data"));
    hire(&team);
    let output = Command::new(python())
        .arg(clients().join("drive.py"))
        .args([Path::new(BINARY), &team, &data])
        .args(["--era", era, "--scenario", scenario])
        .output()
        .expect("the Python of CALLBOARD_PYTHON starts");
    let seen = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{era} {scenario}: {}\n{seen}{told}", output.status);
    eprintln!("{seen}");
}

/// The team that `init` writes, with the rehearsal model for everybody.
fn hire(team: &Path) {
    let init = Command::new(BINARY).arg("init").arg(team).output().expect("the binary starts");
    assert!(init.status.success(), "init: {}", String::from_utf8_lossy(&init.stderr));
    fs::write(team.join("team.yaml"), TEAM).expect("the team's file is written");
    fs::copy(clients().join("playbook.yaml"), team.join("playbook.yaml"))
        .expect("the playbook is copied");
}

/// The interpreter that holds the SDK. Missing, it fails the test: a skipped client proves nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "the test asks for its own tool, not for configuration"
)]
fn python() -> PathBuf {
    match std::env::var_os("CALLBOARD_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => panic!(
            "CALLBOARD_PYTHON is not set: run ./check, which installs the client and sets it"
        ),
    }
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}
