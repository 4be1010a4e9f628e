//! Better bases for the queue: which roots may get one, how one is set, and where the old ones are.

use callboard_trace::rank::POINT;
use callboard_trace::{Fact, Record, RunId};

use crate::error::Result;
use crate::holds::move_in_line;
use crate::journal::{self, kept};
use crate::read::placed;
use crate::seats::held;
use crate::submit::counts;
use crate::{RunRow, Store};

impl RunRow {
    /// The priority as it counts, 0..1000.
    pub fn effective(&self) -> u16 {
        self.priority.saturating_add(self.boost).saturating_add(self.fit).min(1_000)
    }
}

impl Store {
    /// The first ready roots for which a better base may be found, at most so many; none while
    /// there are seats for all that is ready.
    pub async fn unscored(&self, seats: u32, limit: u32) -> Result<Vec<RunId>> {
        let look = self.inner.db.read(move |tx| {
            let sql =
                "SELECT id FROM run WHERE state = 'ready' AND unscored = 1 ORDER BY rank LIMIT $1";
            let found = tx.query(sql, &[limit.into()])?;
            if found.is_empty() {
                return Ok(Vec::new());
            }
            let free = u64::from(seats).saturating_sub(held(tx)?);
            let sql = "SELECT count(*) FROM (SELECT 1 FROM run WHERE state = 'ready' LIMIT $1) few";
            let ready = tx.only(sql, &[(free + 1).into()])?.number(0)?;
            if ready <= free {
                return Ok(Vec::new());
            }
            found.iter().map(|row| Ok(RunId::from_text(row.text(0)?))).collect()
        });
        look.await
    }

    /// Sets a better base for an open root whose base nobody set since, with these facts in its
    /// journal; with `None` it keeps what it has for good. Answers whether that came to be.
    pub async fn score(&self, run: &RunId, base: Option<u16>, facts: Vec<Fact>) -> Result<bool> {
        let (_, lines) = self.inner.ink.write_all(facts)?;
        let run = run.clone();
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            let sql =
                "UPDATE run SET unscored = 0 WHERE id = $1 AND unscored = 1 AND ended IS NULL";
            if tx.exec(sql, &[(&run).into()])? == 0 {
                return Ok(false);
            }
            if let Some(base) = base {
                let sql = concat!(
                    "UPDATE run SET priority = $2, fit = 0, rank = root_at - ",
                    counts!("$2 + boost"),
                    " * $3 WHERE id = $1"
                );
                tx.put(sql, &[(&run).into(), i64::from(base).into(), POINT.into()])?;
            }
            let Some(mut tail) = journal::find(tx, &run)? else { return Ok(false) };
            move_in_line(tx, tail.pos)?;
            journal::append(tx, &mut tail, at, &lines)?;
            journal::moved(tx, &tail)?;
            Ok(true)
        });
        done.await
    }

    /// Scores and vectors that were written behind a place in the order of writing: the newest of
    /// them, at most so many, oldest first, each with its place.
    pub async fn scores(&self, after_pos: u64, limit: u32) -> Result<Vec<(u64, Record)>> {
        let sql = kept!(
            "WHERE (j.kind = 'rank_set' OR j.kind = 'embedded') AND j.pos > {$1}
             ORDER BY j.pos DESC LIMIT {$2}"
        );
        let read = self.inner.db.read(move |tx| {
            let mut found = placed(tx, sql, &[after_pos.into(), limit.into()])?;
            found.reverse();
            Ok(found)
        });
        read.await
    }
}
