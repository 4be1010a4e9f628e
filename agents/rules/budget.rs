//! Budgets: what is told of them, the last turn they leave, and the end they bring.

use callboard_trace::{Call, Event, FailureCode, Finished, Purpose, Purse, Stop, Trouble};

use crate::alert::{Alert, LANDING, OWN, SPENT, level, percent, shown};
use crate::rules::rejected::reject;
use crate::rules::{answer, asking, calls};
use crate::toolbox::{self, Kind};
use crate::{Run, Step};

/// Rule: how far the run's own budget is used is told once for each level. What is set aside for
/// steps under way counts when they are done.
pub(crate) fn has_crossed(run: &Run) -> Option<Step> {
    if run.is_busy() {
        return None;
    }
    let shares = run.spent.beside(&run.started.budget);
    shares.into_iter().find_map(|(dimension, used, limit)| {
        let limit = limit?;
        let pct = percent(used, limit);
        let level = level(pct)?;
        let is_it = |it: &Alert| it.node == OWN && it.dimension == dimension && it.level() >= level;
        (!run.alerts.iter().any(is_it)).then(|| {
            let (used, limit) = (shown(dimension, used), shown(dimension, limit));
            let (node, dimension) = (OWN.into(), dimension.into());
            Step::Record(Event::BudgetAlerted { node, dimension, used, limit, pct, needs: None })
        })
    })
}

/// Rule: with nothing left a run ends, unless its answer is there or its work goes to another.
pub(crate) fn is_spent(run: &Run) -> Option<Step> {
    run.alerts.iter().find(|it| it.pct >= SPENT && !is_for_tools(it) && !run.is_human())?;
    let goes_on = run.is_busy() || has_its_answer(run) || is_handing_on(run);
    (!goes_on).then(|| Step::End(stopped(run)))
}

/// Rule: a step that failed is not tried again where only a last turn is left; with an answer there
/// is no need of that one either, nor where the work goes on to another.
pub(crate) fn a_failed_step_is_left(run: &Run) -> Option<Step> {
    let asking = run.asking.as_ref().filter(|it| it.purpose != Purpose::Finalise)?;
    (!asking.open && wants_the_last_turn(run)).then(|| asking::fresh(run, Purpose::Finalise))
}

/// Rule: before the last turn no call is taken but a note, which costs nothing, and a handoff to
/// a run with a budget of its own.
pub(crate) fn calls_are_not_taken(run: &Run) -> Option<Step> {
    let alert = nearest_its_end(run)?;
    let is_left = |it: &&Call| match toolbox::kind(&it.tool) {
        Some(Kind::Note | Kind::Remember | Kind::Forget) => false,
        Some(Kind::HandOff) => !is_its_own(run),
        Some(Kind::Delegate | Kind::Plan | Kind::Refuse | Kind::AskOwner | Kind::Performed)
        | None => !calls::is_begun(run, it),
    };
    let lost = run.tools.iter().find(|it| !it.open).map(|it| &it.call);
    let call = lost.or_else(|| run.calls.iter().find(is_left))?;
    Some(reject(&call.id, &format!("not done: {}", alert.said())))
}

/// Whether the last turn is due for the sake of a budget.
pub(super) fn wants_the_last_turn(run: &Run) -> bool {
    run.lands() && !has_its_answer(run) && !is_handing_on(run)
}

/// Whether the budget at its end is the run's alone: others have their own.
pub(super) fn is_its_own(run: &Run) -> bool {
    run.alerts.iter().all(|it| it.node == OWN || it.pct < LANDING)
}

/// The end that a budget brings, with what there is and what to add.
pub(super) fn stopped(run: &Run) -> Finished {
    let Some(alert) = nearest_its_end(run) else { unreachable!("a budget is at its end") };
    let trouble = Trouble::of(
        FailureCode::Budget,
        format!("the budget is at its end: {}", alert.said()),
        way_out(run, alert),
    );
    run.stopped(Stop::Budget, trouble)
}

