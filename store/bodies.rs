//! Long texts that no record names any more, or none that is young enough. A pass marks all that are
//! needed, then lets go of the others; a record that is written meanwhile is seen before each of its
//! writes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::blob::{self, BLOB, DEEP};
use crate::db::Tx;
use crate::error::Result;
use crate::{Store, StoreError};

/// Records that are marked in one read.
const RECORDS: u32 = 1_000;
/// More new records than this are not looked through inside a write.
const NEW: u32 = 1_000;
/// Names of texts that are read at once, and texts that leave in one write.
const NAMES: u32 = 2_000;
const AT_ONCE: usize = 200;
/// Between two reads or writes of a pass: it is in nobody's way.
const REST: Duration = Duration::from_millis(20);
/// The records whose long texts leave before them. A task, what it was given and its result stay.
const KINDS: [&str; 4] = ["model_replied", "noted", "step_begun", "tool_returned"];
/// The name of a workspace's row in `pace`, before its own: `tat` says up to which end the texts of
/// roots were swept; below zero = some roots are gone since.
const SWEPT: &str = "bodies ";

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Texts that are gone.
    pub texts: u64,
    /// Whether it came to its end. A root that went on meanwhile needs its texts: the next one will.
    pub is_whole: bool,
}

/// What a pass knows of all texts, each by the first half of its hash.
struct Marks {
    workspace: String,
    /// Roots that ended before this are old.
    before: i64,
    /// The record up to which all are marked, and the entry of memory.
    at: i64,
    entry: i64,
    needed: HashSet<u128>,
    /// Named by records whose texts leave before them.
    old: HashSet<u128>,
    /// Of those that are needed: what holds a part of a record's form was looked into.
    forms: HashSet<u128>,
    roots: HashSet<i64>,
    /// An old root went on.
    is_off: bool,
}

/// The marks of a pass, which its reads and writes share.
#[derive(Clone)]
struct Pass(Arc<Mutex<Marks>>);

/// Some roots of a workspace are gone: there may be texts that nothing names.
pub(crate) fn are_to_be_swept(tx: &mut dyn Tx, workspace: &str) -> Result<()> {
    swept_to(tx, workspace, -1)
}

fn swept_to(tx: &mut dyn Tx, workspace: &str, to: i64) -> Result<()> {
    let sql = "INSERT INTO pace(name, tat, at) VALUES($1, $2, 0)
        ON CONFLICT(name) DO UPDATE SET tat = $2";
    tx.put(sql, &[(&format!("{SWEPT}{workspace}")).into(), to.into()])
}

impl Store {
    /// Whether a pass would find anything: roots are gone since the last one, or some ended before
    /// then that it left alone.
    pub async fn bodies_are_due(&self, workspace: &str, before: Option<i64>) -> Result<bool> {
        let name = format!("{SWEPT}{workspace}");
        let sql = "SELECT tat FROM pace WHERE name = $1";
        let row = self.inner.db.read(move |tx| tx.one(sql, &[(&name).into()])).await?;
        let swept = row.map_or(Ok(0), |it| it.int(0))?;
        let (mut after, before) = (Some(0), before.unwrap_or(i64::MIN));
        while let Some(place) = after.filter(|_| swept >= 0) {
            let (old, next) = self.ended_before(workspace, before, place).await?;
            if old.iter().any(|it| it.ended >= Some(swept)) {
                return Ok(true);
            }
            after = next;
        }
        Ok(swept < 0)
    }

