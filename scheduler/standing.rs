//! Agents as a team's own resources: paused, drained, and how well they did lately.

use callboard_config::{Agent, AgentName};
use callboard_store::gates::{Amounts, Standing};
use callboard_store::{Busy, Recent};
use callboard_trace::{Action, Caller, Control, Event, Fact};
use serde_json::json;

use crate::desk::{Desk, sees};
use crate::gates::{of_agent, of_endpoint};
use crate::intake::member;
use crate::refusal::Result;
use crate::report::nearest;
use crate::{AgentLine, Refusal, RefusalCode, purse};

/// Where what was done to agents is written down.
const STREAM: &str = "agents";
/// The newest runs out of which an agent's health is told.
const NEWEST: u32 = 1_000;
/// Ended runs of one agent that count.
const COUNTED: usize = 20;
/// With fewer ended runs nothing is said of how well an agent does.
const ENOUGH: usize = 5;

impl Desk {
    /// Has an agent's steps wait, go on, or only those of its open runs: over all processes on this
    /// store. Shows the agent as it is then.
    ///
    /// # Errors
    /// `unknown_agent`; `not_allowed` for callers other than the data folder's owner;
    /// `invalid_input` for an action that is for runs; `engine_unavailable`.
    pub async fn control_agent(
        &self,
        name: &AgentName,
        control: Control,
        caller: &Caller,
    ) -> Result<AgentLine> {
        let team = self.team();
        let agent = member(&team, name)?;
        if sees(caller).is_some() {
            let message =
                format!("{} may not act on agents, which others use too", caller.principal);
            let hint = "pause or cancel your own runs, or ask who runs this server";
            return Err(Refusal::new(RefusalCode::NotAllowed, message, hint));
        }
        let standing = standing(control.action)?;
        let control = Control { value: json!({ "agent": name }), ..control };
        let fact = Fact::new(caller.principal.as_str(), Event::Controlled(control));
        let store = &self.house.store;
        store.stand(&of_agent(name.as_str()), standing, STREAM, fact).await?;
        self.house.ready.notify_one();
        let lines = self.agent_lines([agent].into_iter(), false).await?;
        Ok(lines.into_iter().next().ok_or(callboard_store::StoreError::Closed)?)
    }

    /// The refusal of new work for agents that are being drained.
    pub(crate) async fn is_drained(&self, names: &[&str]) -> Result<Option<Refusal>> {
        self.welcome(names).await.map(|it| it.0)
    }

    /// The same, and what is spent of the workspace's day, if that has a limit.
    pub(crate) async fn welcome(&self, names: &[&str]) -> Result<(Option<Refusal>, Amounts)> {
        let team = self.team();
        let day = (!team.budgets.day.is_unlimited())
            .then(|| purse::day(&team.workspace, self.house.world.now()));
        let rows = names.iter().map(|it| of_agent(it)).collect();
        let told = self.house.store.welcome(rows, day).await?;
        let drained = names.iter().zip(told.0).filter(|it| it.1.standing == Standing::Draining);
        Ok((drained_are(&drained.map(|it| *it.0).collect::<Vec<_>>()), told.1))
    }

    /// How agents stand; with `all`, also what went wrong last with each.
    pub(crate) async fn agent_lines(
        &self,
        agents: impl Iterator<Item = &Agent>,
        all: bool,
    ) -> Result<Vec<AgentLine>> {
        let (store, agents) = (&self.house.store, agents.collect::<Vec<_>>());
        let busy = store.busy().await?;
        let recent = store.recent(NEWEST).await?;
        let rows = agents.iter().flat_map(|it| {
            let model = it.models.first().map(|it| of_endpoint(&it.provider, &it.model));
            [of_agent(it.name.as_str()), model.unwrap_or_default()]
        });
        let stand = store.standings(rows.collect()).await?;
        let mut lines = Vec::with_capacity(agents.len());
        for (agent, stands) in agents.iter().zip(stand.chunks(2)) {
            let own: Vec<&Recent> = of(&recent, agent.name.as_str()).take(COUNTED).collect();
            let found = busy.iter().find(|it| it.agent == agent.name.as_str());
            let mut line = line(agent, found, &own);
            match stands {
                [own, _] if own.standing == Standing::Paused => line.state = "paused",
                [own, _] if own.standing == Standing::Draining => line.state = "draining",
                [own, model] if own.left_alone.max(model.left_alone) > 0 => {
                    let what = match agent.models.first() {
                        Some(it) if model.left_alone >= own.left_alone => {
                            format!("its model {}/{}", it.provider, it.model)
                        }
                        Some(_) | None => "it".into(),
                    };
                    let seconds = own.left_alone.max(model.left_alone) / 1_000_000 + 1;
                    line.state = "open";
                    line.left_alone = Some(format!("{what}, for {seconds} s more"));
                }
                _ => (),
            }
            if all {
                line.last_error = self.last_error(&own).await?;
            }
            lines.push(line);
        }
        Ok(lines)
    }

    /// What the newest of these runs that did not do all it was to says of it.
    async fn last_error(&self, recent: &[&Recent]) -> Result<Option<String>> {
        let Some(failed) = recent.iter().find(|it| !it.is_completed) else { return Ok(None) };
        let last = self.house.store.latest(&failed.run, 1).await?;
        Ok(last.first().and_then(|it| {
            let Event::RunEnded(end) = &it.event else { return None };
            end.error.as_ref().map(|it| it.message.clone())
        }))
    }
}

/// The refusal of new work for these, which are being drained.
fn drained_are(names: &[&str]) -> Option<Refusal> {
    let (first, told) = (names.first()?, names.join(", "));
    Some(Refusal::new(
        RefusalCode::OverCapacity,
        format!("no new work is taken: {told} is being drained"),
        format!("ask another agent, or have it go on: `team_control` `resume` for agent {first}"),
    ))
}

fn standing(action: Action) -> Result<Standing> {
    match action {
        Action::Pause => Ok(Standing::Paused),
        Action::Resume => Ok(Standing::Open),
        Action::Drain => Ok(Standing::Draining),
        Action::Cancel
        | Action::FinishNow
        | Action::Retry
        | Action::SetPriority
        | Action::SetBudget
        | Action::Message
        | Action::Redirect => Err(Refusal::new(
            RefusalCode::InvalidInput,
            "an agent can be paused, resumed and drained, nothing else",
            "name a `run` to act on what an agent is doing",
        )),
    }
}

fn of<'a>(recent: &'a [Recent], agent: &str) -> impl Iterator<Item = &'a Recent> {
    recent.iter().filter(move |it| it.agent == agent)
}

/// What is counted of an agent.
fn line(agent: &Agent, busy: Option<&Busy>, recent: &[&Recent]) -> AgentLine {
    let (active, queued) = busy.map_or((0, 0), |it| (it.running, it.ready));
    let mut took: Vec<f64> = recent.iter().map(|it| it.took as f64 / 1e6).collect();
    took.sort_by(f64::total_cmp);
    let good = recent.iter().filter(|it| it.is_completed).count() as f64;
    let is_known = recent.len() >= ENOUGH;
    let success_rate = is_known.then(|| (good * 100.0 / recent.len() as f64).round() / 100.0);
    let state = match success_rate {
        Some(rate) if rate < 0.5 => "degraded",
        _ if active > 0 => "busy",
        _ => "idle",
    };
    AgentLine {
        name: agent.name.clone(),
        state,
        active,
        queued,
        success_rate,
        p95_s: is_known.then(|| (nearest(&took, 95) * 1_000.0).round() / 1_000.0),
        left_alone: None,
        last_error: None,
    }
}
