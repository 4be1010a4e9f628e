//! What is asked of memory: a conversation, results of other tasks, what is remembered.

use callboard_trace::{Fact, Record};

use crate::Store;
use crate::db::{Row, Tx, Val};
use crate::error::Result;
use crate::journal::{self, Tail};
use crate::memory::{self, OWNER};

/// Records read at once where the index is made anew.
const PAGE: i64 = 500;
/// Matches of a search that are looked at.
const MATCHES: u32 = 30;

/// Whose memory is asked, and for what.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The walled area.
    pub workspace: String,
    /// The authenticated caller; the owner's entries are everybody's.
    pub principal: String,
    /// A conversation, and how many exchanges of it.
    pub session: Option<(String, u32)>,
    /// Words that results of tasks and entries are looked for by; none = they are not.
    pub words: Vec<String>,
    /// Results that are older are not looked for, microseconds since 1970.
    pub since: i64,
    /// The agent whose own last result is asked for.
    pub agent: Option<String>,
}

/// What was found: notes, each as its record.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The conversation, oldest first.
    pub session: Vec<Record>,
    /// Results of tasks, the best match first.
    pub related: Vec<Record>,
    /// The agent's own last one.
    pub own: Option<Record>,
    /// Entries of memory, the best match first.
    pub memory: Vec<Record>,
}

impl Store {
    /// Looks into memory. One read.
    pub async fn recall(&self, asked: Asked) -> Result<Found> {
        self.inner.db.read(move |tx| recall(tx, &asked)).await
    }

    /// The entries of a workspace that are shown to its runs, newest first, each with its caller:
    /// empty for the owner's.
    pub async fn remembered(
        &self,
        workspace: &str,
        words: Vec<String>,
    ) -> Result<Vec<(String, Record)>> {
        let workspace = workspace.to_owned();
        let read = self.inner.db.read(move |tx| {
            let now = tx.now()?;
            let args = [(&workspace).into(), now.into(), (&one_of(&words)).into()];
            let rows = match words.is_empty() {
                true => tx.query(
                    "SELECT run, seq, principal FROM memory WHERE workspace = $1 AND slot = 'memory'
                     AND live = 1 AND (expires IS NULL OR expires > $2) ORDER BY pos DESC LIMIT 1000",
                    &args[..2],
                )?,
                false => tx.query(
                    "SELECT m.run, m.seq, m.principal FROM memory_text
                     JOIN memory m ON m.pos = memory_text.rowid
                     WHERE {found} AND m.workspace = $1 AND m.slot = 'memory'
                     AND m.live = 1 AND (m.expires IS NULL OR m.expires > $2)
                     ORDER BY {nearest}, m.pos LIMIT 1000",
                    &args,
                )?,
            };
            let mut found = Vec::with_capacity(rows.len());
            for row in &rows {
                let record = journal::at(tx, row.int(0)?, row.number(1)?)?;
                found.extend(record.map(|it| row.text(2).map(|whose| (whose, it))).transpose()?);
            }
            Ok(found)
        });
        read.await
    }

    /// Writes the owner's own records about a workspace's memory.
    pub async fn note_memory(&self, workspace: &str, facts: Vec<Fact>) -> Result<()> {
        self.note(&format!("{OWNER}{workspace}"), facts).await
    }

    /// Makes the index over memory anew from the records; answers how many it is made of.
    pub async fn rebuild_memory(&self) -> Result<u64> {
        self.inner.db.write(rebuild).await
    }
}

fn recall(tx: &mut dyn Tx, asked: &Asked) -> Result<Found> {
    let now = tx.now()?;
    let whose: [Val; 2] = [(&asked.workspace).into(), (&asked.principal).into()];
    let with = |more: Vec<Val>| whose.iter().cloned().chain(more).collect::<Vec<_>>();
    let mut found = Found::default();
    if let Some((session, exchanges)) = &asked.session {
        let sql = "SELECT run, seq FROM memory WHERE workspace = $1 AND principal = $2
            AND session = $3 AND live = 1 ORDER BY pos DESC LIMIT $4";
        found.session = notes(tx, sql, &with(vec![session.into(), (*exchanges).into()]))?;
        found.session.reverse();
    }
    if let Some(agent) = &asked.agent {
        let sql =
            "SELECT run, seq FROM memory WHERE workspace = $1 AND principal = $2 AND agent = $3
            AND slot IN ('outputs', 'work') AND live = 1 ORDER BY pos DESC LIMIT 1";
        found.own = notes(tx, sql, &with(vec![agent.into()]))?.pop();
    }
    if asked.words.is_empty() {
        return Ok(found);
    }
    let words = one_of(&asked.words);
    let sql = "SELECT m.run, m.seq FROM memory_text JOIN memory m ON m.pos = memory_text.rowid
        WHERE {found} AND m.workspace = $1 AND m.principal = $2 AND m.slot = 'outputs'
        AND m.live = 1 AND m.at > $4 ORDER BY {nearest}, m.pos LIMIT $5";
    let args = with(vec![(&words).into(), asked.since.into(), MATCHES.into()]);
    found.related = notes(tx, sql, &args)?;
    let sql = "SELECT m.run, m.seq FROM memory_text JOIN memory m ON m.pos = memory_text.rowid
        WHERE {found} AND m.workspace = $1 AND m.principal IN ($2, '')
        AND m.slot = 'memory' AND m.live = 1 AND (m.expires IS NULL OR m.expires > $4)
        ORDER BY {nearest}, m.pos LIMIT $5";
    found.memory = notes(tx, sql, &with(vec![(&words).into(), now.into(), MATCHES.into()]))?;
    Ok(found)
}

/// Makes the index anew from the records.
fn rebuild(tx: &mut dyn Tx) -> Result<u64> {
    tx.put("DELETE FROM memory", &[])?;
    tx.put("DELETE FROM memory_text", &[])?;
    let (mut after, mut n_taken) = (0, 0);
    loop {
        let sql = "SELECT pos, run, seq, at FROM journal WHERE pos > $1
            AND kind IN ('noted', 'forgotten', 'tool_returned') ORDER BY pos LIMIT $2";
        let rows = tx.query(sql, &[after.into(), PAGE.into()])?;
        let Some(last) = rows.last() else { return Ok(n_taken) };
        after = last.int(0)?;
        for row in &rows {
            n_taken += u64::from(take_again(tx, row)?);
        }
    }
}

fn take_again(tx: &mut dyn Tx, row: &Row) -> Result<bool> {
    let (run, seq, at) = (row.int(1)?, row.number(2)?, row.int(3)?);
    let record = journal::at(tx, run, seq)?;
    let Some(touch) = record.as_ref().and_then(|it| memory::touch(&it.event)) else {
        return Ok(false);
    };
    let tail = Tail { seq, ..journal::tail_at(tx, run)? };
    memory::index(tx, tail.place(at), &touch)?;
    Ok(true)
}

/// A search for any of these words: each a string of its own, whatever it holds.
fn one_of(words: &[String]) -> String {
    // A search ends at the first zero byte.
    let plain = words.iter().map(|it| it.replace('\0', " ").replace('"', "\"\""));
    let quoted = plain.map(|it| format!("\"{it}\""));
    quoted.collect::<Vec<_>>().join(" OR ")
}

fn notes(tx: &mut dyn Tx, sql: &'static str, args: &[Val]) -> Result<Vec<Record>> {
    let rows = tx.query(sql, args)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.extend(journal::at(tx, row.int(0)?, row.number(1)?)?);
    }
    Ok(found)
}
