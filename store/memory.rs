//! The index over what is remembered: made of records in the write that keeps them, searched as text,
//! and made anew from them at any time. Erasing is the one thing that changes a body.

use callboard_trace::memory::{Body, ERASED, MEMORY, OUTPUTS, is_memory, spelt};
use callboard_trace::{Event, Work};
use serde_json::Value;

use crate::blob;
use crate::chain::digest;
use crate::db::{Tx, Val};
use crate::error::Result;

/// What a workspace's stream of the owner's own entries is called, before its name.
pub(crate) const OWNER: &str = "memory/";
/// Entries that one caller's runs may have in one workspace, and the owner.
const ENTRIES_MAX: i64 = 500;
/// The same of tasks with what they came to.
const OUTPUTS_MAX: i64 = 1_000;

/// What a record does to the index.
#[derive(Clone, Debug)]
pub(crate) enum Touch {
    /// An entry is there, in the place of what was there under its key.
    Put(Box<Put>),
    /// It is there no more.
    Forget(String),
    /// These were shown to a run.
    Used(Vec<String>),
}

/// An entry as it is found again.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    slot: String,
    key: String,
    words: String,
    session: Option<String>,
    agent: String,
    expires: Option<i64>,
    /// The hash of its body, if that is kept apart.
    body: Option<String>,
}

/// Where a record stands: in which journal, at which number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) run: i64,
    pub(crate) name: &'a str,
    pub(crate) workspace: &'a str,
    pub(crate) is_stream: bool,
    pub(crate) seq: u64,
    pub(crate) at: i64,
}

/// Whose entries, and where.
struct Scope {
    workspace: String,
    /// Empty for the owner's.
    principal: String,
}

/// What a record does to the index, if it does something.
pub(crate) fn touch(event: &Event) -> Option<Touch> {
    if let Event::Noted { slot, key, value, provenance, tags, expires, .. } = event {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let words = match slot.as_str() {
            MEMORY => {
                let said = Body::read(value).map(|it| it.text).unwrap_or_default();
                format!("{key} {} {said}", tags.join(" "))
            }
            OUTPUTS => text("task").unwrap_or_default(),
            _ => String::new(),
        };
        let (slot, key, expires) = (slot.clone(), key.clone(), *expires);
        let agent = provenance.as_ref().map(|it| it.agent.clone()).unwrap_or_default();
        let session = text("session").filter(|_| slot == OUTPUTS);
        let body = value
            .as_str()
            .filter(|_| slot == MEMORY && Body::read(value).is_some())
            .map(|it| digest(it.as_bytes()));
        let put = Put { slot, key, words, session, agent, expires, body };
        return is_memory(&put.slot).then(|| Touch::Put(Box::new(put)));
    }
    if let Event::Forgotten { key } = event {
        return Some(Touch::Forget(key.clone()));
    }
    let Event::ToolReturned { call, result, .. } = event else { return None };
    if call != Work::LOOK {
        return None;
    }
    let shown = result.get(MEMORY).and_then(Value::as_array)?.iter();
    Some(Touch::Used(shown.filter_map(|it| it.get("key")?.as_str().map(str::to_owned)).collect()))
}

/// Takes a record in.
pub(crate) fn index(tx: &mut dyn Tx, place: Place<'_>, touch: &Touch) -> Result<()> {
    let scope = scope(tx, place)?;
    match touch {
        Touch::Put(entry) => put(tx, place, &scope, entry),
        Touch::Forget(key) => forget(tx, &scope, key),
        Touch::Used(keys) => {
            let sql = "UPDATE memory SET used = $4 WHERE workspace = $1 AND principal IN ($2, '')
                AND slot = 'memory' AND key = $3 AND live = 1";
            for key in keys {
                let principal = (&scope.principal).into();
                tx.put(sql, &[(&scope.workspace).into(), principal, key.into(), place.at.into()])?;
            }
            Ok(())
        }
    }
}

