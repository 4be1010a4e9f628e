//! A look at one run: all that is told of it, of one moment and in one question.

use callboard_trace::{Record, RunId};

pub use crate::recall::{Asked, Found};

use crate::busy::nodes;
use crate::db::Tx;
use crate::error::Result;
use crate::journal::kept;
use crate::ledger::{self, Amounts};
use crate::read::{self, placed};
use crate::standing::{self, Stands};
use crate::under::BRANCH;
use crate::{RunRow, RunState, Store};

/// Last records of a node among which is looked for the one that says whether it takes work.
const LAST: u64 = 50;

/// What is wanted of a look.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The agent whose runs are shown without the records of their trees, which are long.
    pub bare: &'static str,
    /// Records at most.
    pub limit: u32,
    /// The budget whose row is shown.
    pub budget: String,
}

/// What a look shows.
#[derive(Debug)]
pub struct Look {
    /// The run's row.
    pub row: RunRow,
    /// The first records of the run and of all under it, each with its place.
    pub records: Vec<(u64, Record)>,
    /// What the budget stands at.
    pub spent: Amounts,
    /// Of a ready run: when its last record was written, microseconds since 1970.
    pub touched: Option<i64>,
    /// Of a ready run: what the nodes said last of whether they take work.
    pub admissions: Vec<Record>,
}

impl Store {
    /// Looks at a run; `None` if there is none of that name.
    pub async fn look(&self, run: &RunId, wish: Wish) -> Result<Option<Look>> {
        let run = run.clone();
        self.inner.db.read(move |tx| look(tx, &run, &wish)).await
    }

    /// How these things stand, in their order, and what a budget has spent: whether new work is
    /// welcome.
    pub async fn welcome(
        &self,
        names: Vec<String>,
        budget: Option<String>,
    ) -> Result<(Vec<Stands>, Amounts)> {
        let read = self.inner.db.read(move |tx| {
            let stands = standing::all(tx, &names)?;
            let spent = budget.as_ref().map(|it| ledger::read(tx, it)).transpose()?;
            Ok((stands, spent.unwrap_or_default()))
        });
        read.await
    }
}

fn look(tx: &mut dyn Tx, run: &RunId, wish: &Wish) -> Result<Option<Look>> {
    let Some(row) = read::row(tx, run)? else { return Ok(None) };
    let args = [run.into(), 0_u64.into(), wish.limit.into()];
    let records = match (row.agent == wish.bare, row.run == row.root) {
        (true, _) => Vec::new(),
        (false, true) => placed(tx, read::TREE, &args)?,
        (false, false) => placed(tx, BRANCH, &args)?,
    };
    let spent = ledger::read(tx, &wish.budget)?;
    let (mut touched, mut admissions) = (None, Vec::new());
    if row.state == RunState::Ready {
        touched = touched_at(tx, &row)?;
        admissions = said_of_work(tx)?;
    }
    Ok(Some(Look { row, records, spent, touched, admissions }))
}

fn touched_at(tx: &mut dyn Tx, row: &RunRow) -> Result<Option<i64>> {
    let sql = "SELECT at FROM journal j WHERE j.run = $1 AND j.seq = $2 {in_part_of_pos}";
    tx.one(sql, &[row.pos.into(), row.seq.into()])?.map(|it| it.int(0)).transpose()
}

fn said_of_work(tx: &mut dyn Tx) -> Result<Vec<Record>> {
    let sql = kept!(
        "WHERE j.run = (SELECT pos FROM run WHERE id = $1) {in_part_of_id} AND j.seq > r.seq - $2
         AND j.kind = 'admission_changed' ORDER BY j.seq DESC LIMIT 1"
    );
    let mut said = Vec::new();
    for node in nodes(tx)? {
        let found = placed(tx, sql, &[node.as_str().into(), LAST.into()])?;
        said.extend(found.into_iter().map(|it| it.1));
    }
    Ok(said)
}
