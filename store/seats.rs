//! The seats of all nodes: who holds one.

use crate::StoreError;
use crate::db::Tx;

/// Runs that hold a seat: who leads a plan (`rank::LEADER`) holds none.
macro_rules! seated {
    () => {
        "SELECT count(*) FROM run WHERE state = 'running' AND agent <> 'plan'"
    };
}
pub(crate) use seated;

pub(crate) const HELD: &str = seated!();

/// The seats that are held, and the first and the last of the workspaces that have a ready run.
pub(crate) const CROWD: &str = concat!(
    "SELECT (",
    seated!(),
    "),
    (SELECT workspace FROM run WHERE state = 'ready' ORDER BY workspace LIMIT 1),
    (SELECT workspace FROM run WHERE state = 'ready' ORDER BY workspace DESC LIMIT 1)"
);

/// How many seats are held, by all nodes, and whether several workspaces have ready runs.
pub(crate) fn crowd(tx: &mut dyn Tx) -> Result<(u64, bool), StoreError> {
    let row = tx.one(CROWD, &[])?.ok_or(StoreError::Closed)?;
    Ok((row.number(0)?, row.maybe_text(1) != row.maybe_text(2)))
}

/// How many seats are held, by all nodes.
pub(crate) fn held(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    tx.one(HELD, &[])?.ok_or(StoreError::Closed)?.number(0)
}
