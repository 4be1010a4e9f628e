//! Looking at a run: its view, its records, and waiting for news of it.

use std::time::Duration;

use callboard_store::RunState;
use callboard_store::look::{Look, Wish};
use callboard_trace::{Caller, Event, Question, Queued, Record, RunId, RunView, State};

use crate::day::used_of_task;
use crate::desk::{Desk, seen_by};
use crate::refusal::Result;
use crate::{Page, begin, journal, purse};

/// Between two looks at a run that another process may be driving.
pub(crate) const LOOK: Duration = Duration::from_millis(250);
/// Microseconds without a record after which a ready run stands still.
const STILL: i64 = 3_000_000;
/// What such a run waits for.
const NOBODY: &str = "a process that works on this data, such as `callboard work`";
/// Most records of one page.
const PAGE_MAX: u32 = 200;

impl Desk {
    /// How a run stands.
    ///
    /// # Errors
    /// `not_found` for an unknown run and for somebody else's alike; `engine_unavailable`.
    pub async fn view(&self, run: &RunId, caller: &Caller) -> Result<RunView> {
        let look = self.look(run, caller).await?;
        let mut view = self.view_of(look).await?;
        self.hide_asked(&mut view.questions, caller);
        Ok(view)
    }

    /// What a guardrail asks has the content in it that it is about: only who may answer is shown it.
    pub(crate) fn hide_asked(&self, questions: &mut [Question], caller: &Caller) {
        for question in questions {
            if question.id.contains(Question::CHECK) && !self.may_answer(question, caller) {
                question.prompt = "a guardrail asks the owner for leave".to_owned();
            }
        }
    }

    /// How a run stands once it is over or asks something, or when the time is up, or when this
    /// process is about to go.
    ///
    /// # Errors
    /// As [`Desk::view`].
    pub async fn wait(&self, run: &RunId, caller: &Caller, how_long: Duration) -> Result<RunView> {
        let until = tokio::time::Instant::now() + how_long;
        let bell = self.house.waiters.bell(run);
        let mut looked = None;
        loop {
            let rung = bell.notified();
            let row = self.row(run, caller).await?;
            let now = tokio::time::Instant::now();
            if row.state == RunState::Ended || now >= until || self.stopping() {
                return self.view(run, caller).await;
            }
            // A plan waits again after each of its steps: it is not looked at each time.
            if row.state == RunState::Waiting && looked.is_none_or(|it| now >= it + LOOK) {
                looked = Some(now);
                let view = self.view(run, caller).await?;
                if is_news(view.state) {
                    return Ok(view);
                }
            }
            tokio::select! {
                biased;
                () = rung => (),
                () = self.house.stopping.cancelled() => (),
                () = tokio::time::sleep_until(until.min(now + LOOK)) => (),
            }
        }
    }

    /// When a run was taken in, and when its last record was written; microseconds since 1970.
    ///
    /// # Errors
    /// As [`Desk::view`].
    pub async fn times(&self, run: &RunId, caller: &Caller) -> Result<(i64, i64)> {
        let row = self.row(run, caller).await?;
        let last = self.house.store.latest(run, 1).await?;
        Ok((row.created, last.first().map_or(row.created, |it| it.at)))
    }

    /// A page of a run's whole tree, oldest first; `after` is the place of the last record seen.
    ///
    /// # Errors
    /// As [`Desk::view`].
    pub async fn page(&self, run: &RunId, caller: &Caller, after: u64, limit: u32) -> Result<Page> {
        let row = self.row(run, caller).await?;
        let limit = limit.clamp(1, PAGE_MAX);
        let records = journal::page(&self.house.store, &row, after, limit).await?;
        let is_last = records.len() < limit as usize;
        let next = records.last().map(|it| it.0).filter(|_| !is_last);
        Ok(Page { records, next })
    }

    /// One record as callers are told it: without what guardrails of its agent may hold back.
    pub fn told(&self, record: &Record) -> Record {
        let team = self.team();
        let agent = record.agent.as_ref().and_then(|it| team.agents.get(it));
        record.withheld(agent.map_or(&[], |it| &it.guards))
    }

    /// Shows every record of a run's whole tree, oldest first, until `take` has seen enough. No
    /// more than a page of them is held at a time.
    ///
    /// # Errors
    /// As [`Desk::view`].
    pub async fn walk(
        &self,
        run: &RunId,
        caller: &Caller,
        take: impl FnMut(&Record) -> bool,
    ) -> Result<()> {
        let row = self.row(run, caller).await?;
        Ok(journal::each(&self.house.store, &row, take).await?)
    }

    /// A run that is the caller's, with what is told beside it.
    pub(crate) async fn look(&self, run: &RunId, caller: &Caller) -> Result<Look> {
        let budget = purse::of_root(run);
        let wish = Wish { bare: begin::PLAN, limit: journal::PAGE, budget };
        let look = self.house.store.look(run, wish).await?;
        self.or_dropped(seen_by(caller, run, look, |it| &it.row)).await
    }

    pub(crate) async fn view_of(&self, look: Look) -> Result<RunView> {
        let (state, busy) = (look.row.state, self.held_up(&look).await?);
        let mut view = self.recorded(look).await?;
        let said = view.queue.as_ref().map(|it| it.waiting_for.clone()).unwrap_or_default();
        let (is_paused, is_cancelled) = (said.starts_with("paused"), said.starts_with("its end"));
        if state == RunState::Ready
            && !is_paused
            && let Some(busy) = busy
        {
            let waiting_for = if is_cancelled { format!("{said}: {busy}") } else { busy };
            view.state = State::Queued;
            let pos = view.queue.and_then(|it| it.pos);
            view.queue = Some(Queued { pos, waiting_for, eta_s: None });
        }
        Ok(view)
    }

    /// What holds a run that is ready up, besides those before it.
    async fn held_up(&self, look: &Look) -> Result<Option<String>> {
        let busy = look.admissions.iter().find_map(|it| {
            let Event::AdmissionChanged { open, reason, .. } = &it.event else { return None };
            (!open).then(|| reason.clone())
        });
        if busy.is_some() {
            return Ok(busy);
        }
        Ok(self.nobody_works(look.touched).await?.then(|| NOBODY.to_owned()))
    }

    /// Whether a run that is ready stands still, and with it every other on this data.
    async fn nobody_works(&self, touched: Option<i64>) -> Result<bool> {
        if touched.is_none_or(|it| self.house.world.now() - it < STILL) {
            return Ok(false);
        }
        Ok(self.house.store.counts().await?.running == 0)
    }

    /// As its records tell it.
    async fn recorded(&self, look: Look) -> Result<RunView> {
        let Look { row, records, spent, .. } = look;
        if row.agent == begin::PLAN {
            return self.lead_of(&row, &spent).await;
        }
        let tree = journal::folded(&self.house.store, &row, records).await?;
        let view = tree.view(&row.run, self.house.world.now());
        let mut view = view.ok_or_else(|| journal::not_begun(&row.run))?;
        let caps = tree.runs.get(&row.run).and_then(|it| it.used.task);
        view.cost.budget_pct = used_of_task(&row, caps, &spent);
        if let Some(queue) = &mut view.queue {
            queue.pos = row.position.map(|it| it.saturating_sub(1));
        }
        Ok(view)
    }
}

fn is_news(state: State) -> bool {
    state.is_over() || matches!(state, State::InputRequired | State::Halted)
}
