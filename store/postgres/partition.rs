//! The journal in parts: each keeps the trees of so many roots. Roots are numbered as they are accepted,
//! so what is new goes to the newest part, and an old one is cleared, or dropped, for itself.

use std::ops::Range;

use super::conn::Fault;
use super::session::Session;

use crate::db::Tx;
use crate::error::Result;

/// The places of roots that a part is for.
const ROOTS: i64 = 1_000_000;
/// Parts that are made in one write at most.
const AT_ONCE: usize = 16;

/// The journal as it was is the first part, and no row is copied. Its places come from a sequence:
/// identities and parts go together in newer servers only. The last part takes what has no other.
const DIVIDE: &str = "
    SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '10min';
    ALTER TABLE journal RENAME TO journal_0;
    ALTER TABLE journal_0 ALTER COLUMN pos DROP IDENTITY;
    CREATE TABLE journal(LIKE journal_0) PARTITION BY RANGE (root);
    CREATE SEQUENCE journal_next OWNED BY journal.pos;
    SELECT setval('journal_next', (SELECT coalesce(max(pos), 0) + 1 FROM journal_0), false);
    ALTER TABLE journal ALTER COLUMN pos SET DEFAULT nextval('journal_next');";

/// Where the parts end, which is nowhere if there are none, and the newest place of a run.
const LOOK: &str = "SELECT (
      SELECT max(CAST(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO [(]''?([0-9]+)') AS BIGINT))
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = to_regclass('journal')),
    (SELECT coalesce(max(pos), 0) FROM run)";

/// Divides the journal. A server that knows no parts keeps the one table.
pub(super) fn divide(session: &mut Session<'_>) -> Result<()> {
    let head = session.only("SELECT coalesce(max(pos), 0) FROM run", &[])?.int(0)?;
    let end = next(head, 0, ROOTS).end;
    let rest = part("journal_rest", "DEFAULT");
    let sql = format!(
        "{DIVIDE} {rest}
         ALTER TABLE journal ATTACH PARTITION journal_0 FOR VALUES FROM (MINVALUE) TO ({end});"
    );
    let told = |it: Fault| it.error();
    session.batch("SAVEPOINT whole").map_err(told)?;
    if session.change(&sql).map_err(told)? {
        return widen(session).map(|_| ());
    }
    tracing::info!("the database knows no partitions: the journal stays one table");
    session.batch("ROLLBACK TO SAVEPOINT whole").map_err(told)
}

/// Whether less than a whole part is left for the roots to come.
pub(crate) fn is_narrow(tx: &mut dyn Tx) -> Result<bool> {
    Ok(look(tx)?.is_some_and(|(end, head)| needs(end, head, ROOTS)))
}

/// Makes the parts that are missing ahead; answers whether it made any. Work does not depend on it: who
/// reads the last part, as a backup does for long, only puts it off.
pub(crate) fn widen(tx: &mut dyn Tx) -> Result<bool> {
    let Some((mut end, head)) = look(tx)? else { return Ok(false) };
    if !needs(end, head, ROOTS) {
        return Ok(false);
    }
    let outside = tx.only("SELECT coalesce(max(root), 0) FROM journal_rest", &[])?.int(0)?;
    let mut parts = Vec::new();
    while needs(end, head, ROOTS) && parts.len() < AT_ONCE {
        let roots = next(end, outside, ROOTS);
        let bounds = format!("FOR VALUES FROM ({}) TO ({})", roots.start, roots.end);
        parts.push(part(&format!("journal_{}", roots.start), &bounds));
        end = roots.end;
    }
    tx.try_change(&parts.concat())
}

fn look(tx: &mut dyn Tx) -> Result<Option<(i64, i64)>> {
    let row = tx.only(LOOK, &[])?;
    let head = row.int(1)?;
    Ok(row.maybe_int(0).map(|end| (end, head)))
}

/// One whole part stands empty behind the one that the newest root belongs to.
fn needs(end: i64, head: i64, roots: i64) -> bool {
    end - head <= roots
}

/// The roots of the next part. It begins behind all others, and behind what came to lie outside of them:
/// that stays there.
fn next(end: i64, outside: i64, roots: i64) -> Range<i64> {
    let first = end.max(outside + 1);
    first..(first / roots + 1) * roots
}

/// A new part with the indexes that each of them has. It is made beside the journal and then joined to
/// it, so that who reads other parts is not waited for. All records of a run have one root, so what is
/// unique in a part is unique.
fn part(name: &str, bounds: &str) -> String {
    format!(
        "CREATE TABLE {name}(LIKE journal) WITH (fillfactor = 80);
         ALTER TABLE {name} ADD PRIMARY KEY (pos);
         CREATE UNIQUE INDEX ON {name}(run, seq);
         CREATE INDEX ON {name}(root, pos);
         CREATE INDEX ON {name}(pos) WHERE kind = 'rank_set' OR kind = 'embedded';
         ALTER TABLE journal ATTACH PARTITION {name} {bounds};"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another_without_a_gap_on_even_places() {
        assert_eq!((next(0, 0, 10).end, next(9, 0, 10).end), (10, 10), "the first is cut off");
        assert_eq!(next(10, 0, 10), 10..20);
        assert_eq!(next(20, 7, 10), 20..30, "what lies outside is older");
        assert_eq!(next(20, 20, 10), 21..30, "what lies outside stays there");
        assert_eq!(next(20, 29, 10), 30..40);
    }

    #[test]
    fn a_whole_part_stands_empty_ahead() {
        let (mut end, mut made) = (next(0, 0, 10).end, Vec::new());
        for head in 0..35 {
            while needs(end, head, 10) {
                end = next(end, 0, 10).end;
                made.push((head, end));
            }
            assert!(end - head > 10, "{head}");
        }
        assert_eq!(made, [(0, 20), (10, 30), (20, 40), (30, 50)]);
    }
}
