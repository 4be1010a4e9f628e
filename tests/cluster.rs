//! Several processes as one service, on one file and on one database: fronts that answer for each
//! other, and workers and fronts that go while there is work.
#![expect(clippy::panic, reason = "a client of tests says what it missed and fails")]
#![cfg(unix)]

#[path = "http/house.rs"]
mod house;
#[allow(dead_code, reason = "this test breaks no server")]
#[path = "engine/server.rs"]
mod server;
mod stage;
#[path = "http/wire.rs"]
mod wire;

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use callboard_trace::{Event, Record, Work};
use house::{House, Server};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::Instant;
use wire::Request;

const PLAYBOOK: &str = "\
- when: {agent: coder, task: takes long}
  after_ms: 60000
  answer: {summary: late}
- when: {agent: coder, task: in two parts, turn: 1}
  after_ms: 3000
  note: {slot: implementation, key: first, text: the first part}
- when: {agent: coder, task: in two parts}
  after_ms: 300
  answer: {summary: both parts are done, confidence: 0.8}
- when: {agent: coder}
  answer: {summary: done as asked, confidence: 0.8}
";
const LOOK: Duration = Duration::from_millis(50);
/// Much shorter than it takes to see that a node is dead.
const SOON: Duration = Duration::from_secs(20);

/// A team whose processes have nothing in common but the store.
struct Cluster {
    house: House,
    database: Option<server::Database>,
}

/// A process that works; it is gone when this is dropped.
struct Worker(Child);

impl Cluster {
    async fn on_a_file() -> Cluster {
        let house = House::new("");
        house.write("playbook.yaml", PLAYBOOK);
        Cluster { house, database: None }
    }

    async fn on_a_server() -> Cluster {
        let database = Some(server::Server::shared().database().await);
        Cluster { database, ..Cluster::on_a_file().await }
    }

    /// A process of this name. On a server it has a data folder of its own, as on a machine of its own.
    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let Some(database) = &self.database else { return self.house.command(arguments) };
        let mut command = self.house.command_on(&self.house.data().join(name), arguments);
        command.args(["--store", "env:CLUSTER_STORE"]).env("CLUSTER_STORE", database.address());
        command
    }

    fn front(&self, name: &str) -> Server {
        let arguments = ["serve", "--no-work", "--http", "127.0.0.1:0", "--grace", "20"];
        Server::of(&mut self.command(name, &arguments))
    }

    fn worker(&self, name: &str, grace: &str) -> Worker {
        let mut command = self.command(name, &["work", "--quiet", "--grace", grace]);
        Worker(command.stdout(Stdio::null()).spawn().expect("it starts"))
    }

    fn records(&self, run: &str) -> Vec<Record> {
        let told = self.command("looks", &["trace", run, "--json"]).output().expect("it runs");
        let text = String::from_utf8(told.stdout).expect("text");
        text.lines().map(|it| serde_json::from_str(it).expect("a record")).collect()
    }
}

impl Worker {
    fn is_asked_to_stop(&self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it is there");
    }

