//! How a run begins: from outside, or handed over by another run.

use std::sync::Arc;

use callboard_agents::{Declared, Draft, Run};
use callboard_config::budget::Caps;
use callboard_config::memory::Memory;
use callboard_config::permit;
use callboard_config::{Agent, Mode, Team};
use callboard_store::NewRun;
use callboard_trace::memory::Recall;
use callboard_trace::rank::FALLBACK;
use callboard_trace::{Event, Fact, Fuses, Handoff, Purse, RunId, Started, Task};
use serde_json::Value;

use crate::same::fingerprint;
use crate::{Ask, World, points, route};

/// The agent that leads a plan; no agent of a team may be called so.
pub(crate) const PLAN: &str = callboard_trace::rank::LEADER;
/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// A root run, as its caller asked for it.
pub(crate) fn root(
    team: &Team,
    agent: &Agent,
    ask: &Ask,
    world: &World,
    given: Option<Handoff>,
) -> NewRun {
    let run = given.as_ref().map_or_else(|| world.run(), |it| it.run.clone());
    let deadline = deadline(team, ask, world);
    let priority = ask.priority.unwrap_or_else(|| agent.class.priority());
    let (trace, parent_span) = trace_of(world, ask.traceparent.as_deref());
    let purses = vec![Purse::task(&run, task_caps(team, ask))];
    let started = Started {
        context: ask.context.clone(),
        handoff: given.map(Box::new),
        priority,
        points: points::of_root(team, ask),
        deadline,
        fuses: fuses(team, agent),
        budget: budget(team, agent, &purses),
        purses,
        grant: permit::of_root(team),
        approvals: team.approvals.clone(),
        principal: ask.caller.principal.clone(),
        trace: trace.clone(),
        triggers: team.triggers,
        entry: team.entry.clone(),
        recall: recall(team, ask),
        output_schema: ask.output_schema.clone(),
        ..Started::new(Arc::new(agent.clone()), &ask.task)
    };
    let by = &ask.caller.principal;
    NewRun {
        run,
        root: None,
        parent: None,
        agent: agent.name.to_string(),
        workspace: team.workspace.clone(),
        principal: by.clone(),
        key: ask.key.clone().filter(|_| !ask.fresh),
        fingerprint: said_by(ask),
        priority,
        points: points::of_root(team, ask),
        unscored: agent.name.as_str() != PLAN && points::may_be_scored(team, ask),
        deadline,
        facts: [
            Event::TaskAccepted(accepted(ask, deadline, (trace, parent_span))),
            Event::RunStarted(Box::new(started)),
        ]
        .map(|it| Fact::new(by, it))
        .to_vec(),
        queue_cap: team.limits.queue,
    }
}

/// What was asked for, as its caller said it.
fn accepted(ask: &Ask, deadline: i64, (trace, parent_span): (String, Option<String>)) -> Task {
    Task {
        text: ask.task.clone(),
        context: ask.context.clone(),
        caller: ask.caller.clone(),
        key: ask.key.clone(),
        priority: ask.priority,
        deadline,
        budget: ask.budget,
        output_schema: ask.output_schema.clone(),
        trace,
        parent_span,
        session: ask.session.clone(),
    }
}

/// What the runs of a root look for: nothing where nothing is remembered.
fn recall(team: &Team, ask: &Ask) -> Option<Recall> {
    let Memory { on, workspace, session } = team.memory;
    let exchanges = session;
    let session = ask.session.clone().filter(|_| exchanges > 0);
    (on && (workspace || session.is_some())).then_some(Recall { session, exchanges, workspace })
}

/// When a root ends that is asked for now, microseconds since 1970.
fn deadline(team: &Team, ask: &Ask, world: &World) -> i64 {
    let seconds = ask.deadline_s.unwrap_or(team.limits.deadline_s);
    let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND);
    world.now().saturating_add(micros)
}

/// The child that a handoff starts, under these names of its own and of the handoff, and the
/// handoff's record.
pub(crate) fn child(
    team: &Team,
    agent: &Arc<Agent>,
    parent: &Run,
    root: &RunId,
    draft: Draft,
    (run, id): (RunId, String),
) -> (NewRun, Handoff) {
    let above = &parent.started;
    let alone = (draft.reason == FALLBACK).then(|| Arc::new(route::alone(agent)));
    let agent = alone.as_ref().unwrap_or(agent);
    let step = draft.plan.clone();
    let grant = permit::passed_on(&above.agent, &above.grant);
    let mut handoff = draft.handoff(parent.name(), run, id);
    handoff.dropped = permit::dropped(agent, &grant);
    handoff.taint = taint(parent, handoff.step.as_deref());
    let (nested, hops) = further(&handoff);
    let step = step.as_ref();
    let (priority, points) = points::of_child(team, agent, above, &handoff.task, step);
    let purses = below(&above.purses, root, step);
    let root_task = if handoff.step.is_some() { &handoff.task } else { &above.root_task };
    let started = Started {
        agent: agent.clone(),
        task: handoff.task.clone(),
        root_task: root_task.clone(),
        context: above.context.clone(),
        parent: Some(parent.id.clone()),
        handoff: Some(Box::new(handoff.clone())),
        depth: above.depth + nested,
        hops: above.hops + hops,
        path: above.path.iter().chain([&agent.name]).cloned().collect(),
        priority,
        points,
        deadline: above.deadline,
        fuses: Fuses { depth: above.fuses.depth, ..fuses(team, agent) },
        budget: budget(team, agent, &purses),
        purses,
        grant,
        approvals: above.approvals.clone(),
        marks: above.marks.iter().cloned().chain([handoff.mark.clone()]).collect(),
        principal: above.principal.clone(),
        trace: above.trace.clone(),
        triggers: team.triggers,
        entry: team.entry.clone(),
        slots: parent.passed_slots(),
        recall: above.recall.clone(),
        output_schema: owed(parent, &handoff),
    };
    let new = NewRun {
        run: handoff.run.clone(),
        root: Some(root.clone()),
        parent: Some(parent.id.clone()),
        agent: agent.name.to_string(),
        workspace: team.workspace.clone(),
        principal: above.principal.clone(),
        key: None,
        fingerprint: String::new(),
        priority,
        points,
        unscored: false,
        deadline: above.deadline,
        facts: vec![Fact::new(parent.name().as_str(), Event::RunStarted(Box::new(started)))],
        queue_cap: team.limits.queue,
    };
    (new, handoff)
}

