//! A run taken again from its record, as a test: would it go the same way today?
//!
//! The same scheduler drives it, on a store of its own; what its steps bring, and what people said
//! meanwhile, comes from the record, one thing at a time and in the same order.

use std::path::Path;
use std::sync::Arc;

use callboard_agents::Recorded;
use callboard_config::{Team, permit};
use callboard_store::{NewRun, StoreError};
use callboard_trace::{Action, Caller, Event, Fact, Record, RunId};
use serde::Serialize;

use crate::conduct::Conductor;
use crate::cue::cues;
use crate::desk::Desk;
use crate::refusal::Result;
use crate::way::{Departure, compare, ended};
use crate::{Node, NodeOptions, Refusal, RefusalCode, begin};

/// What a replay showed.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// The run that was taken again.
    pub run: RunId,
    /// Whether it took the same steps to the same end.
    pub same: bool,
    /// Outcomes of steps that came from the record.
    pub answered: usize,
    /// What differs without changing the way.
    pub notes: Vec<String>,
    /// How it ended.
    pub was: String,
    /// How the replay ended, if it did.
    pub now: Option<String>,
    /// Where the two ways part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
}

impl Desk {
    /// Takes an ended run and all under it again, on a new store in `data`: with the definitions
    /// in its records, or with `today` those of the team that is served. Nothing outside is
    /// reached and nothing here is written.
    ///
    /// # Errors
    /// `not_found`; `conflict` for a run that is not over; `unknown_agent` if today's team has not
    /// its agent; `engine_unavailable`.
    pub async fn replay(
        &self,
        run: &RunId,
        caller: &Caller,
        today: bool,
        data: &Path,
    ) -> Result<Replayed> {
        self.is_whole(&self.row(run, caller).await?)?;
        let records = self.every_record(run, caller).await?;
        let Some(was) = ended(&records, run) else {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{run} is not over, and only a whole way can be taken again"),
                "wait for its end: `callboard status RUN --wait 60`",
            ));
        };
        let is_retry =
            |it: &Event| matches!(it, Event::Controlled(it) if it.action == Action::Retry);
        if records.iter().any(|it| is_retry(&it.event)) {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{run} was retried, and what went on from an end is not taken again"),
                "its way stands in `callboard trace RUN`; replay a run that came to its end at once",
            ));
        }
        let mut team =
            if today { (*self.team()).clone() } else { of_record(&self.team(), &records) };
        // It waits for nothing but its record, and is kept beside it.
        (team.throttle, team.database) = (None, None);
        let top = top(&team, &records, today, self.house.world.now())?;
        // No step of a replay reaches the outside, and no program is started for one.
        let world = self.house.world.clone();
        let options =
            NodeOptions { team, data: data.to_path_buf(), work: true, keeper: None, world };
        let recorded = Arc::new(Recorded::of(&records));
        let node = Node::open(options, Some(recorded.clone())).await.map_err(|it| {
            Refusal::new(RefusalCode::EngineUnavailable, it.to_string(), "name another folder")
        })?;
        let mut conductor = Conductor::new(node.desk().house.clone(), recorded, run);
        let played = conductor.play(top, &cues(&records)).await;
        node.stop().await;
        let now = played?;
        let departure = compare(&records, &now);
        Ok(Replayed {
            run: run.clone(),
            same: departure.is_none(),
            answered: conductor.answered,
            notes: conductor.notes.into_values().collect(),
            was,
            now: ended(&now, run),
            departure,
        })
    }

    /// The records of a run and of all under it.
    async fn every_record(&self, run: &RunId, caller: &Caller) -> Result<Vec<Record>> {
        let (mut records, mut after) = (Vec::new(), 0);
        loop {
            let page = self.page(run, caller, after, u32::MAX).await?;
            records.extend(page.records.into_iter().map(|it| it.1));
            match page.next {
                Some(next) => after = next,
                None => return Ok(records),
            }
        }
    }
}

/// Today's team with the agents, and the bounds, that the records hold.
fn of_record(today: &Team, records: &[Record]) -> Team {
    let mut team = today.clone();
    for record in records {
        let Event::RunStarted(started) = &record.event else { continue };
        let fuses = started.fuses;
        team.agents.insert(started.agent.name.clone(), (*started.agent).clone());
        (team.triggers, team.entry) = (started.triggers, started.entry.clone());
        (team.limits.depth, team.limits.hops) = (fuses.depth, fuses.hops);
        (team.limits.fan_out, team.limits.parallel_calls) = (fuses.fan_out, fuses.parallel_calls);
        (team.limits.attempts, team.limits.rate_limited) = (fuses.attempts, fuses.rate_limited);
    }
    team
}

/// The run as it was handed in, with as much time before it as it had.
fn top(team: &Team, records: &[Record], today: bool, now: i64) -> Result<NewRun> {
    let first = records.iter().find(|it| matches!(it.event, Event::RunStarted(_)));
    let Some((first, Event::RunStarted(started))) = first.map(|it| (it, &it.event)) else {
        return Err(Refusal::from(StoreError::Corrupt("the journal does not begin a run".into())));
    };
    let mut started = (**started).clone();
    if today && started.agent.name.as_str() != begin::PLAN {
        let agent = crate::intake::member(team, &started.agent.name)?;
        started.fuses = begin::fuses(team, agent);
        (started.triggers, started.entry) = (team.triggers, team.entry.clone());
        (started.grant, started.approvals) = (permit::of_root(team), team.approvals.clone());
        started.agent = Arc::new(agent.clone());
    }
    started.parent = None;
    started.deadline = now.saturating_add(started.deadline.saturating_sub(first.at));
    let deadline = started.deadline;
    let mut facts = Vec::new();
    for record in records.iter().filter(|it| it.run == first.run) {
        let mut event = record.event.clone();
        if let Event::TaskAccepted(task) = &mut event {
            task.deadline = deadline;
        } else if let Event::RunStarted(it) = &mut event {
            **it = started.clone();
        } else if !matches!(event, Event::PlanMade { .. } | Event::Routed(_)) {
            break;
        }
        facts.push(Fact::new(record.by.as_str(), event));
    }
    Ok(NewRun {
        run: first.run.clone(),
        root: None,
        parent: None,
        agent: started.agent.name.to_string(),
        workspace: team.workspace.clone(),
        principal: started.principal.clone(),
        key: None,
        fingerprint: String::new(),
        priority: started.priority,
        points: started.points,
        unscored: false,
        deadline,
        facts,
        queue_cap: team.limits.queue,
    })
}
