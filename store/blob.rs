//! How a body is kept: long strings apart, by their hash, once; deep nesting folded into text.

use serde_json::{Map, Value};

use crate::StoreError;
use crate::chain::digest;
use crate::db::Tx;
use crate::error::Result;

/// A string longer than this is a blob.
pub(crate) const BLOB_OVER: usize = 1024;

/// Deeper nesting is kept as text: a reader of JSON gives up at 128 levels, and what cannot be read
/// back must not be written.
pub(crate) const LEVELS: usize = 64;

/// The field that many records have alike: the definition that a run begins with.
pub(crate) const SHARED: &str = "agent";

/// The key of an object that stands for a blob, and of one that stands for nested JSON as text.
/// Keys of the body that look like these get one more `$`.
const MARKS: [&str; 2] = [BLOB, DEEP];
pub(crate) const BLOB: &str = "$blob";
pub(crate) const DEEP: &str = "$deep";
/// What is read in the place of a text that left before its record.
pub(crate) const GONE: &str = "[no longer kept]";

/// A long string with its hash.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blob {
    pub(crate) hash: String,
    pub(crate) text: String,
    /// Whether it can be erased.
    pub(crate) apart: bool,
}

/// Takes the long strings out of a body, and those that can be erased, and leaves their hashes.
pub(crate) fn pack(body: &mut Value, apart: &[&str], blobs: &mut Vec<Blob>) {
    pack_at(body, 0, apart, blobs);
}

