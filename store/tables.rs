//! All tables as they are copied and compared: rows in the order of their key, some at a time.

use std::sync::LazyLock;

use crate::db::{Row, Tx, Val};
use crate::error::Result;

/// Rows of a page at most.
const ROWS: u32 = 2_000;
/// Bytes of a page's large column at most, unless one row alone has more.
const BYTES: u64 = 4 << 20;
/// Rows that one statement deletes.
const AT_ONCE: u32 = 5_000;

/// A table, and the statements that its rows go through.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Its key: so many of its first columns.
    keys: usize,
    /// The column that says of which run a row is.
    pub(crate) run: Option<usize>,
    first: String,
    next: String,
    /// The sizes of the rows of a page; of tables with a large column only.
    sizes: Option<(String, String)>,
    last: String,
    count: String,
    put: String,
    empty: String,
}

/// Name, columns of the key, and all columns with the key first; a large one is marked.
const COLUMNS: [(&str, usize, &str); 13] = [
    (
        "run",
        1,
        "pos id root parent top agent workspace principal once fingerprint state outcome priority \
         root_at rank turn wake seq head lease node attempt stop created ended deadline heard boost fit \
         unscored",
    ),
    ("journal", 1, "pos run root seq at v attempt author kind prev body!"),
    ("blob", 1, "hash bytes!"),
    ("node", 1, "id started seen"),
    ("pace", 1, "name tat at"),
    (TALLY, 1, "name n"),
    ("gauge", 1, "name level at capacity refill width used shut fails opened probe mode"),
    ("hold", 3, "run step name"),
    ("line", 1, "run name rank since need"),
    ("ledger", 1, "node tokens usd ms model_calls tool_calls documents"),
    (
        "memory",
        1,
        "pos workspace principal slot key session agent run seq at used expires body live",
    ),
    (WORDS, 1, "rowid words!"),
    ("apart", 2, "run hash erased"),
];

/// The table that has rows in a store that is empty.
pub(crate) const TALLY: &str = "tally";
/// The index over words, which one database keeps as text and the other one as its own table.
const WORDS: &str = "memory_text";

pub(crate) static TABLES: LazyLock<Vec<Table>> =
    LazyLock::new(|| COLUMNS.into_iter().map(|(name, keys, all)| table(name, keys, all)).collect());

fn table(name: &'static str, keys: usize, all: &str) -> Table {
    let columns: Vec<&str> = all.split_whitespace().collect();
    let large = columns.iter().find_map(|it| it.strip_suffix('!'));
    let columns: Vec<&str> = columns.iter().map(|it| it.trim_end_matches('!')).collect();
    let run = match name {
        "run" => Some(0),
        _ => columns.iter().position(|it| *it == "run"),
    };
    let marks = |n: usize| (1..=n).map(|it| format!("${it}")).collect::<Vec<_>>().join(", ");
    let (key, list) = (columns[..keys].join(", "), columns.join(", "));
    let page = |what: &str| {
        let tail = |n: usize| format!("ORDER BY {key} LIMIT ${n}");
        let behind = format!("WHERE ({key}) > ({})", marks(keys));
        let select = format!("SELECT {what} FROM {name}");
        (format!("{select} {}", tail(1)), format!("{select} {behind} {}", tail(keys + 1)))
    };
    let (first, next) = page(&list);
    let down = columns[..keys].iter().map(|it| format!("{it} DESC")).collect::<Vec<_>>();
    Table {
        name,
        keys,
        run,
        first,
        next,
        sizes: large.map(|it| page(&format!("octet_length({it})"))),
        last: format!("SELECT {key} FROM {name} ORDER BY {} LIMIT 1", down.join(", ")),
        count: format!("SELECT count(*) FROM {name}"),
        put: format!("INSERT INTO {name}({list}) VALUES({})", marks(columns.len())),
        empty: format!(
            "DELETE FROM {name} WHERE ({key}) IN (SELECT {key} FROM {name} LIMIT {AT_ONCE})"
        ),
    }
}

