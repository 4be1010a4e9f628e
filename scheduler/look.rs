//! Looking at a run: its view, its records, and waiting for news of it.

use std::time::Duration;

use callboard_store::{RunRow, RunState};
use callboard_trace::{Caller, Record, RunId, RunView, State, Tree};

use crate::desk::{Desk, unavailable};
use crate::{Page, Refusal, begin, clock, journal};

/// Between two looks at a run that another process may be driving.
const LOOK: Duration = Duration::from_millis(250);
/// Most records of one page.
const PAGE_MAX: u32 = 200;

impl Desk {
    /// How a run stands.
    ///
    /// # Errors
    /// `not_found` for an unknown run and for somebody else's alike; `engine_unavailable`.
    pub async fn view(&self, run: &RunId, caller: &Caller) -> Result<RunView, Refusal> {
        let row = self.row(run, caller).await?;
        self.view_of(&row).await
    }

    /// How a run stands once it is over or asks something, or when the time is up, or when this
    /// process is about to go.
    ///
    /// # Errors
    /// As [`Desk::view`].
    pub async fn wait(
        &self,
        run: &RunId,
        caller: &Caller,
        how_long: Duration,
    ) -> Result<RunView, Refusal> {
        let until = tokio::time::Instant::now() + how_long;
        let bell = self.house.waiters.bell(run);
        let mut looked = None;
        loop {
            let rung = bell.notified();
            let row = self.row(run, caller).await?;
            let now = tokio::time::Instant::now();
            if row.state == RunState::Ended || now >= until || self.stopping() {
                return self.view_of(&row).await;
            }
            // A plan waits again after each of its steps: it is not looked at each time.
            if row.state == RunState::Waiting && looked.is_none_or(|it| now >= it + LOOK) {
                looked = Some(now);
                let view = self.view_of(&row).await?;
                if is_news(view.state) {
                    return Ok(view);
                }
            }
            tokio::select! {
                () = rung => (),
                () = self.house.stopping.cancelled() => (),
                () = tokio::time::sleep_until(until.min(now + LOOK)) => (),
            }
        }
    }

    /// A page of a run's whole tree, oldest first; `after` is the place of the last record seen.
    ///
    /// # Errors
    /// As [`Desk::view`].
    pub async fn page(
        &self,
        run: &RunId,
        caller: &Caller,
        after: u64,
        limit: u32,
    ) -> Result<Page, Refusal> {
        let row = self.row(run, caller).await?;
        let limit = limit.clamp(1, PAGE_MAX);
        let mut records = Vec::new();
        let mut after = after;
        loop {
            let read = self.house.store.tree(&row.root, after, limit).await;
            let read = read.map_err(|it| unavailable(&it))?;
            let last = read.len() < limit as usize;
            after = read.last().map_or(after, |it| it.0);
            records.extend(self.below(&row, read).await?);
            if last || records.len() >= limit as usize {
                return Ok(Page { records, next: (!last).then_some(after) });
            }
        }
    }

    /// Of the root's records, those of the run and what is under it.
    async fn below(
        &self,
        row: &RunRow,
        records: Vec<(u64, Record)>,
    ) -> Result<Vec<(u64, Record)>, Refusal> {
        if row.run == row.root {
            return Ok(records);
        }
        let all = journal::tree(&self.house.store, &row.root).await;
        let all = all.map_err(|it| unavailable(&it))?;
        let names = Tree::fold(all.iter().map(|it| &it.1)).names_below(&row.run);
        Ok(records.into_iter().filter(|it| names.contains(&it.1.run)).collect())
    }

    async fn tree_of(&self, row: &RunRow) -> Result<Tree, Refusal> {
        let store = &self.house.store;
        let tree = if row.run == row.root {
            let records = journal::tree(store, &row.root).await;
            records.map(|all| Tree::fold(all.iter().map(|it| &it.1)))
        } else {
            journal::below(store, &row.run).await.map(|all| Tree::fold(&all))
        };
        tree.map_err(|it| unavailable(&it))
    }

    pub(crate) async fn view_of(&self, row: &RunRow) -> Result<RunView, Refusal> {
        if row.agent == begin::PLAN {
            return self.lead_of(row).await;
        }
        let tree = self.tree_of(row).await?;
        let mut view = tree.view(&row.run, clock::now()).ok_or_else(|| {
            let text = format!("the journal of {} does not begin a run", row.run);
            unavailable(&callboard_store::StoreError::Corrupt(text))
        })?;
        if let Some(queue) = &mut view.queue {
            queue.pos = row.position.map(|it| it.saturating_sub(1));
        }
        Ok(view)
    }
}

fn is_news(state: State) -> bool {
    state.is_over() || matches!(state, State::InputRequired | State::Halted)
}
