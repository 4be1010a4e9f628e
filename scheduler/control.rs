//! Acting on a run: cancel, pause, resume, finish, tell, priority, budget, retry.

use std::time::Duration;

use callboard_store::{List, RunRow, RunState};
use callboard_trace::{Action, Caller, Control, Event, Fact, RunId, RunView};

use serde_json::json;

use crate::desk::Desk;
use crate::look::LOOK;
use crate::refusal::Result;
use crate::retry::may_go_on;
use crate::{Refusal, RefusalCode};

/// Tasks that are told in one write, where all are.
const IN_ONE_WRITE: u32 = 256;
/// How long a cancel waits to see the run end.
const CANCEL: Duration = Duration::from_millis(1_500);

impl Desk {
    /// Acts on an open run and everything under it, or has an ended one go on, and says how it
    /// stands then.
    ///
    /// # Errors
    /// `not_found`; `conflict` if the action does not fit how the run stands; `invalid_input` for
    /// an operand off its range; `engine_unavailable`.
    pub async fn control(&self, run: &RunId, control: Control, caller: &Caller) -> Result<RunView> {
        let row = self.row(run, caller).await?;
        let action = control.action;
        match (action, row.state) {
            (Action::Retry, RunState::Ended) => {
                self.retry(&row, control, caller).await?;
                self.house.ready.notify_one();
                return self.view(run, caller).await;
            }
            (Action::SetBudget, _) => {
                if row.state == RunState::Ended && row.run == row.root {
                    may_go_on(&row, "")?;
                }
                self.set_budget(&row, control, caller).await?;
                self.house.ready.notify_one();
                return self.view(run, caller).await;
            }
            (_, RunState::Ended) => {
                let outcome = row.outcome.as_deref().unwrap_or("over");
                return Err(Refusal::new(
                    RefusalCode::Conflict,
                    format!("{run} is {outcome} and cannot be changed"),
                    match may_go_on(&row, "") {
                        Ok(()) => "`retry` has it go on; call the agent again to start anew",
                        Err(_) => "call the agent again to start anew",
                    },
                ));
            }
            (_, RunState::Ready | RunState::Running | RunState::Waiting) => {}
        }
        let priority = priority_of(&control)?;
        let fact = Fact::new(caller.principal.as_str(), Event::Controlled(control));
        let store = &self.house.store;
        let bell = self.house.waiters.bell(run);
        let ended = bell.notified();
        let done = match priority {
            Some(priority) => store.prioritise(run, priority, fact).await,
            None => {
                let is_urgent = action == Action::Cancel;
                store.signal_trees(vec![run.clone()], fact, is_urgent).await.map(|it| it > 0)
            }
        };
        if !done? {
            let message = format!("{run} ended just now");
            let hint = "look at it: there is nothing left to change";
            return Err(Refusal::new(RefusalCode::Conflict, message, hint));
        }
        self.house.ready.notify_one();
        if action != Action::Cancel {
            return self.view(run, caller).await;
        }
        // Where it is driven here its end rings; a look before that would only show it open.
        let _ = tokio::time::timeout(LOOK, ended).await;
        let look = self.look(run, caller).await?;
        match look.row.state {
            RunState::Ended => self.view_of(look).await,
            RunState::Ready | RunState::Running | RunState::Waiting => {
                self.wait(run, caller, CANCEL).await
            }
        }
    }

    /// Acts on all open tasks that the caller itself started, with everything under them, and says how
    /// many there were.
    ///
    /// # Errors
    /// `invalid_input` for what is asked of one run only; `engine_unavailable`: some may have been
    /// reached.
    pub async fn control_all(&self, control: Control, caller: &Caller) -> Result<usize> {
        let action = control.action;
        if !matches!(action, Action::Cancel | Action::Pause | Action::Resume | Action::FinishNow) {
            let message = "all can be told to cancel, pause, resume or finish_now".to_owned();
            let hint = "name one run for anything else";
            return Err(Refusal::new(RefusalCode::InvalidInput, message, hint));
        }
        let store = &self.house.store;
        let fact = Fact::new(caller.principal.as_str(), Event::Controlled(control));
        let mut open = List { open: Some(true), limit: IN_ONE_WRITE, ..List::default() };
        let mut n_reached = 0;
        loop {
            let rows = store.list(open.clone()).await?;
            let Some(last) = rows.last() else { break };
            open.before = Some(last.pos);
            let own = rows.into_iter().filter(|it| it.principal == caller.principal);
            let runs: Vec<RunId> = own.map(|it| it.run).collect();
            if !runs.is_empty() {
                let is_urgent = action == Action::Cancel;
                n_reached += store.signal_trees(runs, fact.clone(), is_urgent).await?;
            }
        }
        self.house.ready.notify_one();
        Ok(n_reached)
    }

    /// Writes new limits down: of a root those of its task with all its runs and its own, else
    /// those of the run. One that has ended finds them when it is retried.
    async fn set_budget(&self, row: &RunRow, control: Control, caller: &Caller) -> Result<()> {
        let fact = |value| {
            let control = Control { value, ..control.clone() };
            Fact::new(caller.principal.as_str(), Event::Controlled(control))
        };
        let all = (row.run == row.root).then(|| {
            let mut value = control.value.clone();
            value["node"] = json!("task");
            fact(value)
        });
        let own = fact(control.value.clone());
        let store = &self.house.store;
        store.amend(&row.run, all, own).await.map_err(Refusal::from)
    }
}

/// The operand of `set_priority`; other actions have none. What is not offered is refused.
fn priority_of(control: &Control) -> Result<Option<u16>> {
    let wrong =
        |message: String, hint: &str| Err(Refusal::new(RefusalCode::InvalidInput, message, hint));
    match control.action {
        Action::SetPriority => {
            let value = control.value.as_u64().and_then(|it| u16::try_from(it).ok());
            match value.filter(|it| *it <= 1_000) {
                Some(value) => Ok(Some(value)),
                None => wrong(
                    format!(
                        "`value` is {}, a priority is a whole number from 0 to 1000",
                        control.value
                    ),
                    "100 is normal, 900 is critical",
                ),
            }
        }
        Action::Cancel
        | Action::Pause
        | Action::Resume
        | Action::FinishNow
        | Action::Message
        | Action::SetBudget => Ok(None),
        Action::Retry => {
            let message = "the run is open and cannot be retried".to_string();
            let hint = "wait for its end, or cancel it first";
            Err(Refusal::new(RefusalCode::Conflict, message, hint))
        }
        Action::Drain => wrong(
            "`drain` is for an agent, not for a run".to_string(),
            "name it as `agent` instead of `run`",
        ),
        Action::Redirect => wrong(
            "`redirect` is not offered here".to_string(),
            "`team_handoff` with this run passes it to another agent",
        ),
    }
}
