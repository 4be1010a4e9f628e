//! The end that everybody hopes for: an answer that meets its schema.

use callboard_trace::{EndState, FailureCode, Finish, Finished, Purpose, Stop, Trouble};
use serde_json::Value;

use crate::rules::asking;
use crate::{Run, Step, answer};

/// Extra model steps to mend an answer.
const REPAIRS_MAX: u32 = 2;

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
    Some(Step::End(Finished {
        state: EndState::Failed,
        stop: Stop::Refused,
        answer: None,
        missing: Vec::new(),
        recommendations: Vec::new(),
        error: Some(Trouble {
            code: FailureCode::Refused,
            message: crate::words::cut(said, 1_000),
            retryable: false,
            hint: hint.into(),
        }),
    }))
}

/// Rule: an answer off its schema is sent back, twice; then it is kept for what it is. A person
/// is asked again as often as it takes.
pub(crate) fn needs_repair(run: &Run) -> Option<Step> {
    answered(run)?;
    let reply = &run.reply.as_ref()?.reply;
    let is_cut = reply.finish == Finish::Length && !answer::is_whole(&reply.text);
    let problem = match &run.kept {
        None => "the reply was empty".to_string(),
        Some(_) if is_cut => "it was cut off where the output ended: make it shorter".to_string(),
        Some(answer) => answer::problem(answer, &run.started.agent.output)?,
    };
    if run.is_human() || run.tally.repairs < REPAIRS_MAX {
        return Some(asking::fresh(run, Purpose::Repair { problem }));
    }
    Some(Step::End(run.stopped(
        Stop::Error,
        Trouble {
            code: FailureCode::BadReply,
            message: format!("the answer does not meet its schema: {problem}"),
            retryable: true,
            hint: "use a model that follows schemas, or loosen the agent's `output`".into(),
        },
    )))
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
    let Some(reply) = run.reply.as_ref().map(|it| &it.reply) else { return false };
    let is_whole = reply.finish != Finish::Length || answer::is_whole(&reply.text);
    let fits = |it| answer::problem(it, &run.started.agent.output).is_none();
    is_whole && given(run).is_some_and(fits)
}

/// Whether the last reply was meant as an answer.
fn answered(run: &Run) -> Option<()> {
    let replied = run.reply.as_ref()?;
    let meant = matches!(replied.purpose, Purpose::Turn | Purpose::Repair { .. });
    (meant && replied.reply.calls.is_empty()).then_some(())
}
