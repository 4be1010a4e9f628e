//! Scores that models gave, found again for tasks that are about the same: a fold over the journal.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use callboard_agents::concepts::overlap;
use callboard_config::policy::Ranking;
use callboard_trace::rank::Ranked;
use callboard_trace::{Event, Record};

/// Scores that are kept; the least recently used one leaves.
pub(crate) const ENTRIES_MAX: u32 = 10_000;
/// Vectors that are kept: each is some kilobytes.
const VECTORS_MAX: usize = 1_000;

/// What is known, as far as the journal was read.
#[derive(Default)]
pub(crate) struct Scores {
    entries: HashMap<String, Entry>,
    vectors: HashMap<String, Vec<f32>>,
    /// Where the last record stands that was taken in.
    pub(crate) place: u64,
    uses: u64,
}

struct Entry {
    base: u16,
    scope: String,
    concepts: Vec<String>,
    expires: i64,
    used: u64,
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) key: String,
    pub(crate) scope: String,
    pub(crate) concepts: Vec<String>,
    pub(crate) vector: Option<Vec<f32>>,
}

/// A score that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) base: u16,
    /// 0 = it was of the same.
    pub(crate) distance: f64,
    pub(crate) expires: i64,
}

impl Scores {
    /// Takes in what was written behind the last record.
    pub(crate) fn take(&mut self, place: u64, record: &Record) {
        self.place = place;
        if let Event::Embedded { subject, vector, .. } = &record.event {
            if self.vectors.len() >= VECTORS_MAX {
                self.vectors.clear();
            }
            self.vectors.extend(unpacked(vector).map(|it| (subject.clone(), it)));
        } else if let Event::RankSet(ranked) = &record.event {
            self.keep(ranked);
        }
    }

    fn keep(&mut self, ranked: &Ranked) {
        let (Some(key), Some(expires)) = (&ranked.key, ranked.expires) else { return };
        self.uses += 1;
        let entry = Entry {
            base: ranked.base,
            scope: ranked.scope.clone(),
            concepts: ranked.concepts.clone(),
            expires,
            used: self.uses,
        };
        self.entries.insert(key.clone(), entry);
        if self.entries.len() > ENTRIES_MAX as usize {
            let oldest = self.entries.iter().min_by_key(|it| it.1.used).map(|it| it.0.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
                self.vectors.remove(&oldest);
            }
        }
    }

    /// The score of the same, or else of what is nearest and near enough.
    pub(crate) fn find(&mut self, it: &Subject, now: i64, ranking: &Ranking) -> Option<Found> {
        let alike = |(key, entry): (&String, &Entry)| {
            if *key == it.key {
                return Some((1.0, key.clone()));
            }
            let (alike, least) = match (&it.vector, self.vectors.get(key)) {
                (Some(one), Some(other)) => (cosine(one, other), ranking.cosine),
                (Some(_), None) => return None,
                (None, _) => (overlap(&it.concepts, &entry.concepts), ranking.overlap),
            };
            (alike >= least).then(|| (alike, key.clone()))
        };
        let of_the_same = self.entries.get_key_value(&it.key).filter(|it| it.1.expires > now);
        let (alike, key) = match of_the_same.and_then(alike) {
            Some(same) => same,
            None => {
                let here =
                    |other: &(&String, &Entry)| other.1.scope == it.scope && other.1.expires > now;
                let near = self.entries.iter().filter(here).filter_map(alike);
                near.max_by(|one, other| one.0.total_cmp(&other.0))?
            }
        };
        self.uses += 1;
        let entry = self.entries.get_mut(&key)?;
        entry.used = self.uses;
        Some(Found { base: entry.base, distance: 1.0 - alike, expires: entry.expires })
    }
}

