//! The bytes of an answer on their way to the parser: counted, capped, and cleaned.
//!
//! The parser of the client library panics at a byte order mark, stops at invalid UTF-8, drops a
//! last event without its blank line, and hides whether a stream said that it was done.

/// What one answer's bytes showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `data: [DONE]` came.
    pub(crate) done: bool,
    /// The stream ended inside a line.
    pub(crate) torn: bool,
    /// Invalid UTF-8 was replaced.
    pub(crate) replaced: bool,
    /// The body was one JSON value, not a stream.
    pub(crate) is_json: bool,
}

/// Why no more bytes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The answer is larger than its cap.
    Reply,
    /// One event is larger than its cap.
    Event,
    /// It is a web page.
    Page,
}

/// Cleans one answer.
#[derive(Default)]
pub(crate) struct Filter {
    shape: Shape,
    reply_cap: usize,
    event_cap: usize,
    taken: usize,
    event: usize,
    line: usize,
    head: Vec<u8>,
    after_cr: bool,
    started: bool,
    carry: Vec<u8>,
    seen: Seen,
}

/// What the bytes are, and what they shall become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One JSON value, passed on.
    #[default]
    Body,
    /// A stream was asked for; its first byte tells whether it is one.
    Expected,
    /// A stream of events, passed on.
    Stream,
    /// One JSON value where a stream was asked for, passed on as its only event.
    Wrapped,
}

/// Bytes of a line that are kept to know it by.
const HEAD: usize = 16;

impl Filter {
    pub(crate) fn new(shape: Shape, reply_cap: usize, event_cap: usize) -> Filter {
        Filter { shape, reply_cap, event_cap, head: Vec::with_capacity(HEAD), ..Filter::default() }
    }

