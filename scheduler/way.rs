//! The way a run took, and where two ways part.

use std::collections::HashMap;

use callboard_config::AgentName;
use callboard_trace::{Event, Record, RunId, story_line};
use serde::Serialize;

use crate::cue::is_told;

/// Where a replay leaves its record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Departure {
    /// Whose way it is.
    pub run: RunId,
    /// Its agent.
    pub agent: Option<AgentName>,
    /// What the record has, as its story tells it; `None` = nothing more.
    pub was: Option<String>,
    /// What the replay has.
    pub now: Option<String>,
}

/// The first place where some run of the record goes another way, or a run is in one of them only.
pub(crate) fn compare(was: &[Record], now: &[Record]) -> Option<Departure> {
    let (old, new) = (ways(was), ways(now));
    let parts = |(run, (first, old)): (&&RunId, &(usize, Vec<&Record>))| {
        let new = new.get(*run).map_or(&[][..], |it| &it.1);
        let at = (0..old.len().max(new.len())).find(|at| told(old, *at) != told(new, *at))?;
        let told = |way: &[&Record]| way.get(at).map(|it| line(it));
        let agent = old.first().and_then(|it| it.agent.clone());
        let departure = Departure { run: (*run).clone(), agent, was: told(old), now: told(new) };
        Some((
            old.get(at).map_or(usize::MAX, |it| it.seq as usize).saturating_add(*first),
            departure,
        ))
    };
    let more = new.iter().find(|it| !old.contains_key(it.0)).map(|(run, (_, way))| Departure {
        run: (*run).clone(),
        agent: way.first().and_then(|it| it.agent.clone()),
        was: None,
        now: way.first().map(|it| line(it)),
    });
    let first = old.iter().filter_map(parts).min_by_key(|it| it.0);
    first.map(|it| it.1).or(more)
}

/// The way of each run, with the place where it began.
fn ways(records: &[Record]) -> HashMap<&RunId, (usize, Vec<&Record>)> {
    let mut ways: HashMap<&RunId, (usize, Vec<&Record>)> = HashMap::new();
    for (at, record) in records.iter().enumerate() {
        let (_, way) = ways.entry(&record.run).or_insert((at, Vec::new()));
        way.extend(is_step_of_the_way(&record.event).then_some(record));
    }
    for (_, way) in ways.values_mut() {
        in_order_of_calls(way);
    }
    ways
}

/// Answers of one breath are put in the order of their calls, which depends on nothing but the
/// reply that made them.
fn in_order_of_calls(way: &mut [&Record]) {
    for answers in way.chunk_by_mut(|a, b| call(a).is_some() && call(b).is_some()) {
        answers.sort_by_key(|it| call(it));
    }
}

fn call(record: &Record) -> Option<&str> {
    let Event::ToolReturned { call, .. } = &record.event else { return None };
    Some(call)
}

/// Not what others wrote into the journal, and not what was only observed.
fn is_step_of_the_way(event: &Event) -> bool {
    !is_told(event)
        && !matches!(
            event,
            Event::TaskAccepted(_)
                | Event::RunStarted(_)
                | Event::ChildEnded { .. }
                | Event::HandoffRefused { .. }
                | Event::RankSet(_)
                | Event::Embedded { .. }
                | Event::StepWaiting(_)
                | Event::LimitsLearned { .. }
                | Event::BreakerChanged { .. }
                | Event::BudgetAlerted { .. }
                | Event::Checkpointed { .. }
                | Event::Delivered { .. }
                | Event::CallerLeft { .. }
                | Event::Exported { .. }
        )
}

/// What counts of one record: its line, and of an end the whole answer.
fn told(way: &[&Record], at: usize) -> Option<(String, Option<String>)> {
    let record = *way.get(at)?;
    let end = if let Event::RunEnded(end) = &record.event { Some(end) } else { None };
    Some((line(record), end.and_then(|it| serde_json::to_string(it).ok())))
}

/// The line of a record, without what is chance: the pause before another attempt, and which of
/// several calls was answered first.
fn line(record: &Record) -> String {
    let mut record = record.clone();
    if let Event::ToolReturned { step, .. } = &mut record.event {
        *step = 0;
    }
    if let Event::StepFailed(failure) = &mut record.event {
        failure.retry_at = None;
    }
    story_line(&record)
}

/// How a run ended, in a few words.
pub(crate) fn ended(records: &[Record], run: &RunId) -> Option<String> {
    records.iter().rev().filter(|it| it.run == *run).find_map(|it| {
        let Event::RunEnded(end) = &it.event else { return None };
        Some(format!("{:?} ({:?})", end.state, end.stop).to_lowercase())
    })
}
