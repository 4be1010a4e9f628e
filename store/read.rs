//! Everything that is asked without writing: rows, lists, counts, journals.

use callboard_trace::{Record, RunId};

use crate::db::{Row, Tx, Val};
use crate::error::Result;
use crate::journal::{self, kept, kept_of};
use crate::seats::held;
use crate::{Store, StoreError};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// In the queue.
    Ready,
    /// Held by a node.
    Running,
    /// Waits for a record from outside or for a time.
    Waiting,
    /// Over.
    Ended,
}

/// The indexed facts of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// The run.
    pub run: RunId,
    /// The root of its tree; a root names itself.
    pub root: RunId,
    /// The run that started it.
    pub parent: Option<RunId>,
    /// Whose run it is.
    pub agent: String,
    /// The walled area it belongs to.
    pub workspace: String,
    /// The authenticated caller of its root.
    pub principal: String,
    /// The caller's idempotency key.
    pub key: Option<String>,
    /// Where it stands.
    pub state: RunState,
    /// How it ended, in the words of its last write.
    pub outcome: Option<String>,
    /// The base, 0..1000.
    pub priority: u16,
    /// Points on top of it for the runs that wait for it, 0..800.
    pub boost: u16,
    /// Points for how well it fits the team's goal, 0..300.
    pub fit: u16,
    /// 1-based place in the queue, of a ready run; `None` beyond a thousand. Only a look at one run
    /// counts it.
    pub position: Option<u64>,
    /// The length of its journal.
    pub seq: u64,
    /// Which attempt, 1-based.
    pub attempt: u32,
    /// The node that holds it.
    pub node: Option<String>,
    /// Microseconds since 1970 at which it wakes by itself.
    pub wake: Option<i64>,
    /// Microseconds since 1970 at which it was accepted.
    pub created: i64,
    /// Microseconds since 1970 at which it ended.
    pub ended: Option<i64>,
    /// Microseconds since 1970 at which its root ends.
    pub deadline: i64,
    /// Where it stands in the list of all runs; later ones are greater.
    pub pos: u64,
    /// Its place in the queue, smallest first: when its root was accepted, minus its priority in
    /// seconds, in microseconds.
    pub rank: i64,
    /// Microseconds since 1970 at which its root was accepted.
    pub root_at: i64,
}

/// Runs before a ready one that are counted: there may be very many.
pub(crate) const COUNTED: u64 = 1_000;

/// Which roots to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Of this caller only.
    pub principal: Option<String>,
    /// In this state only.
    pub state: Option<RunState>,
    /// `true` = open ones only, `false` = ended ones only.
    pub open: Option<bool>,
    /// Older than this [`RunRow::pos`].
    pub before: Option<u64>,
    /// At most this many.
    pub limit: u32,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs in the queue.
    pub ready: u64,
    /// Runs held by a node.
    pub running: u64,
    /// Of those, such as hold a seat.
    pub seated: u64,
    /// Runs that wait.
    pub waiting: u64,
    /// Runs that are over.
    pub ended: u64,
    /// Root tasks that are open.
    pub open_roots: u64,
    /// Runs in the line of something that is shared.
    pub in_line: u64,
    /// When the longest waiting ready run's root was accepted, microseconds since 1970.
    pub oldest_ready: Option<i64>,
}

/// The columns of a [`RunRow`], and of its place in the queue, in order.
macro_rules! run_row {
    ($rest:literal) => {
        concat!(
            "SELECT id, root, parent, agent, workspace, principal, once, state, outcome, priority, seq,
               attempt, node, wake, created, ended, deadline, pos, rank, turn, root_at,
               boost, fit FROM run ",
            $rest
        )
    };
}
pub(crate) use run_row;

/// The records of all runs of a root.
pub(crate) const TREE: &str = kept!(
    "WHERE j.root = (SELECT pos FROM run WHERE id = $1) AND j.pos > $2 ORDER BY j.pos LIMIT $3"
);

impl Store {
    /// A run's records behind a number, oldest first. No record = the end.
    pub async fn journal(&self, run: &RunId, after: u64, limit: u32) -> Result<Vec<Record>> {
        let run = run.clone();
        self.inner.db.read(move |tx| journal::read(tx, &run, after, limit)).await
    }

