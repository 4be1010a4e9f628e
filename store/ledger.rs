//! What the budgets that several runs share have spent and set aside, exact over all processes.

use crate::Store;
use crate::db::{Row, Tx, Val};
use crate::error::Result;

/// The dimensions of a budget, in the order of all amounts here.
pub const DIMENSIONS: [&str; 6] =
    ["tokens", "usd", "seconds", "model_calls", "tool_calls", "documents"];

/// An amount in each of [`DIMENSIONS`]: tokens, millionths of a dollar, milliseconds, counts.
pub type Amounts = [i64; 6];

/// What a step sets aside in one budget above its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The budget's row.
    pub node: String,
    /// What it may cost at most.
    pub add: Amounts,
    /// What may be spent of the budget by such a step, dimension by dimension.
    pub caps: [Option<i64>; 6],
}

/// What was really spent beyond what was set aside, or less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The budget's row.
    pub node: String,
    /// The difference.
    pub add: Amounts,
}

/// A share whose unspent rest goes to others, once it is needed no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// The share's row.
    pub node: String,
    /// What might be spent of it.
    pub caps: [Option<i64>; 6],
    /// The row that counts what came back.
    pub to: String,
}

/// A budget that has too little left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poor {
    /// The budget's row.
    pub node: String,
    /// One of [`DIMENSIONS`].
    pub dimension: &'static str,
    /// What is spent and set aside.
    pub used: i64,
    /// What may be.
    pub cap: i64,
}

impl Store {
    /// What a budget has spent and set aside so far.
    pub async fn spent(&self, node: &str) -> Result<Amounts> {
        let node = node.to_owned();
        self.inner.db.read(move |tx| read(tx, &node)).await
    }
}

pub(crate) const FIND: &str =
    "SELECT tokens, usd, ms, model_calls, tool_calls, documents FROM ledger WHERE node = $1";

pub(crate) fn read(tx: &mut dyn Tx, node: &str) -> Result<Amounts> {
    of(&tx.query(FIND, &[node.into()])?)
}

/// What was found of a budget: nothing is spent of one that is not there.
pub(crate) fn of(rows: &[Row]) -> Result<Amounts> {
    let (mut all, Some(row)) = ([0; 6], rows.first()) else { return Ok([0; 6]) };
    for (at, it) in all.iter_mut().enumerate() {
        *it = row.int(at)?;
    }
    Ok(all)
}

/// Writes down what a budget has spent and set aside.
pub(crate) fn keep(tx: &mut dyn Tx, node: &str, now: &Amounts) -> Result<()> {
    let sql = "INSERT INTO ledger(node, tokens, usd, ms, model_calls, tool_calls, documents)
        VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(node) DO UPDATE SET
          tokens = $2, usd = $3, ms = $4, model_calls = $5, tool_calls = $6, documents = $7";
    let args = std::iter::once(node.into()).chain(now.iter().map(|it| Val::Int(*it)));
    tx.put(sql, &args.collect::<Vec<Val>>())
}
