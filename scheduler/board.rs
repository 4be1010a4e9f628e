//! The team at a glance.

use callboard_config::AgentName;
use callboard_store::{List, RunRow, RunState};
use callboard_trace::{Caller, Event, State};

use crate::desk::{Desk, sees};
use crate::refusal::Result;
use crate::{Board, QueueLine, RunLine};

/// Recent runs on the board.
const RECENT: u32 = 20;
/// Unread runs on the board.
const UNREAD: usize = 20;

impl Desk {
    /// What ended unread, agents, queue and the caller's recent runs.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn board(&self, caller: &Caller) -> Result<Board> {
        self.board_with(caller, false).await
    }

    /// The same, with what went wrong last with each agent.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn board_of_agents(&self, caller: &Caller) -> Result<Board> {
        self.board_with(caller, true).await
    }

    async fn board_with(&self, caller: &Caller, all: bool) -> Result<Board> {
        let store = &self.house.store;
        let counts = store.counts().await?;
        let principal = sees(caller).map(str::to_owned);
        let recent = List { principal, limit: RECENT, ..List::default() };
        let recent = store.list(recent).await?;
        let now = self.house.world.now();
        let unread = self.unread(caller, UNREAD).await?.0;
        let mut left = Vec::with_capacity(unread.len());
        for row in &unread {
            left.push(self.line(row, caller, now).await?);
        }
        let mut runs = Vec::with_capacity(recent.len());
        for row in &recent {
            runs.push(self.line(row, caller, now).await?);
        }
        let team = self.team();
        Ok(Board {
            unread: left,
            team: team.name.clone(),
            agents: self.agent_lines(team.agents.values(), all).await?,
            queue: QueueLine {
                depth: counts.ready,
                in_line: counts.in_line,
                seats_taken: counts.seated,
                seats: team.limits.concurrent,
                oldest_s: counts.oldest_ready.map_or(0.0, |it| seconds(now - it)),
            },
            budget: self.today().await?,
            runs,
            problems: team.problems.iter().map(ToString::to_string).collect(),
        })
    }

    async fn line(&self, row: &RunRow, caller: &Caller, now: i64) -> Result<RunLine> {
        let first = self.house.store.journal(&row.run, 0, 1).await?;
        let task = first.first().and_then(|it| {
            let Event::TaskAccepted(task) = &it.event else { return None };
            Some(task.text.chars().take(80).collect())
        });
        Ok(RunLine {
            run: row.run.clone(),
            agent: AgentName::parse(&row.agent).unwrap_or_else(|| self.team().entry.clone()),
            state: self.state(row, caller).await?,
            task: task.unwrap_or_default(),
            caller: (row.principal != caller.principal).then(|| row.principal.clone()),
            age_s: seconds(now - row.created),
        })
    }

    /// The state of a root, from the index where that is enough.
    async fn state(&self, row: &RunRow, caller: &Caller) -> Result<State> {
        Ok(match (row.state, row.outcome.as_deref()) {
            (RunState::Ended, Some("completed")) => State::Completed,
            (RunState::Ended, Some("partial")) => State::Partial,
            (RunState::Ended, Some("cancelled")) => State::Cancelled,
            (RunState::Ended, _) => State::Failed,
            (RunState::Ready | RunState::Running | RunState::Waiting, _) => {
                self.view(&row.run, caller).await?.state
            }
        })
    }
}

fn seconds(micros: i64) -> f64 {
    f64::from(u32::try_from(micros.max(0) / 1_000).unwrap_or(u32::MAX)) / 1_000.0
}
