//! The law every agent lives by: the first rule that has something to say names the next step.

use crate::rules::{
    answer, asked_back, asking, budget, calls, checks, child, doubt, fallback, handoff, leave,
    limits, listing, loops, memory, noting, outside, owner, plan, planning, repair, trigger,
};
use crate::{Run, Step};

/// One rule: a pure look at the run.
type Rule = fn(&Run) -> Option<Step>;

/// An agent's whole behaviour, in order.
const RULES: &[Rule] = &[
    outside::is_over,
    outside::is_cancelled,
    limits::is_too_late,
    outside::is_paused,
    doubt::was_aborted,
    doubt::was_skipped,
    doubt::was_lost_too_often,
    doubt::cannot_be_repeated,
    outside::question_is_overtaken,
    leave::is_overtaken,
    doubt::waits_for_a_person,
    plan::starts,
    plan::is_at_it,
    plan::is_done,
    child::decides,
    asking::is_at_it,
    budget::has_crossed,
    budget::is_spent,
    checks::input,
    outside::is_redirected,
    listing::is_due,
    memory::is_due,
    budget::a_failed_step_is_left,
    asking::failed,
    handoff::is_refused,
    handoff::is_accepted,
    limits::calls_are_too_many,
    limits::is_at_the_last_turn,
    calls::are_passed_on_no_more,
    budget::calls_are_not_taken,
    calls::cannot_be_read,
    limits::has_blown_a_fuse,
    loops::is_over,
    loops::is_a_repeat,
    checks::calls,
    noting::is_done,
    handoff::is_delegated,
    planning::is_made,
    leave::is_wanted,
    calls::are_performed,
    asked_back::goes_on,
    owner::is_asked,
    child::has_answered,
    checks::results,
    leave::is_waited_for,
    calls::are_at_it,
    child::is_asked,
    handoff::is_transferred,
    checks::last_output,
    limits::was_finalised,
    limits::finalisation_is_due,
    trigger::has_its_summary,
    answer::was_declined,
    repair::is_needed,
    outside::was_told_something,
    checks::output,
    trigger::fires,
    answer::is_there,
];

/// The next step of a run. Asked again and again until it answers [`Step::Wait`] or
/// [`Step::End`]: that is how the tool calls of one turn proceed side by side.
pub fn next(run: &Run) -> Step {
    let step = RULES.iter().find_map(|rule| rule(run)).unwrap_or_else(|| asking::a_turn(run));
    checks::passes(run, fallback::instead(run, step))
}
