//! Words as triggers and capabilities see them: lower-case, stemmed, whole.

use rust_stemmers::{Algorithm, Stemmer};

/// The stems of a text's words, in order.
pub fn stems(text: &str) -> Vec<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    text.split(|it: char| !it.is_alphanumeric())
        .filter(|it| !it.is_empty())
        .map(|it| stemmer.stem(&it.to_lowercase()).into_owned())
        .collect()
}

/// Whether the phrase stands in the text as whole words; both given as stems.
pub(crate) fn contains(text: &[String], phrase: &[String]) -> bool {
    !phrase.is_empty() && text.windows(phrase.len()).any(|it| it == phrase)
}

/// How many words of the capabilities the text names.
pub fn overlap(capabilities: &[String], text: &[String]) -> usize {
    capabilities
        .iter()
        .flat_map(|it| stems(it))
        .filter(|it| text.contains(it))
        .collect::<std::collections::BTreeSet<_>>()
        .len()
}

/// The first characters of a text, with a mark where it was cut.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_string(),
    }
}

/// Whether a character hides or reorders what stands beside it, or is none that is seen.
pub(crate) fn is_hidden(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(it, '\u{feff}' | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
        || matches!(it, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{2028}' | '\u{2029}')
        || matches!(it, '\u{fe00}'..='\u{fe0d}' | '\u{fff9}'..='\u{fffb}')
}

/// A text for a person's eyes: what would not be seen is named.
pub(crate) fn shown(text: &str) -> String {
    let named = |it: char| match it {
        '\n' | '\t' => it.to_string(),
        it if is_hidden(it) => format!("\\u{{{:x}}}", u32::from(it)),
        it => it.to_string(),
    };
    text.chars().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_a_whole_word_in_any_of_its_forms() {
        for (text, phrase, found) in [
            ("Research it, implement an example, test it", "test", true),
            ("then testing begins", "test", true),
            ("the latest contest", "test", false),
            ("an END-to-end check", "end-to-end", true),
            ("refactored code", "refactor", true),
            ("", "test", false),
            ("anything", "", false),
        ] {
            assert_eq!(contains(&stems(text), &stems(phrase)), found, "{phrase:?} in {text:?}");
        }
    }

    #[test]
    fn overlap_counts_words_once() {
        let has = ["unit-test".to_string(), "test".to_string(), "coverage".to_string()];
        assert_eq!(overlap(&has, &stems("write unit tests with good coverage")), 3);
        assert_eq!(overlap(&has, &stems("deploy")), 0);
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
