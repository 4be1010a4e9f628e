//! What steps hold of the resources, and who stands in line for them.

use callboard_trace::RunId;

use crate::db::{Ask, Row, Tx};
use crate::error::Result;

/// Who is called so much later than it might be is not called again for that, in microseconds.
const SOON: i64 = 1_000;

/// What the steps of a run hold.
pub(crate) fn of_run(run: &RunId) -> Ask {
    let sql =
        "SELECT step, name FROM hold WHERE run = (SELECT pos FROM run WHERE id = $1) AND step > 0";
    (sql, vec![run.into()])
}

/// Says that a step holds a resource.
pub(crate) fn hold(tx: &mut dyn Tx, pos: i64, step: u32, name: &str) -> Result<()> {
    let sql = "INSERT INTO hold(run, step, name) VALUES($1, $2, $3) ON CONFLICT DO NOTHING";
    tx.put(sql, &[pos.into(), step.into(), name.into()])
}

/// Gives back what a step holds, and wakes who waits for it.
pub(crate) fn drop_hold(tx: &mut dyn Tx, pos: i64, step: i64, name: &str) -> Result<()> {
    let sql = "DELETE FROM hold WHERE run = $1 AND step = $2 AND name = $3";
    tx.put(sql, &[pos.into(), step.into(), name.into()])?;
    one_less(tx, name)?;
    wake_line(tx, name, 1)
}

/// One less is counted there.
pub(crate) fn one_less(tx: &mut dyn Tx, name: &str) -> Result<()> {
    tx.put("UPDATE gauge SET used = used - 1 WHERE name = $1 AND used > 0", &[name.into()])
}

/// Puts the first of a line back into the queue of runs.
pub(crate) fn wake_line(tx: &mut dyn Tx, name: &str, most: i64) -> Result<()> {
    let sql = "UPDATE run SET state = 'ready', wake = NULL WHERE state = 'waiting' AND pos IN (
          SELECT run FROM line WHERE name = $1 ORDER BY rank, since, run LIMIT $2)";
    tx.put(sql, &[name.into(), most.into()])
}

/// Who waits in line at a gate stands there by its new rank. It looks again, and so does who is the
/// first of that line now: when each of them may go on has changed.
pub(crate) fn move_in_line(tx: &mut dyn Tx, pos: i64) -> Result<()> {
    let sql = "UPDATE line SET rank = (SELECT rank FROM run WHERE pos = $1) WHERE run = $1";
    tx.put(sql, &[pos.into()])?;
    let sql = "UPDATE run SET state = 'ready', wake = NULL WHERE state = 'waiting' AND pos IN (
          SELECT run FROM line WHERE run = $1
          UNION ALL SELECT (SELECT run FROM line f WHERE f.name = own.name
            ORDER BY rank, since, run LIMIT 1) FROM line own WHERE own.run = $1)";
    tx.put(sql, &[pos.into()])
}

/// Calls the first of a line if it was to look later than there is enough for it: somebody who stood
/// before it went without taking anything.
pub(crate) fn call_first(
    tx: &mut dyn Tx,
    name: &str,
    due: impl FnOnce(i64) -> Option<i64>,
) -> Result<()> {
    let sql = "SELECT need, (SELECT wake FROM run WHERE pos = line.run AND state = 'waiting')
        FROM line WHERE name = $1 ORDER BY rank, since, run LIMIT 1";
    let Some(first) = tx.one(sql, &[name.into()])? else { return Ok(()) };
    match first.maybe_int(1).zip(due(first.int(0)?)) {
        Some((wake, due)) if wake > due + SOON => wake_line(tx, name, 1),
        _ => Ok(()),
    }
}

/// Lets go of all that the runs of a dead or leaving node hold, before they are freed.
pub(crate) fn let_go(tx: &mut dyn Tx, node: &str) -> Result<()> {
    let of_node = "SELECT h.run, h.step, h.name FROM hold h JOIN run r ON r.pos = h.run
        WHERE r.node = $1 AND r.state = 'running' AND h.step > 0";
    let rows = tx.query(of_node, &[node.into()])?;
    drop_holds(tx, &rows)
}

/// The same for one run.
pub(crate) fn let_go_of(tx: &mut dyn Tx, run: &RunId, lease: i64) -> Result<()> {
    let of_run = "SELECT h.run, h.step, h.name FROM hold h JOIN run r ON r.pos = h.run
        WHERE r.id = $1 AND r.lease = $2 AND r.state = 'running' AND h.step > 0";
    let rows = tx.query(of_run, &[run.into(), lease.into()])?;
    drop_holds(tx, &rows)
}

fn drop_holds(tx: &mut dyn Tx, rows: &[Row]) -> Result<()> {
    rows.iter().try_for_each(|row| drop_hold(tx, row.int(0)?, row.int(1)?, &row.text(2)?))
}