/// Whether the last turn takes nothing of it: with the last tool call or document there is one.
fn is_for_tools(alert: &Alert) -> bool {
    ["tool_calls", "documents"].contains(&alert.dimension.as_str())
}

/// Of the budgets at their end the one that is furthest.
fn nearest_its_end(run: &Run) -> Option<&Alert> {
    let at_end = run.alerts.iter().filter(|it| it.pct >= LANDING && !run.is_human());
    at_end.rev().max_by(|a, b| a.pct.total_cmp(&b.pct))
}

/// Whether the last reply is an answer that stands, with nothing said since.
fn has_its_answer(run: &Run) -> bool {
    answer::stands(run) && run.control.messages.is_empty()
}

/// Whether the last reply passes the work on, which costs this run nothing more. Who was asked for
/// a last turn passes nothing on.
fn is_handing_on(run: &Run) -> bool {
    if run.asking.as_ref().is_some_and(|it| it.purpose == Purpose::Finalise) {
        return false;
    }
    let is_summary = |it: &crate::run::Replied| {
        matches!(it.purpose, Purpose::Summarise { .. }) && it.reply.calls.is_empty()
    };
    let is_handoff = |it: &Call| toolbox::kind(&it.tool) == Some(Kind::HandOff);
    let hands_on = run.reply.as_deref().is_some_and(is_summary) || run.calls.iter().any(is_handoff);
    hands_on && is_its_own(run)
}

/// Whether it is the run's own budget, and that is no more than the task's.
fn is_the_tasks(run: &Run, alert: &Alert) -> bool {
    let of = |caps| run.spent.beside(caps).into_iter().find(|it| it.0 == alert.dimension)?.2;
    let task = run.started.purses.iter().find(|it| it.is(Purse::TASK));
    alert.node == OWN
        && task
            .is_some_and(|it| of(&it.caps).is_some_and(|cap| of(&run.started.budget) == Some(cap)))
}

/// What whoever is to raise it has to do, with the amount: as much again, or twice what was used and
/// the next step would have taken.
fn way_out(run: &Run, alert: &Alert) -> String {
    let Alert { node, dimension, used, limit, needs, .. } = alert;
    let whole = |it: f64| (it * 1e6).round() / 1e6;
    let least = (used + needs.unwrap_or_default()) * 2.0;
    // Twice nothing is nothing.
    let total = whole((limit * 2.0).max(least).max(if *limit == 0.0 { 60.0 } else { 0.0 }));
    let more = whole(total - limit);
    // A plan is not retried, and neither are its steps.
    let is_planned = run.started.is_step() || run.plan.is_some();
    let node = if is_planned && is_the_tasks(run, alert) { Purse::TASK } else { node.as_str() };
    match node {
        OWN if is_planned && !run.started.purses.iter().any(|it| it.is(Purse::SHARE)) => format!(
            "add {more} {dimension} to the agent's `budget` in its file, and give the task again"
        ),
        Purse::TASK if is_planned => format!(
            "add {more} {dimension} to the task's budget: give what is missing again, in a new plan"
        ),
        Purse::POOL => format!(
            "add {more} {dimension} to what is nobody's share: give the step a share, or leave more \
             free, in a new plan"
        ),
        OWN if run.started.parent.is_some() && !is_planned => format!(
            "add {more} {dimension} to the run's budget: `set_budget` of {} with {dimension} {total}, \
             then `retry` of its root",
            run.id
        ),
        OWN | Purse::TASK if !is_planned => format!(
            "add {more} {dimension} to the {node}'s budget: `set_budget` with {dimension} {total}, \
             then `retry`"
        ),
        "day" => format!(
            "go on with `retry` after midnight UTC, or add {more} {dimension} to the day's budget \
             in team.yaml"
        ),
        _ => format!(
            "add {more} {dimension} to the {node}'s budget: give the step a larger share in a new plan"
        ),
    }
}
