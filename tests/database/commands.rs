//! Every command opens the same store: by the team's file, or by `--store`.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;

use crate::server::Server;
use crate::shell::{House, ended, program, signal};
use crate::{Kept, PASSWORD, VARIABLE, heard};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_one_process_are_seen_by_all_on_the_database() {
    let (kept, database) = Kept::on(&Server::shared()).await;
    let said = kept.does(&["run", "coder", "write it", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let run = said.view().run.to_string();
    assert!(!kept.house.path("data/callboard.sqlite").exists());
    // Another machine has a data folder of its own.
    let other = House::new();
    let mut command = other.command(&["status", &run, "--json"]);
    command.args(["--store", &format!("env:{VARIABLE}")]).env(VARIABLE, &kept.url);
    let said = heard(command);
    assert_eq!(said.view().result.as_deref(), Some("done as asked"), "{}", said.err);
    for (words, shown) in [
        (vec!["trace", &run], "done as asked"),
        (vec!["status"], "write it"),
        (vec!["handoffs", &run], ""),
        (vec!["replay", &run], "the same way to the same end"),
        (vec!["memory", "list"], ""),
    ] {
        let said = kept.does(&words);
        assert_eq!(said.code, 0, "{words:?}: {}", said.err);
        assert!(said.out.contains(shown), "{words:?}: {}", said.out);
    }
    // The journal is looked at where the rest of the team does not hold, and where there is no team.
    kept.house.write("team/agents/coder.md", "no agent");
    kept.house.write("team/team.yaml", &format!("limits: 7\nstore: env:{VARIABLE}\n"));
    assert!(kept.does(&["trace", &run]).out.contains("done as asked"));
    let nowhere = tempfile::tempdir().expect("a folder");
    let mut command = program();
    command.current_dir(nowhere.path()).args(["trace", &run, "--data", "data", "--store"]);
    command.arg(format!("env:{VARIABLE}")).env(VARIABLE, &kept.url).env("HOME", nowhere.path());
    let said = heard(command);
    assert!(said.out.contains("done as asked"), "{}", said.err);
    // And no byte of the password came to rest.
    let everything = database.look().await.everything().await;
    let needle = PASSWORD.as_bytes();
    assert!(!everything.windows(needle.len()).any(|it| it == needle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detached_worker_finishes_on_the_database_what_its_client_left() {
    let (kept, _database) = Kept::on(&Server::shared()).await;
    let (key, plain) = (kept.house.path("address"), format!("{}\n", kept.url));
    fs::write(&key, plain).expect("a file");
    // Named on the command line by where it lies; the team's file names none.
    let house = House::new();
    let file = format!("file:{}", key.display());
    let store = ["--store", file.as_str()];
    let mut server = house.command(&["serve"]);
    let mut server =
        server.args(store).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it runs");
    let told = |words: &[&str]| {
        let mut command = house.command(words);
        command.args(store);
        heard(command)
    };
    let said = told(&["run", "coder", "come back", "--detach", "--quiet"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let run = said.out.trim().to_owned();
    // It gives the run up and goes; its worker waits for the endpoint, and goes on.
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop(server.stdin.take());
    server.wait().expect("it ends");
    let worker = worker(&house).expect("one goes on");
    assert!(worker.contains("--store\0file:") && !worker.contains("not%20a%20secret"), "{worker}");
    let said = told(&["status", &run, "--wait", "30", "--json"]);
    assert_eq!(said.view().result.as_deref(), Some("done as asked"), "{}", said.err);
    assert!(!house.path("data/callboard.sqlite").exists());
}

/// The command line of the worker on this house's data.
fn worker(house: &House) -> Option<String> {
    let data = house.path("data").display().to_string();
    for _ in 0..50 {
        let all = fs::read_dir("/proc").expect("processes").flatten();
        let lines = all.filter_map(|it| fs::read_to_string(it.path().join("cmdline")).ok());
        if let Some(it) = { lines }.find(|it| it.contains("--alone") && it.contains(&data)) {
            return Some(it);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_keeps_to_its_store_and_says_so_when_another_is_written() {
    let (kept, _database) = Kept::on(&Server::shared()).await;
    let mut worker = kept.command(&["work"]);
    let worker = worker.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it runs");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let text = fs::read_to_string(kept.house.path("team/team.yaml")).expect("a file");
    let written = text.replace(&format!("store: env:{VARIABLE}"), "store: postgres://u@other/n");
    fs::write(kept.house.path("team/team.yaml"), written).expect("a file");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    // Put where the first process still is.
    let mut command = kept.command(&["run", "coder", "write it", "--detach", "--quiet"]);
    command.args(["--store", &format!("env:{VARIABLE}")]);
    let run = heard(command).out.trim().to_owned();
    let mut command = kept.command(&["status", &run, "--wait", "20", "--json"]);
    command.args(["--store", &format!("env:{VARIABLE}")]);
    assert_eq!(heard(command).view().result.as_deref(), Some("done as asked"));
    signal(&worker, Signal::TERM);
    let said = ended(worker);
    let told = "team.yaml:7: `store` is another now; this process keeps to the one it began with";
    assert!(said.err.contains(told), "{}", said.err);
    assert!(!said.err.contains("not%20a%20secret"));
}

#[test]
fn a_command_line_takes_no_password() {
    let house = House::new();
    let said = house.does(&["status", "--store", "postgres://u:hunter22@127.0.0.1:1/n"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("everybody on this machine sees command lines"), "{}", said.err);
    assert!(!said.err.contains("hunter22"), "{}", said.err);
}
