//! What a command said: its beginning as a whole, its end for the model, and how much it was.

use std::collections::VecDeque;

/// Of so many parts of bytes, one may be no text before all of it is none.
const BROKEN: usize = 20;

/// The output of one command, as far as it is kept.
pub(super) struct Tape {
    head: Vec<u8>,
    /// The last bytes, as many as half of what a model is shown.
    tail: VecDeque<u8>,
    /// Bytes of all of it.
    total: usize,
    /// Bytes that a model is shown.
    shown: usize,
    /// Bytes that are kept from the beginning.
    kept: usize,
}

impl Tape {
    pub(super) fn new(shown: usize, kept: usize) -> Tape {
        Tape { head: Vec::new(), tail: VecDeque::new(), total: 0, shown, kept: kept.max(shown) }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.total += bytes.len();
        let room = self.kept.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        let last = &bytes[bytes.len().saturating_sub(self.shown / 2)..];
        self.tail.extend(last);
        let over = self.tail.len().saturating_sub(self.shown / 2);
        self.tail.drain(..over);
    }

    /// Bytes so far.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// What a model is shown, and what is kept besides if that is not all; `name` names what is kept.
    pub(super) fn played(&self, name: impl Fn(&str) -> String) -> (String, Option<String>) {
        if is_binary(&self.head) {
            return (format!("[binary output, {} bytes, not shown]", self.total), None);
        }
        let head = String::from_utf8_lossy(&self.head);
        if self.total <= self.shown {
            return (head.into_owned(), None);
        }
        let mut whole = head.into_owned();
        let end = whole.floor_char_boundary(self.shown / 2);
        let mut shown = whole[..end].to_owned();
        if self.total > self.head.len() {
            let (kept, total) = (self.head.len(), self.total);
            whole.push_str(&format!("\n[cut: the first {kept} of {total} bytes are kept]"));
        }
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let tail = String::from_utf8_lossy(&tail);
        // The end may have begun inside of a letter.
        let tail = tail.trim_start_matches('\u{fffd}');
        let (out, total) = (self.total.saturating_sub(end + tail.len()), self.total);
        let id = name(&whole);
        shown.push_str(&format!(
            "\n[cut: {out} of {total} bytes left out; `read` {id} from offset {end}]\n{tail}"
        ));
        (shown, Some(whole))
    }
}

/// Whether it is no text: a letter may be cut in two at its end.
fn is_binary(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let broken = text.chars().filter(|it| *it == '\u{fffd}').count();
    bytes.contains(&0) || broken > 1 + bytes.len() / BROKEN
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: usize = 1 << 20;

    fn played(parts: &[&[u8]], shown: usize) -> (String, Option<String>) {
        let mut tape = Tape::new(shown, KEPT);
        parts.iter().for_each(|it| tape.add(it));
        tape.played(|_| "a_1".to_owned())
    }

    #[test]
    fn a_short_output_is_shown_as_it_is() {
        assert_eq!(played(&[b"one\n", b"two\n"], 100), ("one\ntwo\n".to_owned(), None));
        assert_eq!(played(&[b"caf\xc3"], 100).0, "caf\u{fffd}");
        assert_eq!(played(&[], 100).0, "");
    }

    #[test]
    fn of_a_long_one_both_ends_are_shown_and_its_beginning_is_kept() {
        let (shown, whole) = played(&[&[b'a'; 60], &[b'b'; 60]], 20);
        let cut = "\n[cut: 100 of 120 bytes left out; `read` a_1 from offset 10]\n";
        assert_eq!(shown, format!("{}{cut}{}", "a".repeat(10), "b".repeat(10)));
        assert_eq!(whole.unwrap().len(), 120);
        let (shown, whole) = played(&["ä".repeat(KEPT).as_bytes()], 21);
        assert!(shown.starts_with("äääää\n[cut: ") && shown.ends_with("]\näääää"), "{shown}");
        let kept = "[cut: the first 1048576 of 2097152 bytes are kept]";
        assert!(whole.unwrap().ends_with(kept));
    }

    #[test]
    fn what_is_no_text_is_told_by_its_size() {
        assert_eq!(played(&[b"a\0b"], 100).0, "[binary output, 3 bytes, not shown]");
        assert_eq!(played(&[&[0xff; 50]], 100).0, "[binary output, 50 bytes, not shown]");
    }
}