fn put(tx: &mut dyn Tx, place: Place<'_>, scope: &Scope, entry: &Put) -> Result<()> {
    let Put { slot, key, words, session, agent, expires, body } = entry;
    let sql = "SELECT pos FROM memory WHERE workspace = $1 AND principal = $2 AND slot = $3
        AND key = $4 AND live = 1";
    let args = [(&scope.workspace).into(), (&scope.principal).into(), slot.into(), key.into()];
    let before = places(tx, sql, &args)?;
    leave(tx, &before)?;
    let sql =
        "INSERT INTO memory(workspace, principal, slot, key, session, agent, run, seq, at, used,
          expires, body, live)
        VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, 1) RETURNING pos";
    let args = [
        (&scope.workspace).into(),
        (&scope.principal).into(),
        slot.into(),
        key.into(),
        session.as_ref().into(),
        agent.into(),
        place.run.into(),
        place.seq.into(),
        place.at.into(),
        (*expires).into(),
        body.as_ref().into(),
    ];
    let pos = tx.only(sql, &args)?.int(0)?;
    if !words.is_empty() {
        let sql = "INSERT INTO memory_text(rowid, words) VALUES($1, $2)";
        tx.put(sql, &[pos.into(), words.into()])?;
    }
    make_room(tx, (scope, slot), place.at)
}

/// Whom the records of a journal belong to.
fn scope(tx: &mut dyn Tx, place: Place<'_>) -> Result<Scope> {
    if let Some(workspace) = place.name.strip_prefix(OWNER).filter(|_| place.is_stream) {
        return Ok(Scope { workspace: workspace.to_owned(), principal: String::new() });
    }
    let principal =
        tx.only("SELECT principal FROM run WHERE pos = $1", &[place.run.into()])?.text(0)?;
    Ok(Scope { workspace: place.workspace.to_owned(), principal })
}

fn places(tx: &mut dyn Tx, sql: &'static str, args: &[Val]) -> Result<Vec<i64>> {
    tx.query(sql, args)?.iter().map(|it| it.int(0)).collect()
}

/// These are shown to nobody any more; their records stay as they are.
fn leave(tx: &mut dyn Tx, entries: &[i64]) -> Result<()> {
    for pos in entries {
        tx.put("UPDATE memory SET live = 0 WHERE pos = $1", &[(*pos).into()])?;
        tx.put("DELETE FROM memory_text WHERE rowid = $1", &[(*pos).into()])?;
    }
    Ok(())
}

/// What is too old leaves, then what was of no use for longest.
fn make_room(tx: &mut dyn Tx, (scope, slot): (&Scope, &str), at: i64) -> Result<()> {
    let most = if slot == MEMORY { ENTRIES_MAX } else { OUTPUTS_MAX };
    let sql =
        "SELECT pos FROM memory WHERE workspace = $1 AND principal = $2 AND slot = $3 AND live = 1
        AND expires <= $4
        UNION ALL SELECT pos FROM (SELECT pos FROM memory WHERE workspace = $1 AND principal = $2
          AND slot = $3 AND live = 1 AND (expires IS NULL OR expires > $4)
          ORDER BY used DESC, pos DESC LIMIT 1000000 OFFSET $5) q";
    let args =
        [(&scope.workspace).into(), (&scope.principal).into(), slot.into(), at.into(), most.into()];
    let gone = places(tx, sql, &args)?;
    leave(tx, &gone)
}

/// Erases every version of a key: its body, and whatever else was said along with writing it. The
/// owner's word reaches the entries of all callers.
fn forget(tx: &mut dyn Tx, scope: &Scope, key: &str) -> Result<()> {
    let sql =
        "SELECT pos, run, body FROM memory WHERE workspace = $1 AND (principal = $2 OR $2 = '')
        AND slot = 'memory' AND key = $3";
    let rows =
        tx.query(sql, &[(&scope.workspace).into(), (&scope.principal).into(), key.into()])?;
    for row in &rows {
        let (pos, run) = (row.int(0)?, row.int(1)?);
        if let Some(hash) = row.maybe_text(2) {
            let whole = blob::fetch(tx, &hash)?;
            if let Some(body) = Body::read(&Value::from(whole.as_str())) {
                erase(tx, run, &body, &whole)?;
            }
        }
        leave(tx, &[pos])?;
        tx.put("DELETE FROM memory WHERE pos = $1", &[pos.into()])?;
    }
    Ok(())
}

/// Takes a text out of the bodies that a run's records keep apart.
fn erase(tx: &mut dyn Tx, run: i64, body: &Body, whole: &str) -> Result<()> {
    let spelt = spelt(&body.text);
    for row in tx.query("SELECT hash FROM apart WHERE run = $1", &[run.into()])? {
        let hash = row.text(0)?;
        let text = blob::fetch(tx, &hash)?;
        let left = if text == whole {
            ERASED.to_owned()
        } else {
            text.replace(&spelt, ERASED).replace(&body.text, ERASED)
        };
        if left != text {
            blob::put(tx, &hash, left)?;
            tx.put("UPDATE apart SET erased = 1 WHERE hash = $1", &[(&hash).into()])?;
        }
    }
    Ok(())
}
