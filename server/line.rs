//! Bytes become lines, bounded, and lines become messages, or refusals that can be answered.

use callboard_config::Limits;
use rmcp::model::{ClientJsonRpcMessage, ErrorCode, RequestId};
use serde_json::{Value, json};

use crate::scan::{ID_BYTES, Scan};
use crate::veil;

/// Splits a stream into lines and keeps none that is too long.
#[derive(Debug)]
pub(crate) struct Framer {
    most: usize,
    line: Vec<u8>,
    n_bytes: usize,
    scan: Scan,
}

/// One line.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Its bytes; none if it is too long.
    line: Vec<u8>,
    /// Its length.
    n_bytes: usize,
    /// What was seen of it.
    scan: Scan,
}

/// What a line turned out to be.
#[derive(Debug)]
pub(crate) enum Read {
    /// A message.
    Message(Box<ClientJsonRpcMessage>),
    /// Nothing that wants an answer.
    Nothing,
    /// Nothing that can be taken, and the answer to it.
    Refused(Refused),
}

/// The answer to a line that cannot be taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    /// Whom it answers, if that could be made out.
    pub(crate) id: Option<RequestId>,
    /// A code of JSON-RPC, or one of our own.
    pub(crate) code: ErrorCode,
    /// A fragment that names what is wrong, and the way out.
    pub(crate) message: String,
}

impl Framer {
    /// A framer that keeps lines of at most `most` bytes.
    pub(crate) fn new(most: usize) -> Framer {
        Framer { most, line: Vec::new(), n_bytes: 0, scan: Scan::default() }
    }

    /// Takes in bytes and gives back the lines that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|it| *it == b'\n') {
            self.keep(&rest[..end]);
            frames.extend(self.end());
            rest = &rest[end + 1..];
        }
        self.keep(rest);
        frames
    }

    /// The line that has begun, as if it ended here.
    pub(crate) fn end(&mut self) -> Option<Frame> {
        let n_bytes = std::mem::take(&mut self.n_bytes);
        let (line, scan) = (std::mem::take(&mut self.line), std::mem::take(&mut self.scan));
        (n_bytes > 0).then_some(Frame { line, n_bytes, scan })
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.n_bytes = self.n_bytes.saturating_add(bytes.len());
        self.scan.take(bytes);
        if self.n_bytes <= self.most {
            self.line.extend_from_slice(bytes);
        } else {
            self.line = Vec::new();
        }
    }
}

impl Frame {
    /// A message that came as a whole, however many lines it has.
    pub(crate) fn whole(bytes: &[u8]) -> Frame {
        let mut scan = Scan::default();
        scan.take(bytes);
        Frame { line: bytes.to_vec(), n_bytes: bytes.len(), scan }
    }

    /// Reads the line as a message.
    pub(crate) fn read(self, limits: &Limits) -> Read {
        if self.n_bytes > limits.line_bytes {
            let (found, most) = (self.n_bytes, limits.line_bytes);
            let message = format!(
                "the message has {found} bytes, at most {most} are taken; shorten the arguments"
            );
            return self.refused(ErrorCode::INVALID_REQUEST, message);
        }
        if self.scan.deepest() > limits.json_depth {
            let (found, most) = (self.scan.deepest(), limits.json_depth);
            let message = format!("the message nests {found} deep; the depth is at most {most}");
            return self.refused(ErrorCode::INVALID_REQUEST, message);
        }
        let line = self.line.trim_ascii();
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if line.is_empty() {
            return Read::Nothing;
        }
        let value = match serde_json::from_slice::<Value>(line) {
            Ok(value) => value,
            Err(error) => {
                let (code, message) = broken(line, &error);
                return self.refused(code, message);
            }
        };
        match message(value, self.scan.n_ids()) {
            Ok(Some(message)) => Read::Message(Box::new(message)),
            Ok(None) => Read::Nothing,
            Err(message) => self.refused(ErrorCode::INVALID_REQUEST, message),
        }
    }

    fn refused(&self, code: ErrorCode, message: String) -> Read {
        Read::Refused(Refused { id: id(self.scan.id()), code, message })
    }
}

impl Refused {
    /// The answer as a line, without its newline. An id that could not be made out is null.
    pub(crate) fn line(&self) -> Vec<u8> {
        let error = json!({"code": self.code.0, "message": veil::over(&self.message)});
        let answer = json!({"jsonrpc": "2.0", "id": self.id, "error": error});
        answer.to_string().into_bytes()
    }
}

/// An id that a request may have, and that can be answered to.
fn id(written: &[u8]) -> Option<RequestId> {
    if written.is_empty() || written.len() > ID_BYTES {
        return None;
    }
    serde_json::from_slice(written).ok()
}

fn broken(line: &[u8], error: &serde_json::Error) -> (ErrorCode, String) {
    if std::str::from_utf8(line).is_err() {
        return (ErrorCode::PARSE_ERROR, "the message is not UTF-8".to_owned());
    }
    let said = error.to_string();
    if said.starts_with("number out of range") {
        return (ErrorCode::INVALID_REQUEST, format!("the message holds a {said}"));
    }
    (ErrorCode::PARSE_ERROR, format!("the message is not JSON: {said}"))
}

