//! What a replay is given from the record, in the order it was written.

use std::collections::HashMap;

use callboard_trace::{Event, FailureCode, Record, RunId, Work};

/// One thing that came to a run from outside of the rules.
pub(crate) struct Cue<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) does: Does<'a>,
}

/// What came.
pub(crate) enum Does<'a> {
    /// The outcome of a model step; `prompt` is the hash of what was asked.
    Model { prompt: &'a str, event: &'a Event },
    /// The outcome of a tool step that answers this call, and what it left to be read.
    Tool { call: &'a str, event: &'a Event, left: Option<&'a Event> },
    /// What somebody outside wrote into its journal in one write. `acts`: the run acts on it at once.
    Told { records: Vec<&'a Record>, acts: bool },
}

/// Everything that came to these runs.
pub(crate) fn cues(records: &[Record]) -> Vec<Cue<'_>> {
    let mut begun: HashMap<(&RunId, u32), &Work> = HashMap::new();
    let mut cues = Vec::new();
    for (at, record) in records.iter().enumerate() {
        if let Event::StepBegun(it) = &record.event {
            begun.insert((&record.run, it.step), &it.work);
        }
        if is_told(&record.event) {
            let acts = acts(records, at);
            match cues.last_mut() {
                Some(Cue { does: Does::Told { records, acts: last }, .. })
                    if records.last().is_some_and(|it| is_one_write(it, record)) =>
                {
                    records.push(record);
                    *last = acts;
                }
                _ => {
                    let does = Does::Told { records: vec![record], acts };
                    cues.push(Cue { run: &record.run, does });
                }
            }
        }
        let step = outcome_of(&record.event).filter(|_| !is_of_the_end(records, at));
        let Some(step) = step else { continue };
        // What the engine answered itself was never begun.
        let Some(work) = begun.get(&(&record.run, step)) else { continue };
        let event = &record.event;
        let does = match work {
            Work::Model { prompt, .. } => Does::Model { prompt, event },
            Work::Tool { call, .. } => {
                let before = at.checked_sub(1).map(|it| &records[it]);
                let left = before.filter(|it| is_one_write(it, record)).map(|it| &it.event);
                let left = left.filter(|it| matches!(it, Event::Noted { .. }));
                Does::Tool { call, event, left }
            }
        };
        cues.push(Cue { run: &record.run, does });
    }
    cues
}

/// The step that a record is the outcome of.
pub(crate) fn outcome_of(event: &Event) -> Option<u32> {
    if let Event::ModelReplied(reply) = event {
        return Some(reply.step);
    }
    if let Event::StepFailed(failure) = event {
        return Some(failure.step);
    }
    let Event::ToolReturned { step, .. } = event else { return None };
    Some(*step)
}

/// Whether somebody else than the run's own process wrote it.
pub(crate) fn is_told(event: &Event) -> bool {
    matches!(
        event,
        Event::Controlled(_)
            | Event::QuestionClosed { answer: Some(_), .. }
            | Event::StepDecided { .. }
    )
}

fn is_one_write(a: &Record, b: &Record) -> bool {
    a.run == b.run && a.seq + 1 == b.seq && a.at == b.at
}

/// Whether the failure was written by the end of its run, which comes of itself.
fn is_of_the_end(records: &[Record], at: usize) -> bool {
    let is_cut =
        |it: &Event| matches!(it, Event::StepFailed(it) if it.code == FailureCode::Cancelled);
    let mut own = records[at..].iter().filter(|it| it.run == records[at].run).map(|it| &it.event);
    is_cut(&records[at].event) && matches!(own.find(|it| !is_cut(it)), Some(Event::RunEnded(_)))
}

/// Whether the next thing the run wrote came of the rules alone.
fn acts(records: &[Record], at: usize) -> bool {
    let mut own =
        records[at + 1..].iter().filter(|it| it.run == records[at].run).map(|it| &it.event);
    let Some(next) = own.next() else { return false };
    let is_cue = is_told(next) || outcome_of(next).is_some();
    let of_others = matches!(next, Event::ChildEnded { .. } | Event::HandoffRefused { .. });
    let cut_off = matches!(next, Event::StepFailed(it) if it.code == FailureCode::Cancelled);
    cut_off || !is_cue && !of_others
}
