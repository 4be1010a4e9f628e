//! The store in a simulation: the same statements, with other threads, another clock, and faults.
//!
//! What can go wrong between a process and its database is a matter of order and of time, and
//! neither can be had at will from threads and a disk. So here the jobs of a store are run by tasks
//! of whatever runtime it is opened in, on one database in memory that several nodes share, and
//! whoever simulates says for each job when it is run, whether it is kept, and what is told.
//! Nothing else differs: the statements, and all that stands above the seam, are the product's.
//! What this cannot show is shown elsewhere: the shared commit and the file in `writer.rs` and the
//! suite of the engine, the end of a process by killing it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::beat::say_alive;
use crate::db::{Db, Job, QUEUE};
use crate::error::Result;
use crate::node::Locks;
use crate::open::migrate;
use crate::sqlite::{Clock, Lite, Memo, told};
use crate::store::Served;
use crate::writer::step;
use crate::{OpenOptions, Store, StoreError};

/// After how long the other nodes notice a commit.
const NOTICED: Duration = Duration::from_millis(20);

/// What becomes of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// What its statements say.
    Done,
    /// It is undone, and its caller is told so.
    Refused,
    /// Its caller is not told whether it was kept.
    Unknown {
        /// Whether it was.
        kept: bool,
    },
    /// Nobody is told anything any more: the node is dead.
    Dead {
        /// Whether it was kept before that.
        kept: bool,
    },
}

/// When a job is run, what becomes of it, and how long its answer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    /// Before it is run. Jobs behind it wait as well.
    pub before: Duration,
    /// What becomes of it.
    pub fate: Fate,
    /// Between its end and the answer.
    pub after: Duration,
}

/// Draws the lot of a job; `true` for one that may write.
type Lots = Arc<dyn Fn(bool) -> Lot + Send + Sync>;

/// One database in memory, shared by every node that is opened on it.
#[derive(Clone)]
pub struct Simulated {
    shared: Arc<Shared>,
}

struct Shared {
    lite: Mutex<Connection>,
    clock: Clock,
    is_dead: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    written: Notify,
}

impl Simulated {
    /// An empty database with this clock (microseconds since 1970). `is_dead` answers for the lock
    /// files: whether it is proved that the node of that name is dead.
    pub fn new(
        clock: Arc<dyn Fn() -> i64 + Send + Sync>,
        is_dead: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    ) -> Result<Simulated> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_in_memory_with_flags(flags).map_err(|it| told(&it))?;
        conn.set_prepared_statement_cache_capacity(256);
        migrate(&mut conn)?;
        let shared = Shared { lite: Mutex::new(conn), clock, is_dead, written: Notify::new() };
        Ok(Simulated { shared: Arc::new(shared) })
    }

    /// Opens a node's store. Within a runtime: its tasks serve the store until that is dropped.
    pub fn open(&self, options: OpenOptions, lots: Lots) -> Result<Store> {
        let node = options.node.clone();
        self.shared.transact(Fate::Done, |lite| say_alive(lite, &node).map(|_| ()))?;
        let hint = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let ((writes, of_writes), (reads, of_reads)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let db = Db::new(writes, reads);
        for (jobs, undone) in [(of_writes, Some(db.undone.clone())), (of_reads, None)] {
            tasks.spawn(serve(self.shared.clone(), jobs, undone, lots.clone()));
        }
        tasks.spawn(notice(self.shared.clone(), hint.clone()));
        let locks = Locks::Told(self.shared.is_dead.clone());
        Ok(Store::on(options, db, Served::Tasks { _own: tasks }, (locks, hint)))
    }
}

impl Shared {
    /// Runs it in a transaction of its own, and keeps it if its fate says so.
    fn transact(
        &self,
        fate: Fate,
        work: impl FnOnce(&mut Lite<'_, '_>) -> Result<()>,
    ) -> Result<()> {
        let conn = &*self.lite.lock().unwrap_or_else(PoisonError::into_inner);
        let before = conn.total_changes();
        step(conn, "BEGIN IMMEDIATE")?;
        let done = work(&mut Lite { conn, memo: &mut Memo::new(), clock: Some(&self.clock) });
        let kept = match fate {
            Fate::Done => true,
            Fate::Refused => false,
            Fate::Unknown { kept } | Fate::Dead { kept } => kept,
        };
        let kept = kept && done.is_ok();
        step(conn, if kept { "COMMIT" } else { "ROLLBACK" })?;
        if kept && conn.total_changes() > before {
            self.written.notify_waiters();
        }
        done
    }
}

