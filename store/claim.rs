//! Who may run what: the most urgent ready runs, under a fresh random token.

use std::sync::Arc;

use callboard_trace::RunId;
use callboard_trace::rank::LEADER;

use crate::db::{Ask, Row, Tx, Val};
use crate::error::Result;
use crate::gates::Amounts;
use crate::held::{Asking, Hold};
use crate::journal::Tail;
use crate::known::Known;
use crate::opener::Openers;
use crate::own::{Own, of_own};
use crate::seats::{Crowd, first, first_of, front, seated};
use crate::share;
use crate::{Store, StoreError};

/// The right to write one run. Dropping it forgets the run; the next heartbeat gives it back.
#[derive(Debug)]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// The root of its tree.
    pub root: RunId,
    /// Whose run it is.
    pub agent: String,
    /// The workspace it belongs to.
    pub workspace: String,
    /// Its priority as it counted when it was claimed, 0..1000.
    pub priority: u16,
    /// Which attempt of the run, 1-based.
    pub attempt: u32,
    /// The length of its journal when it was claimed.
    pub seq: u64,
    /// Its place in the queue then: the smallest goes first.
    pub rank: i64,
    /// Somebody urgently wants it stopped or changed, or it only begins work of others; it may be beyond
    /// the seats.
    pub urgent: bool,
    /// Its first step began with the claim: what the budgets stand at that it was charged to.
    pub begun: Option<Vec<(String, Amounts)>>,
    pub(crate) hold: Hold,
}

impl Store {
    /// Takes up to `max` of the most urgent ready runs. No more runs than `seats` are held at once
    /// by all nodes of this store; urgent ones come first and beyond that.
    pub async fn claim(&self, max: u32, seats: u32) -> Result<Vec<Lease>> {
        let wanted = Wanted { max, seats, ..Wanted::default() };
        Ok(self.claim_or_press(wanted, seats).await?.0)
    }

    /// The first runs in the queue that lead no plan, each with its root and the length of its journal.
    pub async fn next_up(&self, limit: u32) -> Result<Vec<(RunId, RunId, u64)>> {
        let sql = "SELECT id, root, seq FROM run WHERE state = 'ready' AND agent <> 'plan'
            ORDER BY rank, turn, root_at, pos LIMIT $1";
        let read = self.inner.db.glance(move |tx| {
            let name = |row: &Row, at| row.text(at).map(RunId::from_text);
            let rows = tx.query(sql, &[limit.into()])?;
            rows.iter().map(|row| Ok((name(row, 0)?, name(row, 1)?, row.number(2)?))).collect()
        });
        read.await
    }

    /// Takes runs as a claim does, of that root only if one is named; where there is none for us, says
    /// who finds no place in so many seats of all.
    pub async fn claim_or_press(&self, wanted: Wanted, all: u32) -> Result<(Vec<Lease>, Press)> {
        if self.is_left() {
            return Err(StoreError::Closed);
        }
        let looked = wanted.clone();
        // A look that locks nobody: most claims end here.
        let look = self.inner.db.glance(move |tx| {
            let found = tx.all(&[looked.there(), first()])?;
            let [there, first] = &found[..] else { return Err(StoreError::Closed) };
            if looked.max > 0 && !there.is_empty() {
                return Ok(None);
            }
            let Some((rank, is_shared)) = first_of(first)? else {
                return Ok(Some(Press::default()));
            };
            let over = if is_shared { share::line(tx, all)?.over() } else { Vec::new() };
            Ok(Some(Press { first: Some(rank), over }))
        });
        match look.await? {
            Some(press) => Ok((Vec::new(), press)),
            None => Ok((self.take_wanted(wanted).await?, Press::default())),
        }
    }

    async fn take_wanted(&self, wanted: Wanted) -> Result<Vec<Lease>> {
        let asking = self.inner.held.ask(self.token());
        let (node, token) = (self.inner.node.clone(), asking.token);
        let taken = self.inner.db.write(move |tx| wanted.take(tx, &node, token)).await?;
        Ok(leases(asking, taken))
    }
}

/// Who finds no seat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Press {
    /// The rank of the first run in the queue.
    pub first: Option<i64>,
    /// The workspaces that hold their share of the seats while others with less have runs there.
    pub over: Vec<String>,
}

/// How many runs are wanted, and which.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The most of them.
    pub max: u32,
    /// No more than these are held at once by all nodes of this store; urgent ones come beyond that.
    pub seats: u32,
    /// No more than these are held at once by this node; urgent ones come beyond that too.
    pub own: Option<u32>,
    /// Of this root only.
    pub root: Option<RunId>,
    /// Only if the first of the queue has no later rank than this.
    pub before: Option<i64>,
    /// First steps that begin with their runs.
    pub openers: Arc<Openers>,
}

