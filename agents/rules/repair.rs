//! An answer off its schema is sent back to be mended.

use callboard_trace::{EndState, FailureCode, Finished, Purpose, Stop, Trouble};

use crate::rules::answer::{answered, is_cut};
use crate::rules::{asking, trigger};
use crate::{Run, Step, answer};

/// Extra model steps to mend an answer.
const REPAIRS_MAX: u32 = 2;

/// Rule: an answer off its schema is sent back, twice; then it is kept for what it is. A person
/// is asked again as often as it takes.
pub(crate) fn is_needed(run: &Run) -> Option<Step> {
    answered(run)?;
    let schema = run.started.answer_schema();
    let problem = match &run.kept {
        None => "the reply was empty".to_string(),
        Some(_) if is_cut(run) => {
            "it was cut off where the output ended: make it shorter".to_string()
        }
        Some(answer) => answer::problem(answer, schema)?,
    };
    let is_shaped = run.started.output_schema.is_some();
    if is_shaped && run.kept.is_some() && trigger::fires(run).is_some() {
        // Who finishes owes the caller's schema, and somebody else will.
        return None;
    }
    if run.is_human() || run.tally.repairs < REPAIRS_MAX {
        return Some(asking::fresh(run, Purpose::Repair { problem }));
    }
    let which = if is_shaped { "`output_schema`" } else { "the agent's `output`" };
    let end = run.stopped(
        Stop::Error,
        Trouble {
            code: FailureCode::BadReply,
            message: format!("the answer does not meet its schema: {problem}"),
            retryable: true,
            hint: format!("use a model that follows schemas, or loosen {which}"),
        },
    );
    // What a program cannot read is no part of a result; it stays readable.
    let has_more = !run.artifacts.is_empty() || run.children.iter().any(|it| it.end.is_some());
    let state = if is_shaped && !has_more { EndState::Failed } else { end.state };
    Some(Step::End(Finished { state, ..end }))
}
