//! Regular expressions made ready to search by; making one takes longer than a thousand searches.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;

/// Patterns that a thread keeps ready.
const READY_MAX: usize = 256;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

thread_local! {
    static READY: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
}

/// The pattern, ready; `None` if it is none, which the loading of a team rules out.
pub(super) fn ready(pattern: &str) -> Option<Regex> {
    READY.with_borrow_mut(|ready| {
        if let Some(known) = ready.get(pattern) {
            return known.clone();
        }
        let made = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build().ok();
        if ready.len() >= READY_MAX {
            ready.clear();
        }
        ready.insert(pattern.to_owned(), made.clone());
        made
    })
}

/// What finds these words, whole and in any case.
pub(super) fn of_words(words: &[String]) -> String {
    let is_letter = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let edge = |it| if is_letter(it) { r"\b" } else { "" };
    let one = |it: &String| {
        let word = it.trim();
        let (before, after) = (edge(word.chars().next()), edge(word.chars().next_back()));
        format!("{before}{}{after}", regex::escape(word))
    };
    let words: Vec<String> = words.iter().map(one).collect();
    format!("(?i)(?:{})", words.join("|"))
}
