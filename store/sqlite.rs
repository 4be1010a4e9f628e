//! SQLite: how a statement is run, and what its errors mean.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql, params_from_iter};

use crate::StoreError;
use crate::db::{Row, Tx, Val};
use crate::dialect::Dialect;
use crate::error::Result;

/// A transaction on a connection, with the statements asked so far.
pub(crate) struct Lite<'a, 'c> {
    pub(crate) conn: &'c Connection,
    pub(crate) memo: &'a mut Memo<'c>,
    /// Another clock than the database's own.
    pub(crate) clock: Option<&'a Clock>,
}

/// Microseconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Where the text of a statement stands in this program: quicker to look up than long text.
type Place = (usize, usize);

/// The statements of a connection.
pub(crate) type Memo<'c> = HashMap<Place, CachedStatement<'c>>;

/// Their texts as this database understands them.
static TEXTS: Mutex<BTreeMap<Place, Arc<str>>> = Mutex::new(BTreeMap::new());

impl<'c> Lite<'_, 'c> {
    fn prepare(&mut self, sql: &'static str) -> Result<&mut CachedStatement<'c>> {
        let place = (sql.as_ptr().addr(), sql.len());
        match self.memo.entry(place) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
                let text = texts.entry(place).or_insert_with(|| translate(sql).into());
                Ok(new.insert(self.conn.prepare_cached(text).map_err(|it| told(&it))?))
            }
        }
    }
}

impl Tx for Lite<'_, '_> {
    fn now(&mut self) -> Result<i64> {
        match self.clock {
            Some(clock) => Ok(clock()),
            None => self.only("SELECT {now}", &[])?.int(0),
        }
    }

    fn query(&mut self, sql: &'static str, args: &[Val]) -> Result<Vec<Row>> {
        let statement = self.prepare(sql)?;
        let width = statement.column_count();
        let take = |row: &rusqlite::Row<'_>| {
            let values = (0..width).map(|at| row.get_ref(at).map(from));
            values.collect::<Result<_, _>>().map(Row)
        };
        let rows = statement.query_map(params_from_iter(args), take);
        let rows = rows.and_then(Iterator::collect).map_err(|it| told(&it));
        statement.clear_bindings();
        rows
    }

    fn exec(&mut self, sql: &'static str, args: &[Val]) -> Result<u64> {
        let statement = self.prepare(sql)?;
        let changed = statement.execute(params_from_iter(args)).map_err(|it| told(&it));
        statement.clear_bindings();
        Ok(changed? as u64)
    }
}

/// A statement in this dialect.
pub(crate) fn translate(sql: &str) -> String {
    Dialect::Sqlite.translate(sql)
}

impl ToSql for Val {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Val::Null => ValueRef::Null,
            Val::Int(it) => ValueRef::Integer(*it),
            Val::Text(it) => ValueRef::Text(it.as_bytes()),
            Val::Bytes(it) => ValueRef::Blob(it),
        }))
    }
}

fn from(value: ValueRef<'_>) -> Val {
    match value {
        ValueRef::Null | ValueRef::Real(_) => Val::Null,
        ValueRef::Integer(it) => Val::Int(it),
        ValueRef::Text(it) => Val::Text(String::from_utf8_lossy(it).into_owned()),
        ValueRef::Blob(it) => Val::Bytes(it.to_vec()),
    }
}

/// What the file system said about a path, with the way out.
pub(crate) fn io(act: &str, path: &Path, error: &std::io::Error) -> StoreError {
    let name = path.display();
    let kind = error.kind();
    if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return StoreError::Full;
    }
    if matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
        let text = format!("cannot {act} {name}: it is read-only here; choose another data folder");
        return StoreError::Db(text);
    }
    StoreError::Db(format!("cannot {act} {name}: {error}"))
}

/// What SQLite said.
pub(crate) fn told(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::NotADatabase) => StoreError::Corrupt(
            "the file is no callboard store; move it away or use another data folder".to_owned(),
        ),
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt(format!(
            "the store is damaged ({text}); put back a copy, or move it away to start empty"
        )),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::Db(format!("the store is read-only here ({text}); choose another data folder"))
        }
        _ if no_room(error) => StoreError::Full,
        _ if is_io(error) => StoreError::Db(format!("the disk failed ({text}); check it and try again")),
        _ if is_busy(error) => StoreError::Db(
            "another process has kept the store locked for too long; stop that process, or try again"
                .to_owned(),
        ),
        _ => StoreError::Db(format!("the store failed: {text}")),
    }
}

/// Whether another process is in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The file that processes share beside the database could not grow.
fn no_room(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|it| it.extended_code);
    code == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Whether the disk itself failed: what was handed to it may or may not be there.
pub(crate) fn is_io(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::SystemIoFailure))
}
