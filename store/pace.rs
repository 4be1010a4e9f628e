//! Rate limits shared by all nodes: one time per name says when the bucket is full again (GCRA).

use std::time::Duration;

use crate::db::Tx;
use crate::{Store, StoreError};

impl Store {
    /// Reserves `units` of a named rate and answers how long to wait before using them; `None`,
    /// and nothing reserved, if that is longer than `patience`. `burst` is how much time's worth
    /// of units an idle rate saves up.
    pub async fn pace(
        &self,
        name: &str,
        units: u64,
        per_second: f64,
        burst: Duration,
        patience: Duration,
    ) -> Result<Option<Duration>, StoreError> {
        if !(per_second.is_finite() && per_second > 0.0) {
            return Err(StoreError::Db(format!(
                "the rate of {name} must be above 0, not {per_second}"
            )));
        }
        let ask = Ask {
            name: name.to_owned(),
            cost: (units as f64 * 1_000_000.0 / per_second) as i64,
            burst: micros(burst),
            patience: micros(patience),
        };
        self.inner.db.write(move |tx| reserve(tx, &ask)).await
    }
}

/// Times in microseconds.
struct Ask {
    name: String,
    cost: i64,
    burst: i64,
    patience: i64,
}

fn reserve(tx: &mut dyn Tx, ask: &Ask) -> Result<Option<Duration>, StoreError> {
    let at = tx.now()?;
    let name = || (&ask.name).into();
    let sql = "INSERT INTO pace(name, tat, at) VALUES($1, 0, $2) ON CONFLICT(name) DO NOTHING";
    tx.exec(sql, &[name(), at.into()])?;
    let row = tx.one("SELECT tat, at FROM pace WHERE name = $1 {hold}", &[name()])?;
    let row = row.ok_or(StoreError::Closed)?;
    // A clock that was set back takes the reservations with it, or all would wait for the jump.
    let back = (row.int(1)? - at).max(0);
    let from = (row.int(0)? - back).max(at.saturating_sub(ask.burst));
    let wait = (from - at).max(0);
    if wait > ask.patience {
        return Ok(None);
    }
    let sql = "UPDATE pace SET tat = $2, at = $3 WHERE name = $1";
    tx.exec(sql, &[name(), from.saturating_add(ask.cost).into(), at.into()])?;
    Ok(Some(Duration::from_micros(wait as u64)))
}

fn micros(it: Duration) -> i64 {
    i64::try_from(it.as_micros()).unwrap_or(i64::MAX / 4)
}
