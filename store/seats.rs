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

/// How many seats are held, by all nodes.
pub(crate) fn held(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    tx.one(HELD, &[])?.ok_or(StoreError::Closed)?.number(0)
}
