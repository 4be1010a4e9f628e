//! Deadlines, turns and fuses: what ends a run that does not end by itself.

use callboard_trace::{FailureCode, Finished, Purpose, Stop, Trouble};

use crate::rules::rejected::reject;
use crate::rules::{asking, budget, growth};
use crate::{Run, Step, answer};

/// Turns in a row in which no call could be used.
const BAD_TURNS_MAX: u32 = 3;
/// Creations refused in a row.
const REFUSED_MAX: u32 = 3;

/// Rule: past its deadline a run ends with what it has.
pub(crate) fn is_too_late(run: &Run) -> Option<Step> {
    (run.now >= run.started.deadline).then(|| {
        let message = "the deadline passed".to_string();
        stopped(run, Stop::Deadline, FailureCode::Deadline, message)
    })
}

/// Rule: of very many calls in one reply the last ones are not taken.
pub(crate) fn calls_are_too_many(run: &Run) -> Option<Step> {
    let reply = run.reply.as_ref()?;
    let limit = run.started.fuses.parallel_calls as usize;
    let call = reply.reply.calls.iter().skip(limit).find(|it| is_open(run, &it.id))?;
    let error = format!("more than {limit} calls in one turn: ask for the rest in the next");
    Some(reject(&call.id, &error))
}

/// Rule: three turns of unusable calls, or three refused creations, end the run.
pub(crate) fn has_blown_a_fuse(run: &Run) -> Option<Step> {
    if run.tally.bad_turns >= BAD_TURNS_MAX && run.calls.is_empty() {
        let message = format!("{BAD_TURNS_MAX} turns in a row with no usable tool call");
        return Some(stopped(run, Stop::Error, FailureCode::BadReply, message));
    }
    None
}

/// Rule: the finalisation turn has no tools, so calls made in it are not taken.
pub(crate) fn is_at_the_last_turn(run: &Run) -> Option<Step> {
    let reply = run.reply.as_ref().filter(|it| it.purpose == Purpose::Finalise)?;
    let call = reply.reply.calls.iter().find(|it| is_open(run, &it.id))?;
    Some(reject(&call.id, "no tools in the last turn"))
}

/// Rule: what the finalisation turn gave is the end.
pub(crate) fn was_finalised(run: &Run) -> Option<Step> {
    let purpose = &run.reply.as_ref()?.purpose;
    let is_last = *purpose == Purpose::Finalise;
    let has_answered = is_last || matches!(purpose, Purpose::Summarise { .. });
    if run.control.finish && has_answered {
        return Some(finished(run));
    }
    if !is_last {
        return None;
    }
    if let Some(blown) = &run.loops.refused
        && run.tally.refused_creations >= REFUSED_MAX
    {
        return Some(growth::stopped(run, REFUSED_MAX, blown));
    }
    if run.turns < run.started.fuses.turns && run.lands() {
        return Some(Step::End(budget::stopped(run)));
    }
    let message = format!("used all {} turns", run.started.fuses.turns);
    Some(stopped(run, Stop::Turns, FailureCode::Fuse, message))
}

/// Rule: at the last turn, at the end of a budget, or when asked to, the model gives what it has.
pub(crate) fn finalisation_is_due(run: &Run) -> Option<Step> {
    let wants_more = run.reply.as_ref().is_none_or(|it| !it.reply.calls.is_empty());
    let used = run.turns >= run.started.fuses.turns && wants_more;
    let refused = run.tally.refused_creations >= REFUSED_MAX && wants_more;
    let asked = run.control.finish && (wants_more || run.kept.is_none());
    let lands = budget::wants_the_last_turn(run);
    (used || refused || asked || lands).then(|| asking::fresh(run, Purpose::Finalise))
}

/// The end that was asked for: whole if the answer meets its schema.
fn finished(run: &Run) -> Step {
    let problem = match &run.kept {
        None => Some("the last turn gave no answer".to_string()),
        Some(answer) => answer::problem(answer, run.started.answer_schema()),
    };
    match (problem, &run.kept) {
        (None, Some(answer)) => Step::End(Finished::done(answer.clone())),
        (problem, _) => {
            let message = format!("asked to finish: {}", problem.unwrap_or_default());
            stopped(run, Stop::Error, FailureCode::BadReply, message)
        }
    }
}

/// An end with what there is: partial if that is something, else failed.
fn stopped(run: &Run, stop: Stop, code: FailureCode, message: String) -> Step {
    let hint = match stop {
        Stop::Turns => "raise `maxTurns` of the agent, or give it a smaller task",
        Stop::Deadline => "`retry` gives it as long again; ask anew with a longer `deadline_s`",
        Stop::Done
        | Stop::Budget
        | Stop::Guardrail
        | Stop::Breaker
        | Stop::Error
        | Stop::Loop
        | Stop::Cancelled
        | Stop::Refused => "look at the trace, then try a stronger model",
    };
    let trouble = Trouble { code, message, retryable: false, hint: hint.into() };
    Step::End(run.stopped(stop, trouble))
}

pub(super) fn is_open(run: &Run, call: &str) -> bool {
    run.calls.iter().any(|it| it.id == call)
}
