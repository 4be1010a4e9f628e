//! Whether a copy is one: every row is what it is in the source, and every chain of records holds.

use futures::future::join;

use crate::StoreError;
use crate::copying::{Copying, page_of};
use crate::db::{Row, Val};
use crate::error::Result;
use crate::tables::Table;
use crate::verify::verify_range;

/// Places of roots that are looked at in one read.
const RANGE: i64 = 500;

/// What a comparison found.
pub(crate) enum Compared {
    Same,
    /// The first row that differs, by its name.
    Differs(String),
}

/// Compares a table row by row.
pub(crate) async fn compare(copy: &mut Copying<'_>, table: &'static Table) -> Result<Compared> {
    let mut after: Option<Vec<Val>> = None;
    loop {
        let pages =
            join(page_of(copy.from, table, after.clone()), page_of(copy.to, table, after.clone()));
        let (source, target) = pages.await;
        let (source, target) = (source?, target?);
        let n_rows = source.len().max(target.len());
        let differs = (0..n_rows).find(|at| source.get(*at) != target.get(*at));
        if let Some(row) = differs.and_then(|at| source.get(at).or(target.get(at))) {
            return named(copy, table, row).await.map(Compared::Differs);
        }
        let Some(last) = source.last() else { return Ok(Compared::Same) };
        after = Some(table.key(last));
        copy.done(source.len() as u64);
    }
}

/// A row's name for people: its run, where it has one.
async fn named(copy: &Copying<'_>, table: &'static Table, row: &Row) -> Result<String> {
    let row_is = format!("row {:?} of table {}", table.key(row), table.name);
    let Some(pos) = table.run.map(|it| row.int(it)).transpose()? else { return Ok(row_is) };
    let sql = "SELECT id FROM run WHERE pos = $1";
    let found = copy.from.db.read(move |tx| tx.one(sql, &[pos.into()])).await?;
    let run = found.map(|it| it.text(0)).transpose()?;
    Ok(run.map_or(row_is.clone(), |run| format!("run {run} ({row_is})")))
}

/// Recomputes the chains of all runs in the target.
pub(crate) async fn verify(copy: &mut Copying<'_>) -> Result<()> {
    let sql = "SELECT count(*), coalesce(max(pos), 0) FROM run";
    let read = copy.to.db.read(move |tx| tx.only(sql, &[]));
    let row = read.await?;
    let last = row.int(1)?;
    copy.begin("verified", row.number(0)?);
    let range = |from: i64| copy.to.db.read(move |tx| verify_range(tx, from..=from + RANGE - 1));
    for from in (1..=last).step_by(2 * RANGE as usize) {
        let (one, other) = join(range(from), range(from + RANGE)).await;
        for verdict in [one?, other?] {
            if let Some(it) = verdict.breaks.first() {
                return Err(StoreError::Corrupt(format!(
                    "run {}, record {}: {}; it is so in the source too, which was changed by another \
                     program or a bad disk: put back a copy of it, and move that",
                    it.run, it.seq, it.why
                )));
            }
            copy.done(verdict.runs);
        }
    }
    Ok(())
}