/// What a claim brought, each under its hold.
pub(crate) fn leases(asking: Asking, taken: Vec<Taken>) -> Vec<Lease> {
    let holds = asking.hold(taken.iter().map(|it| it.own.tail.run.clone()).collect());
    taken.into_iter().zip(holds).map(|(it, hold)| it.lease(hold)).collect()
}

/// A run that was taken.
pub(crate) struct Taken {
    own: Own,
    priority: u16,
    urgent: bool,
    begun: Option<Vec<(String, Amounts)>>,
}

impl Taken {
    /// Its place among others.
    fn order(&self) -> (i64, i64, i64) {
        (self.own.rank, self.own.tail.turn, self.own.tail.pos)
    }

    fn lease(self, hold: Hold) -> Lease {
        let Taken { own, priority, urgent, begun } = self;
        let (rank, Tail { run, root, agent, workspace, attempt, seq, .. }) = (own.rank, own.tail);
        Lease { run, root, agent, workspace, priority, attempt, seq, rank, urgent, begun, hold }
    }
}

/// What a statement that takes says of a run.
macro_rules! taking {
    () => {
        "UPDATE run SET state = 'running', node = $2, lease = $3 "
    };
}
macro_rules! of_taken {
    () => {
        concat!(" RETURNING ", of_own!(), ", stop, priority + boost + fit")
    };
}

/// The statement that takes ready runs in the order of the queue.
macro_rules! take {
    ($which:literal) => {
        concat!(
            "WITH pick AS MATERIALIZED (
               SELECT pos FROM run WHERE state = 'ready'",
            $which,
            " ORDER BY rank, turn, root_at, pos LIMIT $1)
             ",
            taking!(),
            "WHERE pos IN (SELECT pos FROM pick)",
            of_taken!()
        )
    };
}

/// Takes of all ready runs; tests ask how each of these is planned.
pub(crate) const TAKE: &str = take!("");
/// Takes the first. One costs a fraction of a list of one, and a few in turn less than their list.
pub(crate) const TAKE_FIRST: &str = concat!(
    taking!(),
    "WHERE pos = (SELECT pos FROM run WHERE state = 'ready' ORDER BY rank, turn, root_at, pos LIMIT $1)",
    of_taken!()
);
/// So many are taken in turn.
const FEW: u64 = 4;
/// Takes of the urgent ones.
pub(crate) const TAKE_URGENT: &str = take!(" AND stop = 1");
/// Takes the one in that place.
const TAKE_AT: &str = concat!(taking!(), "WHERE pos = $1 AND state = 'ready'", of_taken!());
/// Takes of one root's.
pub(crate) const TAKE_OF: &str = take!(" AND root = $4");
/// Takes of one root's urgent ones.
pub(crate) const TAKE_URGENT_OF: &str = take!(" AND stop = 1 AND root = $4");

/// The statement that looks whether there are runs to take. The seats are counted last: there may be
/// ten thousand.
macro_rules! there {
    ($which:literal) => {
        concat!(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM run WHERE state = 'ready'",
            $which,
            ") AND (EXISTS (SELECT 1 FROM run WHERE state = 'ready' AND stop = 1",
            $which,
            ") OR (",
            seated!(),
            ") < $1)"
        )
    };
}

const THERE: &str = there!("");
const THERE_OF: &str = there!(" AND root = $2");

impl Wanted {
    /// Asks whether there may be some to take.
    fn there(&self) -> Ask {
        let mut args = vec![self.seats.into()];
        args.extend(self.root.as_ref().map(Val::from));
        (if self.root.is_some() { THERE_OF } else { THERE }, args)
    }

    /// Takes them, under a token of ours.
    pub(crate) fn take(&self, tx: &mut dyn Tx, node: &str, token: i64) -> Result<Vec<Taken>> {
        let max = u64::from(self.max);
        let urgent = if self.root.is_some() { TAKE_URGENT_OF } else { TAKE_URGENT };
        let Some(front) = self.front(tx, i64::MAX, node)? else { return Ok(Vec::new()) };
        let mut taken = self.pick(tx, urgent, max, (node, token))?;
        let most = (max - taken.len() as u64).min(self.free(&front));
        taken.extend(self.pick_any(tx, most, &front, (node, token))?);
        Ok(taken)
    }

