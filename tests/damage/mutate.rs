//! What can happen to a message on its way: bytes that flip, parts that are lost or come twice,
//! values of another kind, numbers and texts that nobody sends.

use serde_json::{Map, Value, json};

use super::dice::Dice;

/// Bytes that have hurt readers before.
const BYTES: [&[u8]; 20] = [
    b"\0",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\xe2\x80\xa8",
    b"\\ud800",
    b"\\u0000",
    b"\\",
    b"\"",
    b"{",
    b"}",
    b"[[[[[[[[[[",
    b",",
    b"\r\n",
    b"\n",
    b"1e400",
    b"-0.0e-0",
];

/// A damaged copy of a message; sometimes of what it means, sometimes of its bytes.
pub(crate) fn damaged(message: &Value, dice: &mut Dice) -> Vec<u8> {
    let mut message = message.clone();
    let on_meaning = dice.below(4);
    for _ in 0..on_meaning {
        bend(&mut message, dice);
    }
    let mut bytes = message.to_string().into_bytes();
    if on_meaning == 0 || dice.below(4) == 0 {
        spoil(&mut bytes, dice);
    }
    bytes
}

/// Damages bytes in one to three places.
pub(crate) fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len() + 1);
        let part = dice.part(bytes.len());
        match dice.below(8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(part)),
            4 => {
                let copy = bytes[part].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => drop(bytes.splice(at..at, dice.one(&BYTES).iter().copied())),
            6 => drop(bytes.splice(part, dice.one(&BYTES).iter().copied())),
            _ if at < bytes.len() => {
                let other = dice.below(bytes.len());
                bytes.swap(at, other);
            }
            _ => {}
        }
    }
}

/// Changes one place of a value, wherever it lies.
fn bend(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Object(fields) if !fields.is_empty() && dice.below(8) > 0 => {
            bend_fields(fields, dice);
        }
        Value::Array(items) if !items.is_empty() && dice.below(4) > 0 => {
            let at = dice.below(items.len());
            bend(&mut items[at], dice);
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => *value = strange(value, dice),
    }
}

fn bend_fields(fields: &mut Map<String, Value>, dice: &mut Dice) {
    let names: Vec<String> = fields.keys().cloned().collect();
    let name = dice.one(&names);
    match dice.below(10) {
        0 => drop(fields.remove(name)),
        1 => {
            let other = dice.one(&names).clone();
            let moved = fields.remove(name).unwrap_or_default();
            fields.insert(other, moved);
        }
        2 => {
            let moved = fields.remove(name).unwrap_or_default();
            let spelled = *dice.one(&["ID", "Id", "id ", "i\u{0501}d", "_meta", "method", ""]);
            fields.insert(spelled.to_owned(), moved);
        }
        3 => drop(fields.insert("extra".to_owned(), strange(&Value::Null, dice))),
        _ => {
            let inner = fields.get_mut(name);
            if let Some(inner) = inner {
                bend(inner, dice);
            }
        }
    }
}

/// A value that stands there instead.
fn strange(value: &Value, dice: &mut Dice) -> Value {
    match dice.below(20) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!([]),
        3 => json!({}),
        4 => json!(-1),
        5 => json!(i64::MAX),
        6 => json!(u64::MAX),
        7 => json!(1.5),
        8 => json!(1e308),
        9 => json!(""),
        10 => json!("\u{202e}\u{0}\u{feff}\u{2028}"),
        11 => json!("x".repeat(10_000)),
        12 => json!("\u{1f980}".repeat(300)),
        13 => json!([value, value]),
        14 => json!({"value": value}),
        15 => (0..dice.below(80)).fold(value.clone(), |it, _| json!([it])),
        16 => json!(value.to_string()),
        17 => json!({"id": 1, "jsonrpc": "2.0", "method": "ping"}),
        18 => json!("../../etc/passwd"),
        _ => json!((0..300).collect::<Vec<u32>>()),
    }
}
