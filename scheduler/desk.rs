//! What callers ask of the scheduler. Every answer is on disk before it is given.

use std::path::Path;
use std::sync::Arc;

use callboard_config::Team;
use callboard_store::RunRow;
use callboard_trace::{Caller, RunId};

use crate::crew::Reloads;
use crate::house::House;
use crate::refusal::Result;
use crate::{Refusal, RefusalCode};

/// Whose the data folder is: the user of this machine, who sees and stops everybody's runs.
const OWNER: &str = "local";
/// Runs told of those that begin with the same letters.
const BEGIN_MAX: u32 = 2;

/// The desk. Cloning is cheap.
#[derive(Clone)]
pub struct Desk {
    pub(crate) house: Arc<House>,
}

impl Desk {
    pub(crate) fn new(house: Arc<House>) -> Desk {
        Desk { house }
    }

    /// The team that is served, as it was read last.
    pub fn team(&self) -> Arc<Team> {
        self.house.crew.team()
    }

    /// Tells whenever another team takes its place.
    pub fn reloads(&self) -> Reloads {
        self.house.crew.reloads()
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.house.data
    }

    /// A name nobody can guess.
    pub fn nonce(&self) -> String {
        self.house.world.name("s_")
    }

    /// A key of 256 bits, and whether all who are on the store have the same; else it is new.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn key(&self) -> Result<([u8; 32], bool)> {
        let mut key = [0; 32];
        let world = &self.house.world;
        let halves = world.bits().to_le_bytes().into_iter().chain(world.bits().to_le_bytes());
        key.iter_mut().zip(halves).for_each(|(byte, random)| *byte = random);
        let kept = self.house.store.seal(key).await?;
        Ok(kept.map_or((key, false), |it| (it, true)))
    }

    /// Whether this process is about to go.
    pub fn stopping(&self) -> bool {
        self.house.stopping.is_cancelled()
    }

    /// Resolves when this process is about to go.
    pub async fn stopped(&self) {
        self.house.stopping.cancelled().await;
    }

    /// Resolves when something was written since this call, here or by another process. A hint.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        self.house.store.changed()
    }

    /// Whether no run is ready, running or waiting for a time, here or elsewhere. What waits for a
    /// person is at rest.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn is_at_rest(&self) -> Result<bool> {
        self.house.store.is_at_rest().await.map_err(Refusal::from)
    }

    /// The caller's runs whose name begins like this, the first few; those under others too.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn begin_with(&self, letters: &str, caller: &Caller) -> Result<Vec<RunId>> {
        let rows = self.house.store.begin_with(letters, sees(caller), BEGIN_MAX).await?;
        Ok(rows.into_iter().map(|it| it.run).collect())
    }

    /// What the index says of a run, if it is the caller's.
    pub(crate) async fn row(&self, run: &RunId, caller: &Caller) -> Result<RunRow> {
        let row = self.house.store.row(run).await?;
        self.or_dropped(seen_by(caller, run, row, |it| it)).await
    }

    /// Says of a run that is not there that it may have been, if tasks were let go of.
    pub(crate) async fn or_dropped<T>(&self, found: Result<T>) -> Result<T> {
        let Err(mut refusal) = found else { return found };
        let (team, store) = (self.team(), &self.house.store);
        let closed = store.last_closed(&team.workspace).await.ok().flatten();
        if let (Some(days), Some(day)) = (team.retain.records, closed) {
            refusal.hint.push_str(&format!(
                "; runs are kept for {days} days after their end, those of {day} and before are gone"
            ));
        }
        Err(refusal)
    }
}

/// What was found of a run, if the run is the caller's.
pub(crate) fn seen_by<T>(
    caller: &Caller,
    run: &RunId,
    found: Option<T>,
    row: impl Fn(&T) -> &RunRow,
) -> Result<T> {
    found.filter(|it| sees(caller).is_none_or(|only| row(it).principal == only)).ok_or_else(|| {
        Refusal::new(
            RefusalCode::NotFound,
            format!("there is no run `{run}`"),
            "`team_status` without arguments lists your runs",
        )
    })
}

/// Whose runs a caller sees: its own, or with `None` everybody's.
pub(crate) fn sees(caller: &Caller) -> Option<&str> {
    let only = caller.principal.as_str();
    (only != OWNER).then_some(only)
}
