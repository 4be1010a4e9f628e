//! Who is at work: open runs by agent.

use crate::{Store, StoreError};

/// How many runs of one agent are held by a node, and how many are in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Whose runs.
    pub agent: String,
    /// Held by a node.
    pub running: u64,
    /// In the queue.
    pub ready: u64,
}

impl Store {
    /// The agents that have runs in the queue or under way.
    pub async fn busy(&self) -> Result<Vec<Busy>, StoreError> {
        let sql = "SELECT agent, sum(CASE WHEN state = 'running' THEN 1 ELSE 0 END),
                sum(CASE WHEN state = 'ready' THEN 1 ELSE 0 END)
            FROM run WHERE state IN ('ready', 'running') GROUP BY agent ORDER BY agent";
        let read = self.inner.db.read(move |tx| {
            let rows = tx.query(sql, &[])?;
            let busy = rows.iter().map(|row| {
                Ok(Busy { agent: row.text(0)?, running: row.number(1)?, ready: row.number(2)? })
            });
            busy.collect()
        });
        read.await
    }

    /// The nodes that are there, by their names.
    pub async fn nodes(&self) -> Result<Vec<String>, StoreError> {
        let read = self.inner.db.read(|tx| {
            let rows = tx.query("SELECT id FROM node ORDER BY id", &[])?;
            rows.iter().map(|row| row.text(0)).collect()
        });
        read.await
    }
}
