//! What is told of the file that a team's runs are kept in, and of who works on it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rusqlite::Connection;
use serde_json::Value;

use crate::shell::House;

/// What `doctor` finds of the processes, its exit code and what it says to people.
fn told(house: &House) -> (i32, String, String, String) {
    let json = house.does(&["doctor", "--json"]);
    let found: Value = serde_json::from_str(&json.out).expect("JSON");
    let words = house.does(&["doctor"]);
    assert_eq!(json.code, words.code, "{}", words.out);
    let store = &found["store"];
    assert_eq!(store["address"], format!("a file in {}", house.path("data").display()));
    let of = |what: &str| store["found"][0][what].as_str().unwrap_or_default().to_owned();
    assert_eq!(of("what"), "processes", "{store}");
    assert!(words.out.contains(&of("said")), "{}", words.out);
    (json.code, of("grade"), of("said"), of("help"))
}

fn fine(house: &House, said: &str) {
    let found = told(house);
    assert_eq!(found, (0, "ok".into(), said.into(), String::new()));
}

#[test]
fn who_works_on_a_file_is_told_until_it_is_gone() {
    let house = House::new();
    fine(&house, "none; nothing is kept there yet");
    assert!(!house.path("data").join("callboard.sqlite").exists(), "a look leaves nothing");
    let mut work = house.command(&["work"]);
    let mut child = work.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut first = String::new();
    let said = child.stderr.take().expect("stderr");
    BufReader::new(said).read_line(&mut first).expect("it says that it is there");
    fine(&house, &format!("process {} works on it", child.id()));
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    fine(&house, "none at work on it");
}

#[test]
fn a_file_that_nobody_can_use_is_said_to_be_one() {
    let house = House::new();
    let file = house.path("data").join("callboard.sqlite");
    assert_eq!(house.does(&["status"]).code, 0);
    let set =
        |sql: &str| Connection::open(&file).and_then(|it| it.execute_batch(sql)).expect("set");
    set("PRAGMA user_version = 9");
    fine(&house, "not asked; the next brings it from format 9 to 10");
    set("PRAGMA user_version = 77");
    let (code, grade, said, help) = told(&house);
    assert_eq!((code, &*grade), (1, "error"));
    assert!(said.starts_with("the store has format 77 and this program knows up to"), "{said}");
    assert!(help.starts_with("until that is mended no process works on it"), "{help}");
    set("PRAGMA user_version = 10; INSERT INTO filling VALUES('r_x', 'in /elsewhere', '', 0)");
    let (code, grade, said, _) = told(&house);
    assert_eq!((code, &*grade), (1, "error"));
    assert!(
        said.starts_with("it was moved: all of it is in the store in /elsewhere now"),
        "{said}"
    );
    let garbage = [b'x'; 9_000];
    for beside in ["callboard.sqlite-wal", "callboard.sqlite-shm"] {
        let _ = fs::remove_file(house.path("data").join(beside));
    }
    fs::write(&file, garbage).expect("written");
    let (code, grade, ..) = told(&house);
    assert_eq!((code, &*grade), (1, "error"));
    assert_eq!(fs::read(&file).expect("it is there"), garbage, "a look changes nothing");
}
