//! What a journal says, as far as the demo claims it.

use callboard_trace::{Event, Failure, Handoff, Record, RunId, RunView, StepBegun, Work};

/// The handoffs of a tree, in the order they happened.
pub(crate) fn handoffs(records: &[Record]) -> Vec<&Handoff> {
    let of = records.iter().filter_map(|it| {
        if let Event::HandedOff(handoff) = &it.event { Some(&**handoff) } else { None }
    });
    of.collect()
}

/// Handoffs whose receivers accepted.
pub(crate) fn accepted(records: &[Record]) -> usize {
    records.iter().filter(|it| matches!(it.event, Event::HandoffAccepted { .. })).count()
}

/// The agents that answered, in the order they ended, with a field of their answers.
pub(crate) fn answers<'a>(records: &'a [Record], field: &str) -> Vec<(&'a str, &'a str)> {
    let ends = records.iter().filter_map(|it| {
        let Event::RunEnded(end) = &it.event else { return None };
        let said = end.answer.as_ref()?.get(field)?.as_str()?;
        Some((it.agent.as_ref()?.as_str(), said))
    });
    ends.collect()
}

/// The steps that asked a model, with the time they began.
pub(crate) fn asked<'a>(records: &'a [Record], run: &RunId) -> Vec<(&'a StepBegun, i64)> {
    let of = records.iter().filter(|it| it.run == *run).filter_map(|it| {
        let Event::StepBegun(step) = &it.event else { return None };
        matches!(step.work, Work::Model { .. }).then_some((step, it.at))
    });
    of.collect()
}

/// The steps a model answered, with the time it did.
pub(crate) fn answered(records: &[Record], run: &RunId) -> Vec<(u32, i64)> {
    let of = records.iter().filter(|it| it.run == *run).filter_map(|it| {
        if let Event::ModelReplied(reply) = &it.event { Some((reply.step, it.at)) } else { None }
    });
    of.collect()
}

/// The steps that failed, with the time they did.
pub(crate) fn failures(records: &[Record]) -> Vec<&Failure> {
    let of = records.iter().filter_map(|it| {
        if let Event::StepFailed(failure) = &it.event { Some(failure) } else { None }
    });
    of.collect()
}

/// Who ended a run, and with what words.
pub(crate) fn told(view: &RunView) -> String {
    let said = view.result.as_deref().or(view.error.as_ref().map(|it| it.message.as_str()));
    format!("{}: {}", view.agent, said.unwrap_or_default())
}
