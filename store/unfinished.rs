//! The mark of a store that is being filled from another one: nobody works on it before that is done. One
//! that was moved has it too: nobody does there a second time what is done where it went.

use crate::StoreError;
use crate::db::{Tx, Val};
use crate::error::Result;
use crate::tables::{TABLES, TALLY};

/// Where the mark is: one row, or none.
#[cfg(test)]
pub(crate) const TABLE: &str = "filling";

/// What the mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The first run of the store that it is filled from, which tells that from all others.
    pub(crate) first: String,
    /// Where that is, for people.
    pub(crate) shown: String,
    /// What that was like when the filling began.
    pub(crate) print: String,
    /// Who fills it: whoever came last. [`MOVED`] if this is the store that was moved, and `shown` is where
    /// to.
    pub(crate) holder: i64,
}

/// Where there are rows once somebody looked at a store.
const LOOKED: [&str; 3] = ["run", "journal", "node"];

/// The holder of a store that was moved.
const MOVED: i64 = 0;

/// What the holder has to do first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It goes on behind what is there.
    GoOn,
    /// What is there was copied before the source was used again, or is not what the source has.
    BeginAnew,
}

/// Refuses a store that is not whole, or was moved.
pub(crate) fn refuse(tx: &mut dyn Tx) -> Result<()> {
    let Some(Mark { shown, holder, .. }) = read(tx)? else { return Ok(()) };
    Err(StoreError::Db(match holder {
        MOVED => format!(
            "it was moved: all of it is in the store {shown} now; name that one (`store` in team.yaml, \
             --store or --data), or move it back here with `callboard store move --from … --to …`; should \
             it be lost, `DELETE FROM filling` in this one opens it again"
        ),
        _ => format!(
            "it is being filled from the store {shown} and is not whole; finish that with the same \
             `callboard store move`, or use another store"
        ),
    }))
}

/// It was moved there.
pub(crate) fn moved(tx: &mut dyn Tx, mark: &Mark, to: &str) -> Result<()> {
    let moved = Mark { shown: to.to_owned(), print: String::new(), holder: MOVED, ..mark.clone() };
    put(tx, &moved)
}

fn put(tx: &mut dyn Tx, Mark { first, shown, print, holder }: &Mark) -> Result<()> {
    let sql = "INSERT INTO filling(first, shown, print, holder) VALUES($1, $2, $3, $4)";
    tx.put(sql, &[first.into(), shown.into(), print.into(), (*holder).into()])
}

/// Whether nobody began to fill it, or moved it.
pub(crate) fn is_unmarked(tx: &mut dyn Tx) -> Result<bool> {
    Ok(read(tx)?.is_none())
}

fn read(tx: &mut dyn Tx) -> Result<Option<Mark>> {
    let row = tx.one("SELECT first, shown, print, holder FROM filling", &[])?;
    let mark = row.map(|it| {
        let (first, shown, print) = (it.text(0)?, it.text(1)?, it.text(2)?);
        Ok(Mark { first, shown, print, holder: it.int(3)? })
    });
    mark.transpose()
}

/// Takes an empty store, or one that was filled from the same source before.
pub(crate) fn take(tx: &mut dyn Tx, mark: &Mark) -> Result<Stage> {
    let Some(was) = read(tx)? else {
        // Who only looked at it has left that it was there.
        let runs = tx.one("SELECT 1 FROM run WHERE state <> 'stream' LIMIT 1", &[])?;
        let (has_runs, mut is_bare) = (runs.is_some(), true);
        for table in TABLES.iter().filter(|it| it.name != TALLY) {
            let is_empty = table.last(tx)?.is_none();
            is_bare &= is_empty;
            if has_runs || !is_empty && !LOOKED.contains(&table.name) {
                let text = "the target holds a store of its own already; name an empty database or another \
                            folder";
                return Err(StoreError::Db(text.to_owned()));
            }
        }
        tx.put("DELETE FROM tally", &[])?;
        put(tx, mark)?;
        if is_bare {
            return Ok(Stage::GoOn);
        }
        spoil(tx, mark.holder)?;
        return Ok(Stage::BeginAnew);
    };
    if was.first != mark.first {
        let what = match was.holder {
            MOVED => "was another store and went to the store",
            _ => "is being filled from another store,",
        };
        let shown = was.shown;
        return Err(StoreError::Db(format!(
            "the target {what} {shown}; name an empty database or another folder"
        )));
    }
    let sql = "UPDATE filling SET holder = $1, shown = $2";
    tx.put(sql, &[mark.holder.into(), (&mark.shown).into()])?;
    if was.print == mark.print {
        return Ok(Stage::GoOn);
    }
    spoil(tx, mark.holder)?;
    Ok(Stage::BeginAnew)
}

/// Refuses whoever is not the holder any more.
pub(crate) fn hold(tx: &mut dyn Tx, holder: i64) -> Result<()> {
    match read(tx)?.is_some_and(|it| it.holder == holder) {
        true => Ok(()),
        false => {
            let text = "another process fills the same store now; let that one finish";
            Err(StoreError::Db(text.to_owned()))
        }
    }
}

/// What is there is not to be trusted: the next holder begins anew.
pub(crate) fn spoil(tx: &mut dyn Tx, holder: i64) -> Result<()> {
    hold(tx, holder)?;
    tx.put("UPDATE filling SET print = ''", &[])
}

/// Nothing is there any more.
pub(crate) fn is_empty(tx: &mut dyn Tx, mark: &Mark) -> Result<()> {
    hold(tx, mark.holder)?;
    tx.put("UPDATE filling SET print = $1", &[Val::from(&mark.print)])
}

/// It is whole.
pub(crate) fn finish(tx: &mut dyn Tx, holder: i64) -> Result<()> {
    hold(tx, holder)?;
    tx.query("{numbers}", &[])?;
    tx.put("DELETE FROM filling", &[])
}