/// What content of others is in what a run passes on: a step of a plan is given the words of who made
/// the plan and the results it waited for.
fn taint(parent: &Run, step: Option<&str>) -> Option<String> {
    match (&parent.plan, step) {
        (Some(plan), Some(step)) => {
            let of_plan = || parent.started.handoff.as_ref()?.taint.as_ref();
            plan.taint_before(step).or_else(of_plan).cloned()
        }
        _ => parent.tainted.by().map(str::to_owned),
    }
}

/// What makes it the same as another under its key.
fn said_by(ask: &Ask) -> String {
    let schema = ask.output_schema.as_ref().map(ToString::to_string);
    let parts = [ask.to.as_str(), &ask.task, &ask.context].into_iter();
    fingerprint(parts.chain(schema.as_deref()))
}

/// The schema that passes along: who finishes in another's place owes it, who is asked does not.
fn owed(parent: &Run, handoff: &Handoff) -> Option<Value> {
    let finishes = handoff.mode == Mode::Transfer && handoff.step.is_none();
    parent.started.output_schema.clone().filter(|_| finishes)
}

/// What a task may spend with all its runs. Each task of a plan is one that the team's limits
/// speak of.
fn task_caps(team: &Team, ask: &Ask) -> Caps {
    let usual = team.budgets.task.times(ask.tasks.max(1));
    ask.budget.map_or(usual, |it| usual.within(it))
}

/// The budgets above what a run starts: those above it, with the step's own share in the place of
/// what is nobody's.
fn below(above: &[Purse], root: &RunId, step: Option<&Declared>) -> Vec<Purse> {
    let share = step.and_then(|it| Some(Purse::share(root, &it.step, it.share?)));
    let Some(share) = share else { return above.to_vec() };
    let rest = above.iter().filter(|it| !it.is(Purse::POOL)).cloned();
    std::iter::once(share).chain(rest).collect()
}

/// What one run of an agent may spend: its own limits or the team's, and no more than all above it.
/// What is in the pool may become more.
fn budget(team: &Team, agent: &Agent, purses: &[Purse]) -> Caps {
    let own = agent.budget.unwrap_or(team.budgets.run);
    let above = purses.iter().filter(|it| !it.is(Purse::POOL));
    above.fold(own, |budget, it| budget.within(it.caps))
}

/// How much deeper, and how many hops further, a handoff leads. A declared step is neither nested
/// nor passed on: it stands beside the others.
fn further(handoff: &Handoff) -> (u32, u32) {
    match (&handoff.step, handoff.mode) {
        (Some(_), _) => (0, 0),
        (None, Mode::Delegate) => (1, 0),
        (None, Mode::Transfer) => (0, 1),
    }
}

pub(crate) fn fuses(team: &Team, agent: &Agent) -> Fuses {
    Fuses::of(&team.limits, agent.max_turns)
}

/// The caller's W3C trace id and span, or a new trace id.
fn trace_of(world: &World, traceparent: Option<&str>) -> (String, Option<String>) {
    let hex = |it: &&str, length| it.len() == length && it.bytes().all(|it| it.is_ascii_hexdigit());
    let mut parts = traceparent.unwrap_or_default().split('-').skip(1);
    let trace = parts.next().filter(|it| hex(it, 32));
    let span = parts.next().filter(|it| hex(it, 16));
    match trace {
        Some(trace) => (trace.to_lowercase(), span.map(str::to_lowercase)),
        None => (format!("{:032x}", world.bits()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_the_callers_or_a_new_one() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (trace, span) = trace_of(&World::real(), Some(given));
        assert_eq!(trace, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.as_deref(), Some("00f067aa0ba902b7"));
        for nonsense in [None, Some(""), Some("00-xyz-1"), Some("00-4bf92f-00")] {
            let (trace, span) = trace_of(&World::real(), nonsense);
            assert_eq!((trace.len(), span), (32, None));
        }
    }
}
