//! What comes from outside: into the run's own journal, with its next number.

use callboard_trace::rank::POINT;
use callboard_trace::{Fact, RunId};

use crate::callers;
use crate::db::Tx;
use crate::error::Result;
use crate::holds::move_in_line;
use crate::ink::Line;
use crate::journal::{self, Tail, tail};
use crate::submit::counts;
use crate::under::family;
use crate::{Store, StoreError};

impl Store {
    /// Writes facts into an open run's journal and wakes it if it waits. An urgent one is handed
    /// out at once, beyond the seats. Answers the journal's new length; `None` if there is no such
    /// open run.
    pub async fn signal(&self, run: &RunId, facts: Vec<Fact>, urgent: bool) -> Result<Option<u64>> {
        let (_, lines) = self.inner.ink.write_all(facts)?;
        let run = run.clone();
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            let Some(tail) = open(tx, &run)? else { return Ok(None) };
            say(tx, tail, &lines, at, urgent).map(Some)
        });
        let seq = done.await?;
        self.ring();
        Ok(seq)
    }

    /// The same fact to runs and all their open descendants, in one write. Who is at work here is told at
    /// once. An urgent one ends them: who says it of its own runs is not to be told of their ends.
    /// Answers of how many of those named it reached anything.
    pub async fn signal_trees(&self, runs: Vec<RunId>, fact: Fact, urgent: bool) -> Result<usize> {
        let (fact, line) = self.inner.ink.write(fact)?;
        let (inner, by) = (self.inner.clone(), fact.by.clone());
        let write = move |tx: &mut dyn Tx| {
            let at = tx.now()?;
            let (mut n_found, mut told) = (0, Vec::new());
            for run in &runs {
                let family = family(tx, run)?;
                n_found += usize::from(!family.is_empty());
                if urgent {
                    callers::knows(tx, run, &by)?;
                }
                for tail in family {
                    let name = tail.run.clone();
                    told.push((name, say(tx, tail, std::slice::from_ref(&line), at, urgent)?));
                }
            }
            Ok((n_found, told))
        };
        let tells = move |(_, told): &(usize, Vec<(RunId, u64)>), undone| {
            inner.ears.tell(told.iter().map(|(run, seq)| (run, *seq, &fact)), undone);
        };
        let (n_found, _) = self.inner.db.step(write, tells).await?;
        self.ring();
        Ok(n_found)
    }

    /// The facts `all` into the journals of a run and of those under it, and `own` into the run's,
    /// in one write: also of such as have ended, unless they did all they were to do, for the
    /// time when they go on. An open one wakes.
    pub async fn amend(&self, run: &RunId, all: Option<Fact>, own: Fact) -> Result<()> {
        let ink = &self.inner.ink;
        let all = all.map(|it| ink.write(it)).transpose()?.map(|it| it.1);
        let own = ink.write(own)?.1;
        let run = run.clone();
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            let below = if all.is_some() { unfinished(tx, &run)? } else { Vec::new() };
            for tail in below {
                say(tx, tail, all.as_slice(), at, false)?;
            }
            let Some(tail) = journal::find(tx, &run)? else { return Ok(()) };
            say(tx, tail, std::slice::from_ref(&own), at, false).map(|_| ())
        });
        done.await?;
        self.ring();
        Ok(())
    }

    /// Ended runs of one tree go back into the queue as their next attempts, as if accepted now
    /// and with a new deadline: all of them, or `false` if one of them has not ended.
    pub async fn reopen(&self, runs: Vec<(RunId, Vec<Fact>)>, deadline: i64) -> Result<bool> {
        let ink = &self.inner.ink;
        let written = runs.into_iter().map(|(run, facts)| Ok((run, ink.write_all(facts)?.1)));
        let runs = written.collect::<Result<Vec<_>>>()?;
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            let mut ended = Vec::with_capacity(runs.len());
            for (run, lines) in &runs {
                let found = journal::find(tx, run)?.filter(|it| it.state == "ended");
                let Some(tail) = found else { return Ok(false) };
                ended.push((tail, lines));
            }
            for (tail, lines) in ended {
                again(tx, tail, lines, (at, deadline))?;
            }
            Ok(true)
        });
        let done = done.await?;
        self.ring();
        Ok(done)
    }

    /// Sets the base priority of a run and of its open descendants, and tells each of them; what
    /// comes on top of it for who waits stays. Answers whether there is such an open run.
    pub async fn prioritise(&self, run: &RunId, priority: u16, fact: Fact) -> Result<bool> {
        let (_, line) = self.inner.ink.write(fact)?;
        let run = run.clone();
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            if open(tx, &run)?.is_none() {
                return Ok(false);
            }
            let sql = concat!(
                "UPDATE run SET priority = $2, fit = 0, unscored = 0, rank = root_at - ",
                counts!("$2 + boost"),
                " * $3 WHERE pos = $1"
            );
            for mut it in family(tx, &run)? {
                journal::append(tx, &mut it, at, std::slice::from_ref(&line))?;
                journal::moved(tx, &it)?;
                tx.put(sql, &[it.pos.into(), i64::from(priority).into(), POINT.into()])?;
                move_in_line(tx, it.pos)?;
            }
            Ok(true)
        });
        let found = done.await?;
        self.ring();
        Ok(found)
    }

    /// Records of a node or of the team, in a stream of their own.
    pub async fn note(&self, stream: &str, facts: Vec<Fact>) -> Result<()> {
        let (_, lines) = self.inner.ink.write_all(facts)?;
        let stream = RunId::from_text(stream);
        let done = self.inner.db.write(move |tx| {
            let at = tx.now()?;
            let mut tail = stream_tail(tx, &stream, at)?;
            journal::append(tx, &mut tail, at, &lines)?;
            journal::moved(tx, &tail)
        });
        done.await?;
        self.ring();
        Ok(())
    }
}

