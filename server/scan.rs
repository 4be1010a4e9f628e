//! One look at the bytes of a message as they come in: how deep it nests, and what its id is, also
//! where it is broken or too long to be kept.

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scan {
    depth: usize,
    deepest: usize,
    is_object: bool,
    text: Text,
    place: Place,
    token: Vec<u8>,
    id: Vec<u8>,
    n_ids: usize,
}

/// Bytes of an id that are kept: longer ones are refused.
pub(crate) const ID_BYTES: usize = 256;

/// Where in a text the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Text {
    #[default]
    Outside,
    Inside,
    Escaped,
}

/// Where between the braces of the message itself the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Place {
    /// In a name, or before one.
    #[default]
    Name,
    /// In the value of `id`.
    Id,
    /// In another value.
    Value,
}

impl Scan {
    /// Looks at the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.look(*byte);
        }
    }

    /// The deepest nesting.
    pub(crate) fn deepest(&self) -> usize {
        self.deepest
    }

    /// How often the message names its id.
    pub(crate) fn n_ids(&self) -> usize {
        self.n_ids
    }

    /// The id's JSON as written; empty if there is none.
    pub(crate) fn id(&self) -> &[u8] {
        self.id.trim_ascii()
    }

    fn look(&mut self, byte: u8) {
        match (self.text, byte) {
            (Text::Escaped, _) => self.text = Text::Inside,
            (Text::Inside, b'\\') => self.text = Text::Escaped,
            (Text::Inside, b'"') => self.text = Text::Outside,
            (Text::Inside, _) => {}
            (Text::Outside, b'"') => self.text = Text::Inside,
            (Text::Outside, b'{' | b'[') => return self.open(byte),
            (Text::Outside, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                return;
            }
            (Text::Outside, b':' | b',') if self.depth == 1 && self.is_object => {
                return self.turn(byte);
            }
            (Text::Outside, _) => {}
        }
        if self.depth == 1 && self.is_object {
            self.keep(byte);
        }
    }

    fn open(&mut self, bracket: u8) {
        if self.depth == 0 {
            self.is_object = bracket == b'{';
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        if self.depth == 2 && self.place == Place::Id {
            // An id that is no text and no number cannot be answered to.
            self.id.clear();
            self.place = Place::Value;
        }
    }

    /// A colon ends a name, a comma ends a value.
    fn turn(&mut self, byte: u8) {
        if byte == b',' {
            self.place = Place::Name;
        } else if self.token.trim_ascii() == b"\"id\"" {
            self.place = Place::Id;
            self.n_ids += 1;
            self.id.clear();
        } else {
            self.place = Place::Value;
        }
        self.token.clear();
    }

    fn keep(&mut self, byte: u8) {
        let kept = match self.place {
            Place::Name => &mut self.token,
            Place::Id => &mut self.id,
            Place::Value => return,
        };
        if kept.len() <= ID_BYTES {
            kept.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn scan(bytes: &[u8]) -> Scan {
        let mut scan = Scan::default();
        scan.take(bytes);
        scan
    }

    #[test]
    fn an_id_is_found_wherever_it_stands() {
        let cases: [(&[u8], &[u8]); 11] = [
            (br#"{"id":6,"method":"ping"}"#, b"6"),
            (br#"{"params":{"id":1,"a":["id",{"id":2}]}, "id" : "a,b}\"c" }"#, br#""a,b}\"c""#),
            (br#"{"id":7,"params":{"a":"\ud800}"#, b"7"),
            (b"{\"params\":\"\xff\xfe\",\"id\":8,", b"8"),
            (br#"{"id":-3"#, b"-3"),
            (br#"{"id":{"a":1}}"#, b""),
            (br#"{"id":[1],"x":1}"#, b""),
            (br#"[{"id":1}]"#, b""),
            (br#"{"a":"id","b":5}"#, b""),
            (b"{not json}", b""),
            (b"", b""),
        ];
        for (bytes, id) in cases {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(scan(bytes).id(), id, "{shown}");
        }
    }

    #[test]
    fn depth_is_counted_outside_texts() {
        assert_eq!(scan(br#"{"a":"[[[[","b":[{}]}"#).deepest(), 3);
        assert_eq!(scan("[".repeat(5_000).as_bytes()).deepest(), 5_000);
        assert_eq!(scan(br#"{"id":1,"id":2}"#).n_ids(), 2);
    }

    #[test]
    fn an_endless_id_is_not_kept() {
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(1 << 20));
        assert_eq!(scan(long.as_bytes()).id().len(), ID_BYTES + 1);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_seen_alike(bytes: Vec<u8>, cut in 0usize..64) {
            let whole = scan(&bytes);
            let mut pieces = Scan::default();
            let cut = cut.min(bytes.len());
            pieces.take(&bytes[..cut]);
            pieces.take(&bytes[cut..]);
            prop_assert_eq!(whole.id(), pieces.id());
            prop_assert_eq!(whole.deepest(), pieces.deepest());
        }

        #[test]
        fn the_id_of_a_good_message_is_read_back(id: i64, text in ".{0,40}", first: bool) {
            for id in [json!(id), json!(text)] {
                let params = json!({"id": 0, "a": [text, {"id": "no"}]});
                let message = if first {
                    json!({"id": id, "method": text, "params": params})
                } else {
                    json!({"method": text, "params": params, "id": id})
                };
                let found: Value = serde_json::from_slice(scan(message.to_string().as_bytes()).id())
                    .expect("an id");
                prop_assert_eq!(found, id);
            }
        }
    }
}
