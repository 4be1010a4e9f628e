//! Rows for one table that are written with one statement, however many writes of a transaction they
//! are of: most of what a row costs is its statement.

use std::error::Error as StdError;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::db::Val;

/// Rows that wait at most.
const ROWS: usize = 256;
/// Bytes of text that wait at most.
const BYTES: usize = 1 << 20;

/// What waits to be written, of one statement.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) sql: &'static str,
    columns: Vec<Column>,
    count: usize,
    bytes: usize,
}

/// The values of one parameter, a row each.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Column {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

impl Rows {
    /// The first one; `None` if it has a value that may be of another kind in the next.
    pub(super) fn first(sql: &'static str, args: &[Val]) -> Option<Rows> {
        let column = |it: &Val| match it {
            Val::Int(_) => Some(Column::Ints(Vec::new())),
            Val::Text(_) => Some(Column::Texts(Vec::new())),
            Val::Null | Val::Bytes(_) => None,
        };
        let columns = args.iter().map(column).collect::<Option<_>>()?;
        let mut rows = Rows { sql, columns, count: 0, bytes: 0 };
        rows.add(sql, args).then_some(rows)
    }

    /// Adds another; answers whether it is of the same statement, and like the others.
    pub(super) fn add(&mut self, sql: &'static str, args: &[Val]) -> bool {
        let is_like = |(column, value): (&Column, &Val)| match column {
            Column::Ints(_) => matches!(value, Val::Int(_)),
            Column::Texts(_) => matches!(value, Val::Text(_)),
        };
        let mut both = self.columns.iter().zip(args);
        if sql != self.sql || args.len() != self.columns.len() || !both.all(is_like) {
            return false;
        }
        for (column, value) in self.columns.iter_mut().zip(args) {
            match (column, value) {
                (Column::Ints(all), Val::Int(it)) => all.push(*it),
                (Column::Texts(all), Val::Text(it)) => {
                    self.bytes += it.len();
                    all.push(it.clone());
                }
                (Column::Ints(_) | Column::Texts(_), _) => {}
            }
        }
        self.count += 1;
        true
    }

    /// Whether they should go now.
    pub(super) fn is_full(&self) -> bool {
        self.count >= ROWS || self.bytes >= BYTES
    }

    /// Whether a statement is about their table.
    pub(super) fn concern(&self, sql: &str) -> bool {
        sql.contains(table(self.sql))
    }

    /// The statement for all of them: each parameter is the list of its values, in the rows' order.
    pub(super) fn statement(&self) -> (String, Vec<Type>) {
        let into = self.sql.split("VALUES").next().unwrap_or_default();
        let lists = self.columns.iter().zip(1..).map(|(it, at)| match it {
            Column::Ints(_) => format!("CAST(${at} AS BIGINT[])"),
            Column::Texts(_) => format!("CAST(${at} AS TEXT[])"),
        });
        let lists: Vec<String> = lists.collect();
        let types = self.columns.iter().map(|it| match it {
            Column::Ints(_) => Type::INT8_ARRAY,
            Column::Texts(_) => Type::TEXT_ARRAY,
        });
        (format!("{into}SELECT * FROM unnest({})", lists.join(", ")), types.collect())
    }

    /// The parameters of that statement.
    pub(super) fn columns(self) -> Vec<Column> {
        self.columns
    }
}

/// The table that rows are inserted into.
fn table(sql: &str) -> &str {
    let behind = sql.strip_prefix("INSERT INTO ").unwrap_or(sql);
    behind.split('(').next().unwrap_or(behind)
}

impl ToSql for Column {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Column::Ints(it) => it.to_sql(kind, out),
            Column::Texts(it) => it.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8_ARRAY, Type::TEXT_ARRAY].contains(kind)
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "INSERT INTO journal(run, body) VALUES($1, $2)";

    #[test]
    fn rows_that_are_alike_become_one_statement() {
        let mut rows = Rows::first(SQL, &[Val::Int(1), "a".into()]).unwrap();
        assert!(rows.add(SQL, &[Val::Int(2), "b".into()]));
        assert!(!rows.add(SQL, &[Val::Int(3), Val::Null]), "another kind");
        assert!(!rows.add(SQL, &[Val::Int(3)]), "one too few");
        assert!(
            !rows.add("INSERT INTO apart(run, hash) VALUES($1, $2)", &[Val::Int(3), "c".into()])
        );
        let (sql, types) = rows.statement();
        assert_eq!(
            sql,
            "INSERT INTO journal(run, body) SELECT * FROM unnest(CAST($1 AS BIGINT[]), CAST($2 AS TEXT[]))"
        );
        assert_eq!(types, [Type::INT8_ARRAY, Type::TEXT_ARRAY]);
        assert_eq!(
            rows.columns(),
            [Column::Ints(vec![1, 2]), Column::Texts(vec!["a".to_owned(), "b".to_owned()])]
        );
    }

    #[test]
    fn what_asks_for_their_table_concerns_them() {
        let rows = Rows::first(SQL, &[Val::Int(1), "a".into()]).unwrap();
        assert!(rows.concern("SELECT pos FROM journal j WHERE j.run = $1"));
        assert!(!rows.concern("UPDATE run SET seq = $2 WHERE pos = $1"));
    }

    #[test]
    fn they_go_when_there_are_many_or_when_they_are_long() {
        let mut rows = Rows::first(SQL, &[Val::Int(1), "a".into()]).unwrap();
        for _ in 2..ROWS {
            rows.add(SQL, &[Val::Int(1), "a".into()]);
        }
        assert!(!rows.is_full());
        rows.add(SQL, &[Val::Int(1), "a".into()]);
        assert!(rows.is_full());
        let rows = Rows::first(SQL, &[Val::Int(1), "x".repeat(BYTES).as_str().into()]).unwrap();
        assert!(rows.is_full());
        assert!(Rows::first(SQL, &[Val::Int(1), Val::Null]).is_none(), "of no kind yet");
    }
}
