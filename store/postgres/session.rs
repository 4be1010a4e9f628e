//! A transaction on one connection: statements by their prepared form, those nobody waits for sent
//! ahead of the answers, and every wait with its deadline.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::future::try_join_all;
use futures::{FutureExt, TryStreamExt};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, SimpleQueryMessage, Statement};

use super::conn::{self, Fault, fault};
use super::rows::Rows;
use super::value::{row, type_of};
use super::{Address, CHANGE, DEADLINE};
use crate::StoreError;
use crate::db::{Ask, Row, Tx, Val};
use crate::dialect::Dialect;
use crate::error::Result;

/// Statements that are under way at most before their answers are waited for.
const AHEAD: usize = 128;

/// A statement that was sent and whose answer was not waited for yet.
type Sent = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// One connection with its prepared statements, and the transaction on it.
pub(super) struct Session<'a> {
    runtime: &'a Runtime,
    client: Arc<Client>,
    /// Its driver, which ends with it.
    _drives: JoinSet<()>,
    memo: HashMap<(&'static str, bool), Statement>,
    sent: Vec<Sent>,
    /// Rows that go out together, before anything is asked of their table.
    rows: Option<Rows>,
    /// Whether anything but a look was asked for since this was reset.
    pub(super) has_written: bool,
    /// What went wrong in this transaction first.
    fault: Option<Fault>,
    /// The database's clock at the beginning, and when we heard of it.
    clock: Option<(i64, Instant)>,
}

impl<'a> Session<'a> {
    /// Connects. Its driver runs on the runtime until the connection ends.
    pub(super) fn open(runtime: &'a Runtime, address: &Address) -> Result<Session<'a>, Fault> {
        let opening = async {
            let (client, driver) = conn::connect(address).await?;
            let mut drives = JoinSet::new();
            drives.spawn(driver.map(|_| ()));
            let settings = conn::settings();
            let set = timeout(DEADLINE, client.batch_execute(&settings));
            set.await.map_err(|_| Fault::silent())?.map_err(|it| fault(&it))?;
            Ok((client, drives))
        };
        let (client, drives) = runtime.block_on(Box::pin(opening))?;
        let client = Arc::new(client);
        let (memo, sent) = (HashMap::new(), Vec::new());
        let (rows, fault, clock, has_written) = (None, None, None, false);
        Ok(Session {
            runtime,
            client,
            _drives: drives,
            memo,
            sent,
            rows,
            has_written,
            fault,
            clock,
        })
    }

    /// Begins, and reads the database's clock with the last of these statements.
    pub(super) fn begin(&mut self, statements: &str) -> Result<(), Fault> {
        self.forget();
        let client = self.client.clone();
        let answers = self.wait(async move { client.simple_query(statements).await })?;
        let clock = answers.iter().rev().find_map(|it| match it {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => {
                None
            }
        });
        let clock: i64 = clock.ok_or_else(|| Fault::Lost("it told no time".to_owned()))?;
        self.clock = Some((clock, Instant::now()));
        Ok(())
    }

    /// Begins nothing: what is asked next is answered for itself.
    pub(super) fn glance(&mut self) {
        self.forget();
    }

    /// Nothing is left of the transaction before.
    fn forget(&mut self) {
        (self.rows, self.fault, self.clock) = (None, None, None);
        self.sent.clear();
    }

    /// Begins a look. Nothing is waited for: what is asked next goes out behind it.
    pub(super) fn look(&mut self, statement: &str) -> Result<(), Fault> {
        self.glance();
        let (client, statement) = (self.client.clone(), statement.to_owned());
        self.send(async move { client.batch_execute(&statement).await })
    }

    /// Ends a look, of which nothing can be lost.
    pub(super) fn looked(&mut self) -> Result<(), Fault> {
        let client = self.client.clone();
        self.send(async move { client.batch_execute("COMMIT").await })
    }

    /// Ends what was begun; what stands is decided when this has been sent.
    pub(super) fn commit(&mut self) -> Result<(), Ended> {
        self.write_rows(|_| true).map_err(Ended::Not)?;
        // A commit is waited for without the server's own limit: it would answer one that its standby
        // does not have as if it were done.
        let client = self.client.clone();
        let end = self.send(async move {
            client.batch_execute("SET LOCAL statement_timeout = 0; COMMIT").await
        });
        if let Err(fault) = end {
            return Err(Ended::Not(fault));
        }
        let commit = self.sent.pop();
        // One that failed before it takes the commit with it.
        if let Err(fault) = self.settle() {
            return Err(match fault {
                Fault::Lost(_) => Ended::Unknown,
                Fault::Again(_) | Fault::Refused(_) => Ended::Not(fault),
            });
        }
        let Some(commit) = commit else { return Ok(()) };
        match self.runtime.block_on(async { timeout(DEADLINE, commit).await }) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(match (fault(&error), error.code().is_some()) {
                (Fault::Lost(_), _) | (_, false) => Ended::Unknown,
                (it, true) => Ended::Not(it),
            }),
            Err(_) => Err(Ended::Unknown),
        }
    }

