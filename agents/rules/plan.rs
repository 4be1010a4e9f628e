//! The run that leads a plan: it has no model, starts what may begin, and gathers what came of it.

use callboard_config::Mode;
use callboard_trace::{EndState, Summary};

use crate::gathered::{asked_to_finish, gathered};
use crate::plan::{Place, Plan, Standing};
use crate::rules::budget;
use crate::rules::outside::until_too_late;
use crate::step::Declared;
use crate::{Draft, Run, Step, words};

/// Steps under way at once. The seats decide how many are at work; this bounds what one write
/// starts, and what waits in the queue.
const OPEN_MAX: usize = 500;
/// Characters of all results that one step is given, and the least of each.
const INHERITED: usize = 24_000;
const INHERITED_LEAST: usize = 200;

/// Rule: a step whose needs have ended well begins, the most urgent first.
pub(crate) fn starts(run: &Run) -> Option<Step> {
    let plan = run.plan.as_ref().filter(|it| it.counts().open < OPEN_MAX)?;
    if run.control.finish || run.lands() {
        return None;
    }
    let place = plan.first_ready()?;
    let step = &place.step;
    Some(Step::HandOff(Draft {
        reason: format!("plan:{}", step.id),
        plan: Some(Declared {
            step: step.id.clone(),
            priority: step.priority,
            waiters: place.points.waiters,
            share: plan.share(step),
        }),
        ..Draft::plain(step.to.clone(), step.task.clone(), Mode::Delegate, inherited(plan, place))
    }))
}

/// Rule: steps under way are waited for.
pub(crate) fn is_at_it(run: &Run) -> Option<Step> {
    run.plan.as_ref().filter(|it| it.counts().open > 0).map(|_| until_too_late(run))
}

/// Rule: with the last step the plan ends: whole, or with what came of it.
pub(crate) fn is_done(run: &Run) -> Option<Step> {
    let plan = run.plan.as_ref()?;
    if plan.is_cut_off() && run.lands() {
        return Some(Step::End(budget::stopped(run)));
    }
    Some(Step::End(if run.control.finish { asked_to_finish(plan) } else { gathered(plan) }))
}

/// What a step gets of the steps it waited for: of each a part, so that all fit a prompt.
fn inherited(plan: &Plan, place: &Place) -> Summary {
    let after = &place.step.after;
    let each = (INHERITED / after.len().max(1)).max(INHERITED_LEAST);
    let told = INHERITED / each;
    let mut results: Vec<String> =
        plan.needs(&place.step).take(told).map(|it| result_of(it, each)).collect();
    if after.len() > told {
        results.push(format!("and {} more, of which nothing is said here", after.len() - told));
    }
    let names = words::cut(&after.join(", "), INHERITED_LEAST);
    let did = if after.is_empty() { String::new() } else { format!("ended before: {names}") };
    Summary { did, must_know: results.join("\n"), ..Summary::default() }
}

fn result_of(place: &Place, most: usize) -> String {
    let is_part = place.standing == Standing::Ended(EndState::Partial);
    let how = if is_part { " (in part)" } else { "" };
    let run = place.run.as_ref().map_or_else(String::new, |it| format!(", whole: read {it}"));
    let head = words::cut(place.head.as_deref().unwrap_or_default(), most);
    format!("{} by {}{how}{run}: {head}", place.step.id, place.step.to)
}