    /// The first records of several runs, at one moment.
    pub async fn journals(&self, runs: Vec<RunId>, limit: u32) -> Result<Vec<Vec<Record>>> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.inner.db.read(move |tx| journal::first(tx, &runs, limit));
        read.await
    }

    /// The records of all runs of a root, in the order they were written, each with its place.
    pub async fn tree(
        &self,
        root: &RunId,
        after_pos: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Record)>> {
        let args = [root.into(), after_pos.into(), limit.into()];
        self.inner.db.read(move |tx| placed(tx, TREE, &args)).await
    }

    /// The records of everything, in the order they were written, each with its place.
    pub async fn log(&self, after_pos: u64, limit: u32) -> Result<Vec<(u64, Record)>> {
        let sql = kept!("WHERE j.pos > {$1} ORDER BY j.pos LIMIT {$2}");
        let args = [after_pos.into(), limit.into()];
        self.inner.db.read(move |tx| placed(tx, sql, &args)).await
    }

    /// What the index says about one run.
    pub async fn row(&self, run: &RunId) -> Result<Option<RunRow>> {
        let run = run.clone();
        self.inner.db.read(move |tx| row(tx, &run)).await
    }

    /// The runs of a caller, or of all, whose name begins like this, at most so many.
    pub async fn begin_with(
        &self,
        letters: &str,
        principal: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RunRow>> {
        // No letter of a name is above `z`.
        let sql = run_row!(
            "WHERE id >= $1 AND id < $1 || '{' AND (CAST($2 AS TEXT) IS NULL OR principal = $2)
             ORDER BY id LIMIT $3"
        );
        let args = [letters.into(), principal.into(), limit.into()];
        self.inner.db.read(move |tx| tx.query(sql, &args)?.iter().map(row_of).collect()).await
    }

    /// The records under a root that may note something under this name, newest first.
    pub async fn notes_of(&self, root: &RunId, name: &str) -> Result<Vec<Record>> {
        let sql = kept!(
            "WHERE j.root = (SELECT pos FROM run WHERE id = $1) AND j.kind = 'noted'
             AND j.body LIKE '%\"artifact\":\"' || $2 || '\"%' ORDER BY j.pos DESC LIMIT 20"
        );
        let args = [root.into(), name.into()];
        let found = self.inner.db.read(move |tx| placed(tx, sql, &args)).await?;
        Ok(found.into_iter().map(|it| it.1).collect())
    }

    /// The last records of a run or of a stream, oldest first.
    pub async fn latest(&self, run: &RunId, limit: u32) -> Result<Vec<Record>> {
        let run = run.clone();
        let sql = kept!(
            "WHERE j.run = (SELECT pos FROM run WHERE id = $1) {in_part_of_id}
             ORDER BY j.seq DESC LIMIT $2"
        );
        let read = self.inner.db.read(move |tx| {
            let mut found = placed(tx, sql, &[(&run).into(), limit.into()])?;
            found.reverse();
            Ok(found.into_iter().map(|it| it.1).collect())
        });
        read.await
    }

    /// Roots, newest first.
    pub async fn list(&self, filter: List) -> Result<Vec<RunRow>> {
        self.inner.db.read(move |tx| list(tx, &filter)).await
    }

    /// How much there is of everything.
    pub async fn counts(&self) -> Result<Counts> {
        self.inner.db.read(counts).await
    }

    /// Whether nothing happens by itself: no run is in the queue, held, in the line of a resource, or
    /// waits for a time. Until its deadline waits what waits for a person, for another run, or for
    /// what somebody paused.
    pub async fn is_at_rest(&self) -> Result<bool> {
        let sql = "SELECT 1 FROM run WHERE state = 'ready'
            UNION ALL SELECT 1 FROM run WHERE state = 'running'
            UNION ALL SELECT 1 FROM run WHERE state = 'waiting' AND wake < deadline
            UNION ALL SELECT 1 FROM line JOIN gauge ON gauge.name = line.name
            WHERE gauge.mode <> 'paused' LIMIT 1";
        Ok(self.inner.db.read(move |tx| tx.one(sql, &[])).await?.is_none())
    }
}

impl RunState {
    fn as_str(self) -> &'static str {
        match self {
            RunState::Ready => "ready",
            RunState::Running => "running",
            RunState::Waiting => "waiting",
            RunState::Ended => "ended",
        }
    }

    fn parse(text: &str) -> Result<RunState> {
        let all = [RunState::Ready, RunState::Running, RunState::Waiting, RunState::Ended];
        let found = all.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| {
            StoreError::Corrupt(format!("{text:?} is no state of a run; the store is damaged"))
        })
    }
}

