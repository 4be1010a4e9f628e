//! PostgreSQL behind the same seam: one lane that writes, two that read, and a bell, each with a
//! thread and a connection of its own.
//!
//! Who writes holds the one row of the table `callboard` from the beginning of the transaction to its
//! end, so writes of all nodes follow one another as they do in the file: seats, rates and budgets are
//! exact, the places of the journal are in the order of its commits, and nothing deadlocks. Jobs that
//! wait meanwhile share the next commit.

mod address;
mod bell;
mod conn;
mod lane;
mod migrate;
mod partition;
mod probe;
mod rows;
mod session;
mod tls;
mod value;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc as answers};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};

pub use address::Address;
pub(crate) use partition::{is_narrow, widen};
pub use probe::{Probe, probe};

use crate::StoreError;
use crate::db::{Db, Job, QUEUE, Tx};
use crate::error::Result;
use crate::threads::{READERS, STACK};
use lane::Lane;

/// Every wait for the database ends after so long, whatever became of its host.
const DEADLINE: Duration = Duration::from_secs(6);
/// How long the server works on one statement; it gives up before we do.
const STATEMENT: Duration = Duration::from_secs(5);
/// The same for a change that reads all records once.
const CHANGE: Duration = Duration::from_secs(600);
/// After how long the server undoes what a node left open, and so lets go of the turn.
const IDLE: Duration = Duration::from_secs(3);
/// For how long jobs wait for a database that is away before they are refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running lanes. Dropping it waits for them; drop every [`Db`] first.
pub(crate) struct Lanes {
    running: Vec<JoinHandle<()>>,
    _bell: oneshot::Sender<()>,
}

/// What the lanes of one store share.
#[derive(Clone)]
struct Shared {
    address: Address,
    /// Rung after each commit.
    rung: Arc<Notify>,
    /// Counts the times a connection fell silent: the others are taken for lost as well, or each would
    /// wait for its own deadline.
    outages: Arc<AtomicU64>,
}

/// Jobs on their way to whichever lane is free.
type Jobs = Arc<Mutex<mpsc::Receiver<Box<dyn Job>>>>;

/// What is done with a database first, when its tables have the newest format.
pub(crate) type Enter = Box<dyn FnOnce(&mut dyn Tx) -> Result<()> + Send>;

/// Brings the tables to the newest format, enters, and starts the lanes. Who does not enter leaves
/// everything as it is. Blocks.
pub(crate) fn open(
    address: &Address,
    enter: Option<Enter>,
    hint: Arc<Notify>,
) -> Result<(Db, Lanes)> {
    let shared = Shared { address: address.clone(), rung: Arc::default(), outages: Arc::default() };
    let (writes, jobs) = mpsc::channel(QUEUE);
    let (reads, questions) = mpsc::channel(QUEUE);
    let (bell, stop) = oneshot::channel();
    let mut lanes = Lanes { running: Vec::new(), _bell: bell };
    let (ready, opened) = answers::channel();
    let (of_lane, jobs) = (shared.clone(), Arc::new(Mutex::new(jobs)));
    lanes.run("store-write", move || Lane::write(of_lane, enter, &ready, &jobs))?;
    opened.recv().map_err(|_| StoreError::Closed)??;
    let questions: Jobs = Arc::new(Mutex::new(questions));
    for _ in 0..READERS {
        let (shared, questions) = (shared.clone(), questions.clone());
        lanes.run("store-read", move || Lane::read(shared, &questions))?;
    }
    lanes.run("store-bell", move || bell::serve(&shared, &hint, stop))?;
    Ok((Db::new(writes, reads), lanes))
}

impl Lanes {
    fn run(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let started = thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
        let text = |it: std::io::Error| StoreError::Db(format!("cannot start a thread: {it}"));
        self.running.push(started.map_err(text)?);
        Ok(())
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // The bell hears that its sender is gone.
        let (gone, _) = oneshot::channel();
        self._bell = gone;
        // Who is dropped with the last job it answered is one of them.
        let own = thread::current().id();
        for lane in self.running.drain(..).filter(|it| it.thread().id() != own) {
            // A thread that panicked has nothing left to wait for.
            let _ = lane.join();
        }
    }
}
