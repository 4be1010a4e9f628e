//! A page of a text that comes in pieces: as much as was asked for is kept, the rest is counted.

use regex::{Regex, RegexBuilder};

/// Letters of a pattern.
pub(crate) const PATTERN_CHARS: usize = 500;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;
/// Bytes of one line that is searched at once; a longer one is searched in parts.
const LINE_BYTES: usize = 1 << 20;
/// Bytes shown of a line that matches.
const SHOWN_BYTES: usize = 400;

/// A page in the making.
pub(crate) struct Excerpt {
    page: Page,
    search: Option<Search>,
}

/// The page, and how it stands in the whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) text: String,
    /// Bytes of the whole, or of all lines that match.
    pub(crate) bytes: usize,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<usize>,
    /// Lines that match, if lines were looked for.
    pub(crate) matches: Option<usize>,
}

struct Page {
    offset: usize,
    most: usize,
    bytes: usize,
    next: Option<usize>,
    text: String,
}

struct Search {
    pattern: Regex,
    line: String,
    number: usize,
    matches: usize,
}

impl Excerpt {
    /// A page from `offset` on, of at most `most` bytes: of the text, or of those of its lines that
    /// match, each with its number.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub(crate) fn new(
        offset: usize,
        most: usize,
        pattern: Option<&str>,
    ) -> Result<Excerpt, String> {
        let search = pattern.map(|it| {
            let pattern = RegexBuilder::new(it).size_limit(PATTERN_BYTES).build();
            let pattern = pattern.map_err(|error| why(&error))?;
            Ok::<_, String>(Search { pattern, line: String::new(), number: 0, matches: 0 })
        });
        // A character must have room, or no page would ever come further.
        let page = Page { offset, most: most.max(4), bytes: 0, next: None, text: String::new() };
        Ok(Excerpt { page, search: search.transpose()? })
    }

    /// The next piece of the text.
    pub(crate) fn push(&mut self, piece: &str) {
        match &mut self.search {
            None => self.page.push(piece),
            Some(search) => search.push(piece, &mut self.page),
        }
    }

    /// The page.
    pub(crate) fn end(mut self) -> Found {
        if let Some(search) = &mut self.search
            && !search.line.is_empty()
        {
            search.look(&mut self.page);
        }
        let Page { text, bytes, next, .. } = self.page;
        Found { text, bytes, next, matches: self.search.map(|it| it.matches) }
    }
}

impl Page {
    /// Cuts between characters only.
    fn push(&mut self, piece: &str) {
        let at = self.bytes;
        self.bytes += piece.len();
        if self.next.is_some() || self.bytes <= self.offset {
            return;
        }
        let from = piece.ceil_char_boundary(self.offset.saturating_sub(at).min(piece.len()));
        let room = self.most.saturating_sub(self.text.len());
        let to = piece.floor_char_boundary((from.saturating_add(room)).min(piece.len()));
        self.text.push_str(&piece[from..to]);
        if to < piece.len() {
            self.next = Some(at + to);
        }
    }
}

impl Search {
    fn push(&mut self, piece: &str, page: &mut Page) {
        for part in piece.split_inclusive('\n') {
            self.line.push_str(part);
            if part.ends_with('\n') {
                self.look(page);
            } else if self.line.len() > LINE_BYTES {
                // The line goes on; what is behind it counts as the same one.
                self.look(page);
                self.number -= 1;
            }
        }
    }

    fn look(&mut self, page: &mut Page) {
        self.number += 1;
        let line = self.line.trim_end_matches(['\r', '\n']);
        if let Some(found) = self.pattern.find(line) {
            self.matches += 1;
            let before = found.start().saturating_sub(SHOWN_BYTES / 4);
            let from = if line.len() <= SHOWN_BYTES { 0 } else { line.floor_char_boundary(before) };
            let to = line.floor_char_boundary((from + SHOWN_BYTES).min(line.len()));
            let (lead, tail) =
                (if from > 0 { "…" } else { "" }, if to < line.len() { "…" } else { "" });
            page.push(&format!("{}: {lead}{}{tail}\n", self.number, &line[from..to]));
        }
        self.line.clear();
    }
}

