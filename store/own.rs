//! The run that a write is about, with what its gates ask of it.

use callboard_trace::RunId;

use crate::db::{Ask, Row, Tx};
use crate::error::Result;
use crate::gauge::{Place, Take};
use crate::holds::{one_less, wake_line};
use crate::journal::{self, Tail};

/// A run under its lease or in its place.
pub(crate) struct Own {
    pub(crate) tail: Tail,
    pub(crate) rank: i64,
    deadline: i64,
    /// Since when it stands in a line, and for what.
    line: Option<(i64, String)>,
    /// Where it counts among the open runs that agents created.
    counted: Option<String>,
}

/// The columns of an [`Own`], in its order: those of its tail first.
macro_rules! of_own {
    () => {
        concat!(
            $crate::journal::of_tail!(),
            ", rank, deadline,
               (SELECT since FROM line WHERE line.run = run.pos),
               (SELECT name FROM line WHERE line.run = run.pos),
               (SELECT min(name) FROM hold WHERE hold.run = run.pos AND step = 0)"
        )
    };
}
pub(crate) use of_own;

/// Asks for an [`Own`].
macro_rules! own {
    ($rest:literal) => {
        concat!("SELECT ", of_own!(), " FROM run WHERE ", $rest)
    };
}

impl Own {
    /// Asks for a run that is held under this lease.
    pub(crate) fn held(run: &RunId, lease: i64) -> Ask {
        (own!("id = $1 AND lease = $2 AND state = 'running'"), vec![run.into(), lease.into()])
    }

    /// Reads a row of the columns above.
    pub(crate) fn of(row: &Row) -> Result<Own> {
        Ok(Own {
            tail: journal::tail_of(row)?,
            rank: row.int(11)?,
            deadline: row.int(12)?,
            line: row.maybe_int(13).zip(row.maybe_text(14)),
            counted: row.maybe_text(15),
        })
    }

    /// Its place among those who wait. `since` is when it began to wait, if it knows.
    pub(crate) fn place(&self, since: Option<i64>, at: i64) -> Place {
        let since = since.or(self.line.as_ref().map(|it| it.0)).unwrap_or(at).min(at);
        Place { pos: self.tail.pos, rank: self.rank, since, deadline: self.deadline }
    }

    /// It stands in no line any more. If it goes without what it stood there for, the next in that
    /// line is woken: it may have been its turn.
    pub(crate) fn leave_line(&mut self, tx: &mut dyn Tx, with: &[Take]) -> Result<()> {
        let Some((_, name)) = self.line.take() else { return Ok(()) };
        tx.put("DELETE FROM line WHERE run = $1", &[self.tail.pos.into()])?;
        match with.iter().any(|it| it.name == name) {
            true => Ok(()),
            false => wake_line(tx, &name, 1),
        }
    }

    /// It stands in this line, for so many millionths.
    pub(crate) fn stand_in_line(
        &mut self,
        tx: &mut dyn Tx,
        take: &Take,
        (place, need): (Place, i64),
    ) -> Result<()> {
        // Who was woken for one thing and is held by another passes its turn on.
        self.leave_line(tx, std::slice::from_ref(take))?;
        let sql = "INSERT INTO line(run, name, rank, since, need) VALUES($1, $2, $3, $4, $5)";
        let (pos, name) = (place.pos, &take.name);
        self.line = Some((place.since, name.clone()));
        tx.put(sql, &[pos.into(), name.into(), place.rank.into(), place.since.into(), need.into()])
    }

    /// It is over: it counts no more among the open ones that agents created.
    pub(crate) fn is_over(&mut self, tx: &mut dyn Tx) -> Result<()> {
        let Some(name) = self.counted.take() else { return Ok(()) };
        tx.put("DELETE FROM hold WHERE run = $1 AND step = 0", &[self.tail.pos.into()])?;
        one_less(tx, &name)
    }
}
