//! Agents run without serving: when a worker ends, what it leaves, and whose runs it takes.
#![cfg(unix)]

mod shell;

use callboard_trace::State;
use rustix::process::Signal;
use shell::{House, ended, signal};

fn left_to_others(house: &House, task: &str) -> String {
    let said = house.does(&["run", "coder", task, "--detach", "--quiet"]);
    assert_eq!(said.code, 0, "{}", said.err);
    said.out.trim().to_owned()
}

fn state_of(house: &House, run: &str) -> State {
    house.does(&["status", run, "--json"]).view().state
}

#[test]
fn a_worker_does_what_is_there_and_ends() {
    let house = House::new();
    let runs = [left_to_others(&house, "write it"), left_to_others(&house, "give it away")];
    let said = house.does(&["work", "--until-idle"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", said.err);
    assert!(lines[0].starts_with("working for team "), "{}", said.err);
    assert_eq!(lines[1], "ended: nothing is left to do");
    for run in &runs {
        assert_eq!(state_of(&house, run), State::Completed);
    }
    let said = house.does(&["work", "--until-idle", "--quiet"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
}

#[test]
fn a_worker_needs_a_team_that_holds() {
    let house = House::new();
    house.write("team/team.yaml", "entri: coder\n");
    let said = house.does(&["work", "--until-idle"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("team.yaml:1: "), "{}", said.err);
}

#[test]
fn a_run_that_waits_for_a_time_keeps_the_worker() {
    let house = House::new();
    let run = left_to_others(&house, "come back");
    let said = house.does(&["work", "--until-idle"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(state_of(&house, &run), State::Completed);
    let story = house.does(&["trace", &run]).out;
    assert!(story.contains("will be tried again"), "{story}");
}

#[test]
fn a_run_that_waits_for_a_person_does_not_keep_the_worker() {
    let house = House::new();
    let run = house.halted();
    let view = house.does(&["status", &run, "--json"]);
    assert_eq!((view.code, view.view().state), (11, State::Halted));
}

#[test]
fn a_worker_ends_with_its_data_folder() {
    for (arguments, code) in [(&["work", "--until-idle"][..], 0), (&["work"][..], 1)] {
        let house = House::new();
        let run = left_to_others(&house, "it takes long");
        let worker = house.starts(arguments);
        house.until(&run, "working");
        std::fs::remove_dir_all(house.path("data")).expect("it can be removed");
        let said = ended(worker);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{}", said.err);
        assert!(said.err.contains(" is gone"), "{}", said.err);
        assert!(!house.path("data").exists(), "nobody makes it anew");
    }
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_back_what_it_holds() {
    for asked in [Signal::INT, Signal::TERM, Signal::HUP] {
        let house = House::new();
        let run = left_to_others(&house, "it takes long");
        let worker = house.starts(&["work", "--grace", "0"]);
        house.until(&run, "working");
        signal(&worker, asked);
        let said = ended(worker);
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
        assert!(said.err.contains("ended: asked to stop"), "{}", said.err);
        let story = house.does(&["trace", &run]).out;
        assert!(story.contains("cut off: the process was asked to stop"), "{story}");
        let board = house.does(&["status", "--json"]).out;
        assert!(board.contains(r#""depth":1,"seats_taken":0"#), "{board}");
    }
}

#[test]
fn two_commands_at_once_do_not_drive_each_others_runs() {
    let house = House::new();
    let waiting = left_to_others(&house, "write it for somebody else");
    let mut first = house.starts(&["run", "coder", "it takes long", "--key", "long", "--json"]);
    let long = house.does(&["run", "coder", "it takes long", "--key", "long", "--detach"]);
    let long = long.out.lines().next().expect("its name").to_owned();
    house.until_told(&long, "step 1 asks");
    let said = house.does(&["run", "coder", "write it", "--json"]);
    assert_eq!((said.code, said.view().state), (0, State::Completed), "{}", said.err);
    // What a dead process held is taken back by the next one, and still left alone.
    first.kill().expect("it is there");
    first.wait().expect("it ends");
    let second = house.starts(&["run", "coder", "this takes long too"]);
    house.until_said(&["status", "--json"], r#""depth":2,"seats_taken":1"#);
    let said = house.does(&["run", "coder", "write it again", "--json"]);
    assert_eq!((said.code, said.view().state), (0, State::Completed), "{}", said.err);
    assert!(house.does(&["status", "--json"]).out.contains(r#""depth":2,"seats_taken":1"#));
    let story = house.does(&["trace", &waiting]).out;
    assert!(!story.contains("step 1"), "{story}");
    let story = house.does(&["trace", &long]).out;
    assert!(!story.contains("attempt 2"), "{story}");
    signal(&second, Signal::INT);
    assert_eq!(ended(second).code, 130);
}