fn open(tx: &mut dyn Tx, run: &RunId) -> Result<Option<Tail>> {
    Ok(journal::find(tx, run)?.filter(Tail::is_open))
}

fn say(tx: &mut dyn Tx, mut tail: Tail, lines: &[Line], at: i64, urgent: bool) -> Result<u64> {
    journal::append(tx, &mut tail, at, lines)?;
    journal::heard(tx, &tail, urgent)?;
    Ok(tail.seq)
}

/// The runs of a root that are open, or may go on when it is retried.
fn unfinished(tx: &mut dyn Tx, root: &RunId) -> Result<Vec<Tail>> {
    let sql = tail!("WHERE root = $1 AND (ended IS NULL OR outcome <> 'completed') ORDER BY pos");
    tx.query(sql, &[root.into()])?.iter().map(journal::tail_of).collect()
}

fn again(
    tx: &mut dyn Tx,
    mut tail: Tail,
    lines: &[Line],
    (at, deadline): (i64, i64),
) -> Result<()> {
    tail.attempt += 1;
    journal::append(tx, &mut tail, at, lines)?;
    journal::moved(tx, &tail)?;
    let sql = concat!(
        "UPDATE run SET state = 'ready', outcome = NULL, ended = NULL, stop = 0, attempt = $2,
        heard = CASE WHEN top = 1 THEN 'no' ELSE heard END,
        root_at = $3, rank = $3 - ",
        counts!("priority + boost + fit"),
        " * $4, deadline = $5 WHERE pos = $1"
    );
    let args = [tail.pos.into(), tail.attempt.into(), at.into(), POINT.into(), deadline.into()];
    tx.put(sql, &args)?;
    journal::tally(tx, "ended", -1)?;
    if tail.top {
        journal::tally(tx, "open_roots", 1)?;
    }
    Ok(())
}

pub(crate) fn stream_tail(tx: &mut dyn Tx, stream: &RunId, at: i64) -> Result<Tail> {
    let sql =
        "INSERT INTO run(id, root, top, agent, workspace, principal, fingerprint, state, priority,
          root_at, rank, turn, seq, head, attempt, stop, created, deadline)
        VALUES($1, $1, 0, '', 'default', '', '', 'stream', 0, $2, 0, 0, 0, '', 1, 0, $2, 0)
        ON CONFLICT(id) DO NOTHING";
    if tx.exec(sql, &[stream.into(), at.into()])? > 0 {
        tx.put("UPDATE run SET turn = pos WHERE id = $1", &[stream.into()])?;
    }
    let tail = journal::find(tx, stream)?.filter(|it| it.state == "stream");
    tail.ok_or_else(|| {
        StoreError::Db(format!("{stream} is a run, not a stream; choose another name"))
    })
}
