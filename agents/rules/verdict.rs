//! The word of a check, and what is done if it speaks against the content.

use callboard_config::guards::{Guard, OnFail};
use callboard_trace::{Event, Purpose};

use crate::{Run, Step};

/// Times that one check sends an answer back.
const RETRIES_MAX: usize = 2;

/// The word of a check, with what is done if there are reasons against it.
pub(super) fn word(
    run: &Run,
    guard: &Guard,
    subject: &str,
    reasons: Vec<String>,
    score: Option<f64>,
) -> Step {
    let verdict = if reasons.is_empty() { "pass" } else { failing(guard, run) };
    said(run, guard, subject, (verdict, reasons, score))
}

/// What a check says of what does not pass. An answer goes back twice, and not after a last turn.
fn failing(guard: &Guard, run: &Run) -> &'static str {
    match guard.on_fail {
        OnFail::Retry => {
            let is_last = run.reply.as_ref().is_some_and(|it| it.purpose == Purpose::Finalise);
            let may_retry = !is_last && !run.control.finish && !run.lands();
            let is_left = run.checks.retries(&guard.name) < RETRIES_MAX;
            if may_retry && is_left { "retry" } else { "block" }
        }
        OnFail::Block => "block",
        OnFail::Stop => "stop",
        OnFail::Redact => "redact",
        OnFail::Flag => "flag",
        OnFail::Ask => "ask",
    }
}

/// The record of a word.
pub(super) fn said(
    run: &Run,
    guard: &Guard,
    subject: &str,
    (verdict, reasons, score): (&str, Vec<String>, Option<f64>),
) -> Step {
    let round = run.checks.retries(&guard.name) + 1;
    Step::Record(Event::Checked {
        check: guard.name.clone(),
        place: guard.on.as_str().to_owned(),
        verdict: verdict.to_owned(),
        reasons,
        round: u32::try_from(round).unwrap_or(u32::MAX),
        subject: subject.to_owned(),
        score,
    })
}
