//! What this node believes it holds, to be compared with what the database says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callboard_trace::RunId;

/// Runs under a lease here, and claims whose answer is still on its way.
#[derive(Default)]
pub(crate) struct Held(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    runs: BTreeMap<(RunId, i64), Standing>,
    asked: BTreeSet<i64>,
}

/// Whether a run is being worked on or on its way out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ours,
    /// Its last write is under way: what the database says about it now proves nothing.
    Leaving,
}

/// A claim on its way. Dropping it unasks: what the claim brings is given back by a heartbeat.
pub(crate) struct Asking {
    held: Arc<Held>,
    pub(crate) token: i64,
}

/// One run held. Dropping it forgets the run.
pub(crate) struct Hold {
    held: Arc<Held>,
    pub(crate) run: RunId,
    pub(crate) token: i64,
}

impl Held {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ask(self: &Arc<Self>, token: i64) -> Asking {
        self.inside().asked.insert(token);
        Asking { held: self.clone(), token }
    }

    /// The runs that are ours and not on their way out.
    pub(crate) fn ours(&self) -> BTreeSet<(RunId, i64)> {
        let inside = self.inside();
        let ours = inside.runs.iter().filter(|(_, it)| **it == Standing::Ours);
        ours.map(|(key, _)| key.clone()).collect()
    }

    /// Of the rows the database says are ours, those we neither hold nor asked for; and of those
    /// held before the database was asked and still, the runs it does not say.
    pub(crate) fn compare(
        &self,
        before: &BTreeSet<(RunId, i64)>,
        rows: &BTreeSet<(RunId, i64)>,
    ) -> (Vec<(RunId, i64)>, Vec<RunId>) {
        let inside = self.inside();
        let unknown =
            |it: &&(RunId, i64)| !inside.runs.contains_key(it) && !inside.asked.contains(&it.1);
        let stray = rows.iter().filter(unknown).cloned().collect();
        let gone =
            |it: &&(RunId, i64)| !rows.contains(it) && inside.runs.get(it) == Some(&Standing::Ours);
        let lost = before.iter().filter(gone).map(|(run, _)| run.clone()).collect();
        (stray, lost)
    }
}

impl Asking {
    /// The claim was answered with these runs.
    pub(crate) fn hold(self, runs: Vec<RunId>) -> Vec<Hold> {
        let mut inside = self.held.inside();
        let token = self.token;
        inside.runs.extend(runs.iter().map(|run| ((run.clone(), token), Standing::Ours)));
        drop(inside);
        runs.into_iter().map(|run| Hold { held: self.held.clone(), run, token }).collect()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.held.inside().asked.remove(&self.token);
    }
}

impl Hold {
    /// Its last write goes out.
    pub(crate) fn leave(&self) {
        self.stand(Standing::Leaving);
    }

    /// Its last write did not happen.
    pub(crate) fn stay(&self) {
        self.stand(Standing::Ours);
    }

    fn stand(&self, as_what: Standing) {
        if let Some(it) = self.held.inside().runs.get_mut(&(self.run.clone(), self.token)) {
            *it = as_what;
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the hold of {}", self.run)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.inside().runs.remove(&(self.run.clone(), self.token));
    }
}