    /// Takes within the seats only, and begins what may begin with it.
    pub(crate) fn seat(
        &self,
        tx: &mut dyn Tx,
        us: (&str, i64),
        (known, at): (&mut Known, i64),
    ) -> Result<Vec<Taken>> {
        let before = self.before.unwrap_or(i64::MAX);
        let Some(front) = self.front(tx, before, us.0)? else { return Ok(Vec::new()) };
        let most = self.free(&front).min(self.max.into());
        let mut taken = self.pick_any(tx, most, &front, us)?;
        // Who leads a plan holds no seat: the next gets it, unless it is left to one that comes.
        let leads = |it: &&Taken| it.own.tail.agent == LEADER && self.before.is_none();
        let n_leaders = taken.iter().filter(leads).count() as u64;
        taken.extend(self.pick_any(tx, n_leaders, &front, us)?);
        self.begin(tx, known, (&mut taken, at))?;
        Ok(taken)
    }

    /// Begins the first steps of those that were taken, where they may begin at once.
    fn begin(
        &self,
        tx: &mut dyn Tx,
        known: &mut Known,
        (taken, at): (&mut [Taken], i64),
    ) -> Result<()> {
        let opener = |it: &Taken| self.openers.get(&it.own.tail.run);
        let begins: Vec<_> = taken.iter_mut().filter_map(|it| Some((opener(it)?, it))).collect();
        let names = begins.iter().flat_map(|it| it.0.looks_at().0);
        let nodes = begins.iter().flat_map(|it| it.0.looks_at().1);
        known.ask(tx, names, nodes, Vec::new())?;
        for (opener, it) in begins {
            it.begun = opener.open(tx, (&mut it.own, known), at)?;
        }
        Ok(())
    }

    fn front(&self, tx: &mut dyn Tx, before: i64, node: &str) -> Result<Option<Crowd>> {
        front(tx, before, self.own.map(|_| node))
    }

    /// Seats that nobody holds and this node may. Several claims of a node may be under way at once:
    /// what it holds is counted here.
    fn free(&self, front: &Crowd) -> u64 {
        let free = u64::from(self.seats).saturating_sub(front.held);
        match self.own.zip(front.own) {
            None => free,
            Some((own, held)) => free.min(u64::from(own).saturating_sub(held)),
        }
    }

    /// Takes so many, by the shares of their workspaces and then by rank. Who works on one root only
    /// takes its runs whatever their share: nobody else may be there to.
    fn pick_any(
        &self,
        tx: &mut dyn Tx,
        most: u64,
        front: &Crowd,
        us: (&str, i64),
    ) -> Result<Vec<Taken>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        if self.root.is_some() {
            return self.pick(tx, TAKE_OF, most, us);
        }
        let mut taken = match front.is_shared {
            true => self.pick_shared(tx, most, us)?,
            false => Vec::new(),
        };
        let left = most.saturating_sub(taken.len() as u64);
        if left > FEW {
            taken.extend(self.pick(tx, TAKE, left, us)?);
        } else if left > 0 {
            let ask = (TAKE_FIRST, vec![Val::Int(1), us.0.into(), us.1.into()]);
            let rows = tx.all(&vec![ask; left as usize])?;
            taken.extend(ordered(rows.into_iter().flatten().collect())?);
        }
        Ok(taken)
    }

    /// Takes up to so many within the shares of their workspaces.
    fn pick_shared(
        &self,
        tx: &mut dyn Tx,
        most: u64,
        (node, token): (&str, i64),
    ) -> Result<Vec<Taken>> {
        let (mut taken, mut line) = (Vec::new(), share::line(tx, self.seats)?);
        while (taken.len() as u64) < most
            && let Some(next) = line.next()
        {
            let row = tx.one(TAKE_AT, &[next.pos().into(), node.into(), token.into()])?;
            let Some(row) = row else { break };
            let one = taken_of(&row)?;
            line.takes(tx, &next, one.own.tail.agent != LEADER)?;
            taken.push(one);
        }
        Ok(taken)
    }

    fn pick(
        &self,
        tx: &mut dyn Tx,
        sql: &'static str,
        most: u64,
        (node, token): (&str, i64),
    ) -> Result<Vec<Taken>> {
        let mut args = vec![most.into(), node.into(), token.into()];
        args.extend(self.root.as_ref().map(Val::from));
        ordered(tx.query(sql, &args)?)
    }
}

fn ordered(rows: Vec<Row>) -> Result<Vec<Taken>> {
    let mut taken = rows.iter().map(taken_of).collect::<Result<Vec<_>, _>>()?;
    taken.sort_by_key(Taken::order);
    Ok(taken)
}

fn taken_of(row: &Row) -> Result<Taken> {
    let (urgent, priority) = (row.int(16)? == 1, row.number(17)?.min(1_000) as u16);
    Ok(Taken { own: Own::of(row)?, priority, urgent, begun: None })
}
