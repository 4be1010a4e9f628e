//! What all parts of this process share: the team, the store, the hands, and who waits for what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callboard_store::{Store, StoreError};
use callboard_trace::{Event, Fact, RunId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::World;
use crate::ahead::Ahead;
use crate::callers::Callers;
use crate::clients::Clients;
use crate::crew::Crew;
use crate::folds::Folds;
use crate::heirs::Heirs;
use crate::press::Pressing;
use crate::throttle::Admission;
use crate::told::{Heard, Told};

/// Shared by the desk, the claimer and every drive.
pub(crate) struct House {
    pub(crate) crew: Crew,
    /// The program that starts those of tool servers, if there is one.
    pub(crate) keeper: Option<PathBuf>,
    pub(crate) store: Store,
    /// Time and chance.
    pub(crate) world: World,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// This process among all on the store.
    pub(crate) node: String,
    /// Set once, when nothing new is to begin here: what is in progress may end.
    pub(crate) draining: CancellationToken,
    /// Set once, when the process is to go.
    pub(crate) stopping: CancellationToken,
    /// Something may be ready: a submission, a child, a free seat.
    pub(crate) ready: Notify,
    /// A run may be written as ours that nobody drives here: the heartbeat gives it back.
    pub(crate) stray: Notify,
    pub(crate) admission: Admission,
    pub(crate) ahead: Ahead,
    pub(crate) folds: Folds,
    pub(crate) heirs: Heirs,
    pub(crate) alarm: Alarm,
    pub(crate) driven: Arc<Driven>,
    pub(crate) waiters: Waiters,
    pub(crate) callers: Callers,
    pub(crate) clients: Clients,
    /// Who waits while no seat is free.
    pub(crate) pressing: Pressing,
    /// What became of resources, on its way into the journal.
    pub(crate) turned: Mutex<Vec<Event>>,
}

impl House {
    /// Keeps what became of what steps share, for the journal.
    pub(crate) fn tell(&self, turned: Vec<Event>) {
        if !turned.is_empty() {
            self.turned.lock().unwrap_or_else(PoisonError::into_inner).extend(turned);
        }
    }

    /// Writes it down. Beside the way: nothing waits for it.
    pub(crate) async fn write_turned(&self) {
        let turned =
            std::mem::take(&mut *self.turned.lock().unwrap_or_else(PoisonError::into_inner));
        if turned.is_empty() {
            return;
        }
        let facts = turned.into_iter().map(|it| Fact::new(self.node.as_str(), it)).collect();
        if let Err(error) = self.store.note(&self.node, facts).await {
            tracing::debug!(%error, "what became of a resource is not in the journal");
        }
    }
}

/// Tells of a fault; of a store that is away the heartbeat does.
pub(crate) fn failed(error: &StoreError, what: &str) {
    if matches!(error, StoreError::Away(_)) {
        tracing::debug!(%error, "{what}");
    } else {
        tracing::warn!(%error, "{what}");
    }
}

/// The runs driven here, and how to reach them.
#[derive(Default)]
pub(crate) struct Driven(Mutex<Wheels>);

#[derive(Default)]
struct Wheels {
    all: BTreeMap<RunId, Wheel>,
    /// How many of them hold a seat.
    seated: usize,
}

/// The handle of one driven run.
#[derive(Clone)]
pub(crate) struct Wheel {
    /// Whether it holds a seat: who leads a plan holds none.
    pub(crate) is_seated: bool,
    pub(crate) told: Arc<Told>,
    /// Set when the run was taken from us: everything in progress is dropped.
    pub(crate) lost: CancellationToken,
}

impl Driven {
    fn inside(&self) -> MutexGuard<'_, Wheels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, run: &RunId, wheel: Wheel) {
        let mut wheels = self.inside();
        wheels.seated += usize::from(wheel.is_seated);
        if let Some(before) = wheels.all.insert(run.clone(), wheel) {
            wheels.seated -= usize::from(before.is_seated);
            // It was taken from us, came back, and whoever drove it has not heard of that yet.
            before.lost.cancel();
        }
    }

    /// It is driven no more, unless somebody else here drives it by now.
    pub(crate) fn remove(&self, run: &RunId, told: &Arc<Told>) {
        let mut wheels = self.inside();
        if let Some(wheel) = wheels.all.get(run).filter(|it| Arc::ptr_eq(&it.told, told)) {
            wheels.seated -= usize::from(wheel.is_seated);
            wheels.all.remove(run);
        }
    }

    /// Tells it what is written into its journal, if it is driven here.
    pub(crate) fn tell(&self, run: &RunId, heard: Heard) {
        if let Some(wheel) = self.inside().all.get(run) {
            wheel.told.tell(heard);
        }
    }

    /// How many are driven.
    pub(crate) fn count(&self) -> usize {
        self.inside().all.len()
    }

    /// How many of them hold a seat.
    pub(crate) fn seated(&self) -> usize {
        self.inside().seated
    }

    /// Each with how far it has read its journal.
    pub(crate) fn all(&self) -> Vec<(RunId, u64)> {
        self.inside().all.iter().map(|(run, wheel)| (run.clone(), wheel.told.seen())).collect()
    }

    pub(crate) fn wheel(&self, run: &RunId) -> Option<Wheel> {
        self.inside().all.get(run).cloned()
    }
}

/// Who waits here for a run to end or to ask something.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<HashMap<RunId, Arc<Notify>>>);

impl Waiters {
    /// A bell for that run. It rings for everybody who got it.
    pub(crate) fn bell(&self, run: &RunId) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|_, bell| Arc::strong_count(bell) > 1);
        bells.entry(run.clone()).or_default().clone()
    }

    /// Whether anybody waits.
    pub(crate) fn are_there(&self) -> bool {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.values().any(|bell| Arc::strong_count(bell) > 1)
    }

    /// Rings for everybody who waits for that run.
    pub(crate) fn ring(&self, run: &RunId) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(run) {
            bell.notify_waiters();
        }
    }
}

/// When parked runs are due, as far as this process parked them; others are found by the sweep.
#[derive(Default)]
pub(crate) struct Alarm {
    due: Mutex<BTreeSet<i64>>,
    bell: Notify,
}

impl Alarm {
    /// A run was parked until that time (microseconds since 1970).
    pub(crate) fn set(&self, at: i64) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).insert(at);
        self.bell.notify_one();
    }

    /// Forgets what is due by now, and answers the next time.
    pub(crate) fn next(&self, now: i64) -> Option<i64> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = due.split_off(&(now + 1));
        due.first().copied()
    }

    /// Resolves when an earlier time may have been set.
    pub(crate) async fn changed(&self) {
        self.bell.notified().await;
    }
}
