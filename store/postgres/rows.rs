//! Rows for one table that are written with one statement, however many writes of a transaction they
//! are of: most of what a row costs is its statement.

use tokio_postgres::types::Type;

use super::value::type_of;
use crate::db::Val;

/// Rows that wait at most.
const ROWS: usize = 256;
/// Bytes of text that wait at most.
const BYTES: usize = 1 << 20;

/// What waits to be written, of one statement: for each parameter its values, a row each.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) sql: &'static str,
    pub(super) columns: Vec<Vec<Val>>,
    bytes: usize,
}

impl Rows {
    /// None yet.
    pub(super) fn of(sql: &'static str) -> Rows {
        Rows { sql, columns: Vec::new(), bytes: 0 }
    }

    pub(super) fn add(&mut self, args: &[Val]) {
        self.columns.resize(args.len(), Vec::new());
        for (column, value) in self.columns.iter_mut().zip(args) {
            if let Val::Text(it) = value {
                self.bytes += it.len();
            }
            column.push(value.clone());
        }
    }

    /// Whether they should go now.
    pub(super) fn is_full(&self) -> bool {
        self.columns.first().is_some_and(|it| it.len() >= ROWS) || self.bytes >= BYTES
    }

    /// Whether a statement is about their table.
    pub(super) fn concern(&self, sql: &str) -> bool {
        let behind = self.sql.trim_start_matches("INSERT INTO ");
        behind.split('(').next().is_some_and(|table| sql.contains(table))
    }

    /// The statement for all of them, whose parameters are the columns; rows stay in their order.
    pub(super) fn statement(&self) -> (String, Vec<Type>) {
        let into = self.sql.split("VALUES").next().unwrap_or_default();
        let kind = |it: &Vec<Val>| it.first().map_or(Type::UNKNOWN, type_of);
        let (lists, types): (Vec<_>, Vec<_>) = (1..)
            .zip(self.columns.iter().map(kind))
            .map(|(at, kind)| match kind {
                Type::INT8 => (format!("CAST(${at} AS BIGINT[])"), Type::INT8_ARRAY),
                _ => (format!("CAST(${at} AS TEXT[])"), Type::TEXT_ARRAY),
            })
            .unzip();
        (format!("{into}SELECT * FROM unnest({})", lists.join(", ")), types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "INSERT INTO journal(run, body) VALUES($1, $2)";

    fn rows(count: i64, text: &str) -> Rows {
        let mut rows = Rows::of(SQL);
        (0..count).for_each(|it| rows.add(&[it.into(), text.into()]));
        rows
    }

    #[test]
    fn rows_become_one_statement() {
        let (rows, all) = (rows(2, "a"), "unnest(CAST($1 AS BIGINT[]), CAST($2 AS TEXT[]))");
        let (sql, types) = rows.statement();
        assert_eq!(sql, format!("INSERT INTO journal(run, body) SELECT * FROM {all}"));
        assert_eq!(types, [Type::INT8_ARRAY, Type::TEXT_ARRAY]);
        assert_eq!(rows.columns, [[Val::Int(0), Val::Int(1)], ["a".into(), "a".into()]]);
    }

    #[test]
    fn what_asks_for_their_table_concerns_them() {
        assert!(rows(1, "a").concern("SELECT pos FROM journal j WHERE j.run = $1"));
        assert!(!rows(1, "a").concern("UPDATE run SET seq = $2 WHERE pos = $1"));
    }

    #[test]
    fn they_go_when_there_are_many_or_when_they_are_long() {
        assert!(!rows(255, "a").is_full() && rows(256, "a").is_full());
        assert!(rows(1, &"x".repeat(BYTES)).is_full());
    }
}
