//! The one writer: whatever waits shares a commit, and is answered when the disk has it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::StoreError;
use crate::db::{Job, Tx};
use crate::error::Result;
use crate::sqlite::{Lite, Memo, is_busy, is_io, told};

/// Where chance comes from.
pub(crate) type Chance = Arc<dyn Fn() -> u128 + Send + Sync>;

/// Jobs that share one commit.
const BATCH: usize = 256;

/// After a job that failed halfway so many commits have a savepoint for each job: few do, and a savepoint
/// costs a tenth of a write.
const CAREFUL: u32 = 64;

/// How long a write waits for other processes before it is refused.
const BUSY_FOR: Duration =
    if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(10) };

/// The thread's own state.
struct Writer<'c> {
    conn: &'c Connection,
    memo: Memo<'c>,
    chance: Chance,
    undone: Arc<AtomicU64>,
    /// How many commits are still to have savepoints.
    careful: u32,
    /// Set when the disk did not confirm a commit: nothing more is accepted.
    failed: Option<StoreError>,
}

/// Works until every sender is gone, and gives the connection back.
pub(crate) fn write(
    conn: Connection,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    chance: Chance,
    undone: Arc<AtomicU64>,
) -> Connection {
    let mut writer =
        Writer { conn: &conn, memo: Memo::new(), chance, undone, careful: 0, failed: None };
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        writer.take(batch);
    }
    drop(writer);
    conn
}

impl Writer<'_> {
    fn take(&mut self, mut batch: Vec<Box<dyn Job>>) {
        if let Some(failed) = &self.failed {
            batch.into_iter().for_each(|it| it.answer(Err(failed.clone())));
            return;
        }
        match self.together(&mut batch) {
            Together::Done(outcomes) => {
                batch.into_iter().zip(outcomes).for_each(|(job, it)| job.answer(it));
                return;
            }
            Together::Refused(error) => {
                batch.into_iter().for_each(|it| it.answer(Err(error.clone())));
                return;
            }
            Together::RolledBack => drop(self.undone.fetch_add(1, Ordering::Relaxed)),
        }
        for mut job in batch {
            let outcome = match &self.failed {
                Some(failed) => Err(failed.clone()),
                None => self.alone(job.as_mut()),
            };
            job.answer(outcome);
        }
    }

    /// All in one commit. A job that fails undoes only itself: it has changed nothing, or goes behind a
    /// savepoint, or undoes all. Who is told of them here thinks about it while the disk works.
    fn together(&mut self, batch: &mut [Box<dyn Job>]) -> Together {
        if let Err(error) = self.begin() {
            return Together::Refused(error);
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        let is_careful = self.careful > 0;
        self.careful = self.careful.saturating_sub(1);
        for job in batch {
            let before = self.conn.total_changes();
            let outcome = match is_careful {
                true => self.behind_savepoint(job.as_mut()),
                false => attempt(job.as_mut(), self.conn, &mut self.memo),
            };
            // A full disk and its kin undo the whole transaction; then each goes by itself.
            if self.conn.is_autocommit() {
                return Together::RolledBack;
            }
            if outcome.is_err() && !is_careful && self.conn.total_changes() != before {
                self.rollback();
                self.careful = CAREFUL;
                return Together::RolledBack;
            }
            if outcome.is_ok() {
                job.tell(self.undone.load(Ordering::Relaxed));
            }
            outcomes.push(outcome);
        }
        match self.commit() {
            Ok(()) => Together::Done(outcomes),
            Err(StoreError::Unknown) => Together::Refused(StoreError::Unknown),
            Err(_) => Together::RolledBack,
        }
    }

    fn behind_savepoint(&mut self, job: &mut dyn Job) -> Result<()> {
        step(self.conn, "SAVEPOINT job")?;
        let outcome = attempt(job, self.conn, &mut self.memo);
        if outcome.is_err() && !self.conn.is_autocommit() {
            step(self.conn, "ROLLBACK TO job")?;
        }
        if !self.conn.is_autocommit() {
            step(self.conn, "RELEASE job")?;
        }
        outcome
    }

    fn alone(&mut self, job: &mut dyn Job) -> Result<()> {
        self.begin()?;
        let outcome = attempt(job, self.conn, &mut self.memo);
        match outcome {
            Ok(()) => self.commit(),
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    /// Takes the write lock, against other processes, for as long as that is reasonable.
    fn begin(&mut self) -> Result<()> {
        let until = Instant::now() + BUSY_FOR;
        let mut wait = 200;
        loop {
            let tried =
                self.conn.prepare_cached("BEGIN IMMEDIATE").and_then(|mut it| it.execute([]));
            match tried {
                Ok(_) => return Ok(()),
                Err(error) if is_busy(&error) && Instant::now() < until => {
                    let jitter = ((self.chance)() % u128::from(wait)) as u64;
                    thread::sleep(Duration::from_micros(wait / 2 + jitter));
                    wait = (wait * 3 / 2).min(3_000);
                }
                Err(error) => return Err(told(&error)),
            }
        }
    }

    /// A commit that the disk refused to confirm may be there or not after the next start, and the
    /// kernel forgets such an error once told: so the writer stops for good.
    fn commit(&mut self) -> Result<()> {
        let done = self.conn.prepare_cached("COMMIT").and_then(|mut it| it.execute([]));
        let Err(error) = done else { return Ok(()) };
        self.rollback();
        if is_io(&error) {
            let text = "the disk did not confirm a write; check it and start the program again";
            self.failed = Some(StoreError::Db(text.to_owned()));
            return Err(StoreError::Unknown);
        }
        Err(told(&error))
    }

    fn rollback(&self) {
        if !self.conn.is_autocommit()
            && let Err(error) = step(self.conn, "ROLLBACK")
        {
            tracing::error!(%error, "rollback failed");
        }
    }
}

enum Together {
    Done(Vec<Result<()>>),
    Refused(StoreError),
    RolledBack,
}

/// A job that panics is a failed job; the thread and its neighbours live on.
pub(crate) fn attempt<'c>(
    job: &mut dyn Job,
    conn: &'c Connection,
    memo: &mut Memo<'c>,
) -> Result<()> {
    attempt_on(job, &mut Lite { conn, memo, clock: None })
}

/// The same on any database.
pub(crate) fn attempt_on(job: &mut dyn Job, tx: &mut dyn Tx) -> Result<()> {
    catch_unwind(AssertUnwindSafe(|| job.run(tx))).unwrap_or_else(|_| {
        Err(StoreError::Db("a write panicked and was undone; please report it".to_owned()))
    })
}

/// One statement without an answer.
pub(crate) fn step(conn: &Connection, sql: &str) -> Result<()> {
    conn.prepare_cached(sql).and_then(|mut it| it.execute([])).map(|_| ()).map_err(|it| told(&it))
}
