//! How the SQLite file is opened: made, limited, checked, brought to the newest format.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::StoreError;
use crate::error::Result;
use crate::schema::{CHANGES, is_newest};
use crate::sqlite::{Lite, Memo, io, is_busy, told, translate};
use crate::unfinished;

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

/// Enters a node into the list, so that others know whose lock to look at.
pub(crate) const ENTER: &str = "INSERT INTO node(id, started, seen) VALUES($1, {now}, {now})
    ON CONFLICT(id) DO UPDATE SET started = excluded.started, seen = excluded.seen";

/// What a connection is for: its memory follows from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Write,
    Read,
    Watch,
}

/// Makes the folder and the file if they are not there, and brings the file to the newest format.
pub(crate) fn prepare(folder: &Path, max_bytes: Option<u64>) -> Result<Connection> {
    make_private(folder)?;
    let file = folder.join(FILE);
    let conn = ready(&file, max_bytes).map_err(|it| named(it, &file))?;
    sync_folder(folder)?;
    Ok(conn)
}

/// Opens a file that is to stay as it is.
pub(crate) fn look(folder: &Path) -> Result<Connection> {
    let file = folder.join(FILE);
    let none = || {
        let name = folder.display();
        StoreError::Db(format!("there is no store in {name}; name the folder that holds {FILE}"))
    };
    if !file.is_file() {
        return Err(none());
    }
    let conn = connect(&file, Use::Write, None)?;
    if !belongs_to_us(&conn).map_err(|it| named(it, &file))? {
        return Err(none());
    }
    is_newest(patiently(|| conn.query_row("PRAGMA user_version", [], |row| row.get(0)))?)?;
    Ok(conn)
}

fn ready(file: &Path, max_bytes: Option<u64>) -> Result<Connection> {
    let size = look_at(file)?;
    let mut conn = connect(file, Use::Write, max_bytes)?;
    let ours = belongs_to_us(&conn)?;
    if ours && size <= CHECK_UP_TO {
        check(&conn)?;
    }
    migrate(&mut conn)?;
    Ok(conn)
}

/// Whoever has to act on a damaged file has to know which.
fn named(error: StoreError, file: &Path) -> StoreError {
    let StoreError::Corrupt(what) = error else { return error };
    StoreError::Corrupt(format!("{}: {what}", file.display()))
}

/// Opens one connection.
pub(crate) fn connect(file: &Path, purpose: Use, max_bytes: Option<u64>) -> Result<Connection> {
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
         PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF;
         PRAGMA secure_delete = ON;"
    );
    conn.execute_batch(&rest).map_err(|it| told(&it))?;
    // Else each statement with a parameter as its limit is planned anew each time it is used.
    let stable = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    stable.map_err(|it| told(&it))?;
    match purpose {
        Use::Write => limit(&conn, max_bytes)?,
        Use::Read | Use::Watch => {
            conn.execute_batch("PRAGMA query_only = ON").map_err(|it| told(&it))?;
        }
    }
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

fn limit(conn: &Connection, max_bytes: Option<u64>) -> Result<()> {
    let pages = max_bytes.map_or(u64::from(u32::MAX) - 1, |it| (it / PAGE).max(1));
    let sql = format!("PRAGMA max_page_count = {pages}");
    conn.query_row(&sql, [], |_| Ok(())).map_err(|it| told(&it))
}

/// Makes the file if it is not there; answers its size. An existing one is never opened past
/// SQLite: closing it again would drop the locks of every other connection in this process.
fn look_at(file: &Path) -> Result<u64> {
    match fs::metadata(file) {
        Ok(it) => Ok(it.len()),
        Err(it) if it.kind() == std::io::ErrorKind::NotFound => make_file(file).map(|()| 0),
        Err(it) => Err(io("read", file, &it)),
    }
}

fn make_file(file: &Path) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(_) => Ok(()),
        // Another process was first.
        Err(it) if it.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(it) => Err(io("make", file, &it)),
    }
}

/// Whether it is our store already; an empty file is nobody's.
fn belongs_to_us(conn: &Connection) -> Result<bool> {
    let number = |sql| patiently(|| conn.query_row(sql, [], |row| row.get::<_, i64>(0)));
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let mark = number("PRAGMA application_id")?;
    if tables > 0 && mark != APPLICATION {
        let text = "the file belongs to another program; move it away or use another data folder";
        return Err(StoreError::Corrupt(text.to_owned()));
    }
    Ok(tables > 0)
}

fn check(conn: &Connection) -> Result<()> {
    let said = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match said.map_err(|it| told(&it))?.as_str() {
        "ok" => Ok(()),
        what => Err(StoreError::Corrupt(format!(
            "the store is damaged ({what}); put back a copy, or move it away to start empty"
        ))),
    }
}

pub(crate) fn migrate(conn: &mut Connection) -> Result<()> {
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

/// Enters a node.
pub(crate) fn enter(conn: &mut Connection, node: &str) -> Result<()> {
    unfinished::refuse(&mut Lite { conn, memo: &mut Memo::new(), clock: None })?;
    let sql = translate(ENTER);
    patiently(|| conn.execute(&sql, [node])).map(|_| ())
}

/// Some statements answer "busy" at once while another process opens the same file.
fn patiently<T>(mut work: impl FnMut() -> rusqlite::Result<T>) -> Result<T> {
    for _ in 0..OPEN_TRIES {
        match work() {
            Err(error) if is_busy(&error) => std::thread::sleep(Duration::from_millis(10)),
            done => return done.map_err(|it| told(&it)),
        }
    }
    work().map_err(|it| told(&it))
}

/// Makes a folder that nobody else can look into.
pub(crate) fn make_private(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|it| io("make", folder, &it))
}

/// A new file's name is only safe when its folder is.
fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    fs::File::open(folder).and_then(|it| it.sync_all()).map_err(|it| io("sync", folder, &it))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
