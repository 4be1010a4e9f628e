//! A database that goes away: the log says so once, and once that it is back.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crate::Kept;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_told_once_and_so_is_its_end() {
    let server = Arc::new(Server::start());
    let (kept, _database) = Kept::on(&server).await;
    let mut command = kept.command(&["work"]);
    let mut worker = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(worker.stderr.take().expect("a pipe")).lines();
    let (to, from) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|it| to.send(it)));
    let next = || from.recv_timeout(Duration::from_secs(60)).expect("it says something");
    let until = |what: &str| {
        let mut said = Vec::new();
        while said.last().is_none_or(|it: &String| !it.contains(what)) {
            said.push(next());
        }
        said
    };
    until("working for team");
    server.crash();
    let first = until("the heartbeat was not kept");
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.rise();
    let rest = until("the store answers again");
    worker.kill().expect("it is there");
    worker.wait().expect("it ends");
    let all = [first, rest].concat();
    let times = |what: &str| all.iter().filter(|it| it.contains(what)).count();
    let futile = times("could not look into the queue") + times("could not sweep");
    assert_eq!((futile, times("the heartbeat was not kept")), (0, 1), "{all:#?}");
}
