//! What the budgets that several runs share have spent and set aside, exact over all processes.

use crate::db::{Tx, Val};
use crate::{Store, StoreError};

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
    pub async fn spent(&self, node: &str) -> Result<Amounts, StoreError> {
        let node = node.to_owned();
        self.inner.db.read(move |tx| read(tx, &node)).await
    }
}

/// The first budget that cannot bear what the step sets aside.
pub(crate) fn lacks(tx: &mut dyn Tx, charges: &[Charge]) -> Result<Option<Poor>, StoreError> {
    for charge in charges {
        let used = read(tx, &charge.node)?;
        let over = (0..6).find(|at| {
            charge.add[*at] > 0
                && charge.caps[*at].is_some_and(|cap| used[*at] + charge.add[*at] > cap)
        });
        if let Some(at) = over {
            let cap = charge.caps[at].unwrap_or_default();
            let (node, dimension) = (charge.node.clone(), DIMENSIONS[at]);
            return Ok(Some(Poor { node, dimension, used: used[at], cap }));
        }
    }
    Ok(None)
}

/// Sets it aside.
pub(crate) fn charge(
    tx: &mut dyn Tx,
    charges: &[Charge],
) -> Result<Vec<(String, Amounts)>, StoreError> {
    charges.iter().map(|it| Ok((it.node.clone(), add(tx, &it.node, &it.add)?))).collect()
}

/// Settles what was spent; answers what each budget stands at then.
pub(crate) fn settle(
    tx: &mut dyn Tx,
    spent: &[Spent],
) -> Result<Vec<(String, Amounts)>, StoreError> {
    spent.iter().map(|it| Ok((it.node.clone(), add(tx, &it.node, &it.add)?))).collect()
}

/// Moves what is left of shares: it counts as spent there, and as come back in the other row. What
/// was spent beyond a share is taken from the other. Doing it again moves nothing.
pub(crate) fn give_back(tx: &mut dyn Tx, returns: &[Return]) -> Result<(), StoreError> {
    for it in returns {
        let used = read(tx, &it.node)?;
        let left: Amounts = std::array::from_fn(|at| it.caps[at].map_or(0, |cap| cap - used[at]));
        if left != [0; 6] {
            add(tx, &it.node, &left)?;
            add(tx, &it.to, &left)?;
        }
    }
    Ok(())
}

pub(crate) fn read(tx: &mut dyn Tx, node: &str) -> Result<Amounts, StoreError> {
    let sql = "SELECT tokens, usd, ms, model_calls, tool_calls, documents FROM ledger
        WHERE node = $1";
    match tx.one(sql, &[node.into()])? {
        Some(row) => amounts(&row),
        None => Ok([0; 6]),
    }
}

fn add(tx: &mut dyn Tx, node: &str, more: &Amounts) -> Result<Amounts, StoreError> {
    let sql = "INSERT INTO ledger(node, tokens, usd, ms, model_calls, tool_calls, documents)
        VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(node) DO UPDATE SET
          tokens = ledger.tokens + $2, usd = ledger.usd + $3, ms = ledger.ms + $4,
          model_calls = ledger.model_calls + $5, tool_calls = ledger.tool_calls + $6,
          documents = ledger.documents + $7
        RETURNING tokens, usd, ms, model_calls, tool_calls, documents";
    let args: Vec<Val> =
        std::iter::once(node.into()).chain(more.iter().map(|it| Val::Int(*it))).collect();
    amounts(&tx.one(sql, &args)?.ok_or(StoreError::Closed)?)
}

fn amounts(row: &crate::db::Row) -> Result<Amounts, StoreError> {
    let mut all = [0; 6];
    for (at, it) in all.iter_mut().enumerate() {
        *it = row.int(at)?;
    }
    Ok(all)
}
