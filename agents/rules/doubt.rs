//! Steps whose process went away: repeated where that is safe, else a person decides.

use callboard_trace::Event;

use crate::rules::outside::until_too_late;
use crate::{Run, Step};

/// A step begun and lost this often in a row is assumed to bring processes down.
const LOST_MAX: u32 = 3;

/// Rule: what brought three processes down is not tried again by itself.
pub(crate) fn was_lost_too_often(run: &Run) -> Option<Step> {
    let model = run.asking.as_ref().filter(|it| it.lost >= LOST_MAX).map(|it| it.step);
    let tool = run.tools.iter().find(|it| it.lost >= LOST_MAX).map(|it| it.step);
    let step = model.or(tool)?;
    ask(
        run,
        step,
        format!("step {step} was begun {LOST_MAX} times and its process never came back"),
    )
}

/// Rule: a lost step that is not safe to repeat waits for a person's word.
pub(crate) fn cannot_be_repeated(run: &Run) -> Option<Step> {
    let tool = run.tools.iter().find(|it| !it.open && !it.repeatable)?;
    let prompt = format!(
        "step {} called {} and its process went away before an answer: it may have happened",
        tool.step, tool.call.tool
    );
    ask(run, tool.step, prompt)
}

/// Rule: an open question stops the run until it is answered.
pub(crate) fn waits_for_a_person(run: &Run) -> Option<Step> {
    (!run.questions.is_empty()).then(|| until_too_late(run))
}

fn ask(run: &Run, step: u32, prompt: String) -> Option<Step> {
    let question = format!("q_{}_{step}", run.id.as_str().trim_start_matches("r_"));
    if run.questions.contains(&question) {
        return Some(until_too_late(run));
    }
    let options = ["rerun", "skip", "abort"].map(String::from).to_vec();
    let form = "rerun".to_string();
    Some(Step::Record(Event::QuestionAsked { question, form, prompt, options }))
}
