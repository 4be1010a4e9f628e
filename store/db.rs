//! The one seam to a database: run this closure in one transaction, answer after a durable commit.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::error::Result;

/// A value going into a statement or coming out of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Val {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// One row of an answer. A column of another kind than asked for is a damaged file, not a panic.
#[derive(Debug, PartialEq)]
pub(crate) struct Row(pub(crate) Vec<Val>);

/// A statement with its parameters.
pub(crate) type Ask = (&'static str, Vec<Val>);

/// A transaction. One that writes is alone: no other one, of no process, writes at the same time. A
/// statement is written once: `$1` stands for a parameter, words in braces for what the dialects
/// spell differently (`dialect.rs`).
pub(crate) trait Tx {
    fn query(&mut self, sql: &'static str, args: &[Val]) -> Result<Vec<Row>>;
    fn exec(&mut self, sql: &'static str, args: &[Val]) -> Result<u64>;

    /// A statement whose number of rows nobody asks for. What is wrong with it may be told by a later
    /// one, or by the commit.
    fn put(&mut self, sql: &'static str, args: &[Val]) -> Result<()> {
        self.exec(sql, args).map(|_| ())
    }

    /// The same for `INSERT INTO table(..) VALUES($1, ..)`, a row whose values are never null and whose
    /// place nobody asks for: it may be written together with others, before anything is asked of their
    /// table.
    fn add(&mut self, sql: &'static str, args: &[Val]) -> Result<()> {
        self.put(sql, args)
    }

    /// A change of the tables that nothing depends on; answers whether it stands. It is undone by itself
    /// where it is refused, or would have to wait for others.
    fn try_change(&mut self, _sql: &str) -> Result<bool> {
        Ok(false)
    }

    /// The database's clock, in microseconds since 1970.
    fn now(&mut self) -> Result<i64>;

    /// Several questions, each answered in its turn: on the way as one.
    fn all(&mut self, asked: &[Ask]) -> Result<Vec<Vec<Row>>> {
        asked.iter().map(|(sql, args)| self.query(sql, args)).collect()
    }

    /// The first row, if there is one.
    fn one(&mut self, sql: &'static str, args: &[Val]) -> Result<Option<Row>> {
        Ok(self.query(sql, args)?.into_iter().next())
    }

    /// The first row of what has one always.
    fn only(&mut self, sql: &'static str, args: &[Val]) -> Result<Row> {
        self.one(sql, args)?.ok_or(StoreError::Closed)
    }
}

/// A closure on its way to a database thread, with the way back. It may be run more than once;
/// only the last run counts.
pub(crate) trait Job: Send {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()>;

    /// Whether each of its questions may be answered for itself, of different moments.
    fn is_glance(&self) -> bool;

    /// What it did stands, and is kept soon or undone: tells whom it concerns, and how often writes were
    /// undone before it.
    fn tell(&mut self, undone: u64);
    fn answer(self: Box<Self>, outcome: Result<()>);
}

/// Jobs waiting for one database thread. More wait at their sender.
pub(crate) const QUEUE: usize = 1024;

/// The two ways into a database.
#[derive(Clone)]
pub(crate) struct Db {
    pub(crate) writes: mpsc::Sender<Box<dyn Job>>,
    pub(crate) reads: mpsc::Sender<Box<dyn Job>>,
    /// How often writes were undone that may have been told of.
    pub(crate) undone: Arc<AtomicU64>,
}

impl Db {
    pub(crate) fn new(writes: mpsc::Sender<Box<dyn Job>>, reads: mpsc::Sender<Box<dyn Job>>) -> Db {
        Db { writes, reads, undone: Arc::default() }
    }

    /// Runs a step, and tells of it: once it stands, with how often writes were undone before, or once it
    /// is kept, as the database can.
    pub(crate) async fn step<T, F>(
        &self,
        body: F,
        tells: impl FnMut(&T, Option<u64>) + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        let (mut job, answer) = Asked::new(body);
        job.tells = Some(Box::new(tells));
        ask(&self.writes, (job, answer), StoreError::Unknown).await
    }

    /// Runs it in a transaction; what it returns is durable.
    pub(crate) async fn write<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        ask(&self.writes, Asked::new(body), StoreError::Unknown).await
    }

    /// Runs it on a consistent view that cannot write.
    pub(crate) async fn read<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        ask(&self.reads, Asked::new(body), StoreError::Closed).await
    }

    /// The same where one question is asked, or where a view of several moments does: it may cost
    /// fewer ways.
    pub(crate) async fn glance<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        let (mut job, answer) = Asked::new(body);
        job.is_glance = true;
        ask(&self.reads, (job, answer), StoreError::Closed).await
    }
}

