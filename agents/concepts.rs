//! What a task is about, whatever words it was put in: its concepts, and how much two have in common.

pub use crate::words::{overlap as overlap_of, stems as stems_of};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use icu_normalizer::ComposingNormalizerBorrowed;
use rust_stemmers::{Algorithm, Stemmer};

/// Concepts that are kept of a text.
const KEPT: usize = 12;
/// Words of a text that are read.
const WORDS: usize = 4_000;
/// Words of the longest phrase.
const PHRASE: usize = 4;
/// What stands for words that mean nothing by themselves.
const NOTHING: &str = "-";

/// Which words mean the same. The shipped ones are in `concepts.txt`.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    /// Phrases as stems, and what each stands for; an empty text if for nothing.
    own: HashMap<Vec<String>, String>,
}

impl Lexicon {
    /// The shipped words and these: the word or phrase, and what it stands for.
    pub fn new(more: &BTreeMap<String, String>) -> Lexicon {
        let mut own = HashMap::new();
        for (word, stands_for) in more {
            let target = shipped().concepts(stands_for).join(" ");
            own.insert(stems(word), target);
        }
        Lexicon { own }
    }

    /// The concepts of a text, each once, sorted, at most twelve.
    pub fn of(&self, text: &str) -> Vec<String> {
        let mut found = self.concepts(text);
        found.truncate(KEPT);
        found
    }

    /// All of them.
    pub fn of_all(&self, text: &str) -> Vec<String> {
        self.concepts(text)
    }

    fn concepts(&self, text: &str) -> Vec<String> {
        let stems = stems(text);
        let mut found = BTreeSet::new();
        let mut rest = stems.as_slice();
        while !rest.is_empty() {
            let (taken, concept) = self.first(rest);
            found.extend(concept.split(' ').filter(|it| !it.is_empty()).map(str::to_owned));
            rest = &rest[taken..];
        }
        found.into_iter().collect()
    }

    /// The concept that the longest known phrase at the beginning stands for, and its length.
    fn first<'a>(&'a self, stems: &'a [String]) -> (usize, &'a str) {
        for length in (1..=PHRASE.min(stems.len())).rev() {
            let phrase = &stems[..length];
            let known = self.own.get(phrase).or_else(|| shipped().own.get(phrase));
            if let Some(concept) = known {
                return (length, concept);
            }
        }
        (1, &stems[0])
    }
}

/// What two lists of concepts have in common: 1 = all, 0 = nothing.
pub fn overlap(one: &[String], other: &[String]) -> f64 {
    let (one, other): (BTreeSet<_>, BTreeSet<_>) = (one.iter().collect(), other.iter().collect());
    let n_all = one.union(&other).count();
    if n_all == 0 { 0.0 } else { one.intersection(&other).count() as f64 / n_all as f64 }
}

/// Lower-case letters in one form, without what stands between words, each word cut to its stem.
fn stems(text: &str) -> Vec<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    let text = ComposingNormalizerBorrowed::new_nfkc().normalize(text).to_lowercase();
    // `C++` and `C#` are words of their own.
    text.split(|it: char| !(it.is_alphanumeric() || it == '+' || it == '#'))
        .map(|it| it.trim_start_matches(['+', '#']))
        .filter(|it| !it.is_empty())
        .take(WORDS)
        .map(|it| stemmer.stem(it).into_owned())
        .collect()
}

fn shipped() -> &'static Lexicon {
    static SHIPPED: OnceLock<Lexicon> = OnceLock::new();
    SHIPPED.get_or_init(|| {
        let mut own = HashMap::new();
        let lines = include_str!("concepts.txt").lines().filter(|it| !it.starts_with('#'));
        for (concept, words) in lines.filter_map(|it| it.split_once(": ")) {
            let stands_for =
                if concept == NOTHING { String::new() } else { stems(concept).join("_") };
            for word in words.split(' ').chain([concept]).filter(|it| *it != NOTHING) {
                own.insert(stems(&word.replace('_', " ")), stands_for.clone());
            }
        }
        Lexicon { own }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        Lexicon::default().of(text).join(" ")
    }

    #[test]
    fn what_means_the_same_has_the_same_concepts() {
        let expected = "ai articl make";
        for text in [
            "Write a blog post about AI",
            "Create an article on artificial intelligence",
            "please: DRAFT some Articles, about A\u{ff29}!",
            "writing blog posts on ai, writing",
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn concepts_are_few_sorted_and_each_there_once() {
        let many: Vec<String> = (10..60).map(|it| format!("w{it}")).collect();
        let found = Lexicon::default().of(&many.join(" "));
        assert_eq!(found.len(), 12);
        assert!(found.windows(2).all(|it| it[0] < it[1]), "{found:?}");
        assert_eq!(of(""), "");
        assert_eq!(of("... the, of! \u{0}"), "");
        assert_eq!(of("C++ and C# # +"), "c# c++");
        assert_eq!(of(&"fix ".repeat(100_000)), "fix");
    }

    #[test]
    fn an_owners_words_go_before_the_shipped_ones() {
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let more = [pair("ticket", "issue"), pair("fix", "close"), pair("north star", "goal")];
        let own = Lexicon::new(&more.into());
        assert_eq!(own.of("fix the tickets"), own.of("close an issue"));
        assert_eq!(own.of("our north star"), ["goal"]);
        assert_eq!(own.of("repair it"), ["fix"], "other words keep their meaning");
    }

    #[test]
    fn overlap_is_the_share_in_common() {
        let list = |it: &str| it.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(overlap(&list("a b c"), &list("b c d")), 0.5);
        assert_eq!(overlap(&list("a"), &list("a a")), 1.0);
        assert_eq!(overlap(&[], &[]), 0.0);
    }
}
