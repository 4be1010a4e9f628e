//! What the journal of a data folder says when nobody works on it any more.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use callboard_store::{OpenOptions, Store};
use callboard_trace::{Event, RunId};

use super::{Result, percentile};

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    /// Runs that began and those that ended.
    pub(crate) runs: usize,
    pub(crate) ended: usize,
    /// Runs with two ends, or with two replies of a model that needed one.
    pub(crate) twice: usize,
    /// From when a step could begin to when it did, in chains of tasks, milliseconds.
    pub(crate) delays_ms: Vec<f64>,
    /// What the models took by their own account, milliseconds, and how many replies that were.
    models_ms: (u64, u64),
}

/// One run.
#[derive(Default)]
struct Seen {
    replies: u32,
    ends: u32,
}

impl Found {
    /// Reads all records, in the order they were written.
    pub(crate) async fn read(data: &Path) -> Result<Found> {
        let store = Store::open(OpenOptions::new(data, "n_bench", Arc::new(|| 7)))?;
        let (mut after, mut runs) = (0, HashMap::<RunId, Seen>::new());
        let (mut found, mut ready) = (Found::default(), HashMap::<RunId, i64>::new());
        loop {
            let page = store.log(after, 5_000).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, record) in page {
                match record.event {
                    Event::TaskAccepted(_) => {
                        runs.insert(record.run.clone(), Seen::default());
                        ready.entry(record.task).or_insert(record.at);
                    }
                    Event::StepBegun(_) => {
                        if let Some(since) = ready.get(&record.task) {
                            found.delays_ms.push((record.at - since) as f64 / 1_000.0);
                        }
                    }
                    Event::ModelReplied(reply) => {
                        found.models_ms.0 += reply.ms;
                        found.models_ms.1 += 1;
                        runs.entry(record.run).or_default().replies += 1;
                    }
                    Event::RunEnded(_) => {
                        runs.entry(record.run).or_default().ends += 1;
                        ready.insert(record.task, record.at);
                    }
                    _ => (),
                }
            }
        }
        found.runs = runs.len();
        found.ended = runs.values().filter(|it| it.ends > 0).count();
        found.twice = runs.values().filter(|it| it.ends > 1 || it.replies > 1).count();
        Ok(found)
    }

    /// What a model took on average, milliseconds.
    pub(crate) fn model_ms(&self) -> f64 {
        self.models_ms.0 as f64 / self.models_ms.1.max(1) as f64
    }

    /// The delay that so many per cent stay under, milliseconds.
    pub(crate) fn delay_ms(&mut self, percent: usize) -> f64 {
        percentile(&mut self.delays_ms, percent)
    }
}
