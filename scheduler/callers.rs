//! The calls of this process that are about a run, and what became of them, until it is written.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callboard_store::Word;
use callboard_trace::{Event, Fact, RunId};
use tokio::sync::Notify;

/// Words of one write.
const AT_ONCE: usize = 256;
/// Words that wait for a store that does not answer; what is lost is told once more as unread.
const WORDS_MAX: usize = 10_000;

/// The callers of this process, and what became of their calls, on its way into the journal.
#[derive(Default)]
pub(crate) struct Callers {
    inside: Mutex<Inside>,
    bell: Notify,
}

#[derive(Default)]
struct Inside {
    /// Runs that open calls are about.
    open: HashMap<RunId, Calls>,
    /// Said and not taken yet.
    words: Vec<(RunId, Fact)>,
    /// Taken and not written yet.
    under_way: Vec<(RunId, Fact)>,
    n_kept: u64,
}

/// The open calls about one run.
#[derive(Default)]
struct Calls {
    n_all: usize,
    /// Of those, how many stay open until its end.
    n_waiting: usize,
}

impl Inside {
    fn is_awaited(&self, run: &RunId) -> bool {
        self.open.get(run).is_some_and(|it| it.n_waiting > 0)
    }
}

impl Callers {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something became of a call.
    pub(crate) fn say(&self, run: &RunId, fact: Fact) {
        let mut inside = self.inside();
        if inside.words.len() < WORDS_MAX {
            inside.words.push((run.clone(), fact));
        }
        drop(inside);
        self.bell.notify_one();
    }

    /// A call about the run begins; `waits` if it stays open until the end.
    pub(crate) fn open(&self, run: &RunId, waits: bool) {
        let mut inside = self.inside();
        let calls = inside.open.entry(run.clone()).or_default();
        calls.n_all += 1;
        calls.n_waiting += usize::from(waits);
    }

    /// A call about the run is over, and went without the end if something is said of that.
    pub(crate) fn close(&self, run: &RunId, waited: bool, left: Option<Fact>) {
        let mut inside = self.inside();
        if let Some(calls) = inside.open.get_mut(run) {
            calls.n_all -= 1;
            calls.n_waiting -= usize::from(waited);
            if calls.n_all == 0 {
                inside.open.remove(run);
            }
        }
        drop(inside);
        if let Some(left) = left {
            self.say(run, left);
        }
    }

    /// Runs that nobody waits for any more, though that is not written yet.
    pub(crate) fn left(&self) -> Vec<RunId> {
        let inside = self.inside();
        let said = inside.words.iter().chain(&inside.under_way);
        let left = said.filter(|it| matches!(it.1.event, Event::CallerLeft { .. }));
        left.filter(|it| !inside.is_awaited(&it.0)).map(|it| it.0.clone()).collect()
    }

    /// Whether the caller hears of the run without being told: by an open call, or it just did.
    pub(crate) fn hears(&self, run: &RunId) -> bool {
        let inside = self.inside();
        let mut said = inside.words.iter().chain(&inside.under_way);
        inside.open.contains_key(run)
            || said.any(|it| it.0 == *run && matches!(it.1.event, Event::Delivered { .. }))
    }

    /// The next words to write, until they are [`Callers::kept`].
    pub(crate) fn take(&self) -> Vec<Word> {
        let mut inside = self.inside();
        let n_taken = inside.words.len().min(AT_ONCE);
        inside.under_way = inside.words.drain(..n_taken).collect();
        let word = |(run, fact): &(RunId, Fact)| Word {
            run: run.clone(),
            fact: fact.clone(),
            awaited: inside.is_awaited(run),
        };
        inside.under_way.iter().map(word).collect()
    }

    /// What was taken is written, or lost.
    pub(crate) fn kept(&self) {
        let mut inside = self.inside();
        inside.under_way.clear();
        inside.n_kept += 1;
    }

    /// How often words were kept. What was read between two that differ may not show the last of
    /// them, which [`Callers::hears`] no longer knows either.
    pub(crate) fn n_kept(&self) -> u64 {
        self.inside().n_kept
    }

    /// How many words are being written.
    pub(crate) fn n_under_way(&self) -> usize {
        self.inside().under_way.len()
    }

    /// Resolves when something was said.
    pub(crate) async fn said(&self) {
        self.bell.notified().await;
    }
}
