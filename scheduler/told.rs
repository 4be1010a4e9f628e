//! What runs at work in one process tell each other without a look into the journal.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callboard_trace::Fact;
use tokio::sync::Notify;

/// Records kept for a driven run; beyond it the journal is read.
const TOLD_MAX: usize = 256;

/// What others at work here have written into the journal of a driven run, each record with its place.
/// Only a short cut: the journal has all of it.
#[derive(Default)]
pub(crate) struct Told {
    bell: Notify,
    records: Mutex<VecDeque<(u64, Fact)>>,
}

impl Told {
    fn inside(&self) -> MutexGuard<'_, VecDeque<(u64, Fact)>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it. Where there is no room the oldest goes, which leaves a gap.
    pub(crate) fn tell(&self, seq: u64, fact: Fact) {
        let mut records = self.inside();
        if records.len() >= TOLD_MAX {
            records.pop_front();
        }
        records.push_back((seq, fact));
        drop(records);
        self.bell.notify_one();
    }

    /// Resolves when something was told since the last call.
    pub(crate) async fn rings(&self) {
        self.bell.notified().await;
    }

    /// Takes what comes behind that place, in order; `None` if something between is not there.
    pub(crate) fn behind(&self, seen: u64) -> Option<Vec<(u64, Fact)>> {
        let mut records = Vec::from(std::mem::take(&mut *self.inside()));
        records.retain(|it| it.0 > seen);
        records.sort_unstable_by_key(|it| it.0);
        let is_whole = records.iter().zip(seen + 1..).all(|(it, place)| it.0 == place);
        is_whole.then_some(records)
    }
}

#[cfg(test)]
mod tests {
    use callboard_trace::Event;

    use super::*;

    #[test]
    fn records_come_in_order_once_and_only_without_a_gap() {
        let told = Told::default();
        let tell = |seq: u64| {
            let fact = Fact::new(
                "n_a",
                Event::NodeStopped { node: seq.to_string(), reason: String::new() },
            );
            told.tell(seq, fact);
        };
        let behind =
            |seen| told.behind(seen).map(|it| it.iter().map(|it| it.0).collect::<Vec<_>>());
        assert_eq!(behind(4), Some(vec![]), "nobody told anything");
        [7, 5, 6, 4].into_iter().for_each(tell);
        assert_eq!(behind(4), Some(vec![5, 6, 7]), "what was seen is not told again");
        tell(9);
        assert_eq!(behind(7), None, "the eighth is in the journal only");
        assert_eq!(behind(9), Some(vec![]), "and then all of it was seen");
        (10..=10 + TOLD_MAX as u64).for_each(tell);
        assert_eq!(behind(9), None, "one of them found no room");
    }
}