impl Table {
    /// The rows behind a key, from the first one on if there is none.
    pub(crate) fn page(&'static self, tx: &mut dyn Tx, after: Option<&[Val]>) -> Result<Vec<Row>> {
        let pick = |both: &'static (String, String)| match after {
            None => both.0.as_str(),
            Some(_) => both.1.as_str(),
        };
        let args = |most: u32| [after.unwrap_or_default(), &[most.into()]].concat();
        let mut most = ROWS;
        if let Some(sizes) = &self.sizes {
            let mut bytes = 0;
            let rows = tx.query(pick(sizes), &args(ROWS))?;
            let fits = rows.iter().take_while(|it| {
                bytes += it.number(0).unwrap_or_default();
                bytes <= BYTES
            });
            most = u32::try_from(fits.count()).unwrap_or(ROWS).max(1);
        }
        let sql = if after.is_none() { &self.first } else { &self.next };
        let mut rows = tx.query(sql, &args(most))?;
        if self.name == WORDS {
            rows.iter_mut().for_each(searched);
        }
        Ok(rows)
    }

    /// A row's key.
    pub(crate) fn key(&self, row: &Row) -> Vec<Val> {
        row.0[..self.keys].to_vec()
    }

    /// The last key there is.
    pub(crate) fn last(&'static self, tx: &mut dyn Tx) -> Result<Option<Vec<Val>>> {
        Ok(tx.one(&self.last, &[])?.map(|it| it.0))
    }

    pub(crate) fn count(&'static self, tx: &mut dyn Tx) -> Result<u64> {
        tx.only(&self.count, &[])?.number(0)
    }

    pub(crate) fn put(&'static self, tx: &mut dyn Tx, row: &Row) -> Result<()> {
        tx.put(&self.put, &row.0)
    }

    /// Deletes some rows; answers whether there were any.
    pub(crate) fn empty(&'static self, tx: &mut dyn Tx) -> Result<bool> {
        Ok(tx.exec(&self.empty, &[])? > 0)
    }
}

/// A search never finds a zero byte, and one of the databases keeps none in a text.
fn searched(row: &mut Row) {
    if let Some(Val::Text(words)) = row.0.get_mut(1)
        && words.contains('\0')
    {
        *words = words.replace('\0', " ");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rusqlite::Connection;

    use super::*;
    use crate::open::migrate;
    use crate::unfinished::TABLE;

    /// Every table there is, with its columns; those behind a virtual table are its own.
    fn found(conn: &Connection) -> BTreeMap<String, Vec<String>> {
        let sql = "SELECT m.name, c.name FROM pragma_table_list m, pragma_table_info(m.name) c
            WHERE m.schema = 'main' AND m.type IN ('table', 'virtual') AND m.name NOT LIKE 'sqlite_%'";
        let mut tables = conn.prepare(sql).unwrap();
        let rows = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let mut all = BTreeMap::<String, Vec<String>>::new();
        for row in rows {
            let (table, column): (String, String) = row.unwrap();
            all.entry(table).or_default().push(column);
        }
        all.values_mut().for_each(|it| it.sort());
        all
    }

    #[test]
    fn no_table_and_no_column_is_forgotten() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        let mut found = found(&conn);
        assert!(found.remove(TABLE).is_some());
        // Where the rows of a virtual table are searched by their number, that is no column.
        found.get_mut(WORDS).unwrap().insert(0, "rowid".to_owned());
        let listed = COLUMNS.iter().map(|(name, _, all)| {
            let mut all: Vec<String> =
                all.split_whitespace().map(|it| it.trim_end_matches('!').to_owned()).collect();
            all.sort();
            ((*name).to_owned(), all)
        });
        assert_eq!(listed.collect::<BTreeMap<_, _>>(), found);
    }
}
