//! A copy under way: page by page, each of them one transaction of the target.

use futures::future::join;

use crate::StoreError;
use crate::db::{Row, Tx, Val};
use crate::ends::End;
use crate::error::Result;
use crate::tables::{TABLES, Table};
use crate::unfinished::{self, Mark};

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What happens to them: rows are `copied`, then `compared`; at last runs are `verified`.
    pub act: &'static str,
    /// Rows, or runs, that are done.
    pub done: u64,
    /// How many there are.
    pub of: u64,
}

/// A copy under way.
pub(crate) struct Copying<'a> {
    pub(crate) from: &'a End,
    pub(crate) to: &'a End,
    pub(crate) mark: Mark,
    pub(crate) told: &'a mut (dyn FnMut(Progress) + Send),
    pub(crate) progress: Progress,
}

impl Copying<'_> {
    pub(crate) fn begin(&mut self, act: &'static str, of: u64) {
        self.progress = Progress { act, done: 0, of };
        (self.told)(self.progress);
    }

    pub(crate) fn done(&mut self, more: u64) {
        self.progress.done += more;
        (self.told)(self.progress);
    }

    /// Deletes all that is there.
    pub(crate) async fn empty(&mut self) -> Result<()> {
        let holder = self.mark.holder;
        for table in TABLES.iter() {
            let some = move |tx: &mut dyn Tx| {
                unfinished::hold(tx, holder)?;
                table.empty(tx)
            };
            while self.to.db.write(some).await? {}
        }
        let mark = self.mark.clone();
        self.to.db.write(move |tx| unfinished::is_empty(tx, &mark)).await
    }

    /// Copies what is behind the last row that is there.
    pub(crate) async fn fill(&mut self, table: &'static Table) -> Result<()> {
        let there = self.to.db.read(move |tx| Ok((table.last(tx)?, table.count(tx)?))).await?;
        let (mut after, kept) = there;
        self.done(kept);
        let mut page = page_of(self.from, table, after).await?;
        while let Some(last) = page.last() {
            after = Some(table.key(last));
            let rows = page.len() as u64;
            // The next page is read while this one is written.
            let (next, written) =
                join(page_of(self.from, table, after), self.put(table, page)).await;
            written?;
            page = next?;
            self.done(rows);
        }
        Ok(())
    }

    async fn put(&self, table: &'static Table, page: Vec<Row>) -> Result<()> {
        let holder = self.mark.holder;
        let put = self.to.db.write(move |tx| {
            unfinished::hold(tx, holder)?;
            page.iter().try_for_each(|row| table.put(tx, row))
        });
        let written = put.await;
        if let Err(StoreError::Db(text)) = written {
            return Err(StoreError::Db(format!("table {}: {text}", table.name)));
        }
        written
    }

    /// What is there is no copy: the next try begins anew.
    pub(crate) async fn spoilt(&self, what: String) -> StoreError {
        let holder = self.mark.holder;
        let spoilt = self.to.db.write(move |tx| unfinished::spoil(tx, holder)).await;
        spoilt.err().unwrap_or_else(|| {
            StoreError::Corrupt(format!(
                "{what} is not the same in both stores; move again, which copies all of it anew"
            ))
        })
    }
}

/// The rows of an end behind a key.
pub(crate) async fn page_of(
    end: &End,
    table: &'static Table,
    after: Option<Vec<Val>>,
) -> Result<Vec<Row>> {
    end.db.read(move |tx| table.page(tx, after.as_deref())).await
}
