//! What the callers of roots have heard: who waits, who left, and what ended while nobody listened.

use callboard_trace::{Event, Fact, RunId};

use crate::db::{Tx, Val};
use crate::error::Result;
use crate::ink::Line;
use crate::journal;
use crate::read::{RunRow, row_of, run_row};
use crate::{NewRun, Store};

/// How a call listens to the run it starts, and what it joins when it comes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listens {
    /// It stays open until the run ends, or goes without the end.
    pub waits: bool,
    /// It joins the run of an equal call that waited and went without the end: an open one, or one
    /// that ended unread less than ten minutes ago.
    pub rejoins: bool,
}

/// What became of a call, on its way into the run's journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The run that the call was about.
    pub run: RunId,
    /// `delivered` or `caller_left`.
    pub fact: Fact,
    /// Another call at this node still waits for the run.
    pub awaited: bool,
}

/// What ended while nobody listened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// The last that ended, newest first.
    pub newest: Vec<RunRow>,
    /// How many there are, counted up to [`Unread::COUNTED`].
    pub n_all: u64,
}

/// The end was delivered, or nobody is to be told.
pub(crate) const YES: &str = "yes";
/// Nobody waited.
pub(crate) const NO: &str = "no";
/// A call waited and went without the end.
const LEFT: &str = "left";

/// How long after its end an unread run is joined by an equal call, in microseconds.
const REJOIN: i64 = 600 * 1_000_000;

impl Unread {
    /// More are not counted.
    pub const COUNTED: u64 = 100;
}

impl Store {
    /// Writes down what became of calls, many in one write, into the journals of open and ended
    /// runs alike; none of them wakes. What was delivered once is not written again.
    pub async fn hear(&self, words: Vec<Word>) -> Result<()> {
        let ink = &self.inner.ink;
        let line = |it: Word| {
            let delivered = matches!(it.fact.event, Event::Delivered { .. });
            let by = it.fact.by.to_string();
            Ok((it.run, ink.write(it.fact)?.1, delivered.then_some(by), it.awaited))
        };
        let lines = words.into_iter().map(line).collect::<Result<Vec<_>>>()?;
        let node = self.inner.node.clone();
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            lines.iter().try_for_each(|(run, line, delivered_to, awaited)| {
                let heard = match (delivered_to, awaited) {
                    (Some(_), _) => Some(YES),
                    (None, false) => Some(LEFT),
                    (None, true) => None,
                };
                hear(tx, (run, line), (heard, delivered_to.as_deref()), &node, at)
            })
        });
        done.await
    }

    /// A caller's roots that ended after `since` and were not delivered; `limit` of them by name.
    /// Costs two looks into an index where there are none.
    pub async fn unread(&self, principal: &str, since: i64, limit: u32) -> Result<Unread> {
        let principal = principal.to_owned();
        self.inner.db.read(move |tx| unread(tx, &principal, since, limit)).await
    }
}

/// Calls of this node that are known to have gone.
pub(crate) fn have_left(tx: &mut dyn Tx, runs: &[RunId], node: &str) -> Result<()> {
    let sql = "UPDATE run SET heard = 'left' WHERE id = $1 AND heard = $2";
    runs.iter().try_for_each(|run| tx.put(sql, &[run.into(), node.into()]))
}

/// Whoever had waited at a node that is gone has left.
pub(crate) fn left_by(tx: &mut dyn Tx, node: &str) -> Result<()> {
    let sql = "UPDATE run SET heard = 'left'
        WHERE heard = $1 AND heard <> 'yes' AND heard <> 'no' AND heard <> 'left'";
    tx.put(sql, &[node.into()])
}

