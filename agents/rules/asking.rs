//! When a model is asked, asked again, or given up.

use callboard_config::Model;
use callboard_trace::{FailureCode, Purpose, Stop, Trouble};

use crate::run::Asking;
use crate::step::Asked;
use crate::{Run, Step, person};

/// An ordinary turn: what is done when no rule has anything to say.
pub(crate) fn a_turn(run: &Run) -> Step {
    fresh(run, Purpose::Turn)
}

/// A new model step; for a person, the question that stands in its place.
pub(crate) fn fresh(run: &Run, purpose: Purpose) -> Step {
    if run.is_human() {
        return person::question(run, &purpose);
    }
    Step::Ask(Asked { step: run.steps + 1, attempt: 1, purpose, model: 0, not_before: None })
}

/// Rule: one model step at a time.
pub(crate) fn is_at_it(run: &Run) -> Option<Step> {
    run.asking.as_ref().filter(|it| it.open).map(|_| Step::Wait(Some(run.started.deadline)))
}

/// Rule: a failed model step is tried again, then on the next model, then given up.
pub(crate) fn failed(run: &Run) -> Option<Step> {
    let asking = run.asking.as_ref()?;
    let is_left = run.lands() && asking.purpose != Purpose::Finalise;
    let failure = asking.failure.as_ref().filter(|_| !is_left)?;
    let fuses = run.started.fuses;
    let attempt = asking.begun + 1;
    let again = |model, not_before| {
        let (step, purpose) = (asking.step, asking.purpose.clone());
        Some(Step::Ask(Asked { step, attempt, purpose, model, not_before }))
    };
    let is_shut = failure.code == FailureCode::BreakerOpen;
    let has_tries =
        !is_shut && asking.attempts < fuses.attempts && asking.rate_limited < fuses.rate_limited;
    if is_cut_off(failure.code) || (failure.retryable && has_tries) {
        return again(asking.model, failure.retry_at.map(|it| it.min(run.started.deadline)));
    }
    match another(&run.started.agent.models, asking.model) {
        Some(model) if failure.code != FailureCode::Unauthorized => again(model, None),
        Some(_) | None => Some(give_up(run, asking)),
    }
}

/// The next model of the chain that was not tried before; a chain may name one twice.
fn another(chain: &[Model], tried: usize) -> Option<usize> {
    let same = |a: &Model, b: &Model| (&a.provider, &a.model) == (&b.provider, &b.model);
    (tried + 1..chain.len()).find(|at| !chain[..*at].iter().any(|it| same(it, &chain[*at])))
}

/// Whether the attempt did not end by itself: its process went, or the run's time was at its end, which
/// another attempt is told before it begins.
fn is_cut_off(code: FailureCode) -> bool {
    [FailureCode::InDoubt, FailureCode::Cancelled, FailureCode::Budget].contains(&code)
}

fn give_up(run: &Run, asking: &Asking) -> Step {
    let failure = asking.failure.as_ref();
    let code = failure.map_or(FailureCode::Internal, |it| it.code);
    let said = failure.map_or("no reply", |it| it.message.as_str());
    let tries = asking.begun;
    let message = if tries > 1 { format!("{said} ({tries} attempts)") } else { said.to_string() };
    let stop = if code == FailureCode::BreakerOpen { Stop::Breaker } else { Stop::Error };
    Step::End(run.stopped(
        stop,
        Trouble {
            code,
            message,
            retryable: failure.is_some_and(|it| it.retryable),
            hint: hint(code).into(),
        },
    ))
}

fn hint(code: FailureCode) -> &'static str {
    match code {
        FailureCode::Unauthorized => "check the provider's `api_key` in team.yaml",
        FailureCode::ModelUnavailable => {
            "check that the endpoint runs and is the right one: `base_url` in team.yaml, or OPENAI_BASE_URL"
        }
        FailureCode::RateLimited => "ask again later, or give the model a `fallback` in team.yaml",
        FailureCode::Timeout => "raise the provider's `timeout_s`, or use a faster model",
        FailureCode::ContextOverflow => {
            "give a shorter task or context, or a model with a larger context"
        }
        FailureCode::BadRequest => {
            "check the model's name and the provider's settings in team.yaml"
        }
        FailureCode::BreakerOpen => {
            "`retry` when its time is over, or give the model a `fallback` in team.yaml"
        }
        FailureCode::BadReply => "the endpoint does not speak the chat completions protocol well",
        FailureCode::ToolFailed
        | FailureCode::ToolUnavailable
        | FailureCode::HandoffFailed
        | FailureCode::Refused
        | FailureCode::CheckBlocked
        | FailureCode::Loop
        | FailureCode::Fuse
        | FailureCode::InDoubt
        | FailureCode::Budget
        | FailureCode::Deadline
        | FailureCode::Cancelled
        | FailureCode::Internal => "call the agent again",
    }
}