/// A parsed line as a message; `None` for what wants no answer.
fn message(value: Value, n_ids: usize) -> Result<Option<ClientJsonRpcMessage>, String> {
    let Value::Object(fields) = &value else {
        let what = if value.is_array() { "a batch" } else { "no JSON-RPC" };
        return Err(format!("this is {what}; send one message at a time"));
    };
    if fields.get("jsonrpc") != Some(&json!("2.0")) {
        return Err("the message lacks \"jsonrpc\": \"2.0\"".to_owned());
    }
    if n_ids > 1 {
        return Err("the message names its id more than once".to_owned());
    }
    let given = fields.get("id");
    let has_good_id = given.is_some_and(|it| id(it.to_string().as_bytes()).is_some());
    if given.is_some() && !has_good_id {
        return Err(format!("the id must be an integer, or a text of at most {ID_BYTES} bytes"));
    }
    let is_request = match (fields.get("method"), given) {
        (Some(Value::String(_)), given) => given.is_some(),
        (None, _) if fields.contains_key("result") || fields.contains_key("error") => {
            // An answer to what we asked; what answers nothing is nobody's.
            return Ok(serde_json::from_value(value).ok());
        }
        _ => return Err("the message names no method".to_owned()),
    };
    match serde_json::from_value(value) {
        Ok(message) => Ok(Some(message)),
        Err(_) if is_request => {
            Err("the message is no request: params must be an object".to_owned())
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits { line_bytes: 1_000, ..Limits::default() }
    }

    fn reads(bytes: &[u8]) -> Vec<Read> {
        let mut framer = Framer::new(limits().line_bytes);
        let mut frames = framer.push(bytes);
        frames.extend(framer.end());
        frames.into_iter().map(|it| it.read(&limits())).collect()
    }

    /// What one line is answered, as `code id`.
    fn answer(line: &[u8]) -> String {
        match &reads(line)[..] {
            [Read::Refused(it)] => {
                let answer: Value = serde_json::from_slice(&it.line()).expect("JSON");
                format!("{} {}", answer["error"]["code"], answer["id"])
            }
            [Read::Message(_)] => "taken".to_owned(),
            [Read::Nothing] | [] => "nothing".to_owned(),
            _ => "several".to_owned(),
        }
    }

    #[test]
    fn every_bad_line_has_its_answer() {
        let deep =
            r#"{"jsonrpc":"2.0","id":7,"method":"x","params":{"a":"#.to_owned() + &"[".repeat(400);
        let long = "x".repeat(2_000);
        let long = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"a":"{long}"}},"id":9}}"#);
        let long_id = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(300));
        let cases: [(&[u8], &str); 25] = [
            (b"{not json}", "-32700 null"),
            (br#"{"jsonrpc":"2.0","id":4,"method":"ping""#, "-32700 4"),
            (b"{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"\xff\"}", "-32700 6"),
            (b"{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"a\0b\"}", "-32700 6"),
            (br#"{"jsonrpc":"2.0","id":6,"method":"ping","params":{"a":"\ud800"}}"#, "-32700 6"),
            (deep.as_bytes(), "-32600 7"),
            (long.as_bytes(), "-32600 9"),
            (long_id.as_bytes(), "-32600 null"),
            (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "-32600 null"),
            (br#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#, "-32600 null"),
            (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "-32600 null"),
            (br#"{"jsonrpc":"2.0","id":1e400,"method":"ping"}"#, "-32600 null"),
            (br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "-32600 null"),
            (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, "-32600 2"),
            (br#"{"id":1,"method":"ping"}"#, "-32600 1"),
            (br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "-32600 1"),
            (br#"{"jsonrpc":"2.0","id":1,"method":5}"#, "-32600 1"),
            (br#"{"jsonrpc":"2.0","id":1}"#, "-32600 1"),
            (b"true", "-32600 null"),
            (br#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "taken"),
            (br#"{"jsonrpc":"2.0","id":1,"error":{"code":"x"}}"#, "nothing"),
            (br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":7}"#, "nothing"),
            (b" \r", "nothing"),
            (b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n", "taken"),
            (br#"{"jsonrpc":"2.0","id":"a","method":"who/knows","params":{}}"#, "taken"),
        ];
        for (line, expected) in cases {
            assert_eq!(answer(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_good_line_after_an_endless_one_is_read() {
        let mut framer = Framer::new(1_000);
        for _ in 0..1_000 {
            assert!(framer.push(&[b'x'; 1_000]).is_empty());
            assert!(framer.line.capacity() <= 2_000, "the line is not kept");
        }
        let mut frames =
            framer.push(b"\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").into_iter();
        let endless = frames.next().expect("a frame").read(&limits());
        assert!(
            matches!(endless, Read::Refused(it) if it.message.contains("1000000 bytes, at most 1000"))
        );
        assert!(matches!(frames.next().expect("a frame").read(&limits()), Read::Message(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes: Vec<u8>) {
            for read in reads(&bytes) {
                if let Read::Refused(refused) = read {
                    prop_assert!(serde_json::from_slice::<Value>(&refused.line()).is_ok());
                }
            }
        }

        #[test]
        fn the_cut_between_pieces_does_not_matter(at in 0usize..120) {
            let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
            let text = format!("{ping}\n\n{{bad}}\n{ping}").into_bytes();
            let at = at.min(text.len());
            let mut framer = Framer::new(1_000);
            let mut frames = framer.push(&text[..at]);
            frames.extend(framer.push(&text[at..]));
            frames.extend(framer.end());
            let kinds: Vec<bool> = frames.into_iter()
                .map(|it| matches!(it.read(&limits()), Read::Message(_)))
                .collect();
            prop_assert_eq!(kinds, [true, false, true]);
        }
    }
}
