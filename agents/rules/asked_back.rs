//! A tool that asks before it goes on: a person is asked, and the call goes on with what they said.

use callboard_trace::Call;

use crate::rules::rejected::reject;
use crate::{Run, Step};

/// Rule: what a tool asks is put to a person, one after the other; then its call goes on, as a step
/// of its own.
pub(crate) fn goes_on(run: &Run) -> Option<Step> {
    let rests = |it: &&Call| run.tools.iter().all(|open| open.call.id != it.id);
    let mut resting = run.calls.iter().filter(rests);
    let (call, asked) = resting.find_map(|it| Some((it, run.asked_back.get(&it.id)?)))?;
    let question = asked.question(&run.id, &run.heard, &call.tool);
    if question.is_some() && run.control.finish {
        return Some(reject(&call.id, "asked to finish now: nobody is asked any more"));
    }
    if let Some(question) = question {
        return Some(Step::Record(question));
    }
    let card = run.shelf.card(&call.tool);
    let (call, server) = (call.clone(), card.map(|it| it.server.clone()));
    let repeatable = card.is_some_and(|it| it.repeatable);
    Some(Step::Call { step: run.steps + 1, attempt: 1, call, repeatable, server })
}