    /// What the bytes showed so far.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The clean form of the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<String, Stop> {
        self.taken += bytes.len();
        if self.taken > self.reply_cap {
            return Err(Stop::Reply);
        }
        let text = self.text(bytes);
        self.pass(text)
    }

    /// The end of the bytes: what is still to be passed on, and what was seen.
    pub(crate) fn finish(mut self) -> Result<(String, Seen), Stop> {
        let mut rest = String::new();
        if !std::mem::take(&mut self.carry).is_empty() {
            self.seen.replaced = true;
            rest = self.pass("\u{fffd}".to_owned())?;
        }
        match self.shape {
            Shape::Stream => {
                self.seen.torn = self.line > 0;
                self.end_line();
                rest.push_str("\n\n");
            }
            Shape::Wrapped => rest.push_str("\n\n"),
            Shape::Body | Shape::Expected => {}
        }
        Ok((rest, self.seen))
    }

    /// Valid UTF-8 of the bytes; an incomplete character at their end waits for the next ones.
    fn text(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.carry);
        all.extend_from_slice(bytes);
        let mut text = String::with_capacity(all.len());
        let mut left = all.as_slice();
        loop {
            let error = match std::str::from_utf8(left) {
                Ok(valid) => {
                    text.push_str(valid);
                    return text;
                }
                Err(error) => error,
            };
            let (valid, rest) = left.split_at(error.valid_up_to());
            text.push_str(&String::from_utf8_lossy(valid));
            let Some(bad) = error.error_len() else {
                self.carry = rest.to_vec();
                return text;
            };
            self.seen.replaced = true;
            text.push('\u{fffd}');
            left = &rest[bad..];
        }
    }

    fn pass(&mut self, mut text: String) -> Result<String, Stop> {
        if !self.started {
            text = self.start(text)?;
        }
        match self.shape {
            Shape::Stream => self.watch(text.as_bytes())?,
            Shape::Wrapped => text = text.replace(['\n', '\r'], " "),
            Shape::Body | Shape::Expected => {}
        }
        if self.shape == Shape::Wrapped && !std::mem::replace(&mut self.seen.is_json, true) {
            text.insert_str(0, "data: ");
        }
        Ok(text)
    }

    /// Drops a byte order mark and blank space before anything else, and looks at the first byte.
    fn start(&mut self, text: String) -> Result<String, Stop> {
        let trimmed = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        let Some(first) = trimmed.chars().next() else { return Ok(String::new()) };
        self.started = true;
        match (first, self.shape) {
            ('<', _) => return Err(Stop::Page),
            ('{' | '[', Shape::Expected) => self.shape = Shape::Wrapped,
            (_, Shape::Expected) => self.shape = Shape::Stream,
            (_, Shape::Body | Shape::Stream | Shape::Wrapped) => {}
        }
        Ok(trimmed.to_owned())
    }

    fn watch(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        for byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(),
                _ => {
                    self.line += 1;
                    self.event += 1;
                    if self.head.len() < HEAD {
                        self.head.push(*byte);
                    }
                }
            }
            if self.event > self.event_cap {
                return Err(Stop::Event);
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        if self.line == 0 {
            self.event = 0;
        }
        let head = self.head.strip_prefix(b"data:").map(<[u8]>::trim_ascii);
        if head == Some(b"[DONE]".as_slice()) {
            self.seen.done = true;
        }
        self.line = 0;
        self.head.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(chunks: &[&[u8]]) -> Result<(String, Seen), Stop> {
        let mut filter = Filter::new(Shape::Expected, 1_000, 100);
        let mut out = String::new();
        for chunk in chunks {
            out.push_str(&filter.push(chunk)?);
        }
        let (rest, seen) = filter.finish()?;
        Ok((out + &rest, seen))
    }

    #[test]
    fn marks_split_and_invalid_characters_are_mended() {
        let euro = "€".as_bytes();
        let (text, seen) =
            through(&[b"\xef\xbb", b"\xbf\n", b"data: ", &euro[..1], &euro[1..], b"\xff!\n\n"])
                .unwrap();
        assert_eq!(text, "data: €\u{fffd}!\n\n\n\n");
        assert_eq!(seen, Seen { replaced: true, ..Seen::default() });
        let (text, seen) = through(&[b"data: \xe2\x82"]).unwrap();
        assert_eq!(text, "data: \u{fffd}\n\n");
        assert!(seen.torn && seen.replaced);
    }

    #[test]
    fn the_word_done_is_seen_in_every_spelling() {
        for text in [
            "data: [DONE]\n\n",
            "data:[DONE]\r\n\r\n",
            "data: {}\n\ndata:  [DONE] \r\r",
            "data: [DONE]",
            ": ping\ndata: [DONE]\n",
        ] {
            assert!(through(&[text.as_bytes()]).unwrap().1.done, "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert!(through(&bytes).unwrap().1.done, "{text:?}");
        }
        for text in
            ["data: {\"a\":\"data: [DONE]\"}\n\n", "event: [DONE]\n\n", "data: [DONE] and more\n\n"]
        {
            assert!(!through(&[text.as_bytes()]).unwrap().1.done, "{text:?}");
        }
    }

    #[test]
    fn caps_count_an_event_and_the_whole() {
        let event = format!("data: {}\r\n\r\n", "x".repeat(80));
        let many: Vec<&[u8]> = std::iter::repeat_n(event.as_bytes(), 10).collect();
        assert!(through(&many).is_ok());
        assert_eq!(through(&[b"data: ", "x".repeat(95).as_bytes()]), Err(Stop::Event));
        let lines: Vec<&[u8]> = std::iter::repeat_n(b"data: 1234567890\n".as_slice(), 8).collect();
        assert_eq!(through(&lines), Err(Stop::Event));
        let endless: Vec<&[u8]> = std::iter::repeat_n(event.as_bytes(), 13).collect();
        assert_eq!(through(&endless), Err(Stop::Reply));
    }

    #[test]
    fn a_page_is_refused_and_plain_json_becomes_one_event() {
        assert_eq!(through(&[b"\n <!DOCTYPE html>"]), Err(Stop::Page));
        let (text, seen) = through(&[b" {\"a\":\r", b"\n1}"]).unwrap();
        assert_eq!(text, "data: {\"a\":  1}\n\n");
        assert!(seen.is_json && !seen.done);
        assert_eq!(through(&[]).unwrap().0, "");
    }

    proptest::proptest! {
        #[test]
        fn however_the_bytes_are_cut_they_come_out_the_same(
            text in "(data: ?[a-zé€{}\\[\\]DONE]{0,9}|:|\r|\n|\n\n|\r\n){0,9}",
            junk in proptest::collection::vec(proptest::num::u8::ANY, 0..4),
            at in proptest::collection::vec(proptest::num::usize::ANY, 3),
        ) {
            let mut bytes = text.into_bytes();
            let place = at[0] % (bytes.len() + 1);
            bytes.splice(place..place, junk);
            let mut cuts: Vec<usize> = at.iter().map(|it| it % (bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let (first, rest) = bytes.split_at(cuts[0]);
            let (second, rest) = rest.split_at(cuts[1] - cuts[0]);
            let (third, fourth) = rest.split_at(cuts[2] - cuts[1]);
            let pieces = through(&[first, second, third, fourth]);
            proptest::prop_assert_eq!(pieces, through(&[&bytes]));
        }
    }
}