async fn ask<T, F>(
    to: &mpsc::Sender<Box<dyn Job>>,
    (job, answer): (Asked<T, F>, oneshot::Receiver<Result<T>>),
    unanswered: StoreError,
) -> Result<T>
where
    T: Send + 'static,
    F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
{
    to.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
    answer.await.unwrap_or(Err(unanswered))
}

/// Tells of what was written; `None` = it is kept.
type Tells<T> = Box<dyn FnMut(&T, Option<u64>) + Send>;

struct Asked<T, F> {
    body: F,
    is_glance: bool,
    tells: Option<Tells<T>>,
    is_told: bool,
    out: Option<T>,
    done: oneshot::Sender<Result<T>>,
}

impl<T, F> Asked<T, F> {
    fn new(body: F) -> (Asked<T, F>, oneshot::Receiver<Result<T>>) {
        let (done, answer) = oneshot::channel();
        let (is_glance, is_told) = (false, false);
        (Asked { body, is_glance, tells: None, is_told, out: None, done }, answer)
    }
}

impl<T, F> Job for Asked<T, F>
where
    T: Send,
    F: FnMut(&mut dyn Tx) -> Result<T> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.is_told = false;
        self.out = Some((self.body)(tx)?);
        Ok(())
    }

    fn tell(&mut self, undone: u64) {
        self.is_told = true;
        if let (Some(tells), Some(out)) = (&mut self.tells, &self.out) {
            tells(out, Some(undone));
        }
    }

    fn is_glance(&self) -> bool {
        self.is_glance
    }

    fn answer(self: Box<Self>, outcome: Result<()>) {
        let Asked { body: _, is_glance: _, tells, is_told, out, done } = *self;
        let answer = outcome.and_then(|()| out.ok_or(StoreError::Unknown));
        if let (Ok(out), Some(mut tells)) = (&answer, tells.filter(|_| !is_told)) {
            tells(out, None);
        }
        // Nobody waits any more: the write stands all the same, and the journal tells.
        let _ = done.send(answer);
    }
}

impl Row {
    pub(crate) fn int(&self, at: usize) -> Result<i64> {
        match self.0.get(at) {
            Some(Val::Int(it)) => Ok(*it),
            other => Err(odd(at, other)),
        }
    }

    pub(crate) fn maybe_int(&self, at: usize) -> Option<i64> {
        match self.0.get(at) {
            Some(Val::Int(it)) => Some(*it),
            Some(Val::Null | Val::Text(_) | Val::Bytes(_)) | None => None,
        }
    }

    pub(crate) fn number(&self, at: usize) -> Result<u64> {
        u64::try_from(self.int(at)?).map_err(|_| odd(at, self.0.get(at)))
    }

    pub(crate) fn text(&self, at: usize) -> Result<String> {
        match self.0.get(at) {
            Some(Val::Text(it)) => Ok(it.clone()),
            other => Err(odd(at, other)),
        }
    }

    pub(crate) fn maybe_text(&self, at: usize) -> Option<String> {
        match self.0.get(at) {
            Some(Val::Text(it)) => Some(it.clone()),
            Some(Val::Null | Val::Int(_) | Val::Bytes(_)) | None => None,
        }
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8]> {
        match self.0.get(at) {
            Some(Val::Bytes(it)) => Ok(it),
            other => Err(odd(at, other)),
        }
    }
}

fn odd(at: usize, found: Option<&Val>) -> StoreError {
    StoreError::Corrupt(format!("column {at} of an answer is {found:?}; the store is damaged"))
}

impl From<i64> for Val {
    fn from(it: i64) -> Val {
        Val::Int(it)
    }
}

impl From<u64> for Val {
    fn from(it: u64) -> Val {
        Val::Int(i64::try_from(it).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Val {
    fn from(it: u32) -> Val {
        Val::Int(i64::from(it))
    }
}

impl From<&str> for Val {
    fn from(it: &str) -> Val {
        Val::Text(it.to_owned())
    }
}

impl From<&String> for Val {
    fn from(it: &String) -> Val {
        Val::Text(it.clone())
    }
}

impl From<&callboard_trace::RunId> for Val {
    fn from(it: &callboard_trace::RunId) -> Val {
        Val::Text(it.as_str().to_owned())
    }
}

impl<T: Into<Val>> From<Option<T>> for Val {
    fn from(it: Option<T>) -> Val {
        it.map_or(Val::Null, Into::into)
    }
}
