//! What a second process does: it opens the same database and obeys one line of orders.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use callboard_store::{Next, Store, StoreError};

use crate::fixture::{Place, Words, end, hasty, step};

/// Stands in the orders where a server's address would.
const NO_SERVER: &str = "-";

/// A second process, killed when it is dropped.
pub(crate) struct Away {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Away {
    /// Starts it on a database: `job` is one of the words of [`obey`].
    pub(crate) fn start(place: &Place, node: &str, job: &str) -> Away {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["second_process", "--exact", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut away = Away { child, lines };
        let address = place.address.as_deref().unwrap_or(NO_SERVER);
        away.tell(&format!("{job} {node} {address} {}", place.path.display()));
        away
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next thing it says, without the frame of the test runner; `None` when it is gone.
    pub(crate) fn hear(&mut self) -> Option<String> {
        for line in self.lines.by_ref() {
            if let Some((_, said)) = line.ok()?.split_once("> ") {
                return Some(said.to_owned());
            }
        }
        None
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and the rest of what it said before.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.hear()).collect()
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side: `write`, `hold`, `work`, `beat` or `drop`, then the node's name, the server and the folder.
pub(crate) async fn obey(order: &str) {
    let mut words = order.splitn(4, ' ');
    let mut word = || words.next().unwrap().to_owned();
    let (job, node, address, path) = (word(), word(), word(), word());
    let address = (address != NO_SERVER).then_some(address);
    let store = Place { path: path.into(), address }.open(&node, hasty).unwrap();
    match job.as_str() {
        "write" => write(&store).await,
        "hold" => hold(&store).await,
        "work" => work(&store).await,
        "beat" => beat(&store).await,
        "drop" => drop_roots(&store).await,
        other => panic!("no such job: {other}"),
    }
}

fn say(line: &str) {
    println!("> {line}");
}

/// Steps on one run for ever, and says each when it was answered.
async fn write(store: &Store) {
    let lease = store.take().await;
    let mut seq = lease.seq;
    loop {
        let word = format!("w{seq}");
        seq = store.advance(&lease, step(seq, &[&word], Next::Go)).await.unwrap().seq;
        say(&format!("{seq} {word}"));
    }
}

/// Holds one run until a line comes in, then tries to write.
async fn hold(store: &Store) {
    let lease = store.take().await;
    say("held");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    match store.advance(&lease, step(lease.seq, &["late"], end())).await {
        Ok(_) => say("written"),
        Err(StoreError::Fenced) => say("fenced"),
        Err(other) => say(&other.to_string()),
    }
}

/// Works until nothing is open: each run says its steps and ends.
pub(crate) async fn work(store: &Store) {
    let mut done = 0;
    while store.counts().await.unwrap().open_roots > 0 {
        let heard = store.changed();
        for lease in store.claim(4, 1_000).await.unwrap() {
            let mut seq = lease.seq;
            for word in ["s0", "s1"] {
                seq = store.advance(&lease, step(seq, &[word], Next::Go)).await.unwrap().seq;
            }
            store.advance(&lease, step(seq, &["s2"], end())).await.unwrap();
            done += 1;
        }
        let patience = std::time::Duration::from_millis(100);
        drop(tokio::time::timeout(patience, heard).await);
    }
    say(&format!("{done}"));
}

/// Lets go of one root after the other, and says each when that was answered.
async fn drop_roots(store: &Store) {
    let (old, _) = store.ended_before("default", i64::MAX, 0).await.unwrap();
    for it in old {
        let dropped = store.drop_roots(&[it.pos], i64::MAX).await.unwrap();
        assert_eq!(dropped.roots, 1);
        say(it.run.as_str());
    }
}

/// Writes one note for each line that comes in.
async fn beat(store: &Store) {
    say("ready");
    for line in std::io::stdin().lock().lines() {
        store.note("far", vec![crate::fixture::fact(&line.unwrap())]).await.unwrap();
    }
}
