//! SQLite: the file, its connections, its dialect, and what its errors mean.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::StoreError;
use crate::db::{Row, Tx, Val};
use crate::schema::CHANGES;

/// The name of the file in the data folder.
pub(crate) const FILE: &str = "callboard.sqlite";

/// Marks the file as ours: "Call".
const APPLICATION: i64 = 0x4361_6c6c;

/// A file up to this size is checked whole when it is opened.
const CHECK_UP_TO: u64 = 32 << 20;

/// How long a statement outside the writer waits for another process.
const BUSY_FOR: Duration = Duration::from_secs(5);

/// How often an opening that meets another process's opening tries again.
const OPEN_TRIES: u32 = 200;

const PAGE: u64 = 4096;

/// What a connection is for: its memory follows from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Write,
    Read,
    Watch,
}

/// Makes the folder and the file if they are not there, and brings the file to the newest format.
pub(crate) fn prepare(folder: &Path, max_bytes: Option<u64>) -> Result<Connection, StoreError> {
    make_private(folder)?;
    let file = folder.join(FILE);
    let size = look_at(&file)?;
    let mut conn = connect(&file, Use::Write, max_bytes)?;
    let ours = belongs_to_us(&conn, &file)?;
    if ours && size <= CHECK_UP_TO {
        check(&conn, &file)?;
    }
    migrate(&mut conn)?;
    sync_folder(folder)?;
    Ok(conn)
}

/// Opens one connection.
pub(crate) fn connect(
    file: &Path,
    purpose: Use,
    max_bytes: Option<u64>,
) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(|it| told(&it))?;
    conn.busy_timeout(BUSY_FOR).map_err(|it| told(&it))?;
    let cache_kib = match purpose {
        Use::Write => 3072,
        Use::Read => 1024,
        Use::Watch => 64,
    };
    patiently(|| conn.execute_batch("PRAGMA journal_mode = WAL"))?;
    let rest = format!(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;
         PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF;"
    );
    conn.execute_batch(&rest).map_err(|it| told(&it))?;
    match purpose {
        Use::Write => limit(&conn, max_bytes)?,
        Use::Read | Use::Watch => {
            conn.execute_batch("PRAGMA query_only = ON").map_err(|it| told(&it))?;
        }
    }
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

fn limit(conn: &Connection, max_bytes: Option<u64>) -> Result<(), StoreError> {
    let pages = max_bytes.map_or(u64::from(u32::MAX) - 1, |it| (it / PAGE).max(1));
    let sql = format!("PRAGMA max_page_count = {pages}");
    conn.query_row(&sql, [], |_| Ok(())).map_err(|it| told(&it))
}

/// Looks before SQLite does: an empty or foreign file gets a sentence, not a code. Answers its size.
fn look_at(file: &Path) -> Result<u64, StoreError> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(file).map_err(|it| io("open", file, &it))?;
    let size = open.metadata().map_err(|it| io("read", file, &it))?.len();
    let mut head = Vec::new();
    let taken = std::io::Read::take(&mut open, 16);
    std::io::Read::read_to_end(&mut { taken }, &mut head).map_err(|it| io("read", file, &it))?;
    if size > 0 && head != b"SQLite format 3\0" {
        return Err(foreign(file));
    }
    Ok(size)
}

fn foreign(file: &Path) -> StoreError {
    let name = file.display();
    StoreError::Corrupt(format!("{name} is no callboard store; move it away or use another folder"))
}

/// Whether it is our store already; an empty file is nobody's.
fn belongs_to_us(conn: &Connection, file: &Path) -> Result<bool, StoreError> {
    let number = |sql| patiently(|| conn.query_row(sql, [], |row| row.get::<_, i64>(0)));
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let mark = number("PRAGMA application_id")?;
    if tables > 0 && mark != APPLICATION {
        return Err(foreign(file));
    }
    Ok(tables > 0)
}

fn check(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    let said = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match said.map_err(|it| told(&it))?.as_str() {
        "ok" => Ok(()),
        what => Err(StoreError::Corrupt(format!(
            "{} is damaged ({what}); put back a copy, or move it away to start empty",
            file.display()
        ))),
    }
}

fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let known = CHANGES.len() as u32;
    let version = |conn: &Connection| conn.query_row("PRAGMA user_version", [], |row| row.get(0));
    let found: u32 = patiently(|| version(conn))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    patiently(|| {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read again under the lock: another process may have been first.
        let found: u32 = version(&tx)?;
        for change in CHANGES.iter().skip(found as usize) {
            tx.execute_batch(&translate(change))?;
        }
        tx.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {}",
            found.max(known)
        ))?;
        tx.commit()
    })
}

