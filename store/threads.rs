//! The threads behind the SQLite seam: one writer, two readers, one watcher.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Notify, mpsc};

use crate::StoreError;
use crate::db::{Db, Job, QUEUE};
use crate::error::Result;
use crate::open::{Use, connect};
use crate::sqlite::{Memo, told};
use crate::writer::{Chance, attempt, step, write};

/// How often the watcher looks for other processes' commits while runs are ready or running.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often it looks while all is quiet: an idle process must cost next to nothing.
const GLANCE_EVERY: Duration = Duration::from_millis(100);

pub(crate) const READERS: usize = 2;

/// Deeply nested records are read here; what is not used is not taken.
pub(crate) const STACK: usize = 4 << 20;

/// The running threads. Dropping it waits for them; drop every [`Db`] first.
pub(crate) struct Threads {
    running: Vec<JoinHandle<Connection>>,
    stop: Arc<AtomicBool>,
}

/// Starts the threads on a prepared file.
pub(crate) fn start(
    conn: Connection,
    file: &Path,
    chance: Chance,
    hint: Arc<Notify>,
) -> Result<(Db, Threads)> {
    let (writes, jobs) = mpsc::channel(QUEUE);
    let (reads, questions) = mpsc::channel(QUEUE);
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Threads { running: Vec::new(), stop: stop.clone() };
    let questions = Arc::new(Mutex::new(questions));
    for _ in 0..READERS {
        let (conn, questions) = (connect(file, Use::Read, None)?, questions.clone());
        threads.run("store-read", move || read(conn, &questions))?;
    }
    let watched = connect(file, Use::Watch, None)?;
    threads.run("store-watch", move || watch(watched, &stop, &hint))?;
    conn.busy_timeout(Duration::ZERO).map_err(|it| told(&it))?;
    let db = Db::new(writes, reads);
    let undone = db.undone.clone();
    threads.run("store-write", move || write(conn, jobs, chance, undone))?;
    Ok((db, threads))
}

impl Threads {
    fn run(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Connection + Send + 'static,
    ) -> Result<()> {
        let started = thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
        let text = |it: std::io::Error| StoreError::Db(format!("cannot start a thread: {it}"));
        self.running.push(started.map_err(text)?);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.running.iter().for_each(|it| it.thread().unpark());
        // A thread that panicked has nothing left to wait for, and one that drops the last of the store
        // with a job ends by itself.
        let own = thread::current().id();
        let others = self.running.drain(..).filter(|it| it.thread().id() != own);
        let conns: Vec<_> = others.map(JoinHandle::join).collect();
        // One after another: of two that close at once neither may be the last, which takes the
        // log with it.
        drop(conns);
    }
}

fn read(conn: Connection, questions: &Mutex<mpsc::Receiver<Box<dyn Job>>>) -> Connection {
    let mut memo = Memo::new();
    let next = || questions.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
    while let Some(mut job) = next() {
        let outcome = within(&conn, || attempt(job.as_mut(), &conn, &mut memo));
        job.answer(outcome);
    }
    drop(memo);
    conn
}

/// One consistent view for all statements of a question.
fn within(conn: &Connection, work: impl FnOnce() -> Result<()>) -> Result<()> {
    step(conn, "BEGIN")?;
    let outcome = work();
    step(conn, "COMMIT")?;
    outcome
}

/// Other processes' commits move a counter that SQLite keeps; ours do too.
fn watch(conn: Connection, stop: &AtomicBool, hint: &Notify) -> Connection {
    let (mut seen, mut pause) = (None, LOOK_EVERY);
    while !stop.load(Ordering::Relaxed) {
        let version = number(&conn, "PRAGMA data_version");
        if version != seen {
            seen = version;
            hint.notify_waiters();
            let sql = "SELECT EXISTS (SELECT 1 FROM run WHERE state = 'running')
                OR EXISTS (SELECT 1 FROM run WHERE state = 'ready')";
            let busy = number(&conn, sql) != Some(0);
            pause = if busy { LOOK_EVERY } else { GLANCE_EVERY };
        }
        thread::park_timeout(pause);
    }
    conn
}

/// `None` when another process is in the way; the next look will tell.
fn number(conn: &Connection, sql: &str) -> Option<i64> {
    conn.prepare_cached(sql).and_then(|mut it| it.query_row([], |row| row.get(0))).ok()
}
