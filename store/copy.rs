//! Copies a whole store into another one, page by page: each page is one transaction of the target, and
//! the last row there says where to go on, whatever ended the process before.

pub use crate::copying::Progress;
pub use crate::ends::{End, Place};

use crate::StoreError;
use crate::chain::digest;
use crate::compare::{Compared, compare, verify};
use crate::copying::Copying;
use crate::db::Tx;
use crate::error::Result;
use crate::postgres;
use crate::tables::TABLES;
use crate::unfinished::{self, Mark, Stage};

/// What the target holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Runs.
    pub runs: u64,
    /// Records, of runs and of nodes.
    pub records: u64,
    /// Long texts that records have apart.
    pub blobs: u64,
    /// Whether the source is refused to whoever wants to work on it from now on: where it cannot be
    /// written, that goes on with what is there.
    pub is_closed: bool,
}

/// Fills the target, which is opened when the source is seen to be at rest, and checks it. Dropping the
/// future leaves the target unfinished; the next call goes on with it.
///
/// # Errors
/// When the source is in use or empty, when the target holds anything else, and when a row or a record
/// is not what it should be: then the target stays unfinished.
pub async fn copy(
    from: &End,
    to: impl Future<Output = Result<End>>,
    told: &mut (dyn FnMut(Progress) + Send),
) -> Result<Copied> {
    from.is_at_rest().await?;
    let (mark, mut copied, rows) = look(from).await?;
    let (to, taken) = (&to.await?, mark.clone());
    if to.db.read(unfinished::is_unmarked).await? {
        to.is_at_rest().await?;
    }
    let stage = to.db.write(move |tx| unfinished::take(tx, &taken)).await?;
    let progress = Progress { act: "copied", done: 0, of: rows };
    let mut copy = Copying { from, to, mark, told, progress };
    if stage == Stage::BeginAnew {
        copy.empty().await?;
    }
    for table in TABLES.iter() {
        while to.place.server.is_some() && to.db.write(postgres::widen).await? {}
        copy.fill(table).await?;
    }
    copy.begin("compared", rows);
    for table in TABLES.iter() {
        if let Compared::Differs(what) = compare(&mut copy, table).await? {
            return Err(copy.spoilt(what).await);
        }
    }
    verify(&mut copy).await?;
    copied.is_closed = finish(&copy).await?;
    Ok(copied)
}

/// The source is still what it was: now the target may be used, and the source no more, if that can be
/// written there.
async fn finish(copy: &Copying<'_>) -> Result<bool> {
    copy.from.is_at_rest().await?;
    if look(copy.from).await?.0.print != copy.mark.print {
        let text = "the source was used meanwhile; stop what uses it, and move again";
        return Err(StoreError::Db(text.to_owned()));
    }
    let holder = copy.mark.holder;
    copy.to.db.write(move |tx| unfinished::finish(tx, holder)).await?;
    let (mark, to) = (copy.mark.clone(), copy.to.place.to_string());
    Ok(copy.from.db.write(move |tx| unfinished::moved(tx, &mark, &to)).await.is_ok())
}

/// What the source is like: how it is told from others, what there is, and all its rows.
async fn look(from: &End) -> Result<(Mark, Copied, u64)> {
    let holder = ((from.chance)() as u64 >> 1) as i64;
    let shown = from.place.to_string();
    let look = from.db.read(move |tx| {
        unfinished::refuse(tx)?;
        let first = tx.one("SELECT id FROM run ORDER BY pos LIMIT 1", &[])?;
        let first = first.map(|it| it.text(0)).transpose()?.ok_or_else(|| {
            StoreError::Db("there is nothing in it yet; begin with the new one at once".to_owned())
        })?;
        let print = print(tx)?;
        let (mut rows, mut copied) = (0, Copied::default());
        for table in TABLES.iter() {
            let n = table.count(tx)?;
            rows += n;
            match table.name {
                "journal" => copied.records = n,
                "blob" => copied.blobs = n,
                _ => {}
            }
        }
        let runs = "SELECT count(*) FROM run WHERE state <> 'stream'";
        copied.runs = tx.only(runs, &[])?.number(0)?;
        Ok((Mark { first, shown: shown.clone(), print, holder }, copied, rows))
    });
    let cannot = |it| StoreError::Db(format!("the store {} cannot be moved: {it}", from.place));
    look.await.map_err(cannot)
}

/// A short text that is another one as soon as a node was there: each writes that it begins.
fn print(tx: &mut dyn Tx) -> Result<String> {
    let runs = "SELECT count(*), max(pos), CAST(sum(seq) AS {int}) FROM run";
    let last = "SELECT pos, run, seq, at, prev, kind FROM journal ORDER BY pos DESC LIMIT 1";
    let (runs, last) = (tx.one(runs, &[])?, tx.one(last, &[])?);
    Ok(digest(format!("{runs:?} {last:?}").as_bytes()))
}
