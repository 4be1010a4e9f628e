//! What a run's priority is made of when it begins.

use callboard_agents::Declared;
use callboard_agents::concepts::{Lexicon, overlap};
use callboard_config::{Agent, Team};
use callboard_trace::Started;
use callboard_trace::rank::{Points, WAITERS_MAX};

use crate::Ask;

/// Points of a task that is about nothing but the team's goal.
const FIT: f64 = 300.0;

/// What a root has beside its base.
pub(crate) fn of_root(team: &Team, ask: &Ask) -> Points {
    let given = ask.priority.is_some();
    Points { given, waiters: 0, fit: if given { 0 } else { fit(team, &ask.task) } }
}

/// Whether a model may find a better base for a root than the rule.
pub(crate) fn may_be_scored(team: &Team, ask: &Ask) -> bool {
    team.small.is_some() && ask.priority.is_none()
}

/// The base of what one run starts, and what that has beside it. Who starts it waits for it, and so
/// does whoever waits for that one; for a step of a plan wait the steps after it.
pub(crate) fn of_child(
    team: &Team,
    agent: &Agent,
    above: &Started,
    task: &str,
    step: Option<&Declared>,
) -> (u16, Points) {
    let own = step.and_then(|it| it.priority);
    let given = own.is_some() || above.points.given;
    let inherited = if given { above.priority } else { above.priority.max(agent.class.priority()) };
    let waiters = step.map_or(above.points.waiters + 1, |it| it.waiters).min(WAITERS_MAX);
    let points = Points {
        given,
        waiters: if team.ranking.unblocking { waiters } else { 0 },
        fit: if given { 0 } else { fit(team, task) },
    };
    (own.unwrap_or(inherited), points)
}

/// 0..300, by what a task has in common with the team's goal.
fn fit(team: &Team, task: &str) -> u16 {
    let Some(goal) = &team.goal else { return 0 };
    let lexicon = Lexicon::new(&team.ranking.synonyms);
    (overlap(&lexicon.of(goal), &lexicon.of(task)) * FIT).round() as u16
}
