//! Fair share: while several workspaces have ready runs, a seat goes to one that holds fewer than its
//! part of the seats, and to the others only when no such run is there.
//!
//! Writes are made one after the other, so what is counted in the write that takes is exact for all
//! nodes.

use std::collections::BTreeMap;

use crate::db::{Row, Tx};
use crate::error::Result;
use crate::seats::crowd;
use crate::{RunRow, Store};

/// From this priority on nobody is passed over; `EXEMPT` and the index of it say the same.
pub const EXEMPT_FROM: u16 = 900;
/// Workspaces that are looked at. Beyond so many at once the others go by rank alone.
const SHARERS_MAX: u32 = 256;

/// The workspaces that have a ready run, each by its first one: a jump for each, however many wait.
pub(crate) const FIRSTS: &str = "WITH RECURSIVE first(pos) AS (
      SELECT (SELECT pos FROM run WHERE state = 'ready'
        ORDER BY workspace, rank, turn, root_at, pos LIMIT 1)
      UNION ALL
      SELECT (SELECT n.pos FROM run n WHERE n.state = 'ready'
          AND n.workspace > (SELECT workspace FROM run WHERE pos = first.pos)
        ORDER BY n.workspace, n.rank, n.turn, n.root_at, n.pos LIMIT 1)
      FROM first WHERE first.pos IS NOT NULL)
    SELECT r.workspace, r.rank, r.turn, r.root_at, r.pos
    FROM first CROSS JOIN run r WHERE r.pos = first.pos LIMIT $1";
/// The first one of a workspace, or of one behind it.
pub(crate) const FIRST: &str = "SELECT workspace, rank, turn, root_at, pos FROM run
    WHERE state = 'ready' AND workspace >= $1
    ORDER BY workspace, rank, turn, root_at, pos LIMIT 1";
/// The first one that is never passed over.
pub(crate) const EXEMPT: &str = "SELECT workspace, rank, turn, root_at, pos FROM run
    WHERE state = 'ready' AND priority + boost + fit >= 900
    ORDER BY rank, turn, root_at, pos LIMIT 1";
/// The seats of each workspace.
pub(crate) const SEATS: &str = "SELECT workspace, count(*) FROM run
    WHERE state = 'running' AND agent <> 'plan' GROUP BY workspace";

/// Who holds how many of the seats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Seats of all nodes together.
    pub seats: u64,
    /// Workspaces that have a ready run or hold a seat.
    pub workspaces: u64,
    held: BTreeMap<String, u64>,
}

impl Shares {
    /// Seats that a workspace holds.
    pub fn held(&self, workspace: &str) -> u64 {
        self.held.get(workspace).copied().unwrap_or_default()
    }

    /// Whether it holds fewer than seats ÷ workspaces.
    pub fn is_below(&self, workspace: &str) -> bool {
        self.held(workspace) * self.workspaces < self.seats
    }
}

impl Store {
    /// The shares a ready run is passed over by, if it is.
    pub async fn passed_over(&self, run: &RunRow, seats: u32) -> Result<Option<Shares>> {
        if run.effective() >= EXEMPT_FROM {
            return Ok(None);
        }
        let workspace = run.workspace.clone();
        let read = self.inner.db.read(move |tx| {
            let line = look(tx, seats)?.filter(|it| it.over().contains(&workspace));
            Ok(line.map(|it| it.shares))
        });
        read.await
    }
}

/// A ready run by its place in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    workspace: String,
    /// Its rank, its turn, when its root was accepted, and its place.
    order: (i64, i64, i64, i64),
}

/// Who may be next.
#[derive(Debug, Default)]
pub(crate) struct Line {
    shares: Shares,
    /// The first of each workspace.
    heads: Vec<Head>,
    /// The first that is never passed over.
    exempt: Option<Head>,
}

impl Head {
    /// The run's place among all rows.
    pub(crate) fn pos(&self) -> i64 {
        self.order.3
    }
}

impl Line {
    /// The first of those whose workspaces have less than their shares, or that need none; `None` if
    /// no workspace with a ready run has less.
    pub(crate) fn next(&self) -> Option<Head> {
        let below = || self.heads.iter().filter(|it| self.shares.is_below(&it.workspace));
        below().next()?;
        below().chain(&self.exempt).min_by_key(|it| it.order).cloned()
    }

    /// The workspaces that are passed over.
    pub(crate) fn over(&self) -> Vec<String> {
        let shares = &self.shares;
        if !self.heads.iter().any(|it| shares.is_below(&it.workspace)) {
            return Vec::new();
        }
        shares.held.keys().filter(|it| !shares.is_below(it)).cloned().collect()
    }

