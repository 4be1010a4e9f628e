//! What a script gets from `callboard run --json`: one line and the right code, however it ends.
//! Twelve, the budget, is in `tests/budgets.rs`.

mod shell;

use std::process::Child;

use callboard_trace::{RunId, RunView, State, Stop};
use shell::{House, Said, ended, program};

const PLAYBOOK: &str = "\
- when: {task: in two lines}
  answer: {summary: \"one\\ntwo\", confidence: 0.9}
- when: {task: goes wrong}
  fail: {status: 400, message: as rehearsed}
- when: {task: never comes to an end}
  note: {slot: notes, key: again, text: not there yet}
- when: {task: takes long}
  after_ms: 60000
  answer: {summary: late}
- when: {}
  answer: {summary: done as asked, confidence: 0.8}
";

fn house() -> House {
    let house = House::new();
    house.write("team/playbook.yaml", PLAYBOOK);
    house
}

/// The code, and what the line says.
fn told(said: &Said) -> (i32, State, Option<Stop>) {
    let RunView { state, stop, .. } = said.view();
    assert!(said.out.ends_with('\n'), "a line ends as lines do: {:?}", said.out);
    (said.code, state, stop)
}

#[test]
fn a_run_that_completes_is_zero_whatever_its_answer_looks_like() {
    let house = house();
    let said = house.does(&["run", "coder", "say it in two lines", "--json", "--quiet"]);
    assert_eq!(told(&said), (0, State::Completed, Some(Stop::Done)));
    assert_eq!((said.view().result.as_deref(), said.err.as_str()), (Some("one\ntwo"), ""));
}

#[test]
fn a_run_that_fails_is_one_and_says_why() {
    let said = house().does(&["run", "coder", "this goes wrong", "--json"]);
    assert_eq!(told(&said), (1, State::Failed, Some(Stop::Error)));
    let trouble = said.view().error.expect("what went wrong");
    assert!(trouble.message.contains("as rehearsed") && !trouble.hint.is_empty(), "{trouble:?}");
}

/// Nothing has begun, so there is no RunView: standard output stays empty, the reason is for people.
#[test]
fn a_call_that_is_wrong_is_two_and_prints_no_line() {
    let house = house();
    house.does(&["run", "coder", "x", "--key", "k", "--json"]);
    let wrong: [&[&str]; 6] = [
        &["run", "codre", "x", "--json"],
        &["run", "coder", "  ", "--json"],
        &["run", "coder", "x", "--json", "--deadline", "0"],
        &["run", "coder", "x", "--json", "--no-such-flag"],
        &["run", "coder", "another", "--key", "k", "--json"],
        &["run", "--json"],
    ];
    for arguments in wrong {
        let said = house.does(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {}", said.err);
        assert!(said.err.starts_with("error: "), "{arguments:?}: {}", said.err);
    }
    let nowhere = program().args(["run", "coder", "x", "--json", "--team", "nowhere"]).output();
    let said = Said::of(nowhere.expect("it runs"));
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
}

#[test]
fn a_run_that_comes_to_its_last_turn_is_ten() {
    let house = house();
    let team = std::fs::read_to_string(house.path("team/team.yaml")).expect("a file");
    house.write(
        "team/team.yaml",
        &format!("{team}limits: {{turns: 3, repeat_calls: 9, repeat_replies: 9}}\n"),
    );
    let said = house.does(&["run", "coder", "this never comes to an end", "--json"]);
    assert_eq!(told(&said), (10, State::Partial, Some(Stop::Turns)));
    assert!(said.view().result.is_some(), "what there is: {}", said.out);
}

#[test]
fn a_run_that_has_to_ask_is_eleven() {
    let house = house();
    let keyed = ["run", "coder", "it takes long", "--key", "k", "--json"];
    let first = house.does(&[&keyed[..], &["--detach"]].concat()).view();
    for begun in ["step 1 asks", "(attempt 2)", "(attempt 3)"] {
        let mut script = house.starts(&keyed);
        house.until_told(first.run.as_str(), begun);
        script.kill().expect("it is there");
        script.wait().expect("it ends");
    }
    let said = house.does(&keyed);
    assert_eq!(told(&said), (11, State::Halted, None));
    let view = said.view();
    assert_eq!((view.run.as_str(), view.questions.len()), (first.run.as_str(), 1), "{}", said.out);
}

#[test]
fn a_run_that_asks_a_person_is_eleven() {
    let house = house();
    house.write("team/agents/boss.md", "---\ndescription: Decides.\nkind: human\n---\nDecide.\n");
    let said = house.does(&["run", "boss", "may we?", "--key", "k", "--json"]);
    assert_eq!(told(&said), (11, State::InputRequired, None));
    let view = said.view();
    assert!(view.questions[0].prompt.contains("may we?"), "{}", said.out);
    let said = house.does(&["answer", view.run.as_str(), "you may", "--quiet"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let said = house.does(&["run", "boss", "may we?", "--key", "k", "--json"]);
    assert_eq!(told(&said), (0, State::Completed, Some(Stop::Done)));
    assert_eq!(said.view().result.as_deref(), Some("you may"));
}

/// A script whose run is at work and takes long.
fn at_work(house: &House) -> (RunId, Child) {
    let keyed = ["run", "coder", "it takes long", "--key", "k", "--json"];
    let run = house.does(&[&keyed[..], &["--detach"]].concat()).view().run;
    let script = house.starts(&keyed);
    house.until(run.as_str(), "working");
    (run, script)
}

#[test]
fn a_run_that_somebody_cancels_is_thirteen() {
    let house = house();
    let (run, script) = at_work(&house);
    let said = house.does(&["control", run.as_str(), "cancel"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(told(&ended(script)), (13, State::Cancelled, Some(Stop::Cancelled)));
}

#[test]
fn all_are_cancelled_by_one_command() {
    let house = house();
    house.write("team/agents/all.md", "---\ndescription: Is called so.\n---\nAnswer.\n");
    house.does(&["run", "coder", "it takes long, too", "--detach"]);
    let (_, script) = at_work(&house);
    let said = house.does(&["control", "all", "message", "stop"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
    let said = house.does(&["control", "all", "cancel"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "told to 2 of your open tasks: cancel\n"),
        "{}",
        said.err
    );
    assert_eq!(told(&ended(script)), (13, State::Cancelled, Some(Stop::Cancelled)));
    // The other was told, and nobody works on it yet.
    let said = house.does(&["control", "all", "cancel", "--json"]);
    assert_eq!(said.out, "{\"action\":\"cancel\",\"runs\":1,\"next\":\"team_status\"}\n");
    house.does(&["work", "--until-idle"]);
    let said = house.does(&["control", "all", "cancel"]);
    assert_eq!(said.out, "no task of yours is open\n");
}

#[test]
fn a_run_that_is_late_is_fourteen() {
    let said = house().does(&["run", "coder", "it takes long", "--deadline", "1", "--json"]);
    assert_eq!(told(&said), (14, State::Failed, Some(Stop::Deadline)));
}
