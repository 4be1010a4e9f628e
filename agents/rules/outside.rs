//! What callers asked for: cancel, pause, redirect.

use callboard_config::{AgentName, Mode};
use callboard_trace::{EndState, Event, FailureCode, Finished, MadeBy, Stop, Summary, Trouble};
use serde::Deserialize;

use crate::rules::{answer, asking, loops, owner};
use crate::{Draft, Run, Step};

/// Rule: nothing follows the end.
pub(crate) fn is_over(run: &Run) -> Option<Step> {
    run.end.as_ref().map(|_| Step::Wait(None))
}

/// Rule: a cancelled run ends at once and keeps what it has.
pub(crate) fn is_cancelled(run: &Run) -> Option<Step> {
    let (by, reason) = run.control.cancelled.as_ref()?;
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let trouble = Trouble::of(
        FailureCode::Cancelled,
        format!("cancelled by {by}{why}"),
        "what it had is in the trace; call the agent again to start anew",
    );
    let end = run.stopped(Stop::Cancelled, trouble);
    Some(Step::End(Finished { state: EndState::Cancelled, ..end }))
}

/// Rule: a paused run takes no further step.
pub(crate) fn is_paused(run: &Run) -> Option<Step> {
    run.control.paused.as_ref().map(|_| until_too_late(run))
}

/// Every wait ends: a run that nobody lets go on ends at its deadline.
pub(super) fn until_too_late(run: &Run) -> Step {
    Step::Wait(Some(run.started.deadline))
}

/// Rule: an answer that was given before a message was heard is not the end yet.
pub(crate) fn was_told_something(run: &Run) -> Option<Step> {
    answer::given(run)?;
    (!run.control.messages.is_empty()).then(|| asking::a_turn(run))
}

/// Rule: a question that stands in the place of a model step is withdrawn when the task is passed
/// on, and put again when its person was told something more; one that an agent put to the owner,
/// when the task is passed on or is to be finished.
pub(crate) fn question_is_overtaken(run: &Run) -> Option<Step> {
    let is_own = |it: &&String| owner::is_own(it);
    let question = run.questions.first().filter(|it| run.is_human() || is_own(it))?.clone();
    let control = &run.control;
    let hears = if run.is_human() { !control.messages.is_empty() } else { control.finish };
    let is_overtaken = control.redirect.is_some() || hears;
    is_overtaken.then_some(Step::Record(Event::QuestionClosed { question, answer: None }))
}

/// What a redirect from outside carries.
#[derive(Deserialize)]
struct Redirect {
    id: String,
    to: AgentName,
    task: String,
    summary: Summary,
}

/// Rule: a redirect from outside is a handoff like any other, at the next step boundary.
pub(crate) fn is_redirected(run: &Run) -> Option<Step> {
    let asked = run.control.redirect.clone().filter(|_| !run.is_busy())?;
    let redirect: Redirect = serde_json::from_value(asked).ok()?;
    Some(Step::HandOff(Draft {
        id: Some(redirect.id),
        artifacts: run.artifacts.clone(),
        reason: "outside: redirected by the caller".into(),
        made_by: MadeBy::Outside,
        mark: loops::mark(run),
        ..Draft::plain(redirect.to, redirect.task, Mode::Transfer, redirect.summary)
    }))
}