    /// Undoes what was begun.
    pub(super) fn rollback(&mut self) -> Result<(), Fault> {
        self.rows = None;
        self.sent.clear();
        let client = self.client.clone();
        self.wait(async move { client.batch_execute("ROLLBACK").await })
    }

    /// What went wrong in this transaction, whatever became of it above.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.clone()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a change of the tables, with the connection's own protocol for such.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        let client = self.client.clone();
        self.wait(async move { client.batch_execute(sql).await })
    }

    /// The same for a long one; answers whether the server knows such statements at all.
    pub(super) fn change(&mut self, sql: &str) -> Result<bool, Fault> {
        let client = self.client.clone();
        let answer = async move { client.batch_execute(sql).await };
        match self.runtime.block_on(async { timeout(CHANGE, answer).await }) {
            Ok(Err(error)) if error.code().is_some_and(|it| conn::is_unknown(it.code())) => {
                Ok(false)
            }
            Ok(answered) => answered.map(|()| true).map_err(|it| fault(&it)),
            Err(_) => Err(Fault::silent()),
        }
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        match self.runtime.block_on(async { timeout(DEADLINE, answer).await }) {
            Ok(answered) => answered.map_err(|it| fault(&it)),
            Err(_) => Err(Fault::silent()),
        }
    }

    /// Sends a message; what comes back is heard later.
    fn send(
        &mut self,
        message: impl Future<Output = Result<(), Error>> + 'static,
    ) -> Result<(), Fault> {
        let mut message: Sent = Box::pin(message);
        match self.runtime.block_on(async { futures::poll!(&mut message) }) {
            std::task::Poll::Ready(done) => done.map_err(|it| fault(&it)),
            std::task::Poll::Pending => {
                self.sent.push(message);
                Ok(())
            }
        }
    }

    /// Hears what became of all that was sent.
    fn settle(&mut self) -> Result<(), Fault> {
        let sent = std::mem::take(&mut self.sent);
        if sent.is_empty() {
            return Ok(());
        }
        self.wait(async move {
            for it in sent {
                it.await?;
            }
            Ok(())
        })
    }

    fn prepared(&mut self, sql: &'static str, args: &[Val]) -> Result<Statement, Fault> {
        let text = || (Dialect::Postgres.translate(sql), args.iter().map(type_of).collect());
        self.known((sql, false), text)
    }

    /// A statement as the server has it, for one row or for many.
    fn known(
        &mut self,
        name: (&'static str, bool),
        text: impl FnOnce() -> (String, Vec<Type>),
    ) -> Result<Statement, Fault> {
        if let Some(known) = self.memo.get(&name) {
            return Ok(known.clone());
        }
        let (text, types) = text();
        let client = self.client.clone();
        let made = self.wait(async move { client.prepare_typed(&text, &types).await })?;
        self.memo.insert(name, made.clone());
        Ok(made)
    }

    /// Sends the rows that wait, if there are any and it is time for them.
    fn write_rows(&mut self, is_time: impl FnOnce(&Rows) -> bool) -> Result<(), Fault> {
        let Some(rows) = self.rows.take_if(|it| is_time(it)) else { return Ok(()) };
        let statement = self.known((rows.sql, true), || rows.statement())?;
        self.send_ahead(statement, rows.columns)
    }

    fn asked(&mut self, asked: &[Ask]) -> Result<Vec<Vec<Row>>, Fault> {
        for (sql, _) in asked {
            self.write_rows(|it| it.concern(sql))?;
        }
        let mut answers = Vec::with_capacity(asked.len());
        for (sql, args) in asked {
            let (statement, args) = (self.prepared(sql, args)?, args.clone());
            let client = self.client.clone();
            answers.push(async move {
                let rows = client.query_raw(&statement, args).await?;
                rows.try_collect::<Vec<tokio_postgres::Row>>().await
            });
        }
        let sent = std::mem::take(&mut self.sent);
        let answers = self.wait(async move {
            // They go out in their order behind what was sent, and are heard behind it.
            let mut answers = Box::pin(try_join_all(answers));
            let early = futures::poll!(&mut answers);
            for it in sent {
                it.await?;
            }
            match early {
                std::task::Poll::Ready(done) => done,
                std::task::Poll::Pending => answers.await,
            }
        })?;
        let read = |rows: &Vec<_>| rows.iter().map(|it| row(it).map_err(Fault::Refused)).collect();
        answers.iter().map(read).collect()
    }

    fn done(&mut self, sql: &'static str, args: &[Val]) -> Result<u64, Fault> {
        self.write_rows(|it| it.concern(sql))?;
        let (statement, args) = (self.prepared(sql, args)?, args.to_vec());
        self.settle()?;
        let client = self.client.clone();
        self.wait(async move { client.execute_raw(&statement, args).await })
    }

    fn ahead(&mut self, sql: &'static str, args: &[Val]) -> Result<(), Fault> {
        self.write_rows(|it| it.concern(sql))?;
        let statement = self.prepared(sql, args)?;
        self.send_ahead(statement, args.to_vec())
    }

    fn send_ahead<P>(&mut self, statement: Statement, args: Vec<P>) -> Result<(), Fault>
    where
        P: ToSql + 'static,
    {
        if self.sent.len() >= AHEAD {
            self.settle()?;
        }
        let client = self.client.clone();
        self.send(async move { client.execute_raw(&statement, args).await.map(|_| ()) })
    }

    /// A row for later.
    fn later(&mut self, sql: &'static str, args: &[Val]) -> Result<(), Fault> {
        self.write_rows(|it| it.sql != sql || it.is_full())?;
        self.rows.get_or_insert_with(|| Rows::of(sql)).add(args);
        Ok(())
    }

    /// Keeps what went wrong first: whoever drives the transaction asks for it.
    fn heard<T>(&mut self, outcome: Result<T, Fault>) -> Result<T> {
        outcome.map_err(|it| {
            let first = self.fault.get_or_insert(it);
            first.error()
        })
    }
}

