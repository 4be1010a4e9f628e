//! Who may run what: the most urgent ready runs, under a fresh random token.

use callboard_trace::RunId;

use crate::db::{Row, Tx};
use crate::held::Hold;
use crate::{Store, StoreError};

/// The right to write one run. Dropping it forgets the run; the next heartbeat gives it back.
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// The root of its tree.
    pub root: RunId,
    /// Whose run it is.
    pub agent: String,
    /// Which attempt of the run, 1-based.
    pub attempt: u32,
    /// The length of its journal when it was claimed.
    pub seq: u64,
    /// Somebody urgently wants it stopped or changed; it may be beyond the seats.
    pub urgent: bool,
    pub(crate) hold: Hold,
}

impl Store {
    /// Takes up to `max` of the most urgent ready runs. No more runs than `seats` are held at once
    /// by all nodes of this store; urgent ones come first and beyond that.
    pub async fn claim(&self, max: u32, seats: u32) -> Result<Vec<Lease>, StoreError> {
        if self.is_left() {
            return Err(StoreError::Closed);
        }
        let sql = "SELECT 1 FROM run WHERE state = 'ready' LIMIT 1";
        // A look that locks nobody: most claims of an idle node end here.
        if max == 0 || self.inner.db.read(move |tx| tx.one(sql, &[])).await?.is_none() {
            return Ok(Vec::new());
        }
        let asking = self.inner.held.ask(self.token());
        let (node, token) = (self.inner.node.clone(), asking.token);
        let taken = self.inner.db.write(move |tx| take(tx, (max, seats), &node, token)).await?;
        let holds = asking.hold(taken.iter().map(|it| it.run.clone()).collect());
        Ok(taken.into_iter().zip(holds).map(|(it, hold)| it.lease(hold)).collect())
    }
}

struct Taken {
    run: RunId,
    root: RunId,
    agent: String,
    attempt: u32,
    seq: u64,
    urgent: bool,
    order: (i64, i64, i64),
}

impl Taken {
    fn lease(self, hold: Hold) -> Lease {
        let Taken { run, root, agent, attempt, seq, urgent, order: _ } = self;
        Lease { run, root, agent, attempt, seq, urgent, hold }
    }
}

/// The statement that takes ready runs in the order of the queue; tests ask how it is planned.
pub(crate) const TAKE: &str = "
    WITH pick AS MATERIALIZED (
      SELECT pos FROM run WHERE state = 'ready' ORDER BY rank, turn, root_at, pos LIMIT $1 {skip})
    UPDATE run SET state = 'running', node = $2, lease = $3 WHERE pos IN (SELECT pos FROM pick)
    RETURNING id, root, agent, attempt, seq, stop, rank, turn, pos";

/// The same for urgent runs.
pub(crate) const TAKE_URGENT: &str = "
    WITH pick AS MATERIALIZED (
      SELECT pos FROM run WHERE state = 'ready' AND stop = 1
      ORDER BY rank, turn, root_at, pos LIMIT $1 {skip})
    UPDATE run SET state = 'running', node = $2, lease = $3 WHERE pos IN (SELECT pos FROM pick)
    RETURNING id, root, agent, attempt, seq, stop, rank, turn, pos";

fn take(
    tx: &mut dyn Tx,
    (max, seats): (u32, u32),
    node: &str,
    token: i64,
) -> Result<Vec<Taken>, StoreError> {
    let sql = "SELECT count(*) FROM run WHERE state = 'running'";
    let running = tx.one(sql, &[])?.ok_or(StoreError::Closed)?.number(0)?;
    let mut taken = ordered(tx.query(TAKE_URGENT, &[max.into(), node.into(), token.into()])?)?;
    let left = u64::from(max) - taken.len() as u64;
    let free = u64::from(seats).saturating_sub(running).min(left);
    if free > 0 {
        taken.extend(ordered(tx.query(TAKE, &[free.into(), node.into(), token.into()])?)?);
    }
    Ok(taken)
}

fn ordered(rows: Vec<Row>) -> Result<Vec<Taken>, StoreError> {
    let mut taken = rows.iter().map(taken_of).collect::<Result<Vec<_>, _>>()?;
    taken.sort_by_key(|it| it.order);
    Ok(taken)
}

fn taken_of(row: &Row) -> Result<Taken, StoreError> {
    Ok(Taken {
        run: RunId::from_text(row.text(0)?),
        root: RunId::from_text(row.text(1)?),
        agent: row.text(2)?,
        attempt: row.number(3)? as u32,
        seq: row.number(4)?,
        urgent: row.int(5)? == 1,
        order: (row.int(6)?, row.int(7)?, row.int(8)?),
    })
}
