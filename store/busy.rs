//! Who is at work: open runs by agent.

use callboard_trace::RunId;

use crate::Store;
use crate::db::Tx;
use crate::error::Result;

/// How many runs of one agent are held by a node, and how many are in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Whose runs.
    pub agent: String,
    /// Held by a node.
    pub running: u64,
    /// In the queue, or in the line of something that is shared.
    pub ready: u64,
}

/// An ended run that nobody cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Its name.
    pub run: RunId,
    /// Whose it was.
    pub agent: String,
    /// Whether it did all it was to.
    pub is_completed: bool,
    /// From when it was accepted to its end, in microseconds.
    pub took: i64,
}

/// Open runs by agent, each state for itself: no index has both. Tests ask how it is planned.
pub(crate) const BUSY: &str = "SELECT agent, sum(running), sum(ready) FROM (
      SELECT agent, 1 AS running, 0 AS ready FROM run WHERE state = 'running'
      UNION ALL SELECT agent, 0, 1 FROM run WHERE state = 'ready'
      UNION ALL SELECT r.agent, 0, 1 FROM line l JOIN run r ON r.pos = l.run
      WHERE r.state = 'waiting') q GROUP BY agent ORDER BY agent";

impl Store {
    /// Those of the newest `most` runs that have ended, newest first, except cancelled ones.
    pub async fn recent(&self, most: u32) -> Result<Vec<Recent>> {
        let sql = "SELECT id, agent, outcome, ended - created
            FROM (SELECT * FROM run ORDER BY pos DESC LIMIT $1) q
            WHERE ended IS NOT NULL AND outcome <> 'cancelled' ORDER BY pos DESC";
        let read = self.inner.db.read(move |tx| {
            let rows = tx.query(sql, &[most.into()])?;
            let recent = rows.iter().map(|row| {
                Ok(Recent {
                    run: RunId::from_text(row.text(0)?),
                    agent: row.text(1)?,
                    is_completed: row.text(2)? == "completed",
                    took: row.int(3)?,
                })
            });
            recent.collect()
        });
        read.await
    }

    /// The agents that have runs in the queue or under way.
    pub async fn busy(&self) -> Result<Vec<Busy>> {
        let read = self.inner.db.read(move |tx| {
            let rows = tx.query(BUSY, &[])?;
            let busy = rows.iter().map(|row| {
                Ok(Busy { agent: row.text(0)?, running: row.number(1)?, ready: row.number(2)? })
            });
            busy.collect()
        });
        read.await
    }

    /// The nodes that are there, by their names.
    pub async fn nodes(&self) -> Result<Vec<String>> {
        self.inner.db.read(nodes).await
    }
}

pub(crate) fn nodes(tx: &mut dyn Tx) -> Result<Vec<String>> {
    let rows = tx.query("SELECT id FROM node ORDER BY id", &[])?;
    rows.iter().map(|row| row.text(0)).collect()
}
