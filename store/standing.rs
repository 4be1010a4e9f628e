//! How a shared thing stands for new work: an agent that somebody paused or drains, a breaker.

use callboard_trace::{Fact, RunId};

use crate::Store;
use crate::db::Tx;
use crate::error::Result;
use crate::gauge::{Gauge, Standing};
use crate::holds::wake_line;
use crate::journal;
use crate::signal::stream_tail;

/// How one thing stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stands {
    /// What somebody made of it.
    pub standing: Standing,
    /// For so long it is left alone after failures, microseconds; 0 if it is not.
    pub left_alone: i64,
    /// Steps that hold it, where those are counted.
    pub used: u64,
}

impl Store {
    /// Says how a thing stands from now on, with a record of it in the stream of that name. Whoever
    /// waits for one that goes on is woken.
    pub async fn stand(
        &self,
        name: &str,
        standing: Standing,
        stream: &str,
        fact: Fact,
    ) -> Result<()> {
        let (_, line) = self.inner.ink.write(fact)?;
        let (name, stream) = (name.to_owned(), RunId::from_text(stream));
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            let mut tail = stream_tail(tx, &stream, at)?;
            journal::append(tx, &mut tail, at, std::slice::from_ref(&line))?;
            journal::moved(tx, &tail)?;
            let mut gauge = Gauge::find(tx, &name, at)?;
            gauge.standing = standing;
            gauge.keep(tx, &name)?;
            if standing != Standing::Paused {
                wake_line(tx, &name, i64::MAX)?;
            }
            Ok(())
        });
        done.await?;
        self.ring();
        Ok(())
    }

    /// How these things stand, in their order.
    pub async fn standings(&self, names: Vec<String>) -> Result<Vec<Stands>> {
        self.inner.db.read(move |tx| all(tx, &names)).await
    }
}

pub(crate) fn all(tx: &mut dyn Tx, names: &[String]) -> Result<Vec<Stands>> {
    let at = tx.now()?;
    let stands = |name: &String| {
        let sql = "SELECT mode, opened, used FROM gauge WHERE name = $1";
        let Some(row) = tx.one(sql, &[name.into()])? else { return Ok(Stands::default()) };
        let standing = Standing::parse(&row.text(0)?)?;
        Ok(Stands { standing, left_alone: (row.int(1)? - at).max(0), used: row.number(2)? })
    };
    names.iter().map(stands).collect()
}