fn pack_at(body: &mut Value, level: usize, apart: &[&str], blobs: &mut Vec<Blob>) {
    match body {
        Value::String(text) if text.len() > BLOB_OVER || apart.contains(&text.as_str()) => {
            let apart = apart.contains(&text.as_str());
            let (hash, text) = (digest(text.as_bytes()), std::mem::take(text));
            *body = mark(BLOB, Value::String(hash.clone()));
            blobs.push(Blob { hash, text, apart });
        }
        Value::Array(_) | Value::Object(_) if level == LEVELS => {
            pack_at(body, 0, apart, blobs);
            *body = deep(body.to_string(), blobs);
        }
        Value::Array(items) => items.iter_mut().for_each(|it| pack_at(it, level + 1, apart, blobs)),
        Value::Object(map) => {
            rename(map, escape);
            for (key, it) in map.iter_mut() {
                pack_at(it, level + 1, apart, blobs);
                if level == 0 && key == SHARED && it.is_object() {
                    share(it, blobs);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}

/// What stands there, as [`pack`] would leave it.
pub(crate) fn shared(mut object: Value) -> (Value, Vec<Blob>) {
    let mut blobs = Vec::new();
    pack_at(&mut object, 1, &[], &mut blobs);
    share(&mut object, &mut blobs);
    (object, blobs)
}

/// An object as nested text where it is large: one blob for all records that hold the same.
fn share(packed: &mut Value, blobs: &mut Vec<Blob>) {
    let text = packed.to_string();
    if text.len() > BLOB_OVER {
        *packed = deep(text, blobs);
    }
}

fn deep(text: String, blobs: &mut Vec<Blob>) -> Value {
    let mut text = Value::String(text);
    pack_at(&mut text, 0, &[], blobs);
    mark(DEEP, text)
}

/// Gives the keys that look like marks other names; most bodies have none.
fn rename(map: &mut Map<String, Value>, new: impl Fn(String) -> String) {
    if map.keys().any(|key| is_mark(key)) {
        *map = std::mem::take(map).into_iter().map(|(key, it)| (new(key), it)).collect();
    }
}

fn mark(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

/// How many levels of lists and objects a body has.
pub(crate) fn depth(body: &Value) -> usize {
    match body {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Puts everything back; `fetch` finds a blob by its hash.
pub(crate) fn unpack(
    body: &mut Value,
    fetch: &mut dyn FnMut(&str) -> Result<String>,
) -> Result<()> {
    match body {
        Value::Array(items) => items.iter_mut().try_for_each(|it| unpack(it, fetch)),
        Value::Object(map) => {
            if let Some(hash) = map.get(BLOB).and_then(Value::as_str) {
                *body = fetch(hash).map(Value::String)?;
                return Ok(());
            }
            if let Some(mut deep) = map.remove(DEEP) {
                unpack(&mut deep, fetch)?;
                *body = unfold(&deep, fetch)?;
                return Ok(());
            }
            rename(map, unescape);
            map.values_mut().try_for_each(|it| unpack(it, fetch))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn unfold(text: &Value, fetch: &mut dyn FnMut(&str) -> Result<String>) -> Result<Value> {
    let parsed = serde_json::from_str(text.as_str().unwrap_or_default());
    let damaged = |it| StoreError::Corrupt(format!("nested text of a record is no JSON: {it}"));
    let mut parsed = parsed.map_err(damaged)?;
    unpack(&mut parsed, fetch)?;
    Ok(parsed)
}

/// Whether a stored body may hold a mark or an escaped key.
pub(crate) fn is_packed(body: &str) -> bool {
    MARKS.iter().any(|it| body.contains(it))
}

/// Keeps a blob, unless it is there.
pub(crate) fn keep(tx: &mut dyn Tx, blob: &Blob) -> Result<()> {
    let bytes = crate::db::Val::Bytes(blob.text.clone().into_bytes());
    let sql = "INSERT INTO blob(hash, bytes) VALUES($1, $2) ON CONFLICT DO NOTHING";
    tx.put(sql, &[(&blob.hash).into(), bytes])
}

/// Keeps another text in the place of a blob's own.
pub(crate) fn put(tx: &mut dyn Tx, hash: &str, text: String) -> Result<()> {
    let bytes = crate::db::Val::Bytes(text.into_bytes());
    tx.put("UPDATE blob SET bytes = $2 WHERE hash = $1", &[hash.into(), bytes])
}

/// Whether it was erased: then it has no longer its hash.
pub(crate) fn is_erased(tx: &mut dyn Tx, hash: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM apart WHERE hash = $1 AND erased = 1 AND run <> 0 LIMIT 1";
    Ok(tx.one(sql, &[hash.into()])?.is_some())
}

/// Says that it left before the records that name it. A row of no run says so.
pub(crate) fn no_longer(tx: &mut dyn Tx, hash: &str) -> Result<()> {
    let sql = "INSERT INTO apart(hash, run, erased) VALUES($1, 0, 1) ON CONFLICT DO NOTHING";
    tx.put(sql, &[hash.into()])
}

/// Finds a blob by its hash.
pub(crate) fn fetch(tx: &mut dyn Tx, hash: &str) -> Result<String> {
    Ok(find(tx, hash)?.unwrap_or_else(|| GONE.to_owned()))
}

/// The same; `None` = it is no longer kept.
pub(crate) fn find(tx: &mut dyn Tx, hash: &str) -> Result<Option<String>> {
    let damaged =
        |what| StoreError::Corrupt(format!("blob {hash} is {what}; the store is damaged"));
    let Some(row) = tx.one("SELECT bytes FROM blob WHERE hash = $1", &[hash.into()])? else {
        let sql = "SELECT 1 FROM apart WHERE run = 0 AND hash = $1";
        let left = tx.one(sql, &[hash.into()])?;
        return left.map(|_| None).ok_or_else(|| damaged("missing"));
    };
    String::from_utf8(row.bytes(0)?.to_vec()).map(Some).map_err(|_| damaged("not text"))
}

fn escape(key: String) -> String {
    if is_mark(&key) { format!("${key}") } else { key }
}

fn unescape(key: String) -> String {
    if is_mark(&key) { key[1..].to_owned() } else { key }
}

/// `$blob`, `$$blob`, … and the same of the other mark.
fn is_mark(key: &str) -> bool {
    MARKS.iter().any(|it| key.trim_start_matches('$') == &it[1..] && key.starts_with('$'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_many_records_have_alike_is_kept_once() {
        let fields: Vec<String> = (0..100).map(|it| format!("field {it}")).collect();
        let agent = json!({"name": "coder", "fields": fields, "instructions": "x".repeat(3_000)});
        let body = |task: &str| json!({"kind": "run_started", "agent": agent, "task": task});
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let mut packed = body("one");
        pack(&mut packed, &[], &mut one);
        assert!(packed.to_string().len() < 300, "{packed}");
        pack(&mut body("other"), &[], &mut other);
        assert_eq!(one, other, "both name the same blobs");
        let mut fetch = |hash: &str| {
            let found = one.iter().find(|it| it.hash == hash);
            Ok(found.map(|it| it.text.clone()).unwrap_or_default())
        };
        unpack(&mut packed, &mut fetch).expect("it opens");
        assert_eq!(packed, body("one"));
        let mut small = json!({"kind": "child_ended", "agent": "coder", "task": "t"});
        let was = small.clone();
        pack(&mut small, &[], &mut Vec::new());
        assert_eq!(small, was);
    }
}