    /// Ends in order, within that time.
    fn ends_within(&mut self, most: Duration) {
        let until = Instant::now() + most;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().expect("a child") {
                assert!(status.success(), "{status}");
                return;
            }
            sleep(LOOK);
        }
        panic!("it is still there after {most:?}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It is gone already where a test looked at its end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The run of a task that is given at this front.
fn begun(front: &Server, task: &str) -> String {
    let view = front.ask(&Request::call(1, "coder", json!({"task": task, "wait_s": 0}))).view();
    view["run"].as_str().expect("a run").to_owned()
}

fn status(front: &Server, run: &str, wait_s: u64) -> Value {
    let arguments = json!({"run": run, "wait_s": wait_s});
    front.ask(&Request::call(2, "team_status", arguments)).view()
}

fn until_state(front: &Server, run: &str, state: &str) {
    let until = Instant::now() + SOON;
    while status(front, run, 0)["state"] != state {
        assert!(Instant::now() < until, "{run} is not {state}: {}", status(front, run, 0));
        sleep(LOOK);
    }
}

fn has_state(view: &Value, state: &str) {
    assert_eq!(view["state"], state, "{view}");
}

/// Model steps that began, those that were answered, and those that were cut off.
fn steps(records: &[Record]) -> [usize; 3] {
    let count = |is: fn(&Event) -> bool| records.iter().filter(|it| is(&it.event)).count();
    [
        count(|it| matches!(it, Event::StepBegun(it) if matches!(it.work, Work::Model { .. }))),
        count(|it| matches!(it, Event::ModelReplied(_))),
        count(|it| matches!(it, Event::StepFailed(_))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_front_on_a_file_answers_for_every_run() {
    answers_for_the_other(&Cluster::on_a_file().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_front_on_a_server_answers_for_every_run() {
    answers_for_the_other(&Cluster::on_a_server().await);
}

fn answers_for_the_other(cluster: &Cluster) {
    let (one, two) = (cluster.front("one"), cluster.front("two"));
    let _worker = cluster.worker("works", "0");
    waits_and_hears(&one, &two);
    is_a_task(&one, &two);
    is_asked(&one, &two);
    is_controlled(&one, &two);
    is_of_a_session(&one, &two);
}

/// A wait, its progress, news of a resource and the resource itself, of a run that another front began
/// and another process works on.
fn waits_and_hears(one: &Server, two: &Server) {
    let run = begun(one, "write it in two parts");
    let uri = format!("team://runs/{run}");
    let mut stream = two.open();
    let wants = json!({"notifications": {"resourceSubscriptions": [uri]}});
    assert!(stream.write(&Request::modern("news", "subscriptions/listen", wants).bytes()));
    assert_eq!(stream.head().map(|it| it.status), Some(200));
    let told = stream.event().expect("an acknowledgement");
    assert_eq!(told["method"], "notifications/subscriptions/acknowledged", "{told}");
    let arguments = json!({"run": run, "wait_s": 20});
    let params = json!({"name": "team_status", "arguments": arguments,
        "_meta": {"progressToken": "p"}});
    let reply = two.ask(&Request::modern(3, "tools/call", params));
    has_state(&reply.view(), "completed");
    let is_progress = |it: &Value| it["method"] == "notifications/progress";
    assert!(reply.messages().iter().any(is_progress), "{}", reply.text());
    let told = stream.event().expect("news");
    assert_eq!(
        (&told["method"], &told["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!(uri)),
        "{told}"
    );
    let read = json!({"uri": format!("{uri}/trace")});
    let reply = two.ask(&Request::modern(4, "resources/read", read));
    assert!(reply.text().contains("both parts are done"), "{}", reply.text());
}

fn is_a_task(one: &Server, two: &Server) {
    let able = || json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let arguments = json!({"task": "write it in two parts, as a task", "wait_s": 0});
    let params = json!({"name": "coder", "arguments": arguments});
    let made = one.ask(&Request::able(5, "tools/call", params, able())).answer();
    let task = made["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let get = || two.ask(&Request::able(6, "tasks/get", json!({"taskId": task}), able())).answer();
    let until = Instant::now() + SOON;
    while get()["result"]["status"] == "working" {
        assert!(Instant::now() < until, "{}", get());
        sleep(LOOK);
    }
    let result = get()["result"].clone();
    assert_eq!(result["status"], "completed", "{result}");
    assert_eq!(result["result"]["structuredContent"]["result"], "both parts are done", "{result}");
}

/// What one front asked is answered at the other, with the state that the first one signed.
fn is_asked(one: &Server, two: &Server) {
    let call = |more: &Value| {
        let mut params = json!({"name": "boss", "arguments": {"task": "may we?", "wait_s": 20}});
        for (name, value) in more.as_object().expect("fields") {
            params[name] = value.clone();
        }
        Request::able(7, "tools/call", params, json!({"elicitation": {"form": {}}}))
    };
    let asked = one.ask(&call(&json!({}))).answer()["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = asked["inputRequests"].as_object().expect("questions").keys().next();
    let response = json!({"action": "accept", "content": {"answer": "yes"}});
    let given = json!({"requestState": asked["requestState"],
        "inputResponses": {question.expect("a question"): response}});
    let view = two.ask(&call(&given)).view();
    assert_eq!((&view["state"], &view["result"]), (&json!("completed"), &json!("yes")), "{view}");
}

fn is_controlled(one: &Server, two: &Server) {
    let run = begun(one, "it takes long");
    until_state(two, &run, "working");
    let cancel = json!({"run": run, "action": "cancel"});
    two.ask(&Request::call(8, "team_control", cancel)).view();
    has_state(&status(one, &run, 20), "cancelled");
}

/// The older era: a session that one front opened is known to the other.
fn is_of_a_session(one: &Server, two: &Server) {
    let session = one.session();
    let arguments = json!({"task": "write it", "wait_s": 20});
    let params = json!({"name": "coder", "arguments": arguments});
    for front in [two, one, two] {
        let reply = front.ask(&Request::older(&session, 9, "tools/call", params.clone()));
        assert_eq!(reply.view()["result"], "done as asked", "{}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_under_way_end_at_a_worker_on_a_file_that_is_asked_to_stop() {
    ends_what_is_under_way(&Cluster::on_a_file().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_under_way_end_at_a_worker_on_a_server_that_is_asked_to_stop() {
    ends_what_is_under_way(&Cluster::on_a_server().await);
}

fn ends_what_is_under_way(cluster: &Cluster) {
    let front = cluster.front("front");
    let mut first = cluster.worker("first", "30");
    let tasks = (0..8).map(|n| format!("write number {n} in two parts"));
    let runs: Vec<String> = tasks.map(|it| begun(&front, &it)).collect();
    runs.iter().for_each(|it| until_state(&front, it, "working"));
    first.is_asked_to_stop();
    let later = begun(&front, "write it in two parts, later");
    first.ends_within(SOON);
    for run in &runs {
        assert_eq!(steps(&cluster.records(run)), [1, 1, 0], "its step ended, and no other began");
    }
    assert_eq!(steps(&cluster.records(&later)), [0; 3], "nothing new was begun");
    let _second = cluster.worker("second", "0");
    for run in runs.iter().chain([&later]) {
        has_state(&status(&front, run, 20), "completed");
        let records = cluster.records(run);
        assert_eq!(steps(&records), [2, 2, 0], "{}", stage::tell(&records));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_in_time_goes_on_elsewhere_on_a_file() {
    hands_back_the_rest(&Cluster::on_a_file().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_in_time_goes_on_elsewhere_on_a_server() {
    hands_back_the_rest(&Cluster::on_a_server().await);
}

fn hands_back_the_rest(cluster: &Cluster) {
    let front = cluster.front("front");
    let mut first = cluster.worker("first", "1");
    let tasks = (0..4).map(|n| format!("write number {n} in two parts"));
    let runs: Vec<String> = tasks.map(|it| begun(&front, &it)).collect();
    runs.iter().for_each(|it| until_state(&front, it, "working"));
    let _second = cluster.worker("second", "0");
    first.is_asked_to_stop();
    let asked = Instant::now();
    first.ends_within(Duration::from_secs(5));
    for run in &runs {
        has_state(&status(&front, run, 20), "completed");
    }
    assert!(asked.elapsed() < SOON, "a lease that runs out takes longer");
    let mut n_cut = 0;
    for run in &runs {
        let records = cluster.records(run);
        let story = stage::tell(&records);
        stage::no_finished_step_is_taken_again(&records, &story);
        let [n_begun, n_answered, n_failed] = steps(&records);
        assert_eq!((n_answered, n_begun), (2, 2 + n_failed), "{story}");
        assert!(!story.contains("went away"), "an order is no crash: {story}");
        n_cut += n_failed;
    }
    assert!(n_cut > 0, "one second is too short for a step of three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_twice_does_not_wait() {
    let cluster = Cluster::on_a_file().await;
    let front = cluster.front("front");
    let mut worker = cluster.worker("works", "600");
    let run = begun(&front, "it takes long");
    until_state(&front, &run, "working");
    worker.is_asked_to_stop();
    sleep(Duration::from_secs(1));
    assert!(worker.0.try_wait().expect("a child").is_none(), "it waits for its step");
    worker.is_asked_to_stop();
    worker.ends_within(Duration::from_secs(5));
    assert_eq!(steps(&cluster.records(&run)), [1, 0, 1], "its step is cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_that_is_asked_to_stop_answers_its_calls_first() {
    let cluster = Cluster::on_a_file().await;
    let (front, other) = (cluster.front("front"), cluster.front("other"));
    let _worker = cluster.worker("works", "0");
    let mut listener = front.open();
    let wants = json!({"notifications": {"toolsListChanged": true}});
    assert!(listener.write(&Request::modern("news", "subscriptions/listen", wants).bytes()));
    assert_eq!(listener.head().map(|it| it.status), Some(200));
    let mut waits = front.open();
    let arguments = json!({"task": "write it in two parts", "wait_s": 20});
    assert!(waits.write(&Request::call(1, "coder", arguments).bytes()));
    let until = Instant::now() + SOON;
    while other.runs().is_empty() {
        assert!(Instant::now() < until, "it was not begun");
        sleep(LOOK);
    }
    front.stop();
    has_state(&waits.hear().view(), "completed");
    // Who only listens does not keep it, and is told of the end.
    let end = std::iter::from_fn(|| listener.event()).last().expect("an end");
    assert_eq!(end["id"], "news", "{end}");
    let (status, said) = front.exit();
    assert!(status.success(), "{said}");
}
