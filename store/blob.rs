//! Long strings of a body live apart, by their hash, once.

use serde_json::{Map, Value};

use crate::StoreError;
use crate::chain::digest;
use crate::db::Tx;

/// A string longer than this is a blob.
pub(crate) const BLOB_OVER: usize = 1024;

/// The key of an object that stands for a blob. Keys of the body that look like it get one more `$`.
const MARK: &str = "$blob";

/// A long string with its hash.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blob {
    pub(crate) hash: String,
    pub(crate) text: String,
}

/// Takes the long strings out of a body and leaves their hashes.
pub(crate) fn pack(body: Value, blobs: &mut Vec<Blob>) -> Value {
    match body {
        Value::String(text) if text.len() > BLOB_OVER => {
            let hash = digest(text.as_bytes());
            let mark = Map::from_iter([(MARK.to_owned(), Value::String(hash.clone()))]);
            blobs.push(Blob { hash, text });
            Value::Object(mark)
        }
        Value::Array(items) => items.into_iter().map(|it| pack(it, blobs)).collect(),
        Value::Object(map) => {
            let packed = map.into_iter().map(|(key, it)| (escape(key), pack(it, blobs)));
            Value::Object(packed.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => body,
    }
}

/// Puts the long strings back; `fetch` finds one by its hash.
pub(crate) fn unpack(
    body: Value,
    fetch: &mut dyn FnMut(&str) -> Result<String, StoreError>,
) -> Result<Value, StoreError> {
    match body {
        Value::Array(items) => items.into_iter().map(|it| unpack(it, fetch)).collect(),
        Value::Object(map) => {
            if let Some(hash) = map.get(MARK).and_then(Value::as_str) {
                return fetch(hash).map(Value::String);
            }
            let opened = map.into_iter().map(|(key, it)| Ok((unescape(key), unpack(it, fetch)?)));
            opened.collect::<Result<_, _>>().map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(body),
    }
}

/// Whether a stored body may hold a mark or an escaped key.
pub(crate) fn is_packed(body: &str) -> bool {
    body.contains(MARK)
}

/// Keeps a blob, unless it is there.
pub(crate) fn keep(tx: &mut dyn Tx, blob: &Blob) -> Result<(), StoreError> {
    let bytes = crate::db::Val::Bytes(blob.text.clone().into_bytes());
    let sql = "INSERT INTO blob(hash, bytes) VALUES($1, $2) ON CONFLICT DO NOTHING";
    tx.exec(sql, &[(&blob.hash).into(), bytes]).map(|_| ())
}

/// Finds a blob by its hash.
pub(crate) fn fetch(tx: &mut dyn Tx, hash: &str) -> Result<String, StoreError> {
    let found = tx.one("SELECT bytes FROM blob WHERE hash = $1", &[hash.into()])?;
    let gone = || StoreError::Corrupt(format!("blob {hash} is missing; the store is damaged"));
    let bytes = found.ok_or_else(gone)?.bytes(0)?.to_vec();
    String::from_utf8(bytes)
        .map_err(|_| StoreError::Corrupt(format!("blob {hash} is not text; the store is damaged")))
}

fn escape(key: String) -> String {
    if is_mark(&key) { format!("${key}") } else { key }
}

fn unescape(key: String) -> String {
    if key != MARK && is_mark(&key) { key[1..].to_owned() } else { key }
}

fn is_mark(key: &str) -> bool {
    key.strip_suffix("blob").is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it == b'$'))
}
