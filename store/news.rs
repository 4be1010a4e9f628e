//! Whose journals grew by another hand.

use callboard_trace::RunId;

use crate::Store;
use crate::db::Ask;
use crate::error::Result;

/// Records that are looked through at once.
const LOOK: u32 = 2_000;

impl Store {
    /// Of the runs with these journal lengths, those whose journal is longer by now, and how long.
    pub async fn news(&self, held: &[(RunId, u64)]) -> Result<Vec<(RunId, u64)>> {
        let held = held.to_vec();
        let sql = "SELECT seq FROM run WHERE id = $1 AND seq > $2";
        let read = self.inner.db.glance(move |tx| {
            let asked: Vec<Ask> =
                held.iter().map(|(run, seq)| (sql, vec![run.into(), (*seq).into()])).collect();
            let both = held.iter().zip(tx.all(&asked)?);
            let longer =
                both.filter_map(|(it, rows)| Some((it.0.clone(), rows.first()?.number(0))));
            longer.map(|(run, length)| Ok((run, length?))).collect()
        });
        read.await
    }

    /// The runs that records were written for behind a place in the order of writing, each with the
    /// number of the record and its kind, and the last place that was looked at. `None` looks at none
    /// and answers where the end is.
    pub async fn written(
        &self,
        after_pos: Option<u64>,
    ) -> Result<(u64, Vec<(RunId, u64, String)>)> {
        let read = self.inner.db.glance(move |tx| {
            let Some(after) = after_pos else {
                let row = tx.only("SELECT coalesce(max(pos), 0) FROM journal", &[])?;
                return Ok((row.number(0)?, Vec::new()));
            };
            let sql = "SELECT j.pos, r.id, j.seq, j.kind FROM journal j CROSS JOIN run r
                WHERE j.pos > {$1} AND r.pos = j.run ORDER BY j.pos LIMIT {$2}";
            let rows = tx.query(sql, &[after.into(), LOOK.into()])?;
            let last = rows.last().map_or(Ok(after), |it| it.number(0))?;
            let of = |row: &crate::db::Row| {
                Ok((RunId::from_text(row.text(1)?), row.number(2)?, row.text(3)?))
            };
            Ok((last, rows.iter().map(of).collect::<Result<_>>()?))
        });
        read.await
    }
}
