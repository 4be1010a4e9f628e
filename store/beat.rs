//! The heartbeat: says that this node lives, and reconciles what it holds with what is written.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use callboard_trace::RunId;

use crate::db::{Row, Tx};
use crate::error::Result;
use crate::store::Steady;
use crate::{Lease, Store, StoreError};
use crate::{callers, holds, postgres};

/// What a heartbeat found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Runs we hold a lease for that are not ours any more: drop them.
    pub lost: Vec<RunId>,
    /// Runs that were written as ours and are unknown here; they are back in the queue.
    pub given_back: Vec<RunId>,
}

impl Store {
    /// Says that this node lives. Runs that the database says are ours and we neither hold nor
    /// have asked for (an answer was lost) go back into the queue.
    pub async fn beat(&self) -> Result<Beat> {
        if self.is_left() {
            return Err(StoreError::Closed);
        }
        let before = self.inner.held.ours();
        let node = self.inner.node.clone();
        let (at, rows) = self.inner.db.write(move |tx| say_alive(tx, &node)).await?;
        self.steady(at);
        self.widen().await;
        let (stray, lost) = self.inner.held.compare(&before, &rows);
        let given_back = stray.iter().map(|it| it.0.clone()).collect();
        if !stray.is_empty() {
            self.release(stray).await?;
        }
        Ok(Beat { lost, given_back })
    }

    /// The orderly way out of a run: it is ready again at once.
    pub async fn give_back(&self, lease: Lease) -> Result<()> {
        lease.hold.leave();
        self.release(vec![(lease.run.clone(), lease.hold.token)]).await
    }

    /// The orderly end of this node: all its runs are ready again, and it claims no more.
    pub async fn leave(&self) -> Result<()> {
        self.set_left();
        let node = self.inner.node.clone();
        self.inner.db.write(move |tx| forget(tx, &node).map(|_| ())).await?;
        self.inner.locks.leave();
        self.ring();
        Ok(())
    }

    /// Room in the journal, made long before it is needed: no beat fails for want of it.
    async fn widen(&self) {
        if !self.is_on_server() {
            return;
        }
        let made = match self.inner.db.read(postgres::is_narrow).await {
            Ok(true) => self.inner.db.write(postgres::widen).await.map(|_| ()),
            looked => looked.map(|_| ()),
        };
        if let Err(error) = made {
            tracing::debug!(%error, "no room was made in the journal");
        }
    }

    async fn release(&self, rows: Vec<(RunId, i64)>) -> Result<()> {
        let sql = "UPDATE run SET state = 'ready', node = NULL, lease = NULL
            WHERE id = $1 AND lease = $2 AND state = 'running'";
        let done = self.inner.db.write(move |tx| {
            rows.iter().try_for_each(|(run, token)| {
                holds::let_go_of(tx, run, *token)?;
                tx.put(sql, &[run.into(), (*token).into()])
            })
        });
        done.await?;
        self.ring();
        Ok(())
    }

    /// A gap of a whole ttl, or a clock that jumped, starts the count anew.
    fn steady(&self, at: i64) {
        let ttl = self.inner.ttl.as_micros() as i64;
        let mut steady = self.inner.steady.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match *steady {
            Some(it) if (0..=ttl).contains(&(at - it.last)) => it.since,
            Some(_) | None => at,
        };
        *steady = Some(Steady { since, last: at });
    }
}

/// All runs of a node back into the queue, and the node out of the list.
pub(crate) fn forget(tx: &mut dyn Tx, node: &str) -> Result<u64> {
    let sql = "UPDATE run SET state = 'ready', node = NULL, lease = NULL
        WHERE node = $1 AND state = 'running'";
    holds::let_go(tx, node)?;
    let freed = tx.exec(sql, &[node.into()])?;
    callers::left_by(tx, node)?;
    tx.put("DELETE FROM node WHERE id = $1", &[node.into()])?;
    Ok(freed)
}

/// Enters the node or its new beat; answers the time, and the runs that are written as its own.
pub(crate) fn say_alive(tx: &mut dyn Tx, node: &str) -> Result<(i64, BTreeSet<(RunId, i64)>)> {
    let at = tx.now()?;
    let sql = "INSERT INTO node(id, started, seen) VALUES($1, $2, $2)
        ON CONFLICT(id) DO UPDATE SET seen = excluded.seen";
    tx.put(sql, &[node.into(), at.into()])?;
    // A clock that was set back would make the silent look alive for as long as it jumped.
    tx.put("UPDATE node SET seen = $1 WHERE seen > $1", &[at.into()])?;
    let sql = "SELECT id, lease FROM run WHERE node = $1 AND state = 'running'";
    let row = |it: &Row| Ok((RunId::from_text(it.text(0)?), it.int(1)?));
    let rows = tx.query(sql, &[node.into()])?.iter().map(row).collect::<Result<_>>()?;
    Ok((at, rows))
}
