//! How work comes in: checked, written down, answered, in that order.

use callboard_agents::Run;
use callboard_config::{Agent, AgentName, Team};
use callboard_store::{Listens, NewRun, StoreError};
use callboard_trace::Event;

use crate::begin::PLAN;
use crate::desk::Desk;
use crate::folds::Fold;
use crate::judge::judge;
use crate::refusal::Result;
use crate::route::route;
use crate::{Ask, Refusal, RefusalCode, Submitted, begin};

impl Desk {
    /// Takes a task in. It is on disk when this returns; the same key joins the run it started.
    ///
    /// # Errors
    /// `unknown_agent`, `conflict` (the key was used for something else), `over_capacity`,
    /// `engine_unavailable`. Nothing was started then.
    pub async fn submit(&self, ask: Ask) -> Result<Submitted> {
        self.call(ask, Listens::default()).await
    }

    /// The same for a call that listens: without a key of its own it joins the run that an equal
    /// call waited for and left without its end, unless it is to be a fresh one.
    ///
    /// # Errors
    /// As [`Desk::submit`].
    pub async fn call(&self, ask: Ask, listens: Listens) -> Result<Submitted> {
        let team = self.team();
        let agent = member(&team, &ask.to)?;
        let new = begin::root(&team, agent, &ask, &self.house.world, None);
        let rejoins = listens.rejoins && !ask.fresh;
        self.take_in(new, &[agent.name.as_str()], Listens { rejoins, ..listens }).await
    }

    /// The same for work that nobody is named for: the team's way of routing says who begins, and passes
    /// over who is being drained; `to` counts only for what an equal call is.
    ///
    /// # Errors
    /// As [`Desk::submit`].
    pub async fn call_team(&self, ask: Ask, listens: Listens) -> Result<Submitted> {
        let team = self.team();
        let run = self.house.world.run();
        let judged = judge(&self.house, &team, &ask, &run).await?;
        let listens = Listens { rejoins: listens.rejoins && !ask.fresh, ..listens };
        let mut drained = Vec::new();
        loop {
            let Some(chosen) = route(&team, &ask, &run, judged.as_ref(), &drained) else {
                return self.call(ask, listens).await;
            };
            let new = begin::root(&team, &chosen.agent, &ask, &self.house.world, None);
            let to = chosen.agent.name.clone();
            let taken = self.take_in(chosen.lead(new, run.clone()), &[to.as_str()], listens).await;
            let is_new = taken.is_err() && !drained.contains(&to);
            if !is_new || self.is_drained(&[to.as_str()]).await?.is_none() {
                return taken;
            }
            drained.push(to);
        }
    }

    /// Writes a new root down for these agents, or finds the one it joins.
    pub(crate) async fn take_in(
        &self,
        new: NewRun,
        agents: &[&str],
        listens: Listens,
    ) -> Result<Submitted> {
        let (drained, used) = self.welcome(agents).await?;
        let spent = drained.or_else(|| self.day_is_spent(&used));
        // It may still join a run that is there.
        let queue_cap = if spent.is_some() { 0 } else { new.queue_cap };
        let mut new = NewRun { queue_cap, ..new };
        for fact in &mut new.facts {
            if let Event::RunStarted(started) = &mut fact.event {
                started.agent = self.house.crew.one(started.agent.clone());
            }
        }
        let left = if listens.rejoins { self.house.callers.left() } else { Vec::new() };
        let (folds, plan) = (&self.house.folds, (new.agent == PLAN).then(|| new.run.clone()));
        if let Some(name) = &plan {
            // Nobody else knows it yet, so nobody has it in hand.
            folds.put(name, self.folded(&new));
        }
        let submitted = self.house.store.call(new, listens, left).await;
        if let Some(name) = plan.filter(|_| submitted.as_ref().map_or(true, |it| it.joined)) {
            folds.put(&name, None);
        }
        let submitted = submitted.map_err(|it| match (it, spent) {
            (StoreError::OverCapacity { .. }, Some(spent)) => spent,
            (it, _) => it.into(),
        })?;
        self.house.ready.notify_one();
        Ok(Submitted { run: submitted.run, joined: submitted.joined })
    }

    /// A plan as its journal will have it: it need not be read to begin.
    fn folded(&self, new: &NewRun) -> Option<Fold> {
        let facts = new.facts.iter();
        let mut facts = facts.map(|it| (&it.by, self.house.store.told(it.event.clone())));
        let started = facts.find_map(|it| {
            let Event::RunStarted(started) = it.1 else { return None };
            Some(started)
        });
        let mut run = Box::new(Run::new(new.run.clone(), *started?));
        facts.for_each(|(by, event)| run.apply(by, &event));
        Some((new.facts.len() as u64, run))
    }
}

/// The agent of that name, or the nearest one to it.
pub(crate) fn member<'a>(team: &'a Team, name: &AgentName) -> Result<&'a Agent> {
    team.agents.get(name).ok_or_else(|| {
        let names: Vec<&str> = team.agents.keys().map(AgentName::as_str).collect();
        let near = team.nearest(name.as_str());
        let near = near.map_or_else(String::new, |it| format!("; did you mean \"{it}\"?"));
        Refusal::new(
            RefusalCode::UnknownAgent,
            format!("agent \"{name}\" is not in this team{near}"),
            format!("there are: {}", names.join(", ")),
        )
    })
}