pub(crate) fn placed(
    tx: &mut dyn Tx,
    sql: &'static str,
    args: &[Val],
) -> Result<Vec<(u64, Record)>> {
    let rows = tx.query(sql, args)?;
    let placed = rows.iter().map(|row| {
        let kept = kept_of(row)?;
        Ok((kept.pos, kept.record(tx)?))
    });
    placed.collect()
}

/// Reads a row of the columns above.
pub(crate) fn row_of(row: &Row) -> Result<RunRow> {
    Ok(RunRow {
        run: RunId::from_text(row.text(0)?),
        root: RunId::from_text(row.text(1)?),
        parent: row.maybe_text(2).map(RunId::from_text),
        agent: row.text(3)?,
        workspace: row.text(4)?,
        principal: row.text(5)?,
        key: row.maybe_text(6),
        state: RunState::parse(&row.text(7)?)?,
        outcome: row.maybe_text(8),
        priority: row.number(9)? as u16,
        position: None,
        seq: row.number(10)?,
        attempt: row.number(11)? as u32,
        node: row.maybe_text(12),
        wake: row.maybe_int(13),
        created: row.int(14)?,
        ended: row.maybe_int(15),
        deadline: row.int(16)?,
        pos: row.number(17)?,
        rank: row.int(18)?,
        root_at: row.int(20)?,
        boost: row.number(21)? as u16,
        fit: row.number(22)? as u16,
    })
}

pub(crate) fn row(tx: &mut dyn Tx, run: &RunId) -> Result<Option<RunRow>> {
    let Some(row) = tx.one(run_row!("WHERE id = $1 AND state <> 'stream'"), &[run.into()])? else {
        return Ok(None);
    };
    let mut found = row_of(&row)?;
    if found.state == RunState::Ready {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM run
            WHERE state = 'ready' AND (rank, turn, root_at, pos) <= ($1, $2, $3, $4) LIMIT $5) AS before";
        let place = [
            found.rank.into(),
            row.int(19)?.into(),
            found.root_at.into(),
            found.pos.into(),
            (COUNTED + 1).into(),
        ];
        let counted = tx.one(sql, &place)?.map(|it| it.number(0)).transpose()?;
        found.position = counted.filter(|it| *it <= COUNTED);
    }
    Ok(Some(found))
}

fn list(tx: &mut dyn Tx, filter: &List) -> Result<Vec<RunRow>> {
    let before = filter.before.unwrap_or(i64::MAX as u64);
    let mut args =
        vec![before.into(), filter.state.map(RunState::as_str).into(), filter.limit.into()];
    let sql = match (&filter.principal, filter.open) {
        (None, None) => run_row!(
            "WHERE top = 1 AND pos < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2)
             ORDER BY pos DESC LIMIT $3"
        ),
        (None, Some(true)) => run_row!(
            "WHERE top = 1 AND ended IS NULL AND pos < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2)
             ORDER BY pos DESC LIMIT $3"
        ),
        (None, Some(false)) => run_row!(
            "WHERE top = 1 AND ended IS NOT NULL AND pos < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2)
             ORDER BY pos DESC LIMIT $3"
        ),
        (Some(principal), open) => {
            args.extend([principal.into(), open.map(i64::from).into()]);
            run_row!(
                "WHERE top = 1 AND pos < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2) AND principal = $4
                 AND (CAST($5 AS {int}) IS NULL OR (ended IS NULL) = ($5 = 1)) ORDER BY pos DESC LIMIT $3"
            )
        }
    };
    tx.query(sql, &args)?.iter().map(row_of).collect()
}

fn counts(tx: &mut dyn Tx) -> Result<Counts> {
    let mut one = |sql: &'static str| tx.only(sql, &[]);
    let ready = one("SELECT count(*), min(root_at) FROM run WHERE state = 'ready'")?;
    let running = one("SELECT count(*) FROM run WHERE state = 'running'")?.number(0)?;
    let waiting = one("SELECT count(*) FROM run WHERE state = 'waiting'")?.number(0)?;
    let ended = one("SELECT n FROM tally WHERE name = 'ended'")?.number(0)?;
    let open_roots = one("SELECT n FROM tally WHERE name = 'open_roots'")?.number(0)?;
    let in_line = one("SELECT count(*) FROM line")?.number(0)?;
    let (ready, oldest_ready) = (ready.number(0)?, ready.maybe_int(1));
    let seated = held(tx)?;
    Ok(Counts { ready, running, seated, waiting, ended, open_roots, in_line, oldest_ready })
}
