//! A check that a model makes: asked, heard, and where it cannot be, taken for a no.

use callboard_config::guards::{Guard, Kind};
use callboard_trace::{Failure, FailureCode, Purpose};
use serde::Deserialize;
use serde_json::Value;

use crate::checks::Judging;
use crate::rules::verdict::{said, word};
use crate::step::Asked;
use crate::{Run, Step};

/// Processes that one question may bring down.
const LOST_MAX: u32 = 3;

/// What a judge says.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    pass: Option<bool>,
    #[serde(default)]
    reasons: Vec<String>,
}

/// The next thing to be done for a judge's word; none while it is waited for.
pub(super) fn step(
    run: &Run,
    guard: &Guard,
    subject: &str,
    content: &dyn Fn() -> Value,
) -> Option<Step> {
    let Some(judging) = run.checks.judging(&guard.name, subject) else {
        return Some(if run.lands() {
            let why = "the budget leaves nothing for its judge".to_owned();
            said(run, guard, subject, ("block", vec![why], None))
        } else {
            ask(run, guard, subject, content(), None)
        });
    };
    if judging.open {
        return None;
    }
    match (&judging.text, &judging.failure) {
        (Some(text), _) => Some(heard(run, guard, subject, text)),
        (None, Some(failure)) => Some(again(run, guard, judging, failure, content)),
        (None, None) => None,
    }
}

fn ask(
    run: &Run,
    guard: &Guard,
    subject: &str,
    content: Value,
    again: Option<(&Judging, usize, Option<i64>)>,
) -> Step {
    let (check, place) = (guard.name.clone(), guard.on.as_str().to_owned());
    let purpose = Purpose::Judge { check, place, subject: subject.to_owned(), content };
    let (step, attempt, model, not_before) = match again {
        None => (run.steps + 1, 1, 0, None),
        Some((judging, model, not_before)) => (judging.step, judging.begun + 1, model, not_before),
    };
    Step::Ask(Asked { step, attempt, purpose, model, not_before })
}

/// After a failure: once more, then the next model, then it is taken for a no.
fn again(
    run: &Run,
    guard: &Guard,
    judging: &Judging,
    failure: &Failure,
    content: &dyn Fn() -> Value,
) -> Step {
    let Kind::Judge { models, .. } = &guard.kind else { unreachable!("a judge is asked") };
    let is_cut_off = [FailureCode::InDoubt, FailureCode::Cancelled].contains(&failure.code);
    let has_tries = failure.retryable && judging.attempts < run.started.fuses.attempts;
    if judging.lost < LOST_MAX && (is_cut_off || has_tries) {
        let at = failure.retry_at.map(|it| it.min(run.started.deadline));
        return ask(run, guard, &judging.subject, content(), Some((judging, judging.model, at)));
    }
    let next = judging.model + 1;
    if judging.lost < LOST_MAX && next < models.len() {
        return ask(run, guard, &judging.subject, content(), Some((judging, next, None)));
    }
    let why = format!("its judge was not heard: {}", failure.message);
    said(run, guard, &judging.subject, ("block", vec![why], None))
}

fn heard(run: &Run, guard: &Guard, subject: &str, text: &str) -> Step {
    let Kind::Judge { pass: least, .. } = &guard.kind else { unreachable!("a judge was heard") };
    let from = text.find('{').map(|at| &text[at..]);
    let read: Option<Said> =
        from.and_then(|it| serde_json::Deserializer::from_str(it).into_iter::<Said>().next()?.ok());
    let is_read = |it: &Said| match it.score {
        Some(score) => (0.0..=1.0).contains(&score),
        None => it.pass.is_some(),
    };
    let Some(read) = read.filter(is_read) else {
        let why = "its judge gave no verdict that can be read".to_owned();
        return said(run, guard, subject, ("block", vec![why], None));
    };
    let is_enough = read.score.is_none_or(|it| it >= *least);
    if is_enough && read.pass != Some(false) {
        return said(run, guard, subject, ("pass", Vec::new(), read.score));
    }
    let mut reasons: Vec<String> =
        read.reasons.iter().take(10).map(|it| crate::words::cut(it, 500)).collect();
    if reasons.is_empty() {
        let score = read.score.map_or("no".to_owned(), |it| it.to_string());
        reasons.push(format!("its judge gave {score}, and {least} passes"));
    }
    word(run, guard, subject, reasons, read.score)
}
