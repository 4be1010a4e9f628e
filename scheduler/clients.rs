//! How long a client waits before it gives a call up, learnt from when it did.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callboard_trace::{Event, Record, RunId, spell};
use sha2::{Digest, Sha256};

/// Clients whose patience is kept in mind; with more, all are read anew.
const NAMES_MAX: usize = 1_000;
/// Letters of a client's name that are kept.
const NAME_CHARS: usize = 100;
/// No client is taken for less patient, nor for more.
const BOUNDS_S: (f64, f64) = (2.0, 3_600.0);
/// What was learnt grows by this share a day: an owner may have set a longer time since.
const GROWTH_A_DAY: f64 = 0.1;
/// Less than this share under what is known is nothing new.
const NEWS: f64 = 0.95;

/// What is known of clients here, by their names.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<String, Option<Patience>>>);

/// When a client gave a call up, and when that was learnt (microseconds since 1970).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Patience {
    pub(crate) after_s: f64,
    at: i64,
}

impl Patience {
    /// Seconds after which the client is thought to give up now.
    pub(crate) fn now(self, now: i64) -> f64 {
        let days = now.saturating_sub(self.at).max(0) as f64 / 86_400e6;
        (self.after_s * (1.0 + days * GROWTH_A_DAY)).clamp(BOUNDS_S.0, BOUNDS_S.1)
    }

    /// What is known after the client gave up once more; `None` if that is nothing new.
    pub(crate) fn learn(known: Option<Patience>, after_s: f64, at: i64) -> Option<Patience> {
        let after_s = after_s.clamp(BOUNDS_S.0, BOUNDS_S.1);
        let is_news = known.is_none_or(|it| after_s < it.now(at) * NEWS);
        is_news.then_some(Patience { after_s, at })
    }

    /// What a client's records add up to.
    pub(crate) fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Patience> {
        records.into_iter().fold(None, |known, record| {
            let Event::LimitsLearned { limit: Some(after_s), .. } = &record.event else {
                return known;
            };
            Patience::learn(known, *after_s, record.at).or(known)
        })
    }
}

impl Clients {
    fn inside(&self) -> MutexGuard<'_, HashMap<String, Option<Patience>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Some(None)`: it never gave up. `None`: not looked up yet.
    pub(crate) fn get(&self, name: &str) -> Option<Option<Patience>> {
        self.inside().get(name).copied()
    }

    pub(crate) fn put(&self, name: String, known: Option<Patience>) {
        let mut all = self.inside();
        if all.len() >= NAMES_MAX {
            all.clear();
        }
        all.insert(name, known);
    }
}

/// A client's name as it is kept.
pub(crate) fn name(client: &str) -> String {
    client.trim().to_lowercase().chars().take(NAME_CHARS).collect()
}

/// The stream of a client's records, whatever its name is made of.
pub(crate) fn stream(name: &str) -> RunId {
    let hash = Sha256::digest(name.as_bytes());
    let bits = hash.iter().take(16).fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
    RunId::from_text(spell("c_", bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn folded(given_up: &[(f64, i64)]) -> Option<Patience> {
        given_up.iter().fold(None, |known, (after_s, day)| {
            Patience::learn(known, *after_s, day * DAY).or(known)
        })
    }

    #[test]
    fn the_shortest_patience_counts_and_is_forgotten_slowly() {
        let after = |given_up: &[(f64, i64)], day| folded(given_up).map(|it| it.now(day * DAY));
        assert_eq!(after(&[], 0), None);
        assert_eq!(after(&[(5.0, 0)], 0), Some(5.0));
        assert_eq!(after(&[(60.0, 0), (5.0, 0), (30.0, 0)], 0), Some(5.0));
        assert_eq!(after(&[(5.0, 0), (4.9, 0)], 0), Some(5.0), "that is nothing new");
        assert_eq!(after(&[(5.0, 0)], 10), Some(10.0));
        assert_eq!(after(&[(5.0, 0), (8.0, 10)], 10), Some(8.0));
        assert_eq!(after(&[(0.3, 0)], 0), Some(2.0));
        let endless = folded(&[(1e12, 0)]).map(|it| it.now(0));
        assert_eq!(endless, Some(3_600.0));
        assert_eq!(folded(&[(5.0, 3)]).map(|it| it.now(0)), Some(5.0), "the clock was set back");
    }

    #[test]
    fn a_stream_has_a_name_whatever_the_client_is_called() {
        assert_eq!(stream(&name(" Codex ")), stream(&name("codex")));
        let odd = stream(&name(&"\u{202e}'; --".repeat(1_000)));
        assert_eq!(odd.as_str().len(), 28);
    }
}
