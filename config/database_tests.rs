//! `store` as owners write it: what is understood, what is told, and that no password is told.

use crate::database::Database;
use crate::load::database_of;
use crate::testing::{PLAIN, env, folder, team, told_of_team};
use crate::{ExposeSecret, Problems, Team};

fn of(store: &str) -> Team {
    team(&[("team.yaml", &*format!("store: {store}")), ("agents/lead.md", PLAIN)])
}

fn database(store: &str) -> Database {
    of(store).database.expect("one")
}

#[test]
fn a_team_that_names_none_keeps_its_runs_in_a_file() {
    let team = team(&[("team.yaml", "entry: lead"), ("agents/lead.md", PLAIN)]);
    assert!(team.database.is_none());
}

#[test]
fn an_address_lies_in_a_variable_or_a_file_or_is_written() {
    let team = of("env:STORE");
    assert!(!team.problems.iter().any(|it| it.message.contains("store")), "{:?}", team.problems);
    let found = team.database.clone().expect("one");
    assert_eq!(found.url.expose_secret(), "postgres://callboard:hunter2%2Fx@db.example/work");
    assert_eq!(found.to_string(), "postgres://callboard@db.example/work");
    assert_eq!(team.secrets().split_last().map(|it| it.0.as_str()), Some("hunter2/x"));
    assert!(team.secrets().contains(&"hunter2%2Fx".to_owned()));
    assert!(!format!("{team:?}").contains("hunter2"));

    let url = "postgresql://u:hunter22@a:5433,[::1]:5432/n?sslmode=verify-full";
    let files = [("team.yaml", "store: file:keep/db"), ("agents/lead.md", PLAIN), ("keep/db", url)];
    let found = crate::testing::team(&files).database.expect("one");
    assert_eq!(found.url.expose_secret(), url);
    assert_eq!(found.to_string(), "postgres://u@a:5433,[::1]:5432/n?sslmode=verify-full");

    let plain = of("postgres://u@a/n");
    assert!(!plain.problems.iter().any(|it| it.message.contains("store")));
    assert!(!plain.database.expect("one").named);
}

#[test]
fn each_host_can_be_asked_alone() {
    let url = "postgres://u:p%40w@a:1,[::1],c/n?sslmode=require&target_session_attrs=read-write";
    let hosts = database(url).hosts();
    let shown: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["a:1", "[::1]", "c"]);
    assert_eq!(
        hosts[1].url.expose_secret(),
        "postgres://u:p%40w@[::1]/n?sslmode=require&target_session_attrs=any"
    );
    let bare = database("postgres://u@a/n").hosts();
    assert_eq!(bare[0].url.expose_secret(), "postgres://u@a/n?target_session_attrs=any");
}

#[test]
fn a_password_in_the_file_is_told_with_the_way_out() {
    let told = told_of_team("entry: lead\nstore: postgres://u:hunter22@a/n");
    assert!(told.starts_with("starts\n"), "{told}");
    assert!(
        told.contains("team.yaml:2: `store` holds a password itself; it belongs outside the file"),
        "{told}"
    );
    assert!(told.contains("`store: env:NAME` or `store: file:PATH`"), "{told}");
    assert!(!told.contains("hunter22"), "{told}");
}

#[test]
fn everything_wrong_is_told_at_once_and_never_a_password() {
    let of = |store: &str| {
        let told = told_of_team(&format!("entry: lead\nlimits: 1\nstore: {store}"));
        assert!(!told.contains("hunter22"), "{told}");
        let (before, rest) = told.split_once("help: write `key: value` lines\n").expect("told");
        assert!(before.starts_with("team.yaml:2: `limits` must be a map"), "{told}");
        rest.rsplit_once('\n').map(|it| it.0.to_owned()).expect("lines")
    };
    let all = [
        "7",
        "sqlite",
        "\"mysql://u:hunter22@a/n\"",
        "env:NOT_THERE",
        "env:ODD_STORE",
        "file:not-there",
        "cmd:pass",
        "\"postgres://\"",
        "\"postgres://u:hunter22/n\"",
        "\"postgres://:hunter22@a:0,,[::1/n/m?ssl_mode=disable&password=hunter22&sslmode=hunter22\"",
        "\"postgres://u:hunter22@x@a/n?sslrootcert=\"",
        "\"postgres://u:hunter22%zz@a/n\"",
    ];
    let told: String = all.iter().map(|it| of(it)).collect::<Vec<_>>().join("\n---\n");
    insta::assert_snapshot!(told);
}

#[test]
fn what_store_says_is_known_where_the_rest_of_the_team_does_not_hold() {
    let of = |text: &str| {
        let folder = folder(&[("team.yaml", text)]);
        database_of(folder.path(), &env).map(|it| it.map(|it| it.to_string()))
    };
    let shown = "postgres://callboard@db.example/work".to_owned();
    assert_eq!(of("store: env:STORE\nlimits: 7\nodd: 1"), Ok(Some(shown)));
    assert_eq!(of("limits: 7\nodd: 1"), Ok(None));
    assert_eq!(of("limits: {"), Ok(None), "it names none, whatever else it says");
    let lines = |it: Result<Option<String>, Problems>| {
        it.expect_err("it is told").0.iter().map(|it| it.line).collect::<Vec<_>>()
    };
    assert!(!lines(of("store: env:STORE\nlimits: {")).is_empty());
    assert_eq!(lines(of("limits: 7\nstore: env:NOT_THERE")), [2]);
    assert_eq!(lines(of("store: [a]")), [1]);
    let nowhere = database_of("nowhere".as_ref(), &env);
    assert!(nowhere.is_ok_and(|it| it.is_none()));
}

#[test]
fn a_command_line_is_no_place_for_a_password() {
    let told = |it: &str| crate::load::database_named("--store", it).map(|it| it.to_string());
    assert_eq!(told("postgres://u@a/n"), Ok("postgres://u@a/n".to_owned()));
    let error = told("postgres://u:hunter22@a/n").expect_err("refused").to_string();
    assert!(error.contains("--store: holds a password"), "{error}");
    assert!(error.contains("`--store env:NAME`") && !error.contains("hunter22"), "{error}");
    let error = told("sqlite").expect_err("refused").to_string();
    assert!(error.starts_with("--store: `--store` is no address"), "{error}");
}
