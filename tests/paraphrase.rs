//! How often a task in other words is known for the same, and another task taken for it.
#![allow(clippy::print_stdout, reason = "the pairs that were missed are there to be read")]

use std::path::Path;

use callboard_agents::concepts::{Lexicon, overlap};
use callboard_config::policy::Ranking;

/// Pairs of `tests/data`, one a line.
fn pairs(name: &str) -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let text = std::fs::read_to_string(file).expect("the pairs");
    let pair = |it: &str| it.split_once(" | ").map(|(one, other)| (one.into(), other.into()));
    text.lines().filter(|it| !it.starts_with('#')).filter_map(pair).collect()
}

/// Of the pairs, those that count as one task; the others are printed.
fn hits(name: &str) -> (usize, usize) {
    let (lexicon, threshold) = (Lexicon::default(), Ranking::default().overlap);
    let pairs = pairs(name);
    let mut n_hit = 0;
    for (one, other) in &pairs {
        let (a, b) = (lexicon.of(one), lexicon.of(other));
        let alike = overlap(&a, &b);
        let is_hit = alike >= threshold;
        n_hit += usize::from(is_hit);
        println!("{} {alike:.2} {one:?} {a:?} ~ {other:?} {b:?}", if is_hit { "+" } else { "-" });
    }
    println!("{name}: {n_hit} of {} pairs are one task", pairs.len());
    (n_hit, pairs.len())
}

#[test]
fn four_of_five_paraphrases_are_known_and_few_other_tasks_are_taken_for_them() {
    let (n_hit, n_same) = hits("paraphrases.txt");
    assert!(n_same >= 100 && n_hit * 100 >= n_same * 80, "{n_hit} of {n_same}");
    let (n_wrong, n_other) = hits("different_tasks.txt");
    assert!(n_other >= 60 && n_wrong * 100 <= n_other * 10, "{n_wrong} of {n_other} wrongly");
}
