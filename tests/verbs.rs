//! The verbs beside `run` from outside: each with a good call and a bad one, and what they say.

mod shell;

use std::process::Stdio;

use callboard_trace::State;
use serde_json::{Value, json};
use shell::{House, Said, does, ended, program, shown};

/// A run that waits in the queue, since nobody works.
fn queued(house: &House, task: &str) -> String {
    let said = house.does(&["run", "coder", task, "--detach", "--quiet"]);
    assert_eq!(said.code, 0, "{}", said.err);
    said.out.trim().to_owned()
}

/// What is said, without the names of this machine and of this run.
fn plain(text: &str, house: &House, run: &str) -> String {
    text.replace(shown(house.0.path()), "HOUSE").replace(run, "RUN")
}

#[test]
fn help_says_what_a_verb_does_and_shows_an_example() {
    let said = does(&["--help"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let mut all = said.out;
    let verbs = "init validate serve work run status trace handoffs answer control read replay memory doctor demo completions schema";
    for verb in verbs.split(' ') {
        let said = does(&[verb, "--help"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{verb}");
        all.push_str(&format!("\n==== {verb}\n\n{}", said.out));
    }
    let lines: Vec<&str> = all.lines().map(str::trim_end).collect();
    insta::assert_snapshot!("help", lines.join("\n"));
}

#[test]
fn without_a_verb_the_first_steps_are_told() {
    let said = does(&[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.contains("callboard demo") && said.out.contains("callboard init"));
    let said = does(&["stauts"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("'status'"), "{}", said.err);
}

#[test]
fn what_was_done_can_be_looked_at_without_a_team() {
    let house = House::new();
    let run = house.does(&["run", "coder", "give it away", "--json"]).view().run;
    let empty = tempfile::tempdir().expect("a folder");
    let look = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).arg("--data").arg(house.path("data")).current_dir(empty.path());
        command.env("HOME", empty.path()).env("XDG_CONFIG_HOME", empty.path());
        Said::of(command.output().expect("it runs"))
    };
    let said = look(&["status", run.as_str(), "--json"]);
    assert_eq!((said.code, said.view().state), (0, State::Completed), "{}", said.err);
    assert!(look(&["trace", "latest"]).out.contains("handed off to tester"));
    assert!(look(&["handoffs", "latest"]).out.contains("coder → tester  completed"));
    let said = look(&["status"]);
    assert!(said.out.starts_with("no team here"), "{}{}", said.out, said.err);
    assert!(said.out.contains("give it away"), "{}", said.out);

    house.write("team/team.yaml", "entri: coder\n");
    let said = house.does(&["status"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("the team here cannot be served"), "{}", said.out);
    assert!(said.out.contains("problems") && said.out.contains("entri"), "{}", said.out);
    let said = does(&["status", "--team", "/nowhere/at/all", "--data", shown(&house.path("data"))]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("there is no team at /nowhere/at/all"), "{}", said.err);
}

#[test]
fn handoffs_are_told_with_their_summary() {
    let house = House::new();
    let run = house.does(&["run", "coder", "give it away", "--json"]).view().run;
    let said = house.does(&["handoffs", run.as_str()]);
    assert_eq!(said.code, 0, "{}", said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("coder → tester  completed  transfer  r_"), "{}", said.out);
    assert!(lines.contains(&"  must know: it has not been tried yet"), "{}", said.out);
    let said = house.does(&["handoffs", run.as_str(), "--json"]);
    let told: Value = serde_json::from_str(&said.out).expect("one handoff, one line");
    assert_eq!(told["to"], json!("tester"));
    assert_eq!(told["summary"]["do_next"], json!("try it with an empty file"));

    house.does(&["run", "coder", "write it", "--quiet"]);
    let said = house.does(&["handoffs", "latest"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""));
    assert!(said.err.contains("handed nothing on"), "{}", said.err);
    let said = house.does(&["handoffs", "r_aaaaaaaaaaaaaaaaaaaaaaaaaa"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("`callboard status` without arguments lists"), "{}", said.err);
}

#[test]
fn anything_with_a_uri_is_read() {
    let house = House::new();
    let run = house.does(&["run", "coder", "give it away", "--json"]).view().run;
    let said = house.does(&["read", &format!("team://runs/{run}/trace")]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.out, house.does(&["trace", run.as_str(), "--json"]).out);
    let handed = "\"kind\":\"handed_off\"";
    let said = house.does(&["read", "team://runs/latest/trace", "--grep", handed]);
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    let said = house.does(&["read", run.as_str(), "--json"]);
    let page: Value = serde_json::from_str(&said.out).expect("one JSON object");
    assert!(page["text"].as_str().is_some_and(|it| it.contains("it holds")), "{page}");
    let said = house.does(&["read", "team://nothing/of/it"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
}

#[test]
fn a_question_is_answered_or_the_open_ones_are_named() {
    let house = House::new();
    let run = house.halted();
    let said = house.does(&["answer", &run]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("and there is no answer"), "{}", said.err);
    let said = house.does(&["answer", &run, "perhaps"]);
    assert_eq!(said.code, 2);
    assert!(
        said.err.contains("\"perhaps\" is no option; write one of rerun, abort"),
        "{}",
        said.err
    );
    let said = house.does(&["answer", &run, "q_other_1=abort"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("q_other_1: this question is not open"), "{}", said.err);
    let said = house.does(&["answer", &run, "abort", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(house.does(&["work", "--until-idle"]).code, 0);
    let said = house.does(&["status", &run, "--json"]);
    assert_eq!((said.code, said.view().state), (1, State::Failed));
    let said = house.does(&["answer", &run, "abort"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("none is open"), "{}", said.err);
    assert!(house.does(&["answer", &run]).err.contains("asks nothing"));
}

#[test]
fn a_run_is_acted_on_in_the_words_of_the_tool() {
    let house = House::new();
    let run = queued(&house, "write it");
    let view = house.does(&["control", &run, "pause", "--reason", "lunch", "--json"]).view();
    assert_eq!(view.queue.expect("a reason").waiting_for, "paused by local");
    let said = house.does(&["control", &run, "resume"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("queued  coder"), "{}", said.out);
    assert_eq!(house.does(&["control", &run, "set_priority", "900", "--quiet"]).code, 0);
    assert_eq!(house.does(&["control", &run, "message", "900", "--quiet"]).code, 0);
    let story = house.does(&["trace", &run]).out;
    for told in ["pause by local: lunch", "set_priority by local, 900", "message by local, \"900\""]
    {
        assert!(story.contains(told), "{told}\n{story}");
    }
    let wrong: [(&[&str], &str); 4] = [
        (&["set_priority", "2000"], "value: 2000 is more than 1000"),
        (&["message"], "value: missing; write the text of the message"),
        (&["cancel", "now"], "value: only set_budget, set_priority and message take one"),
        (&["explode"], "possible values: cancel, pause, resume, drain, retry"),
    ];
    for (words, told) in wrong {
        let said = house.does(&[&["control", &run], words].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{words:?}");
        assert!(said.err.contains(told), "{words:?}: {}", said.err);
    }
    let said = house.does(&["control", "coder", "drain"]);
    assert_eq!(
        (said.code, said.out.trim()),
        (0, "coder is draining: 0 at work, 1 waiting"),
        "{}",
        said.err
    );
    let said = house.does(&["run", "coder", "more"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("no new work is taken: coder is being drained"), "{}", said.err);
    assert_eq!(house.does(&["control", "coder", "resume", "--quiet"]).code, 0);
    let said = house.does(&["control", &run, "cancel", "--json"]);
    assert_eq!((said.code, said.view().state), (0, State::Cancelled), "nobody else works");
    let said = house.does(&["control", &run, "cancel"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("is cancelled and cannot be changed"), "{}", said.err);
    assert_eq!(house.does(&["status", &run]).code, 13);
    let said = house.does(&["control", &run, "retry", "--reason", "after all"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("goes on when"), "{}", said.err);
    assert_eq!(house.does(&["work", "--until-idle"]).code, 0);
    assert_eq!(house.does(&["status", &run]).code, 0);
    let said = house.does(&["control", &run, "retry"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("is completed and has nothing to do again"), "{}", said.err);
}

#[test]
fn a_run_that_nobody_works_on_says_so_and_goes_by_its_first_letters() {
    let house = House::new();
    let run = queued(&house, "write it");
    std::thread::sleep(std::time::Duration::from_millis(3_200));
    let said = house.does(&["status", &run[..8]]);
    assert!(said.out.contains("waits for a process that works on this data"), "{}", said.out);
    assert_eq!(house.does(&["control", &run, "pause", "--quiet"]).code, 0);
    assert!(house.does(&["status", &run[..8]]).out.contains("is paused by local"));
    assert!(house.does(&["status", "r_0"]).err.contains("no run begins with \"r_0\""));
}

#[test]
fn a_run_that_is_to_finish_now_does() {
    let house = House::new();
    let run = queued(&house, "write it");
    assert_eq!(house.does(&["control", &run, "finish_now"]).code, 0);
    assert_eq!(house.does(&["work", "--until-idle"]).code, 0);
    assert_eq!(house.does(&["status", &run, "--json"]).view().state, State::Completed);
    let story = house.does(&["trace", &run]).out;
    assert!(story.contains("for its last turn"), "{story}");
}

#[test]
fn a_run_that_is_not_waited_for_says_how_to_go_on() {
    let house = House::new();
    let said = house.does(&["run", "coder", "it takes long", "--detach", "--json"]);
    let view = said.view();
    assert_eq!((said.code, view.state), (0, State::Queued));
    insta::assert_snapshot!("detached", plain(&said.err, &house, view.run.as_str()));
    let said = house.does(&["run", "coder", "it takes long", "--wait", "1", "--json", "--quiet"]);
    assert_eq!((said.code, said.view().state), (0, State::Working), "{}", said.err);
    let said = house.does(&["run", "coder", "write it", "--wait", "60", "--json"]);
    assert_eq!((said.code, said.view().state), (0, State::Completed), "{}", said.err);
}

#[test]
fn what_else_there_is_to_know_may_be_in_a_file() {
    let house = House::new();
    house.write("notes.txt", "the tests live in tests/");
    let notes = house.path("notes.txt");
    let said = house.does(&["run", "coder", "write it", "--context-file", shown(&notes), "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let records = house.does(&["trace", "latest", "--json"]).out;
    assert!(records.contains("the tests live in tests/"), "{records}");
    let said = house.does(&["run", "coder", "write it", "--context-file", "/nowhere"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("/nowhere cannot be read"), "{}", said.err);
    house.write("notes.txt", &"x".repeat(300_000));
    let said = house.does(&["run", "coder", "write it", "--context-file", shown(&notes)]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("at most 262144"), "{}", said.err);
}

#[test]
fn events_are_told_as_they_happen() {
    let house = House::new();
    let said = house.does(&["run", "coder", "give it away", "--follow", "--json"]);
    assert_eq!((said.code, said.view().state), (0, State::Completed));
    for told in ["coder: accepted from local", "handed off to tester", "ended completed (done)"] {
        assert!(said.err.contains(told), "{told}\n{}", said.err);
    }
    assert!(!said.err.contains('\u{1b}'), "no colours where nobody looks: {}", said.err);
}

#[test]
fn shells_editors_and_readers_of_manuals_are_told_what_there_is() {
    for (shell, sign) in [
        ("bash", "complete -F _callboard"),
        ("zsh", "#compdef callboard"),
        ("fish", "complete -c callboard"),
    ] {
        let said = does(&["completions", shell]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{shell}");
        assert!(said.out.contains(sign) && said.out.contains("until-idle"), "{shell}");
    }
    assert_eq!(does(&["completions", "sh"]).code, 2);

    let schemas = [&["schema"][..], &["schema", "agent"], &["schema", "prices"]];
    for (arguments, file) in schemas.into_iter().zip(["team", "agent", "prices"]) {
        let said = does(arguments);
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        let kept = format!("{}/docs/schema/{file}.schema.json", env!("CARGO_MANIFEST_DIR"));
        assert!(said.out == std::fs::read_to_string(kept).expect("a file"), "{file} differs");
    }
    assert_eq!(does(&["schema", "plan"]).code, 2);

    let said = does(&["man"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.contains(".TH callboard 1"), "{}", said.out);
    for part in [".SH \"callboard run\"", ".SH \"callboard work\"", "\\-\\-until\\-idle"] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    assert_eq!(does(&["man", "run"]).code, 2);
}

#[test]
fn nobody_who_reads_is_no_fault() {
    let house = House::new();
    let mut command = house.command(&["run", "coder", "give it away", "--verbose", "--json"]);
    command.env("CALLBOARD_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    drop(child.stderr.take());
    let said = ended(child);
    assert_eq!((said.code, said.view().state), (0, State::Completed));
    for verb in ["completions bash", "schema", "man", "--help", "status"] {
        let verb: Vec<&str> = verb.split(' ').collect();
        let mut command = program();
        command.args(verb).env("CALLBOARD_DATA", house.path("data"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        drop(child.stdout.take());
        let said = ended(child);
        assert_eq!((said.code, said.err.as_str()), (0, ""));
    }
}

#[test]
fn a_graph_of_tasks_is_run_out_of_a_file() {
    let house = House::new();
    let file = house.path("tasks.json");
    let file = shown(&file);
    house.write(
        "tasks.json",
        r#"{"tasks": [{"id": "a", "to": "tester", "task": "try it"},
            {"id": "b", "to": "tester", "task": "try it again", "after": ["a"]}]}"#,
    );
    let said = house.does(&["run", "--tasks", file, "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.view().result.as_deref(), Some("all 2 tasks ended well"));
    house.write(
        "tasks.json",
        r#"{"tasks": [{"id": "a", "to": "tester", "task": "try it"},
            {"id": "b", "task": "go on", "share": 0.5, "impact_if_missing": "none"}],
            "split": {"tester": 0.5}}"#,
    );
    let said = house.does(&["run", "--tasks", file, "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    house.write("tasks.json", r#"{"tasks": [{"task": "a", "share": 2}], "split": {"b": "half"}}"#);
    let said = house.does(&["run", "--tasks", file]);
    assert!(said.err.contains("split: invalid type: string \"half\""), "{}", said.err);
    house.write("tasks.json", r#"{"tasks": [{"task": "a", "share": 2}], "split": {"b": 0.5}}"#);
    let said = house.does(&["run", "--tasks", file]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("tasks[0].share: 2 is no share; write 0 to 1"), "{}", said.err);
    assert!(said.err.contains("split.b: no task and no agent"), "{}", said.err);
    house.write("tasks.json", r#"[{"task": "a", "needs": []}, {"id": "b"}, {"task": "c"}]"#);
    let said = house.does(&["run", "--tasks", file]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("tasks[0]: unknown field `needs`"), "{}", said.err);
    assert!(said.err.contains("tasks[1]: missing field `task`"), "{}", said.err);
    house.write(
        "tasks.json",
        r#"[{"id": "a", "task": "t", "after": ["b"]}, {"id": "b", "task": "t", "after": ["a"]}]"#,
    );
    let said = house.does(&["run", "--tasks", file]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("they wait for each other: "), "{}", said.err);
}