    /// One is taken: the next of its kind stands in its place.
    pub(crate) fn takes(&mut self, tx: &mut dyn Tx, it: &Head, needs_seat: bool) -> Result<()> {
        if needs_seat {
            *self.shares.held.entry(it.workspace.clone()).or_default() += 1;
        }
        if self.exempt.as_ref() == Some(it) {
            self.exempt = one(tx.one(EXEMPT, &[])?)?;
        }
        if let Some(at) = self.heads.iter().position(|head| head == it) {
            let next = one(tx.one(FIRST, &[(&it.workspace).into()])?)?;
            match next.filter(|next| next.workspace == it.workspace) {
                Some(next) => self.heads[at] = next,
                None => drop(self.heads.swap_remove(at)),
            }
        }
        Ok(())
    }
}

/// The line, if several workspaces have ready runs.
fn look(tx: &mut dyn Tx, seats: u32) -> Result<Option<Line>> {
    if crowd(tx)?.is_shared { line(tx, seats).map(Some) } else { Ok(None) }
}

/// Who may be next, where several workspaces have ready runs.
pub(crate) fn line(tx: &mut dyn Tx, seats: u32) -> Result<Line> {
    let rows = tx.query(FIRSTS, &[SHARERS_MAX.into()])?;
    let heads = rows.iter().map(head).collect::<Result<Vec<_>, _>>()?;
    let rows = tx.query(SEATS, &[])?;
    let held = rows.iter().map(|row| Ok((row.text(0)?, row.number(1)?)));
    let held = held.collect::<Result<BTreeMap<_, _>>>()?;
    let n_idle = heads.iter().filter(|it| !held.contains_key(&it.workspace)).count();
    let workspaces = (held.len() + n_idle) as u64;
    let shares = Shares { seats: seats.into(), workspaces, held };
    Ok(Line { shares, heads, exempt: one(tx.one(EXEMPT, &[])?)? })
}

fn one(row: Option<Row>) -> Result<Option<Head>> {
    row.as_ref().map(head).transpose()
}

fn head(row: &Row) -> Result<Head> {
    let order = (row.int(1)?, row.int(2)?, row.int(3)?, row.int(4)?);
    Ok(Head { workspace: row.text(0)?, order })
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Head, Line, Shares};

    fn head(workspace: &str, rank: i64) -> Head {
        Head { workspace: workspace.into(), order: (rank, 0, 0, rank) }
    }

    fn of(seats: u64, held: &[(&str, u64)], heads: &[(&str, i64)]) -> Line {
        let held: BTreeMap<_, _> = held.iter().map(|it| (it.0.to_owned(), it.1)).collect();
        let heads: Vec<_> = heads.iter().map(|it| head(it.0, it.1)).collect();
        let n_idle = heads.iter().filter(|it| !held.contains_key(&it.workspace)).count();
        let workspaces = (held.len() + n_idle) as u64;
        Line { shares: Shares { seats, workspaces, held }, heads, exempt: None }
    }

    #[test]
    fn who_has_its_share_is_passed_over_while_another_has_less() {
        for (seats, held, heads, next) in [
            // Both have less: the first in rank.
            (10, &[("a", 3), ("b", 3)][..], &[("a", 1), ("b", 2)][..], Some("a")),
            // Five of ten are the share of two.
            (10, &[("a", 5), ("b", 3)], &[("a", 1), ("b", 2)], Some("b")),
            (10, &[("a", 9)], &[("a", 1), ("b", 2)], Some("b")),
            // Everyone who is ready has its share: it goes by rank, which is not decided here.
            (10, &[("a", 5), ("b", 5)], &[("a", 1), ("b", 2)], None),
            // Who holds seats counts, ready or not: three of ten are below the share, four are not.
            (10, &[("a", 4), ("b", 3), ("c", 2)], &[("a", 1), ("b", 2)], Some("b")),
            (10, &[("a", 4), ("b", 4), ("c", 1)], &[("a", 1), ("b", 2)], None),
            // More workspaces than seats: one each.
            (2, &[("a", 1)], &[("a", 1), ("b", 2), ("c", 3)], Some("b")),
        ] {
            let line = of(seats, held, heads);
            let found = line.next().map(|it| it.workspace);
            assert_eq!(found.as_deref(), next, "{held:?} {heads:?}");
        }
    }

    #[test]
    fn what_is_urgent_enough_is_passed_over_by_nobody() {
        let mut line = of(10, &[("a", 9)], &[("a", 1), ("b", 5)]);
        line.exempt = Some(head("a", 4));
        assert_eq!(line.next().map(|it| it.order.0), Some(4));
        line.exempt = Some(head("a", 6));
        assert_eq!(line.next().map(|it| it.workspace).as_deref(), Some("b"), "ranks count");
        assert_eq!(line.over(), ["a"]);
        line.heads.pop();
        assert_eq!((line.next(), line.over().len()), (None, 0), "nobody else is there");
    }
}