    /// Lets go of the texts that nothing names, and of those that only such roots of the workspace
    /// name as ended before then. Reads everything once, and rests in between.
    pub async fn sweep_bodies(&self, workspace: &str, before: Option<i64>) -> Result<Swept> {
        let pass = Pass::new(workspace, before);
        let mut swept = Swept::default();
        self.mark(&pass).await?;
        let mut after = String::new();
        loop {
            let page = self.names(after).await?;
            let Some(last) = page.last() else { break };
            after = last.0.clone();
            let is_idle = |it: &(String, u64)| it.1 > 1 || !pass.inside().needs(&it.0);
            let gone: Vec<String> = page.into_iter().filter(is_idle).map(|it| it.0).collect();
            for some in gone.chunks(AT_ONCE) {
                swept.texts += self.let_go(&pass, some.to_vec()).await?;
            }
            sleep(REST).await;
        }
        swept.is_whole = !pass.inside().is_off;
        if swept.is_whole {
            let (workspace, to) = (workspace.to_owned(), before.unwrap_or(0));
            self.inner.db.write(move |tx| swept_to(tx, &workspace, to)).await?;
        }
        Ok(swept)
    }

    /// Marks what all records and all entries of memory name.
    async fn mark(&self, pass: &Pass) -> Result<()> {
        loop {
            let it = pass.clone();
            if self.inner.db.read(move |tx| it.inside().follow(tx, RECORDS)).await? {
                break;
            }
            sleep(REST).await;
        }
        loop {
            let it = pass.clone();
            if self.inner.db.read(move |tx| it.inside().remember(tx)).await? {
                return Ok(());
            }
            sleep(REST).await;
        }
    }

    /// The names of texts that are kept, or were, behind one of them; 2 = it left and came again.
    async fn names(&self, after: String) -> Result<Vec<(String, u64)>> {
        let sql = "SELECT hash, count(*) FROM (
              SELECT hash FROM (SELECT hash FROM blob WHERE hash > $1 ORDER BY hash LIMIT $2) b
              UNION ALL SELECT hash FROM (
                SELECT hash FROM apart WHERE run = 0 AND hash > $1 ORDER BY hash LIMIT $2) a) q
            GROUP BY hash ORDER BY hash LIMIT $2";
        let read = self.inner.db.read(move |tx| {
            let rows = tx.query(sql, &[(&after).into(), NAMES.into()])?;
            rows.iter().map(|it| Ok((it.text(0)?, it.number(1)?))).collect()
        });
        read.await
    }

    /// One write, behind all records that were written before it.
    async fn let_go(&self, pass: &Pass, hashes: Vec<String>) -> Result<u64> {
        loop {
            let (it, hashes) = (pass.clone(), hashes.clone());
            let done = self.inner.db.write(move |tx| it.inside().let_go(tx, &hashes)).await?;
            if let Some((gone, at)) = done {
                pass.inside().at = at;
                sleep(REST).await;
                return Ok(gone);
            }
            self.mark(pass).await?;
        }
    }
}

impl Pass {
    fn new(workspace: &str, before: Option<i64>) -> Pass {
        Pass(Arc::new(Mutex::new(Marks {
            workspace: workspace.to_owned(),
            before: before.unwrap_or(i64::MIN),
            at: 0,
            entry: 0,
            needed: HashSet::new(),
            old: HashSet::new(),
            forms: HashSet::new(),
            roots: HashSet::new(),
            is_off: false,
        })))
    }

