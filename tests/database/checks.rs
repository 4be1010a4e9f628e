//! What `doctor` tells of a database: as it should be, of less than that, and of one that is away.

use std::sync::Arc;

use serde_json::Value;

use crate::server::{Database, Server};
use crate::{Kept, VARIABLE};

/// What was found of one thing: the grade and the words.
pub(crate) fn of(store: &Value, what: &str) -> (String, String) {
    let found = store["found"].as_array().unwrap_or_else(|| panic!("{store}"));
    let found = found.iter().find(|it| it["what"] == what);
    let found = found.unwrap_or_else(|| panic!("no {what} in {store}"));
    let text = |it: &Value| it.as_str().expect("text").to_owned();
    assert_eq!(found["help"].is_string(), found["grade"] != "ok", "{found}");
    (text(&found["grade"]), text(&found["said"]))
}

/// What doctor finds of the database, and its exit code.
pub(crate) fn checked(kept: &Kept) -> (i32, Value) {
    let said = kept.does(&["doctor", "--json"]);
    let all: Value = serde_json::from_str(&said.out)
        .unwrap_or_else(|it| panic!("{it}: {}\n{}", said.out, said.err));
    (said.code, all["store"].clone())
}

async fn orders(database: &Database, sql: &str) {
    let eye = database.look().await;
    // One by one: several in one message are one transaction.
    for sql in sql.split(';') {
        eye.client.batch_execute(sql).await.expect("done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_as_it_should_be_is_said_to_be() {
    let (kept, database) = Kept::on(&Server::shared()).await;
    let (code, store) = checked(&kept);
    assert_eq!(code, 0, "{store}");
    let port = database.server().port();
    let name = database.address().rsplit('/').next().expect("a name").to_owned();
    assert_eq!(store["address"], format!("postgres://callboard@127.0.0.1:{port}/{name}"));
    let names: Vec<&str> = store["found"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|it| it["what"].as_str().expect("text"))
        .collect();
    assert_eq!(
        names,
        [
            "version",
            "writes",
            "privileges",
            "tables",
            "durable",
            "standby",
            "latency",
            "clock",
            "transactions",
            "connections",
            "processes"
        ]
    );
    let fine = |what: &str| {
        let (grade, said) = of(&store, what);
        assert_eq!(grade, "ok", "{what}: {said}");
        said
    };
    assert!(fine("version").starts_with("PostgreSQL 1"));
    assert!(fine("tables").starts_with("none yet"));
    assert_eq!(fine("processes"), "none; nothing is kept there yet");
    assert!(fine("latency").ends_with("ms a round trip"));
    assert!(fine("clock").starts_with("the server's is 0.0"));
    assert!(fine("connections").contains(" of 300 taken; a process takes 4"));
    for what in ["writes", "privileges", "durable", "transactions"] {
        fine(what);
    }
    let (grade, said) = of(&store, "standby");
    assert_eq!(grade, "warning");
    assert!(said.contains("what was acknowledged in the last moments is lost"), "{said}");

    let said = kept.does(&["doctor"]);
    assert!(said.out.contains(&format!("store: postgres://callboard@127.0.0.1:{port}/")));
    assert!(said.out.contains("  version               ok       PostgreSQL "), "{}", said.out);
    assert!(
        said.out.contains("    help: name one in `synchronous_standby_names`,"),
        "{}",
        said.out
    );
    assert_eq!(kept.does(&["run", "coder", "write it", "--quiet"]).code, 0);
    let (grade, said) = of(&checked(&kept).1, "tables");
    assert_eq!((&*grade, said.starts_with("format ")), ("ok", true), "{said}");
    assert!(said.ends_with("; the journal is in 3 partitions"), "{said}");
    assert_eq!(of(&checked(&kept).1, "processes").1, "none at work on it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_hold_is_an_error_with_the_way_out() {
    let (kept, database) = Kept::on(&Server::shared()).await;
    let name = database.address().rsplit('/').next().expect("a name").to_owned();
    orders(&database, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    let (code, store) = checked(&kept);
    assert_eq!((code, &*of(&store, "durable").0), (1, "error"));
    orders(
        &database,
        &format!(
            "ALTER DATABASE {name} RESET synchronous_commit;
             ALTER DATABASE {name} SET default_transaction_read_only = on"
        ),
    )
    .await;
    let (code, store) = checked(&kept);
    assert_eq!((code, &*of(&store, "writes").0), (1, "error"));
    assert_eq!(of(&store, "durable").0, "ok");
    let sql = format!(
        "SET default_transaction_read_only = off; ALTER DATABASE {name} RESET ALL;
         CREATE ROLE guest_{name} LOGIN PASSWORD 'not a secret'"
    );
    orders(&database, &sql).await;
    let url = kept.url.replace("//callboard:", &format!("//guest_{name}:"));
    let guest = Kept { url, ..kept };
    let (code, store) = checked(&guest);
    let (grade, said) = of(&store, "privileges");
    assert_eq!((code, &*grade), (1, "error"));
    assert!(said.contains("CREATE ON SCHEMA public"), "{said}");
    orders(&database, &format!("DROP ROLE guest_{name}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_takes_as_many_connections_as_doctor_says() {
    let (kept, database) = Kept::on(&Server::shared()).await;
    let mut worker = kept.command(&["work"]);
    let mut worker = worker.stderr(std::process::Stdio::null()).spawn().expect("it runs");
    let eye = database.look().await;
    let count = async || -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'callboard'";
        eye.client.query_one(sql, &[]).await.expect("an answer").get(0)
    };
    let mut most = 0;
    for _ in 0..40 {
        most = most.max(count().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    worker.kill().expect("it is there");
    worker.wait().expect("it ends");
    assert_eq!(most, 4);
}

#[test]
fn a_database_that_is_away_is_one_error_and_the_rest_is_looked_at() {
    // Taken and given back: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let port = port.expect("a port").port();
    let kept = Kept::at(format!("postgres://callboard:not%20a%20secret@127.0.0.1:{port}/n"));
    let said = kept.does(&["doctor"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let lines: Vec<&str> = said.out.lines().filter(|it| it.contains("error")).collect();
    assert_eq!(lines.len(), 1, "{}", said.out);
    assert!(lines[0].contains(&format!("127.0.0.1:{port}")), "{}", said.out);
    for other in ["sandbox: ", "files: team team, agents: 2", "endpoints: none"] {
        assert!(said.out.contains(other), "{}", said.out);
    }
    // Nothing is taken in its place.
    let said = kept.does(&["status"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains(&format!("the store at postgres://callboard@127.0.0.1:{port}/n")));
    assert!(!kept.house.path("data/callboard.sqlite").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_a_missing_database_are_named() {
    let server: Arc<Server> = Server::shared();
    let (kept, _database) = Kept::on(&server).await;
    let told = |url: String| {
        let (code, store) = checked(&Kept::at(url));
        assert_eq!(code, 1);
        of(&store, "address").1
    };
    let said = told(kept.url.replace("not%20a", "not%20the"));
    assert!(said.contains("check the user and the password"), "{said}");
    let (before, _) = kept.url.rsplit_once('/').expect("a name");
    let said = told(format!("{before}/nowhere"));
    assert!(said.contains("there is no such database"), "{said}");
}

#[test]
fn a_store_that_cannot_be_found_out_stands_among_the_problems() {
    let kept = Kept::at(String::new());
    let mut command = kept.command(&["doctor", "--json"]);
    command.env_remove(VARIABLE);
    let said = crate::heard(command);
    assert_eq!(said.code, 2, "{}", said.err);
    let all: Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(all["store"].is_null());
    let problems = all["files"]["problems"].as_array().expect("problems");
    let told = problems.iter().find(|it| it["severity"] == "error").expect("one");
    assert_eq!(
        told["message"],
        format!("`store` has no value: the variable {VARIABLE} is not set")
    );
    assert_eq!(told["line"], 7);
    let mut command = kept.command(&["doctor"]);
    command.env_remove(VARIABLE);
    let words = crate::heard(command).out;
    assert!(
        words.contains("store: not looked at; the team's files do not say where it is"),
        "{words}"
    );
    let mut command = kept.command(&["status"]);
    command.env_remove(VARIABLE);
    let said = crate::heard(command);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(!kept.house.path("data/callboard.sqlite").exists(), "no file is taken in its place");
}