/// Enters a node into the list, so that others know whose lock to look at.
pub(crate) fn enter(conn: &mut Connection, node: &str) -> Result<(), StoreError> {
    let sql = translate(
        "INSERT INTO node(id, started, seen) VALUES($1, {now}, {now})
         ON CONFLICT(id) DO UPDATE SET started = excluded.started, seen = excluded.seen",
    );
    patiently(|| conn.execute(&sql, [node])).map(|_| ())
}

/// Some statements answer "busy" at once while another process opens the same file.
fn patiently<T>(mut work: impl FnMut() -> rusqlite::Result<T>) -> Result<T, StoreError> {
    for _ in 0..OPEN_TRIES {
        match work() {
            Err(error) if is_busy(&error) => std::thread::sleep(Duration::from_millis(10)),
            done => return done.map_err(|it| told(&it)),
        }
    }
    work().map_err(|it| told(&it))
}

fn make_private(folder: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|it| io("make", folder, &it))
}

/// A new file's name is only safe when its folder is.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    fs::File::open(folder).and_then(|it| it.sync_all()).map_err(|it| io("sync", folder, &it))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// What the file system said about a path, with the way out.
pub(crate) fn io(act: &str, path: &Path, error: &std::io::Error) -> StoreError {
    let name = path.display();
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::Db(format!(
                "cannot {act} {name}: it is read-only here; choose another data folder"
            ))
        }
        _ => StoreError::Db(format!("cannot {act} {name}: {error}")),
    }
}

/// What SQLite said.
pub(crate) fn told(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(format!(
            "the store is damaged ({text}); put back a copy, or move it away to start empty"
        )),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::Db(format!("the store is read-only here ({text}); choose another data folder"))
        }
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

/// Whether the disk itself failed: what was handed to it may or may not be there.
pub(crate) fn is_io(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::SystemIoFailure))
}

/// A transaction on a connection, with the statements translated so far.
pub(crate) struct Lite<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) memo: &'a mut Memo,
}

/// Statements by their text as it stands in this crate.
pub(crate) type Memo = HashMap<&'static str, String>;

impl Lite<'_> {
    fn prepare(&mut self, sql: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        let text = self.memo.entry(sql).or_insert_with(|| translate(sql));
        self.conn.prepare_cached(text).map_err(|it| told(&it))
    }
}

impl Tx for Lite<'_> {
    fn query(&mut self, sql: &'static str, args: &[Val]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let width = statement.column_count();
        let take = |row: &rusqlite::Row<'_>| {
            let values = (0..width).map(|at| row.get_ref(at).map(from));
            values.collect::<Result<_, _>>().map(Row)
        };
        let rows = statement.query_map(bind(args), take).map_err(|it| told(&it))?;
        rows.collect::<Result<_, _>>().map_err(|it| told(&it))
    }

    fn exec(&mut self, sql: &'static str, args: &[Val]) -> Result<u64, StoreError> {
        let changed = self.prepare(sql)?.execute(bind(args)).map_err(|it| told(&it))?;
        Ok(changed as u64)
    }
}

/// The dialect. The clock gives milliseconds; the unit is microseconds all the same.
pub(crate) fn translate(sql: &str) -> String {
    sql.replace('$', "?")
        .replace("{now}", "CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000")
        .replace("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT")
        .replace("{int}", "INTEGER")
        .replace("{bytes}", "BLOB")
        .replace("{options}", "STRICT")
        .replace("{hold}", "")
        .replace("{skip}", "")
}

fn bind(args: &[Val]) -> impl rusqlite::Params + '_ {
    rusqlite::params_from_iter(args.iter().map(|it| match it {
        Val::Null => Value::Null,
        Val::Int(it) => Value::Integer(*it),
        Val::Text(it) => Value::Text(it.clone()),
        Val::Bytes(it) => Value::Blob(it.clone()),
    }))
}

fn from(value: ValueRef<'_>) -> Val {
    match value {
        ValueRef::Null | ValueRef::Real(_) => Val::Null,
        ValueRef::Integer(it) => Val::Int(it),
        ValueRef::Text(it) => Val::Text(String::from_utf8_lossy(it).into_owned()),
        ValueRef::Blob(it) => Val::Bytes(it.to_vec()),
    }
}