/// The run that an equal call waited for and left. One that was cancelled is not gone back to.
pub(crate) fn find_left(tx: &mut dyn Tx, new: &NewRun, at: i64) -> Result<Option<RunId>> {
    let sql = "SELECT id FROM run
        WHERE principal = $1 AND fingerprint = $2 AND top = 1 AND heard = 'left'
          AND (ended IS NULL OR (ended > $3 AND outcome <> 'cancelled')) ORDER BY pos DESC LIMIT 1";
    let args = [(&new.principal).into(), (&new.fingerprint).into(), (at - REJOIN).into()];
    tx.one(sql, &args)?.map(|it| it.text(0).map(RunId::from_text)).transpose()
}

/// A call waits for a run that was there already.
pub(crate) fn listen(tx: &mut dyn Tx, run: &RunId, heard: &str) -> Result<()> {
    if heard == NO {
        return Ok(());
    }
    let sql = "UPDATE run SET heard = $2 WHERE id = $1 AND heard <> 'yes'";
    tx.put(sql, &[run.into(), heard.into()])
}

/// The caller of an open root ends it itself: unless a call waits for it, nobody is to be told.
pub(crate) fn knows(tx: &mut dyn Tx, run: &RunId, by: &str) -> Result<()> {
    let sql = "UPDATE run SET heard = 'yes' WHERE id = $1 AND principal = $2 AND ended IS NULL
        AND (heard = 'no' OR heard = 'left')";
    tx.put(sql, &[run.into(), by.into()])
}

fn hear(
    tx: &mut dyn Tx,
    (run, line): (&RunId, &Line),
    (heard, delivered_to): (Option<&str>, Option<&str>),
    node: &str,
    at: i64,
) -> Result<()> {
    let Some(mut tail) = journal::find(tx, run)?.filter(|it| it.state != "stream") else {
        return Ok(());
    };
    let row = tx.only("SELECT heard, principal FROM run WHERE pos = $1", &[tail.pos.into()])?;
    let (before, principal) = (row.text(0)?, row.text(1)?);
    // Who looks at somebody else's run takes no notice away.
    if delivered_to.is_some_and(|it| it != principal) {
        return Ok(());
    }
    let is_early = heard == Some(YES) && tail.state != "ended";
    if before == YES || is_early {
        return Ok(());
    }
    journal::append(tx, &mut tail, at, std::slice::from_ref(line))?;
    let heard = match heard {
        // Another call waits by now, here or elsewhere.
        Some(LEFT) if before != node => before.as_str(),
        Some(heard) => heard,
        None => before.as_str(),
    };
    let sql = "UPDATE run SET seq = $2, head = $3, heard = $4 WHERE pos = $1";
    let args = [tail.pos.into(), tail.seq.into(), (&tail.head).into(), heard.into()];
    tx.put(sql, &args)
}

fn unread(tx: &mut dyn Tx, principal: &str, since: i64, limit: u32) -> Result<Unread> {
    let mut newest: Vec<RunRow> = Vec::new();
    let mut n_all = 0;
    for heard in [NO, LEFT] {
        let args: [Val; 4] = [principal.into(), heard.into(), since.into(), limit.into()];
        let found = tx.query(UNREAD, &args)?;
        n_all += match found.len() as u64 {
            n if n < u64::from(limit) => n,
            _ => {
                let args = [principal.into(), heard.into(), since.into(), Unread::COUNTED.into()];
                tx.only(COUNT, &args)?.number(0)?
            }
        };
        newest.extend(found.iter().map(row_of).collect::<Result<Vec<_>, _>>()?);
    }
    newest.sort_by_key(|it| std::cmp::Reverse(it.ended));
    newest.truncate(limit as usize);
    Ok(Unread { newest, n_all: n_all.min(Unread::COUNTED) })
}

/// What ended and was not delivered; tests ask how it is planned.
pub(crate) const UNREAD: &str = run_row!(
    "WHERE principal = $1 AND heard = $2 AND ended > $3
       AND top = 1 AND heard <> 'yes' AND ended IS NOT NULL ORDER BY ended DESC LIMIT $4"
);

const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM run
    WHERE principal = $1 AND heard = $2 AND ended > $3
      AND top = 1 AND heard <> 'yes' AND ended IS NOT NULL LIMIT $4) q";
