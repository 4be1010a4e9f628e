//! Reading whole journals in pages.

use callboard_store::{Store, StoreError};
use callboard_trace::{Record, RunId};

/// Records read at once.
pub(crate) const PAGE: u32 = 1_000;

/// The whole journal of one run.
pub(crate) async fn whole(store: &Store, run: &RunId) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    loop {
        let after = records.last().map_or(0, |it: &Record| it.seq);
        let page = store.journal(run, after, PAGE).await?;
        let last = page.len() < PAGE as usize;
        records.extend(page);
        if last {
            return Ok(records);
        }
    }
}

/// All records of a root's tree, in the order they were written.
pub(crate) async fn tree(store: &Store, root: &RunId) -> Result<Vec<(u64, Record)>, StoreError> {
    let mut records: Vec<(u64, Record)> = Vec::new();
    loop {
        let after = records.last().map_or(0, |it| it.0);
        let page = store.tree(root, after, PAGE).await?;
        let last = page.len() < PAGE as usize;
        records.extend(page);
        if last {
            return Ok(records);
        }
    }
}
