//! The broom: due timers, and the runs of nodes that are gone. Any node may sweep.

use std::sync::PoisonError;

use crate::Store;
use crate::beat::forget;
use crate::db::{Row, Tx};
use crate::error::Result;
use crate::node::Proof;

/// Timers that come due in one write.
const AT_ONCE: u32 = 500;

impl Store {
    /// Puts runs whose time has come, and the runs of dead nodes, back into the queue. Answers how
    /// many. A node is dead when the kernel has let go of its lock, or when it was silent for a
    /// ttl while our own heartbeat worked for one.
    pub async fn sweep(&self) -> Result<u64> {
        let node = self.inner.node.clone();
        let look = self.inner.db.read(move |tx| look(tx, &node)).await?;
        let (mut freed, mut due) = (0, look.due);
        while due {
            let woken = self.inner.db.write(wake_due).await?;
            freed += woken;
            due = woken == u64::from(AT_ONCE);
        }
        for other in look.others {
            freed += self.take_back(other, look.at).await?;
        }
        if freed > 0 {
            self.ring();
        }
        Ok(freed)
    }

    async fn take_back(&self, other: Other, at: i64) -> Result<u64> {
        if let Some(proof) = self.inner.locks.dead(&other.id) {
            return self.bury(other.id, proof).await;
        }
        let ttl = self.inner.ttl.as_micros() as i64;
        if !self.may_judge(at, ttl) || other.seen > at - ttl {
            return Ok(0);
        }
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            let row = tx.one("SELECT seen FROM node WHERE id = $1", &[(&other.id).into()])?;
            let back = row.and_then(|it| it.maybe_int(0)).is_some_and(|seen| seen > at - ttl);
            if back { Ok(0) } else { forget(tx, &other.id) }
        });
        done.await
    }

    async fn bury(&self, node: String, proof: Proof) -> Result<u64> {
        let freed = self.inner.db.write(move |tx| forget(tx, &node)).await?;
        proof.bury();
        Ok(freed)
    }

    /// Only who has been well for a whole ttl may say that others are not.
    fn may_judge(&self, at: i64, ttl: i64) -> bool {
        let steady = *self.inner.steady.lock().unwrap_or_else(PoisonError::into_inner);
        steady.is_some_and(|it| it.last - it.since >= ttl && (0..=ttl).contains(&(at - it.last)))
    }
}

struct Look {
    at: i64,
    due: bool,
    others: Vec<Other>,
}

/// Another node; `seen` is 0 for one that holds runs and is not in the list.
struct Other {
    id: String,
    seen: i64,
}

/// A look that locks nobody: most sweeps end here.
fn look(tx: &mut dyn Tx, node: &str) -> Result<Look> {
    let at = tx.now()?;
    let sql = "SELECT 1 FROM run WHERE state = 'waiting' AND wake <= $1 LIMIT 1";
    let due = tx.one(sql, &[at.into()])?.is_some();
    let sql = "SELECT id, max(seen) FROM (
          SELECT id, seen FROM node
          UNION ALL SELECT node, 0 FROM run WHERE state = 'running' AND node IS NOT NULL) q
        WHERE id <> $1 GROUP BY id ORDER BY id";
    let row = |it: &Row| Ok(Other { id: it.text(0)?, seen: it.int(1)? });
    let others = tx.query(sql, &[node.into()])?.iter().map(row).collect::<Result<_>>()?;
    Ok(Look { at, due, others })
}

fn wake_due(tx: &mut dyn Tx) -> Result<u64> {
    let at = tx.now()?;
    let sql = "WITH pick AS MATERIALIZED (
          SELECT pos FROM run WHERE state = 'waiting' AND wake <= $1 ORDER BY wake LIMIT $2)
        UPDATE run SET state = 'ready', wake = NULL WHERE pos IN (SELECT pos FROM pick)";
    tx.exec(sql, &[at.into(), AT_ONCE.into()])
}