/// A vector as text.
pub(crate) fn packed(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|it| it.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

fn unpacked(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let numbers = bytes.chunks_exact(4).map(|it| f32::from_le_bytes([it[0], it[1], it[2], it[3]]));
    Some(numbers.collect())
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let length = (dot(one, one) * dot(other, other)).sqrt();
    if one.len() != other.len() || length <= 0.0 { 0.0 } else { dot(one, other) / length }
}

#[cfg(test)]
mod tests {
    use callboard_trace::{FORMAT, RunId};

    use super::*;

    const NOW: i64 = 1_000;

    fn record(event: Event) -> Record {
        let run = RunId::new(1);
        Record {
            seq: 1,
            at: 0,
            v: FORMAT,
            workspace: "default".into(),
            task: run.clone(),
            run,
            attempt: 1,
            agent: None,
            by: "n_a".into(),
            prev: String::new(),
            event,
        }
    }

    fn about(key: &str, concepts: &str) -> Subject {
        let concepts = concepts.split(' ').map(str::to_owned).collect();
        Subject { key: key.into(), scope: "here".into(), concepts, vector: None }
    }

    fn known(base: u16, it: &Subject, expires: i64) -> Record {
        record(Event::RankSet(Box::new(Ranked {
            base,
            source: "model".into(),
            key: Some(it.key.clone()),
            expires: Some(expires),
            scope: it.scope.clone(),
            concepts: it.concepts.clone(),
            ..Ranked::default()
        })))
    }

    fn base(scores: &mut Scores, it: &Subject) -> Option<(u16, f64)> {
        let found = scores.find(it, NOW, &Ranking::default());
        found.map(|it| (it.base, (it.distance * 100.0).round() / 100.0))
    }

    #[test]
    fn the_same_is_found_then_the_nearest_that_is_near_enough() {
        let mut scores = Scores::default();
        scores.take(1, &known(700, &about("k1", "a b c d"), NOW + 1));
        scores.take(2, &known(300, &about("k2", "a b c"), NOW + 1));
        scores.take(3, &known(10, &about("k3", "x y z"), NOW));
        assert_eq!(base(&mut scores, &about("k1", "nothing alike")), Some((700, 0.0)));
        assert_eq!(base(&mut scores, &about("new", "a b c")), Some((300, 0.0)));
        assert_eq!(base(&mut scores, &about("new", "a b c d e")), Some((700, 0.2)));
        assert_eq!(base(&mut scores, &about("new", "a b")), Some((300, 0.33)));
        assert_eq!(base(&mut scores, &about("new", "a e f")), None, "too far");
        assert_eq!(base(&mut scores, &about("k3", "x y z")), None, "it is too old");
        let elsewhere = Subject { scope: "there".into(), ..about("new", "a b c") };
        assert_eq!(base(&mut scores, &elsewhere), None, "of another agent or goal");
        assert_eq!(scores.place, 3);
    }

    #[test]
    fn vectors_count_where_there_are_some() {
        let mut scores = Scores::default();
        for (key, vector) in [("k1", [1.0, 0.0]), ("k2", [0.7, 0.7])] {
            let (subject, model) = (key.to_owned(), "m".to_owned());
            let vector = packed(&vector);
            scores.take(1, &record(Event::Embedded { subject, model, vector }));
            scores.take(2, &known(500, &about(key, "a"), NOW + 1));
        }
        scores.take(3, &known(9, &about("k3", "a b c"), NOW + 1));
        let with =
            |vector: [f32; 2]| Subject { vector: Some(vector.into()), ..about("new", "a b c") };
        assert_eq!(base(&mut scores, &with([0.9, 0.1])), Some((500, 0.01)));
        assert_eq!(base(&mut scores, &with([-1.0, 0.0])), None, "words count no more");
        assert_eq!(base(&mut scores, &with([0.0, 0.0])), None);
        assert_eq!(unpacked(&packed(&[1.5, -2.0])), Some(vec![1.5, -2.0]));
        assert_eq!(unpacked("no base64!"), None);
    }

    #[test]
    fn the_least_recently_used_one_leaves() {
        let mut scores = Scores::default();
        let name = |it: u32| format!("k{it}");
        for it in 0..ENTRIES_MAX {
            scores.take(1, &known(1, &about(&name(it), "a"), NOW + 1));
        }
        assert!(base(&mut scores, &about("k0", "a")).is_some());
        scores.take(1, &known(1, &about("one more", "a"), NOW + 1));
        assert_eq!(scores.entries.len(), ENTRIES_MAX as usize);
        assert!(scores.entries.contains_key("k0") && !scores.entries.contains_key("k1"));
    }
}
