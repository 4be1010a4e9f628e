//! Who may run what: the most urgent ready runs, under a fresh random token.

use std::sync::atomic::Ordering;

use callboard_trace::RunId;

use crate::db::{Row, Tx, Val};
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
    /// Its place in the queue then: the smallest goes first.
    pub rank: i64,
    /// Somebody urgently wants it stopped or changed, or it only begins work of others; it may be beyond
    /// the seats.
    pub urgent: bool,
    pub(crate) hold: Hold,
}

impl Store {
    /// Takes up to `max` of the most urgent ready runs. No more runs than `seats` are held at once
    /// by all nodes of this store; urgent ones come first and beyond that.
    pub async fn claim(&self, max: u32, seats: u32) -> Result<Vec<Lease>, StoreError> {
        self.claim_wish(Wish { max, seats, root: None }).await
    }

    /// The same, of the runs of one root only.
    pub async fn claim_of(
        &self,
        root: &RunId,
        max: u32,
        seats: u32,
    ) -> Result<Vec<Lease>, StoreError> {
        self.claim_wish(Wish { max, seats, root: Some(root.clone()) }).await
    }

    /// The rank of the first run in the queue.
    pub async fn first_ready(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT rank FROM run WHERE state = 'ready'
            ORDER BY rank, turn, root_at, pos LIMIT 1";
        let read = self.inner.db.read(move |tx| tx.one(sql, &[])?.map(|it| it.int(0)).transpose());
        read.await
    }

    async fn claim_wish(&self, wish: Wish) -> Result<Vec<Lease>, StoreError> {
        if self.is_left() {
            return Err(StoreError::Closed);
        }
        let root = wish.root.clone();
        // A look that locks nobody: most claims of an idle node end here, and those of a busy one
        // rarely do.
        let had_some = self.inner.had_some.swap(false, Ordering::Relaxed);
        let look = self.inner.db.read(move |tx| match &root {
            None => tx.one("SELECT 1 FROM run WHERE state = 'ready' LIMIT 1", &[]),
            Some(root) => {
                let sql = "SELECT 1 FROM run WHERE state = 'ready' AND root = $1 LIMIT 1";
                tx.one(sql, &[root.into()])
            }
        });
        if wish.max == 0 || !had_some && look.await?.is_none() {
            return Ok(Vec::new());
        }
        let asking = self.inner.held.ask(self.token());
        let (node, token) = (self.inner.node.clone(), asking.token);
        let taken = self.inner.db.write(move |tx| take(tx, &wish, &node, token)).await?;
        self.inner.had_some.store(!taken.is_empty(), Ordering::Relaxed);
        let holds = asking.hold(taken.iter().map(|it| it.run.clone()).collect());
        Ok(taken.into_iter().zip(holds).map(|(it, hold)| it.lease(hold)).collect())
    }
}

/// How many runs are wanted, within how many seats, and of which root if of one only.
struct Wish {
    max: u32,
    seats: u32,
    root: Option<RunId>,
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
        let Taken { run, root, agent, attempt, seq, urgent, order } = self;
        Lease { run, root, agent, attempt, seq, rank: order.0, urgent, hold }
    }
}

/// The statement that takes ready runs in the order of the queue.
macro_rules! take {
    ($which:literal) => {
        concat!(
            "WITH pick AS MATERIALIZED (
               SELECT pos FROM run WHERE state = 'ready'",
            $which,
            " ORDER BY rank, turn, root_at, pos LIMIT $1 {skip})
             UPDATE run SET state = 'running', node = $2, lease = $3
             WHERE pos IN (SELECT pos FROM pick)
             RETURNING id, root, agent, attempt, seq, stop, rank, turn, pos"
        )
    };
}

/// Takes of all ready runs; tests ask how each of these is planned.
pub(crate) const TAKE: &str = take!("");
/// Takes of the urgent ones.
pub(crate) const TAKE_URGENT: &str = take!(" AND stop = 1");
/// Takes of one root's.
pub(crate) const TAKE_OF: &str = take!(" AND root = $4");
/// Takes of one root's urgent ones.
pub(crate) const TAKE_URGENT_OF: &str = take!(" AND stop = 1 AND root = $4");

fn take(tx: &mut dyn Tx, wish: &Wish, node: &str, token: i64) -> Result<Vec<Taken>, StoreError> {
    let sql = "SELECT count(*) FROM run WHERE state = 'running'";
    let running = tx.one(sql, &[])?.ok_or(StoreError::Closed)?.number(0)?;
    let max = u64::from(wish.max);
    let (urgent, any) =
        if wish.root.is_some() { (TAKE_URGENT_OF, TAKE_OF) } else { (TAKE_URGENT, TAKE) };
    let mut pick = |sql, most: u64| {
        let mut args = vec![most.into(), node.into(), token.into()];
        args.extend(wish.root.as_ref().map(Val::from));
        ordered(tx.query(sql, &args)?)
    };
    let mut taken = pick(urgent, max)?;
    let left = max - taken.len() as u64;
    let free = u64::from(wish.seats).saturating_sub(running).min(left);
    if free > 0 {
        taken.extend(pick(any, free)?);
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
