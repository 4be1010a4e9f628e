//! What runs at work in one process tell each other without a look into the journal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use callboard_trace::Fact;
use tokio::sync::Notify;

/// Records kept for a driven run; beyond it the journal is read.
const TOLD_MAX: usize = 256;

/// A record in a run's journal.
pub(crate) struct Heard {
    pub(crate) seq: u64,
    pub(crate) fact: Fact,
    /// How often writes had been undone before it, if it is not known to be kept.
    pub(crate) undone: Option<u64>,
}

/// How far a driven run has read its journal, and what it is told of the rest.
#[derive(Default)]
pub(crate) struct Told {
    bell: Notify,
    /// The place up to which it has read.
    seen: AtomicU64,
    /// The place up to which somebody saw it written.
    written: AtomicU64,
    /// What others at work here write, by its place. Only a short cut: the journal has all of it, or none
    /// where a write was undone.
    records: Mutex<BTreeMap<u64, Heard>>,
}

impl Told {
    pub(crate) fn new(seen: u64) -> Told {
        Told { seen: seen.into(), ..Told::default() }
    }

    fn inside(&self) -> MutexGuard<'_, BTreeMap<u64, Heard>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it a record. Where there is no room the oldest goes, which leaves a gap.
    pub(crate) fn tell(&self, heard: Heard) {
        let mut records = self.inside();
        if heard.undone.is_some() {
            records.retain(|_, it| it.undone.is_none_or(|undone| Some(undone) == heard.undone));
        }
        if records.len() >= TOLD_MAX {
            records.pop_first();
        }
        records.insert(heard.seq, heard);
        drop(records);
        self.bell.notify_one();
    }

    /// Tells it that its journal is written up to that place.
    pub(crate) fn is_written(&self, seq: u64) {
        if seq > self.seen() {
            self.written.fetch_max(seq, Ordering::Relaxed);
            self.bell.notify_one();
        }
    }

    /// Resolves when something was told since the last call.
    pub(crate) async fn rings(&self) {
        self.bell.notified().await;
    }

    /// The place up to which it has read.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// It has read up to that place.
    pub(crate) fn sees(&self, seq: u64) {
        self.seen.store(seq, Ordering::Relaxed);
    }

    /// Whether there is more than it has read, and whether all that it was told of that is kept.
    pub(crate) fn more(&self) -> Option<bool> {
        let (seen, records) = (self.seen(), self.inside());
        let mut told = records.range(seen + 1..).map(|it| it.1).peekable();
        let is_more = told.peek().is_some() || self.written.load(Ordering::Relaxed) > seen;
        is_more.then(|| told.all(|it| it.undone.is_none()))
    }

    /// Takes what comes right behind what it has read, in order, up to the first gap.
    pub(crate) fn take(&self) -> Vec<Heard> {
        let (next, mut records) = (self.seen() + 1, self.inside());
        *records = records.split_off(&next);
        let taken: Vec<Heard> = (next..).map_while(|it| records.remove(&it)).collect();
        taken.last().inspect(|it| self.sees(it.seq));
        taken
    }
}

#[cfg(test)]
mod tests {
    use callboard_trace::{Event, Fact};

    use super::*;

    fn heard(seq: u64, undone: Option<u64>) -> Heard {
        let event = Event::NodeStopped { node: seq.to_string(), reason: String::new() };
        Heard { seq, fact: Fact::new("n_a", event), undone }
    }

    fn places(told: &Told) -> Vec<u64> {
        told.take().iter().map(|it| it.seq).collect()
    }

    #[test]
    fn records_come_in_order_once_and_only_up_to_a_gap() {
        let told = Told::new(4);
        let tell = |seq| told.tell(heard(seq, None));
        assert_eq!((places(&told), told.more()), (vec![], None), "nobody told anything");
        [7, 5, 6, 4].into_iter().for_each(tell);
        assert_eq!(told.more(), Some(true));
        assert_eq!(places(&told), [5, 6, 7], "what was seen is not told again");
        tell(9);
        assert!(places(&told).is_empty(), "the eighth is in the journal only");
        assert_eq!(told.more(), Some(true));
        told.sees(8);
        assert_eq!(places(&told), [9], "and then the ninth is still there");
        assert_eq!(told.more(), None, "and then all of it was seen");
        (10..=10 + TOLD_MAX as u64).for_each(tell);
        assert!(places(&told).is_empty(), "one of them found no room");
    }

    #[test]
    fn what_was_told_of_a_write_that_was_undone_is_forgotten_with_the_next() {
        let told = Told::new(4);
        [5, 6].into_iter().for_each(|seq| told.tell(heard(seq, Some(0))));
        assert_eq!(told.more(), Some(false));
        told.tell(heard(5, Some(1)));
        assert_eq!(places(&told), [5], "the sixth was undone with the first fifth");
        told.tell(heard(6, None));
        assert_eq!(told.more(), Some(true));
    }

    #[test]
    fn what_others_wrote_counts_until_it_is_read() {
        let told = Told::new(4);
        told.is_written(4);
        assert_eq!(told.more(), None);
        told.is_written(6);
        assert_eq!((places(&told), told.more()), (vec![], Some(true)));
        told.sees(6);
        assert_eq!(told.more(), None);
    }
}
