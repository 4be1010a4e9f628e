//! Values as PostgreSQL has them: on their way to it, and out of its answers.

use std::error::Error as StdError;

use tokio_postgres::Error;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::conn;
use crate::StoreError;
use crate::db::{Row, Val};
use crate::error::Result;

/// What a parameter is.
pub(super) fn type_of(value: &Val) -> Type {
    match value {
        Val::Null => Type::UNKNOWN,
        Val::Int(_) => Type::INT8,
        Val::Text(_) => Type::TEXT,
        Val::Bytes(_) => Type::BYTEA,
    }
}

/// A row of an answer.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row> {
    let odd =
        |it: Error| StoreError::Corrupt(format!("an answer cannot be read: {}", conn::said(&it)));
    let value = |at: usize| -> Result<Val> {
        let kind = row.columns()[at].type_();
        let value = match *kind {
            Type::INT8 => row.try_get::<_, Option<i64>>(at).map_err(odd)?.map(Val::Int),
            Type::INT4 => {
                row.try_get::<_, Option<i32>>(at).map_err(odd)?.map(|it| Val::Int(it.into()))
            }
            Type::TEXT => row.try_get::<_, Option<String>>(at).map_err(odd)?.map(Val::Text),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map_err(odd)?.map(Val::Bytes),
            _ => return Err(StoreError::Corrupt(format!("column {at} of an answer is {kind}"))),
        };
        Ok(value.unwrap_or(Val::Null))
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}

impl ToSql for Val {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Val::Null => Ok(IsNull::Yes),
            Val::Int(it) if *kind == Type::INT4 => i32::try_from(*it)?.to_sql(kind, out),
            Val::Int(it) => it.to_sql(kind, out),
            Val::Text(it) => it.to_sql(kind, out),
            Val::Bytes(it) => it.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}