/// How a commit that did not answer "done" ended.
pub(super) enum Ended {
    /// Nothing stands.
    Not(Fault),
    /// It may stand.
    Unknown,
}

impl Tx for Session<'_> {
    fn query(&mut self, sql: &'static str, args: &[Val]) -> Result<Vec<Row>> {
        Ok(self.all(&[(sql, args.to_vec())])?.pop().unwrap_or_default())
    }

    fn all(&mut self, asked: &[Ask]) -> Result<Vec<Vec<Row>>> {
        self.has_written |= asked.iter().any(|it| !it.0.starts_with("SELECT"));
        let outcome = self.asked(asked);
        self.heard(outcome)
    }

    fn exec(&mut self, sql: &'static str, args: &[Val]) -> Result<u64> {
        self.has_written = true;
        let outcome = self.done(sql, args);
        self.heard(outcome)
    }

    fn put(&mut self, sql: &'static str, args: &[Val]) -> Result<()> {
        self.has_written = true;
        let outcome = self.ahead(sql, args);
        self.heard(outcome)
    }

    fn add(&mut self, sql: &'static str, args: &[Val]) -> Result<()> {
        self.has_written = true;
        let outcome = self.later(sql, args);
        self.heard(outcome)
    }

    fn try_change(&mut self, sql: &str) -> Result<bool> {
        self.has_written = true;
        let before = self.write_rows(|_| true).and_then(|()| self.settle());
        self.heard(before)?;
        self.batch("SAVEPOINT change").map_err(|it| it.error())?;
        let sql =
            format!("SET LOCAL lock_timeout = '10ms'; {sql} SET LOCAL lock_timeout TO DEFAULT");
        let Err(fault) = self.batch(&sql) else { return Ok(true) };
        match &fault {
            Fault::Again(text) => tracing::debug!(%text, "the tables are changed later"),
            Fault::Lost(_) | Fault::Refused(_) => {
                tracing::warn!(error = %fault.error(), "the tables were not changed");
            }
        }
        self.batch("ROLLBACK TO SAVEPOINT change").map_err(|it| it.error())?;
        Ok(false)
    }

    /// The database's, carried on by how long ago we heard of it.
    fn now(&mut self) -> Result<i64> {
        if self.clock.is_none() {
            let now = self.only("SELECT {now}", &[])?.int(0)?;
            self.clock = Some((now, Instant::now()));
        }
        let (then, heard) = self.clock.ok_or(StoreError::Closed)?;
        Ok(then + i64::try_from(heard.elapsed().as_micros()).unwrap_or_default())
    }
}
