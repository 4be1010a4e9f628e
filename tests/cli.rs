//! The command line from outside: the built binary, its two ways out, and its exit codes.

mod shell;

use std::io::Write;
use std::process::Stdio;

use callboard_trace::{Record, State};
use serde_json::{Value, json};
use shell::{House, Said, does, ended, program, shown};

#[test]
fn the_shipped_team_is_written_once_and_holds() {
    let house = House::empty();
    let team = house.path("mine");
    let said = does(&["init", shown(&team)]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("team.yaml"), "{}", said.err);
    assert!(said.out.contains("claude mcp add"), "{}", said.out);
    assert!(said.out.contains(env!("CARGO_BIN_EXE_callboard")), "{}", said.out);

    let said = does(&["validate", shown(&team)]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("15 agents"), "{}", said.out);
    assert!(said.err.contains("0 errors, 1 warning"), "no endpoint is set: {}", said.err);

    std::fs::write(team.join("agents/coder.md"), "mine").expect("a file");
    let said = does(&["init", shown(&team)]);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.err.contains("all 18 files of the team are there already"), "{}", said.err);
    assert_eq!(said.err.trim().lines().count(), 3, "{}", said.err);
    std::fs::remove_file(team.join("team.yaml")).expect("it goes");
    let said = does(&["init", shown(&team)]);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.err.contains("coder.md: is there already"), "{}", said.err);
    assert!(!team.join("team.yaml").exists(), "nothing was written");
    let kept = std::fs::read_to_string(team.join("agents/coder.md")).expect("a file");
    assert_eq!(kept, "mine");
}

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let house = House::new();
    house.write("team/team.yaml", "entri: coder\nlimits:\n  concurent: 5\n  turns: many\n");
    let said = does(&["validate", shown(&house.path("team"))]);
    assert_eq!(said.code, 2);
    assert_eq!(said.out, "");
    for place in ["team.yaml:1: ", "team.yaml:3: ", "team.yaml:4: "] {
        assert!(said.err.contains(place), "{place} is missing in\n{}", said.err);
    }
    assert!(said.err.contains("entry"), "{}", said.err);

    let said = does(&["validate", "--json", "--team", shown(&house.path("team"))]);
    assert_eq!(said.code, 2);
    let told: Value = serde_json::from_str(&said.out).expect("one JSON object");
    assert_eq!(told["ok"], json!(false));
    let lines: Vec<&Value> =
        told["problems"].as_array().expect("a list").iter().map(|it| &it["line"]).collect();
    assert!([1, 3, 4].iter().all(|it| lines.contains(&&json!(it))), "{lines:?}");

    let said = house.does(&["run", "coder", "x"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
    assert!(said.err.contains("team.yaml:1: "), "{}", said.err);
}

#[test]
fn a_broken_agent_is_left_out_and_the_rest_validates_with_an_error() {
    let house = House::new();
    house.write("team/agents/lost.md", "---\nname: lost\n---\nNobody knows what for.\n");
    let said = does(&["validate", shown(&house.path("team"))]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("lost.md"), "{}", said.err);
    assert!(said.out.contains("2 agents"), "{}", said.out);
    assert_eq!(house.does(&["run", "coder", "do it", "--quiet"]).code, 0);
}

#[test]
fn a_run_answers_with_one_line_of_json() {
    let house = House::new();
    let said = house.does(&["run", "coder", "write it", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let view = said.view();
    assert_eq!(view.state, State::Completed);
    assert_eq!(view.result.as_deref(), Some("done as asked"));
    let said = house.does(&["run", "coder", "write it again", "--quiet"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.starts_with("done as asked"), "{}", said.out);
}

#[test]
fn a_task_may_come_from_stdin() {
    let house = House::new();
    let mut child = house
        .command(&["run", "coder", "-", "--json", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut input = child.stdin.take().expect("stdin");
    input.write_all(b"please give it away\n").expect("it reads");
    drop(input);
    let view = Said::of(child.wait_with_output().expect("it ends")).view();
    assert_eq!((view.state, view.handoffs), (State::Completed, 1));
    assert_eq!(view.agent.as_str(), "tester");

    let too_long = "x".repeat(40_000);
    let said = house.does(&["run", "coder", &too_long]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("32000") || said.err.contains("32,000"), "{}", said.err);
}

#[test]
fn a_failed_run_is_one_and_a_wrong_call_is_two() {
    let house = House::new();
    let said = house.does(&["run", "coder", "this goes wrong", "--json"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(said.view().state, State::Failed);

    let said = house.does(&["run", "codre", "x"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("\"codre\"") && said.err.contains("coder"), "{}", said.err);
    assert_eq!(house.does(&["run", "Co der", "x"]).code, 2);
    assert_eq!(house.does(&["run", "coder", "x", "--priority", "2000"]).code, 2);
    assert_eq!(house.does(&["status", "r_aaaaaaaaaaaaaaaaaaaaaaaaaa"]).code, 2);
    let said = house.does(&["run", "coder", "it takes long", "--deadline", "1", "--json"]);
    assert_eq!(said.code, 14, "{}{}", said.out, said.err);
}

#[test]
fn a_detached_run_is_done_by_the_next_process() {
    let house = House::new();
    let said = house.does(&["run", "coder", "write it", "--detach", "--key", "once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let run = said.out.trim().to_owned();
    assert!(run.starts_with("r_"), "{run}");

    let said = house.does(&["status", &run, "--json"]);
    assert_eq!((said.code, said.view().state), (0, State::Queued));
    let said = house.does(&["run", "coder", "write it", "--key", "once", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.view().run.as_str(), run);
    let said = house.does(&["status", &run[..8], "--json"]);
    assert_eq!((said.code, said.view().state), (0, State::Completed));
    assert_eq!(house.does(&["run", "coder", "other", "--key", "once"]).code, 2);
}

#[test]
fn a_trace_tells_the_whole_tree_and_reads_back() {
    let house = House::new();
    let view = house.does(&["run", "coder", "give it away", "--json"]).view();
    let run = view.run.as_str();
    let told = house.does(&["trace", run]);
    assert_eq!(told.code, 0, "{}", told.err);
    let short = &run[..6];
    let own: Vec<&str> =
        told.out.lines().filter_map(|it| it.strip_prefix(short)).map(str::trim).collect();
    assert!(own[0].starts_with("coder: accepted"), "{}", told.out);
    assert!(told.out.contains("handed off to tester"), "{}", told.out);
    assert!(told.out.contains("accepted the handoff"), "{}", told.out);
    assert!(told.out.contains("ended completed (done): it holds"), "{}", told.out);

    let exact = house.does(&["trace", "latest", "--json"]);
    let records: Vec<Record> =
        exact.out.lines().map(|it| serde_json::from_str(it).expect("a record")).collect();
    assert_eq!(records.len(), told.out.lines().count());
    for (line, record) in exact.out.lines().zip(&records) {
        assert_eq!(serde_json::to_string(record).expect("JSON"), line);
    }
}

#[test]
fn the_board_shows_agents_and_recent_runs() {
    let house = House::new();
    let said = house.does(&["status"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("no runs yet"), "{}", said.out);
    let run = house.does(&["run", "coder", "write it", "--json"]).view().run;
    let said = house.does(&["status", "--full"]);
    assert!(said.out.contains(run.as_str()), "{}", said.out);
    assert!(said.out.contains("tester"), "{}", said.out);
    let board: Value =
        serde_json::from_str(&house.does(&["status", "--json"]).out).expect("one JSON object");
    assert_eq!(board["runs"][0]["run"], json!(run));
    assert_eq!(board["runs"][0]["state"], json!("completed"));
}

#[test]
fn a_reader_that_leaves_is_no_fault() {
    let house = House::new();
    house.does(&["run", "coder", "give it away", "--quiet"]);
    let mut child = house
        .command(&["trace", "latest", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let said = Said::of(child.wait_with_output().expect("it ends"));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

#[test]
fn without_a_team_the_way_out_is_named() {
    let empty = tempfile::tempdir().expect("a folder");
    let said = program()
        .args(["run", "coder", "x"])
        .current_dir(empty.path())
        .env("HOME", empty.path())
        .env("XDG_CONFIG_HOME", empty.path())
        .env("CALLBOARD_DATA", empty.path().join("data"))
        .output();
    let said = Said::of(said.expect("it runs"));
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("callboard init"), "{}", said.err);
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_the_run_to_the_next_process() {
    let house = House::new();
    let child = house.starts(&["run", "coder", "it takes long", "--json"]);
    house.until_said(&["status", "--json"], "\"working\"");
    shell::signal(&child, rustix::process::Signal::INT);
    let said = ended(child);
    assert_eq!((said.code, said.out.as_str()), (130, ""), "{}", said.err);
    assert!(said.err.contains("callboard status r_"), "{}", said.err);
    let board: Value =
        serde_json::from_str(&house.does(&["status", "--json"]).out).expect("one JSON object");
    assert_eq!(board["runs"].as_array().map(Vec::len), Some(1), "{board}");
}

#[test]
fn the_demo_does_what_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = Said::of(
        program()
            .args(["demo", "--keep"])
            .arg(folder.path().join("kept"))
            .output()
            .expect("it runs"),
    );
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(said.out.contains("Everything happened as said"), "{}", said.out);
    assert!(said.out.contains("scripted"), "{}", said.out);
}

#[test]
fn what_the_owner_remembers_is_listed_found_and_erased() {
    let house = House::new();
    let kept =
        house.does(&["memory", "remember", "release/branch", "we cut from quokka", "--tag", "git"]);
    assert_eq!(kept.code, 0, "{}", kept.err);
    let said = house.does(&["memory", "remember", "hours", "never\non friday"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let listed = house.does(&["memory", "list"]);
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!(lines.len(), 2, "one line each: {}", listed.out);
    assert!(lines[0].starts_with("hours: never on friday  (you, "), "{}", listed.out);
    let found = house.does(&["memory", "search", "quokkas", "--json"]);
    let one: Value = serde_json::from_str(&found.out).expect("one object");
    assert_eq!(
        (one["key"].as_str(), one["tags"][0].as_str()),
        (Some("release/branch"), Some("git"))
    );
    assert_eq!(house.does(&["memory", "rebuild"]).code, 0);
    assert_eq!(house.does(&["memory", "list"]).out, listed.out);

    for wrong in [&["memory", "search"][..], &["memory", "forget"], &["memory", "remember", "k"]] {
        assert_eq!(house.does(wrong).code, 2, "{wrong:?}");
    }
    let long = "x".repeat(2_001);
    let said = house.does(&["memory", "remember", "k", &long]);
    assert!(said.code == 2 && said.err.contains("text: 2001 characters"), "{}", said.err);
    assert_eq!(house.does(&["memory", "forget", "release/branch"]).code, 0);
    let said = house.does(&["memory", "forget", "release/branch"]);
    assert!(said.code != 0 && said.err.contains("nothing is remembered"), "{}", said.err);
    for entry in std::fs::read_dir(house.path("data")).expect("a folder").flatten() {
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        assert!(!bytes.windows(6).any(|it| it == b"quokka"), "{}", entry.path().display());
    }
}