/// The last line of the library's message says what is wrong; those before it draw it.
fn why(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pieces: &[&str], offset: usize, most: usize, pattern: Option<&str>) -> Found {
        let mut excerpt = Excerpt::new(offset, most, pattern).expect("a pattern");
        pieces.iter().for_each(|it| excerpt.push(it));
        excerpt.end()
    }

    #[test]
    fn pages_put_together_are_the_whole() {
        let text = "a\u{e9}\u{20ac}\u{1f469}\u{200d}\u{1f52c} tail ".repeat(40);
        let pieces: Vec<&str> = text.split_inclusive(' ').collect();
        for most in [4, 5, 7, 64, 10_000] {
            let (mut whole, mut offset, mut n_pages) = (String::new(), 0, 0);
            loop {
                let found = page(&pieces, offset, most, None);
                assert!(found.text.len() <= most && found.bytes == text.len());
                whole.push_str(&found.text);
                n_pages += 1;
                match found.next {
                    Some(next) => {
                        assert!(next > offset, "it comes further");
                        offset = next;
                    }
                    None => break,
                }
            }
            assert_eq!(whole, text, "in {n_pages} pages of {most}");
        }
    }

    #[test]
    fn an_offset_that_is_nowhere_is_no_error() {
        let beyond = page(&["abc"], usize::MAX, 10, None);
        assert_eq!((beyond.text.as_str(), beyond.bytes, beyond.next), ("", 3, None));
        assert_eq!(page(&["a\u{20ac}b"], 2, 10, None).text, "b", "inside a character");
        assert_eq!(page(&["abc", "def"], 3, 10, None).text, "def");
        assert_eq!(page(&["abcd", "ef"], 0, 4, None).next, Some(4));
        assert_eq!(page(&["abcd", ""], 0, 4, None).next, None);
    }

    #[test]
    fn lines_that_match_come_with_their_numbers() {
        let pieces = ["one tw", "o\nthree\r\n", "two", " four\n\ntwo"];
        let found = page(&pieces, 0, 1_000, Some("^two|tw"));
        assert_eq!(found.text, "1: one two\n3: two four\n5: two\n");
        assert_eq!((found.matches, found.bytes, found.next), (Some(3), found.text.len(), None));
        let first = page(&pieces, 0, 11, Some("two"));
        assert_eq!((first.text.as_str(), first.next), ("1: one two\n", Some(11)));
        assert_eq!(page(&pieces, 11, 1_000, Some("two")).text, "3: two four\n5: two\n");
        assert_eq!(page(&pieces, 0, 100, Some("five")).matches, Some(0));
    }

    #[test]
    fn a_long_line_is_shown_around_its_match() {
        let line = format!("{}needle{}", "\u{e9}".repeat(5_000), "x".repeat(3 << 20));
        let found = page(&[&line, "\nneedle"], 0, 4_000, Some("needle"));
        let lines: Vec<&str> = found.text.lines().collect();
        assert_eq!((found.matches, lines.len()), (Some(2), 2), "{lines:?}");
        assert!(
            lines[0].starts_with("1: …") && lines[0].contains("needle") && lines[0].len() < 500
        );
        assert_eq!(lines[1], "2: needle");
    }

    #[test]
    fn a_pattern_is_linear_and_small_or_refused() {
        let hostile = Excerpt::new(0, 100, Some(r"(a+)+$"));
        let mut hostile = hostile.expect("it is linear here");
        hostile.push(&"a".repeat(200_000));
        hostile.push("b\n");
        assert_eq!(hostile.end().matches, Some(0));
        for pattern in ["(", "a{1000}{1000}{1000}", "(?<=look)behind"] {
            let refused = Excerpt::new(0, 100, Some(pattern)).err().expect("refused");
            assert!(!refused.is_empty() && !refused.contains('\n'), "{refused}");
        }
    }
}
