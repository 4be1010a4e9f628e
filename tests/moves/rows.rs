//! All rows of a store as they are in its tables, read past the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, types::Value};

use crate::server::{Database, Eye};

/// Every table's rows, each value as text, in an order that no database decides.
#[derive(PartialEq)]
pub(crate) struct Rows(BTreeMap<String, Vec<Vec<Option<String>>>>);

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(table, rows)| writeln!(f, "{table}: {} rows", rows.len()))
    }
}

impl Rows {
    /// Without the mark that says that it was moved.
    pub(crate) fn unmarked(mut self) -> Rows {
        self.0.get_mut("filling").unwrap().clear();
        self
    }

    /// No table is empty but the one that marks what is not whole.
    pub(crate) fn are_of_all_kinds(&self) {
        for (table, rows) in &self.0 {
            assert_eq!(rows.is_empty(), table == "filling", "{table}: {} rows", rows.len());
        }
        assert!(self.0.len() > 13);
    }
}

/// Tables and their columns, as the file names them.
fn tables(conn: &Connection) -> Vec<(String, Vec<String>)> {
    let list = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
        AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = conn.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut all: Vec<(String, Vec<String>)> = texts(list)
        .into_iter()
        .map(|it| (it.clone(), texts(&format!("SELECT name FROM pragma_table_info('{it}')"))))
        .collect();
    all.push(("memory_text".to_owned(), vec!["rowid".to_owned(), "words".to_owned()]));
    all
}

fn open(folder: &Path) -> Connection {
    Connection::open(folder.join("callboard.sqlite")).unwrap()
}

pub(crate) fn of_file(folder: &Path) -> Rows {
    let conn = open(folder);
    let mut all = BTreeMap::new();
    for (table, columns) in tables(&conn) {
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        let mut statement = conn.prepare(&sql).unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns.len())
                .map(|at| Ok(text(row.get(at)?)))
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows: Vec<_> = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
        all.insert(table.clone(), in_order(rows, &table));
    }
    Rows(all)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(it) => Some(it.to_string()),
        Value::Real(it) => Some(it.to_string()),
        Value::Text(it) => Some(it),
        Value::Blob(it) => Some(it.iter().map(|it| format!("{it:02x}")).collect()),
    }
}

/// A search never finds a zero byte, and the server keeps none.
fn in_order(mut rows: Vec<Vec<Option<String>>>, table: &str) -> Vec<Vec<Option<String>>> {
    if table == "memory_text" {
        let texts = rows.iter_mut().flatten().flatten();
        texts.for_each(|it| *it = it.replace('\0', " "));
    }
    rows.sort();
    rows
}

pub(crate) async fn of_server(database: &Database) -> Rows {
    let eye = database.look().await;
    let sql = "SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'callboard'
          AND table_name NOT LIKE 'journal\\_%' ORDER BY 1, ordinal_position";
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    for row in eye.client.query(sql, &[]).await.unwrap() {
        tables.entry(row.get(0)).or_default().push(row.get(1));
    }
    let mut all = BTreeMap::new();
    for (table, columns) in tables {
        let as_text = |it: &String| match it.as_str() {
            "bytes" => "encode(bytes, 'hex')".to_owned(),
            it => format!("CAST({it} AS TEXT)"),
        };
        let list = columns.iter().map(as_text).collect::<Vec<_>>().join(", ");
        let rows = eye.client.query(&format!("SELECT {list} FROM {table}"), &[]).await.unwrap();
        let row = |it: &tokio_postgres::Row| (0..columns.len()).map(|at| it.get(at)).collect();
        all.insert(table.clone(), in_order(rows.iter().map(row).collect(), &table));
    }
    Rows(all)
}

/// Counts the records of a store that another process fills.
pub(crate) enum Look {
    File(PathBuf),
    Server(Eye),
}

impl Look {
    /// 0 as long as there is no store.
    pub(crate) async fn records(&self) -> u64 {
        let sql = "SELECT count(*) FROM journal";
        let found: Option<i64> = match self {
            Look::Server(eye) => eye.client.query_one(sql, &[]).await.ok().map(|it| it.get(0)),
            Look::File(folder) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
                Connection::open_with_flags(folder.join("callboard.sqlite"), flags)
                    .and_then(|it| it.query_row(sql, [], |row| row.get(0)))
                    .ok()
            }
        };
        u64::try_from(found.unwrap_or_default()).unwrap()
    }
}

/// Changes the third record of a run; answers the run.
pub(crate) fn change_a_record(folder: &Path, nth: u32) -> String {
    let conn = open(folder);
    let sql = "SELECT id, pos FROM run WHERE state = 'ended' ORDER BY pos LIMIT 1 OFFSET ?1";
    let (run, pos): (String, i64) =
        conn.query_row(sql, [nth], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let sql =
        "UPDATE journal SET body = replace(body, 'three', 'seven') WHERE run = ?1 AND seq = 3";
    assert_eq!(conn.execute(sql, [pos]).unwrap(), 1);
    run
}

pub(crate) fn set_format(folder: &Path, format: u32) {
    open(folder).execute_batch(&format!("PRAGMA user_version = {format}")).unwrap();
}

/// A row of the table that nothing writes to any more.
pub(crate) fn put_pace(folder: &Path) {
    open(folder).execute_batch("INSERT INTO pace(name, tat, at) VALUES('old', 1, 2)").unwrap();
}

/// The next run of a store has a later place.
pub(crate) fn go_to(folder: &Path, place: i64) {
    let sql = "INSERT INTO sqlite_sequence(name, seq) VALUES('run', ?1)";
    let conn = open(folder);
    conn.execute("DELETE FROM sqlite_sequence WHERE name = 'run'", []).unwrap();
    conn.execute(sql, [place - 1]).unwrap();
}

/// Which of the server's tables hold how many records.
pub(crate) async fn parts(database: &Database) -> BTreeMap<String, i64> {
    let sql = "SELECT CAST(CAST(tableoid AS regclass) AS TEXT), count(*) FROM journal GROUP BY 1";
    let rows = database.look().await.client.query(sql, &[]).await.unwrap();
    rows.iter().map(|it| (it.get(0), it.get(1))).collect()
}
