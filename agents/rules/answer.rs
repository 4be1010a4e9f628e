//! The end that everybody hopes for: an answer that meets its schema.

use callboard_trace::{FailureCode, Finish, Finished, Purpose, Stop, Trouble};
use serde_json::Value;

use crate::{Run, Step, answer};

/// Rule: a model that declines ends the run, with its words.
pub(crate) fn was_declined(run: &Run) -> Option<Step> {
    let reply = &run.reply.as_ref()?.reply;
    if reply.finish != Finish::ContentFilter || !reply.calls.is_empty() {
        return None;
    }
    let said = if reply.text.is_empty() { "the provider blocked the reply" } else { &reply.text };
    let hint = if run.is_human() {
        "word the task differently, or ask somebody else"
    } else {
        "word the task differently, or use another model"
    };
    let trouble = Trouble::of(FailureCode::Refused, crate::words::cut(said, 1_000), hint);
    Some(Step::End(Finished::failed(Stop::Refused, trouble)))
}

/// Whether the last reply ended before its answer did.
pub(super) fn is_cut(run: &Run) -> bool {
    let Some(reply) = run.reply.as_ref().map(|it| &it.reply) else { return false };
    let is_whole = match &run.started.output_schema {
        None => answer::is_whole(&reply.text),
        Some(schema) => run.kept.as_ref().is_some_and(|it| answer::problem(it, schema).is_none()),
    };
    reply.finish == Finish::Length && !is_whole
}

/// Rule: an answer that stands is the end.
pub(crate) fn is_there(run: &Run) -> Option<Step> {
    given(run).map(|it| Step::End(Finished::done(it.clone())))
}

/// The answer of the last reply, if that was one.
pub(crate) fn given(run: &Run) -> Option<&Value> {
    answered(run)?;
    run.kept.as_ref()
}

/// Whether the last reply gave an answer that needs no mending.
pub(crate) fn stands(run: &Run) -> bool {
    let fits = |it| answer::problem(it, run.started.answer_schema()).is_none();
    !is_cut(run) && given(run).is_some_and(fits)
}

/// Whether the last reply was meant as an answer.
pub(super) fn answered(run: &Run) -> Option<()> {
    let replied = run.reply.as_ref()?;
    let meant = matches!(replied.purpose, Purpose::Turn | Purpose::Repair { .. });
    (meant && replied.reply.calls.is_empty()).then_some(())
}
