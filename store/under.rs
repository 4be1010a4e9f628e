//! A run and everything under it. The cross joins keep the planner on the way from the run down: from
//! all that is open, or all that was ever written, it would be a long one.

use callboard_trace::{Record, RunId};

use crate::db::Tx;
use crate::error::Result;
use crate::journal::{self, Tail, kept};
use crate::read::{placed, row_of, run_row};
use crate::{RunRow, Store};

/// A run and its open descendants.
pub(crate) const FAMILY: &str = "WITH RECURSIVE family(id) AS (
      SELECT id FROM run WHERE id = $1
      UNION ALL SELECT child.id FROM run child JOIN family ON child.parent = family.id)
    SELECT r.pos, r.turn, r.id, r.root, r.workspace, r.agent, r.attempt, r.seq, r.head, r.state, r.top
    FROM family CROSS JOIN run r
    WHERE r.id = family.id AND r.state IN ('ready', 'running', 'waiting') ORDER BY r.pos";

/// A run and all its descendants.
pub(crate) const UNDER: &str = "WITH RECURSIVE family(id) AS (
      SELECT id FROM run WHERE id = $1
      UNION ALL SELECT child.id FROM run child JOIN family ON child.parent = family.id)
    SELECT r.id FROM family CROSS JOIN run r WHERE r.id = family.id ORDER BY r.pos LIMIT $2";

/// Those of a root, but for one, that wait and asked somebody. Few runs wait and a root may have a
/// hundred thousand: the concatenation and the sum keep the planner on the index of those that wait.
/// The one is who leads the others: it asks nobody, and its journal is the longest of all.
pub(crate) const ASKING: &str = run_row!(
    "WHERE state = 'waiting' AND (root || '') = $1 AND id <> $2 AND EXISTS (
       SELECT 1 FROM journal j WHERE j.run = run.pos {in_part_of_run} AND j.kind = 'question_asked')
     ORDER BY pos + 0 LIMIT $3"
);

/// The records of a run and of all its descendants.
pub(crate) const BRANCH: &str = kept!(
    "WHERE j.pos > $2 {in_part_of_id} AND j.run IN (
       WITH RECURSIVE family(id, pos) AS (
         SELECT id, pos FROM run WHERE id = $1
         UNION SELECT child.id, child.pos FROM run child JOIN family ON child.parent = family.id)
       SELECT pos FROM family)
     ORDER BY j.pos + 0 LIMIT $3"
);

impl Store {
    /// The records of a run and of everything under it, in the order they were written, each with its
    /// place.
    pub async fn branch(
        &self,
        run: &RunId,
        after_pos: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Record)>> {
        let args = [run.into(), after_pos.into(), limit.into()];
        self.inner.db.read(move |tx| placed(tx, BRANCH, &args)).await
    }

    /// Runs of a root that wait and asked a person something, other than its leader, at most so many.
    pub async fn asking_under(
        &self,
        root: &RunId,
        leader: &RunId,
        limit: u32,
    ) -> Result<Vec<RunRow>> {
        let args = [root.into(), leader.into(), limit.into()];
        self.inner.db.read(move |tx| tx.query(ASKING, &args)?.iter().map(row_of).collect()).await
    }

    /// A run and everything under it, in the order they were accepted, at most so many.
    pub async fn under(&self, run: &RunId, limit: u32) -> Result<Vec<RunId>> {
        let args = [run.into(), limit.into()];
        let names = self.inner.db.read(move |tx| {
            let rows = tx.query(UNDER, &args)?;
            rows.iter().map(|row| Ok(RunId::from_text(row.text(0)?))).collect()
        });
        names.await
    }
}

/// A run and its open descendants, the run first. An ended one between does not hide those below.
pub(crate) fn family(tx: &mut dyn Tx, run: &RunId) -> Result<Vec<Tail>> {
    tx.query(FAMILY, &[run.into()])?.iter().map(journal::tail_of).collect()
}
