//! What is new for a caller, told cheaply: marks that grow with the journal, and recent names.

use std::time::Duration;

use callboard_store::List;
use callboard_trace::{Caller, Event, RunId};

use crate::desk::{Desk, sees};
use crate::refusal::Result;
use crate::same::fingerprint;

/// Runs looked through for those whose name begins like something.
const LOOKED_THROUGH: u32 = 1_000;

impl Desk {
    /// A mark that grows with every record of a run's tree, and at most how long ago that was.
    ///
    /// # Errors
    /// `not_found` for an unknown run and for somebody else's alike; `engine_unavailable`.
    pub async fn newest_under(&self, run: &RunId, caller: &Caller) -> Result<(u64, Duration)> {
        let row = self.row(run, caller).await?;
        let (mark, at) = self.house.store.newest_under(&row).await?;
        Ok((mark, self.ago(at)))
    }

    /// A mark that grows with every record of anybody and how long ago that was, and whether one of
    /// the caller's runs has a record behind the mark `after`.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn newest_of(&self, caller: &Caller, after: u64) -> Result<(u64, Duration, bool)> {
        let (mark, at, touched) = self.house.store.newest_of(sees(caller), after).await?;
        Ok((mark, self.ago(at), touched))
    }

    /// The caller's tasks whose name begins like this, newest first, and whether there may be older
    /// ones.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn recent(&self, letters: &str, caller: &Caller) -> Result<(Vec<RunId>, bool)> {
        let principal = sees(caller).map(str::to_owned);
        let list = List { principal, limit: LOOKED_THROUGH, ..List::default() };
        let rows = self.house.store.list(list).await?;
        let is_full = rows.len() >= LOOKED_THROUGH as usize;
        let names = rows.into_iter().map(|it| it.run);
        Ok((names.filter(|it| it.as_str().starts_with(letters)).collect(), is_full))
    }

    /// The W3C trace context of a run: its root's trace, and a span made of the run's own name.
    ///
    /// # Errors
    /// `not_found` for an unknown run and for somebody else's alike; `engine_unavailable`.
    pub async fn traceparent(&self, run: &RunId, caller: &Caller) -> Result<Option<String>> {
        let row = self.row(run, caller).await?;
        let first = self.house.store.journal(&row.root, 0, 1).await?;
        let trace = first.first().and_then(|it| {
            let Event::TaskAccepted(task) = &it.event else { return None };
            Some(&task.trace)
        });
        Ok(trace.map(|it| format!("00-{it}-{}-01", &fingerprint([run.as_str()])[..16])))
    }

    /// Clocks of two processes differ, and no age is below nothing.
    fn ago(&self, at: i64) -> Duration {
        let micros = self.house.world.now().saturating_sub(at);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}