    fn inside(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    /// Marks what the next records name; answers whether there are no more.
    fn follow(&mut self, tx: &mut dyn Tx, most: u32) -> Result<bool> {
        let sql = "SELECT j.pos, j.root, j.kind, CASE WHEN j.body LIKE $2 THEN j.body ELSE '' END,
              CASE WHEN r.workspace = $3 AND r.ended < $4 THEN r.pos ELSE 0 END, o.ended
            FROM journal j CROSS JOIN run r CROSS JOIN run o
            WHERE j.pos > $1 AND r.pos = j.root AND o.pos = j.run ORDER BY j.pos LIMIT $5";
        let args = [
            self.at.into(),
            "%$blob%".into(),
            (&self.workspace).into(),
            self.before.into(),
            most.into(),
        ];
        let rows = tx.query(sql, &args)?;
        for row in &rows {
            let (root, is_old) = (row.int(1)?, row.int(4)? != 0);
            if is_old {
                self.roots.insert(root);
            } else if self.roots.contains(&root) {
                self.is_off = true;
            }
            // A run under an old root may still be open.
            let is_over = row.maybe_int(5).is_some();
            let leaves = is_old && is_over && KINDS.contains(&row.text(2)?.as_str());
            self.take(tx, &row.text(3)?, leaves)?;
            self.at = row.int(0)?;
        }
        Ok(rows.len() < most as usize)
    }

    /// Marks what the next entries of memory that are shown say.
    fn remember(&mut self, tx: &mut dyn Tx) -> Result<bool> {
        let sql =
            "SELECT m.pos, j.body FROM memory m JOIN journal j ON j.run = m.run AND j.seq = m.seq
            WHERE m.live = 1 AND m.pos > $1 ORDER BY m.pos LIMIT $2";
        let rows = tx.query(sql, &[self.entry.into(), RECORDS.into()])?;
        for row in &rows {
            self.take(tx, &row.text(1)?, false)?;
            self.entry = row.int(0)?;
        }
        Ok(rows.len() < RECORDS as usize)
    }

    fn take(&mut self, tx: &mut dyn Tx, body: &str, leaves: bool) -> Result<()> {
        if !blob::is_packed(body) {
            return Ok(());
        }
        let damaged = |it| StoreError::Corrupt(format!("the body of a record is no JSON: {it}"));
        let body: Value = serde_json::from_str(body).map_err(damaged)?;
        self.walk(tx, &body, leaves)
    }

    fn walk(&mut self, tx: &mut dyn Tx, value: &Value, leaves: bool) -> Result<()> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|it| self.walk(tx, it, leaves)),
            Value::Object(map) => {
                if let Some(hash) = map.get(BLOB).and_then(Value::as_str) {
                    let marked = if leaves { &mut self.old } else { &mut self.needed };
                    marked.insert(half(hash));
                    return Ok(());
                }
                match map.get(DEEP) {
                    Some(form) => self.look_into(tx, form),
                    None => map.values().try_for_each(|it| self.walk(tx, it, leaves)),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    /// A record cannot be read without what holds its form.
    fn look_into(&mut self, tx: &mut dyn Tx, form: &Value) -> Result<()> {
        let text = match form.get(BLOB).and_then(Value::as_str) {
            Some(hash) => {
                self.needed.insert(half(hash));
                if !self.forms.insert(half(hash)) {
                    return Ok(());
                }
                blob::fetch(tx, hash)?
            }
            None => form.as_str().unwrap_or_default().to_owned(),
        };
        self.take(tx, &text, false)
    }

    fn needs(&self, hash: &str) -> bool {
        self.needed.contains(&half(hash))
    }

    /// Answers how many are gone, and up to which record all are marked if this is kept: a place that
    /// is not may be given again. `None` = too much was written since; mark that first.
    fn let_go(&mut self, tx: &mut dyn Tx, hashes: &[String]) -> Result<Option<(u64, i64)>> {
        let from = self.at;
        let is_all = self.follow(tx, NEW)?;
        let at = std::mem::replace(&mut self.at, from);
        if !is_all {
            return Ok(None);
        }
        let never_left = "DELETE FROM apart WHERE run = 0 AND hash = $1";
        let came_again = "DELETE FROM apart WHERE run = 0 AND hash = $1
            AND EXISTS (SELECT 1 FROM blob WHERE hash = $1)";
        let mut gone = 0;
        for hash in hashes.iter().filter(|_| !self.is_off) {
            if self.needs(hash) {
                tx.put(came_again, &[hash.into()])?;
                continue;
            }
            gone += tx.exec("DELETE FROM blob WHERE hash = $1", &[hash.into()])?;
            match self.old.contains(&half(hash)) {
                true => blob::no_longer(tx, hash)?,
                false => tx.put(never_left, &[hash.into()])?,
            }
        }
        Ok(Some((gone, at)))
    }
}

fn half(hash: &str) -> u128 {
    hash.get(..32).and_then(|it| u128::from_str_radix(it, 16).ok()).unwrap_or_default()
}
