//! Steps whose process went away: repeated where that is safe, else a person decides.

use callboard_trace::{Event, FailureCode, Stop, Trouble};
use serde_json::json;

use crate::rules::outside::until_too_late;
use crate::{Run, Step};

/// A step begun and lost this often in a row is assumed to bring processes down.
const LOST_MAX: u32 = 3;
/// What a person may say of a tool step in doubt.
const TOOL: &[&str] = &["rerun", "skip", "abort"];
/// What a person may say of a model step that was lost again and again.
const MODEL: &[&str] = &["rerun", "abort"];

/// Rule: a person who gives a step up gives the run up.
pub(crate) fn was_aborted(run: &Run) -> Option<Step> {
    let by = run.control.aborted.as_ref()?;
    Some(Step::End(run.stopped(
        Stop::Error,
        Trouble {
            code: FailureCode::InDoubt,
            message: format!("a step in doubt was given up by {by}"),
            retryable: true,
            hint: "its trace shows how far it came; call the agent again to start anew".into(),
        },
    )))
}

/// Rule: the model is told of a call that a person had skipped.
pub(crate) fn was_skipped(run: &Run) -> Option<Step> {
    let tool = run.tools.iter().find(|it| it.skipped)?;
    let error = "skipped by a person: it may have happened, and is not done again";
    Some(Step::Answer {
        call: tool.call.id.clone(),
        ok: false,
        result: json!({ "error": error }),
        also: Vec::new(),
    })
}

/// Rule: what brought three processes down is not tried again by itself.
pub(crate) fn was_lost_too_often(run: &Run) -> Option<Step> {
    let model = run.asking.as_ref().filter(|it| it.lost >= LOST_MAX).map(|it| it.step);
    let tool = run.tools.iter().find(|it| it.lost - it.forgiven >= LOST_MAX).map(|it| it.step);
    let step = model.or(tool)?;
    let prompt = format!("step {step} was begun {LOST_MAX} times and its process never came back");
    let options = if model.is_some() { MODEL } else { TOOL };
    ask(run, step, prompt, options)
}

/// Rule: a lost step that is not safe to repeat waits for a person's word.
pub(crate) fn cannot_be_repeated(run: &Run) -> Option<Step> {
    let tool = run.tools.iter().find(|it| !it.open && !it.repeatable && !it.may_rerun)?;
    let prompt = format!(
        "step {} called {} and its process went away before an answer: it may have happened",
        tool.step, tool.call.tool
    );
    ask(run, tool.step, prompt, TOOL)
}

/// Rule: an open question stops the run until it is answered.
pub(crate) fn waits_for_a_person(run: &Run) -> Option<Step> {
    (!run.questions.is_empty()).then(|| until_too_late(run))
}

fn ask(run: &Run, step: u32, prompt: String, options: &[&str]) -> Option<Step> {
    let question = format!("q_{}_{step}", run.id.as_str().trim_start_matches("r_"));
    if run.questions.contains(&question) {
        return Some(until_too_late(run));
    }
    let options = options.iter().map(ToString::to_string).collect();
    let form = "rerun".to_string();
    Some(Step::Record(Event::QuestionAsked { question, form, prompt, options, act: None }))
}
