//! How much of the time agents have a step in progress, out of the records of their steps.

use std::collections::BTreeMap;

use callboard_trace::{Event, Record};
use serde::Serialize;

/// How busy one agent was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct AtWork {
    /// Its name.
    pub(crate) agent: String,
    /// Steps that came to an outcome.
    pub(crate) steps: usize,
    /// Of the time between the first record that was looked at and the last, the part in which at
    /// least one of its steps was in progress.
    pub(crate) utilisation: f64,
}

/// Steps of all agents, as they are read.
#[derive(Debug, Default)]
pub(crate) struct Hours {
    steps: BTreeMap<String, Vec<(i64, i64)>>,
    first: Option<i64>,
    last: i64,
}

impl Hours {
    pub(crate) fn take(&mut self, record: &Record) {
        self.first = Some(self.first.map_or(record.at, |it| it.min(record.at)));
        self.last = self.last.max(record.at);
        if let (Some(ms), Some(agent)) = (took(&record.event), &record.agent) {
            let ms = i64::try_from(ms).unwrap_or(i64::MAX / 2_000);
            let step = (record.at - ms * 1_000, record.at);
            self.steps.entry(agent.to_string()).or_default().push(step);
        }
    }

    /// What it comes to, agent by agent.
    pub(crate) fn told(self) -> Vec<AtWork> {
        let whole = (self.last - self.first.unwrap_or(self.last)).max(1) as f64;
        let told = |(agent, steps): (String, Vec<(i64, i64)>)| {
            let n_steps = steps.len();
            let part = (covered(steps) as f64 / whole).min(1.0);
            AtWork { agent, steps: n_steps, utilisation: (part * 1_000.0).round() / 1_000.0 }
        };
        self.steps.into_iter().map(told).collect()
    }
}

/// How long the step took that came to this outcome.
fn took(event: &Event) -> Option<u64> {
    if let Event::ModelReplied(reply) = event {
        return Some(reply.ms);
    }
    if let Event::ToolReturned { ms, .. } = event {
        return Some(*ms);
    }
    let Event::StepFailed(failure) = event else { return None };
    Some(failure.ms)
}

/// The time that is in at least one of these.
fn covered(mut steps: Vec<(i64, i64)>) -> i64 {
    steps.sort_unstable();
    let (mut sum, mut until) = (0, i64::MIN);
    for (from, to) in steps {
        sum += (to - from.max(until)).max(0);
        until = until.max(to);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_side_by_side_count_once() {
        assert_eq!(covered(vec![]), 0);
        assert_eq!(covered(vec![(5, 9), (0, 4)]), 8);
        assert_eq!(covered(vec![(0, 10), (2, 4), (8, 12)]), 12);
        assert_eq!(covered(vec![(3, 3), (0, 1)]), 1);
    }
}
