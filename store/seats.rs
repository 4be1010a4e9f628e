//! The seats of all nodes: who holds one.

use crate::db::{Ask, Row, Tx};
use crate::error::Result;

/// Runs that hold a seat: who leads a plan (`rank::LEADER`) holds none.
macro_rules! seated {
    () => {
        "SELECT count(*) FROM run WHERE state = 'running' AND agent <> 'plan'"
    };
}
pub(crate) use seated;

pub(crate) const HELD: &str = seated!();

/// The seats that are held, and the first and the last of the workspaces that have a ready run.
macro_rules! crowd {
    ($rest:expr) => {
        concat!(
            "SELECT (",
            seated!(),
            "),
            (SELECT workspace FROM run WHERE state = 'ready' ORDER BY workspace LIMIT 1),
            (SELECT workspace FROM run WHERE state = 'ready' ORDER BY workspace DESC LIMIT 1)",
            $rest
        )
    };
}

pub(crate) const CROWD: &str = crowd!("");
/// Seats and workspaces are looked at only where the first run comes early enough.
macro_rules! front {
    ($more:expr) => {
        crowd!(concat!(
            $more,
            " FROM (SELECT rank FROM run WHERE state = 'ready' ORDER BY rank, turn, root_at, pos LIMIT 1) f
            WHERE f.rank <= $1"
        ))
    };
}
const FRONT: &str = front!("");
/// With the rank of that run.
const FIRST: &str = front!(", f.rank");
/// With the seats that one node holds.
const FRONT_OF: &str = front!(concat!(", (", seated!(), " AND node = $2)"));

/// Who wants seats.
pub(crate) struct Crowd {
    /// Seats that are held, by all nodes.
    pub(crate) held: u64,
    /// Seats that the node holds which was asked for.
    pub(crate) own: Option<u64>,
    /// Whether several workspaces have ready runs.
    pub(crate) is_shared: bool,
}

pub(crate) fn crowd(tx: &mut dyn Tx) -> Result<Crowd> {
    crowd_of(&tx.only(CROWD, &[])?)
}

/// The same if the first run of the queue has no later rank than this, with what a node holds if one is
/// named.
pub(crate) fn front(tx: &mut dyn Tx, before: i64, node: Option<&str>) -> Result<Option<Crowd>> {
    let row = match node {
        None => tx.one(FRONT, &[before.into()])?,
        Some(node) => tx.one(FRONT_OF, &[before.into(), node.into()])?,
    };
    row.as_ref().map(crowd_of).transpose()
}

/// Asks for the first run of the queue.
pub(crate) fn first() -> Ask {
    (FIRST, vec![i64::MAX.into()])
}

/// Its rank, and whether several workspaces have ready runs.
pub(crate) fn first_of(rows: &[Row]) -> Result<Option<(i64, bool)>> {
    rows.first().map(|it| Ok((it.int(3)?, crowd_of(it)?.is_shared))).transpose()
}

fn crowd_of(row: &Row) -> Result<Crowd> {
    let is_shared = row.maybe_text(1) != row.maybe_text(2);
    let own = row.maybe_int(3).and_then(|it| u64::try_from(it).ok());
    Ok(Crowd { held: row.number(0)?, own, is_shared })
}

/// How many seats are held, by all nodes.
pub(crate) fn held(tx: &mut dyn Tx) -> Result<u64> {
    tx.only(HELD, &[])?.number(0)
}