/// One job after another, as their lots say. Writes are told of before they are kept or undone; there
/// the latter is counted.
async fn serve(
    shared: Arc<Shared>,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    undone: Option<Arc<AtomicU64>>,
    lots: Lots,
) {
    while let Some(mut job) = jobs.recv().await {
        let lot = lots(undone.is_some());
        pause(lot.before).await;
        let work = |lite: &mut Lite<'_, '_>| {
            job.run(lite)?;
            if let Some(undone) = &undone {
                job.tell(undone.load(Ordering::Relaxed));
            }
            Ok(())
        };
        let done = shared.transact(lot.fate, work);
        let is_kept = matches!(lot.fate, Fate::Done | Fate::Unknown { kept: true });
        if let Some(undone) = undone.as_ref().filter(|_| !is_kept) {
            undone.fetch_add(1, Ordering::Relaxed);
        }
        pause(lot.after).await;
        match lot.fate {
            Fate::Done => job.answer(done),
            Fate::Refused => {
                let text = "the simulated disk took nothing".to_owned();
                job.answer(done.and(Err(StoreError::Db(text))));
            }
            Fate::Unknown { .. } => job.answer(done.and(Err(StoreError::Unknown))),
            // Its caller waits until it is dropped with its node.
            Fate::Dead { .. } => std::future::pending().await,
        }
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// Hints at what anybody wrote, as the watcher of the file does.
async fn notice(shared: Arc<Shared>, hint: Arc<Notify>) {
    loop {
        shared.written.notified().await;
        pause(NOTICED).await;
        hint.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use callboard_trace::Fact;

    use super::*;
    use crate::tests::{fact, options, root};
    use crate::{Advance, Next};

    /// What was told of it may have been acted on, and something else stands in its place by then.
    #[tokio::test]
    async fn a_step_that_comes_of_a_write_that_was_undone_is_not_kept() {
        let db = Simulated::new(Arc::new(|| 1_000_000), Arc::new(|_| false)).unwrap();
        let fate = Arc::new(Mutex::new(Fate::Done));
        let drawn = fate.clone();
        let lots = move |is_write: bool| {
            let fate = if is_write { *drawn.lock().unwrap() } else { Fate::Done };
            Lot { before: Duration::ZERO, fate, after: Duration::ZERO }
        };
        let home = tempfile::tempdir().unwrap();
        let store = db.open(options(home.path(), "n_a"), Arc::new(lots)).unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        store.hears(move |_, heard, undone| tell.send((heard.0, undone)).unwrap());
        let parent = store.submit(root(1)).await.unwrap().run;
        store.submit(root(2)).await.unwrap();
        let leases = store.claim(2, 2).await.unwrap();
        let ends = Advance {
            tell: vec![(parent.clone(), fact("it ended"))],
            ..Advance::new(1, vec![fact("end")], Next::Go)
        };
        *fate.lock().unwrap() = Fate::Refused;
        store.advance(&leases[1], ends.clone()).await.unwrap_err();
        *fate.lock().unwrap() = Fate::Done;
        assert_eq!(told.try_recv(), Ok((2, Some(0))), "told before it was undone");
        store.signal(&parent, vec![fact("wait")], false).await.unwrap();
        let acts = |seen, undone| {
            let facts: Vec<Fact> = vec![fact("acts")];
            store.advance(&leases[0], Advance { undone, ..Advance::new(seen, facts, Next::Go) })
        };
        let refused = acts(2, Some(0)).await.unwrap_err().to_string();
        assert!(refused.contains("undone"), "{refused}");
        store.advance(&leases[1], ends).await.unwrap();
        assert_eq!(told.try_recv(), Ok((3, Some(1))));
        assert_eq!(acts(3, Some(1)).await.unwrap().seq, 4);
    }
}
