//! Whether anything is new: where the last record of a tree, or of a caller, stands.

use crate::db::{Tx, Val};
use crate::error::Result;
use crate::{RunRow, Store};

impl Store {
    /// A number that grows with every record of a run and of everything under it, and when the last
    /// one of its root's tree was written, in microseconds since 1970.
    pub async fn newest_under(&self, row: &RunRow) -> Result<(u64, i64)> {
        let (run, root) = (row.run.clone(), row.root.clone());
        let of_root = "SELECT pos, at FROM journal WHERE root = (SELECT pos FROM run WHERE id = $1)
            ORDER BY pos DESC LIMIT 1";
        // The lengths of the journals say it too, and no journal is read for them.
        let of_branch = "WITH RECURSIVE family(id, seq) AS (
              SELECT id, seq FROM run WHERE id = $1
              UNION ALL SELECT child.id, child.seq FROM run child JOIN family ON child.parent = family.id)
            SELECT CAST(sum(seq) AS {int}) FROM family";
        let read = self.inner.db.read(move |tx| {
            let (mut mark, at) = last(tx, of_root, &[(&root).into()])?;
            if run != root {
                mark = tx.one(of_branch, &[(&run).into()])?.map_or(Ok(0), |it| it.number(0))?;
            }
            Ok((mark, at))
        });
        read.await
    }

    /// The place of the last record there is and when it was written, and whether a record behind
    /// `after` is of one of this caller's runs, or of anybody's.
    pub async fn newest_of(&self, principal: Option<&str>, after: u64) -> Result<(u64, i64, bool)> {
        let principal = principal.map(str::to_owned);
        let of_all = "SELECT pos, at FROM journal ORDER BY pos DESC LIMIT 1";
        let of_caller = "SELECT 1 FROM journal j JOIN run r ON r.pos = j.root
            WHERE j.pos > {$1} AND (CAST($2 AS TEXT) IS NULL OR r.principal = $2)
            ORDER BY j.pos LIMIT 1";
        let read = self.inner.db.read(move |tx| {
            let (newest, at) = last(tx, of_all, &[])?;
            let asked = [after.min(newest).into(), principal.as_deref().into()];
            let touched = newest > after && tx.one(of_caller, &asked)?.is_some();
            Ok((newest, at, touched))
        });
        read.await
    }
}

fn last(tx: &mut dyn Tx, sql: &'static str, args: &[Val]) -> Result<(u64, i64)> {
    match tx.one(sql, args)? {
        Some(row) => Ok((row.number(0)?, row.int(1)?)),
        None => Ok((0, 0)),
    }
}
