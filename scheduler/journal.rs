//! Reading whole journals in pages.

use std::convert::Infallible;
use std::time::Duration;

use callboard_agents::Run;
use callboard_store::{RunRow, Store, StoreError};
use callboard_trace::{Record, RunId, Tree};

use crate::folds::Fold;
use crate::house::House;
use crate::refusal::Stored;

/// Records read at once.
pub(crate) const PAGE: u32 = 1_000;

/// What was found in the place of a run's beginning.
pub(crate) fn not_begun(run: &RunId) -> StoreError {
    StoreError::Corrupt(format!("the journal of {run} does not begin a run"))
}

/// The whole journal of one run.
pub(crate) async fn whole(store: &Store, run: &RunId) -> Stored<Vec<Record>> {
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

/// How often, and how many times, a plan in another hand is asked for before it is folded anew. A first
/// fold takes a while, and a second one beside it would take longer.
const AGAIN: (Duration, u32) = (Duration::from_millis(5), 600);

/// A plan's run, folded on from where it was left. Whoever takes it puts it back into the folds.
pub(crate) async fn plan(house: &House, name: &RunId) -> Stored<Option<Fold>> {
    let Ok(kept) = taken(house, name, || None::<Infallible>).await;
    fold_on(house, name, kept).await
}

/// Takes a plan in hand, or answers what `told` knows of it meanwhile.
pub(crate) async fn taken<T>(
    house: &House,
    name: &RunId,
    told: impl Fn() -> Option<T>,
) -> Result<Option<Fold>, T> {
    for _ in 0..AGAIN.1 {
        if let Some(told) = told() {
            return Err(told);
        }
        if let Ok(kept) = house.folds.take(name) {
            return Ok(kept);
        }
        tokio::time::sleep(AGAIN.0).await;
    }
    Ok(None)
}

/// One that was taken, folded on, or from its beginning. One that cannot be read is in no hand any
/// more.
pub(crate) async fn fold_on(
    house: &House,
    name: &RunId,
    kept: Option<Fold>,
) -> Stored<Option<Fold>> {
    let found = read_on(&house.store, name, kept).await;
    if !matches!(found, Ok(Some(_))) {
        house.folds.put(name, None);
    }
    found
}

async fn read_on(store: &Store, name: &RunId, mut fold: Option<Fold>) -> Stored<Option<Fold>> {
    loop {
        let seen = fold.as_ref().map_or(0, |it| it.0);
        let page = store.journal(name, seen, PAGE).await?;
        let last = page.last().map_or(seen, |it| it.seq);
        fold = match fold {
            Some((_, mut run)) => {
                page.iter().for_each(|it| run.apply(&it.by, &it.event));
                Some((last, run))
            }
            None => Run::fold(&page).map(|it| (last, Box::new(it))),
        };
        if page.len() < PAGE as usize || fold.is_none() {
            return Ok(fold);
        }
    }
}

/// Runs of one tree that are looked at together.
const FAMILY_MAX: u32 = 1_000;

/// The records of a run and of everything under it, run by run.
pub(crate) async fn below(store: &Store, run: &RunId) -> Stored<Vec<Record>> {
    let mut records = Vec::new();
    for name in store.under(run, FAMILY_MAX).await? {
        records.extend(whole(store, &name).await?);
    }
    Ok(records)
}

/// All records of a root's tree, in the order they were written.
pub(crate) async fn tree(store: &Store, root: &RunId) -> Stored<Vec<(u64, Record)>> {
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

/// A page of the records of a run and of everything under it, in the order they were written.
pub(crate) async fn page(
    store: &Store,
    row: &RunRow,
    after: u64,
    limit: u32,
) -> Stored<Vec<(u64, Record)>> {
    if row.run == row.root {
        store.tree(&row.root, after, limit).await
    } else {
        store.branch(&row.run, after, limit).await
    }
}

/// Shows all records of a run and of everything under it, in the order they were written, holding a
/// page of them at a time, until `take` has seen enough.
pub(crate) async fn each(
    store: &Store,
    row: &RunRow,
    take: impl FnMut(&Record) -> bool,
) -> Stored<()> {
    let first = page(store, row, 0, PAGE).await?;
    go_on(store, row, first, take).await
}

/// The same, of which the first page was read before.
async fn go_on(
    store: &Store,
    row: &RunRow,
    mut read: Vec<(u64, Record)>,
    mut take: impl FnMut(&Record) -> bool,
) -> Stored<()> {
    while read.iter().all(|it| take(&it.1)) && read.len() == PAGE as usize {
        let after = read.last().map_or(0, |it| it.0);
        read = page(store, row, after, PAGE).await?;
    }
    Ok(())
}

/// A run and everything under it, folded, of which the first page was read before.
pub(crate) async fn folded(store: &Store, row: &RunRow, read: Vec<(u64, Record)>) -> Stored<Tree> {
    let mut tree = Tree::default();
    go_on(store, row, read, |record| {
        tree.apply(record);
        true
    })
    .await?;
    Ok(tree)
}
