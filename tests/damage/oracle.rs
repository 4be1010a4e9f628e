//! What a line is owed, found out without the program.

use serde_json::Value;

/// Nesting that is taken.
const DEPTH: usize = 64;
/// Bytes of an id that is taken.
const ID_BYTES: usize = 256;

/// The answers to one line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Owed {
    /// None: it is a notification, an answer, or blank.
    Nothing,
    /// One, to this id.
    Answer(Value),
    /// One error, to whatever id could be made out.
    Refusal,
}

/// What one message is owed; `as_line` if blanks are nothing at all.
pub(crate) fn owed(bytes: &[u8], as_line: bool) -> Owed {
    let line = bytes.trim_ascii();
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.is_empty() {
        return if as_line { Owed::Nothing } else { Owed::Refusal };
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice(line) else { return Owed::Refusal };
    if depth(line) > DEPTH || n_ids(line) > 1 {
        return Owed::Refusal;
    }
    let id = fields.get("id");
    let is_good = id.is_none_or(is_id);
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") || !is_good {
        return Owed::Refusal;
    }
    match (fields.get("method"), id) {
        (Some(Value::String(_)), Some(id)) => Owed::Answer(id.clone()),
        (Some(Value::String(_)), None) => Owed::Nothing,
        (None, _) if fields.contains_key("result") || fields.contains_key("error") => Owed::Nothing,
        _ => Owed::Refusal,
    }
}

/// How deep good JSON nests.
fn depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in line {
        match (is_text, is_escaped, byte) {
            (true, true, _) => is_escaped = false,
            (true, false, b'\\') => is_escaped = true,
            (_, _, b'"') => is_text = !is_text,
            (false, _, b'{' | b'[') => depth += 1,
            (false, _, b'}' | b']') => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// How often good JSON names an `id` between its outer braces, in letters or escaped.
fn n_ids(line: &[u8]) -> usize {
    struct Names(usize);
    impl<'de> serde::de::Visitor<'de> for Names {
        type Value = usize;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a message")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            mut self,
            mut map: A,
        ) -> Result<usize, A::Error> {
            while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                self.0 += usize::from(name == "id");
            }
            Ok(self.0)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(line);
    serde::Deserializer::deserialize_map(&mut reader, Names(0)).unwrap_or(0)
}

fn is_id(id: &Value) -> bool {
    match id {
        Value::Number(it) => it.is_i64(),
        Value::String(_) => id.to_string().len() <= ID_BYTES,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Takes the answers that are owed out of those that came, and tells what is wrong.
pub(crate) fn settle(owed: &[Owed], mut came: Vec<Value>) -> Result<(), String> {
    for it in owed {
        let Owed::Answer(id) = it else { continue };
        // A refusal may have made out the same id.
        let result = came.iter().position(|it| it["id"] == *id && it.get("result").is_some());
        let Some(at) = result.or_else(|| came.iter().position(|it| it["id"] == *id)) else {
            return Err(format!("no answer to {id}"));
        };
        came.swap_remove(at);
    }
    let n_refusals = owed.iter().filter(|it| **it == Owed::Refusal).count();
    if let Some(it) = came.iter().find(|it| !it["error"]["code"].is_i64()) {
        return Err(format!("nobody is owed this: {it}"));
    }
    if came.len() != n_refusals {
        return Err(format!("{n_refusals} refusals are owed, and {} came", came.len()));
    }
    Ok(())
}
