//! The tables in PostgreSQL: made, and brought to the newest format, by one node at a time.

use super::partition;
use super::session::Session;
use crate::StoreError;
use crate::db::Tx;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::schema::{CHANGES, DIVIDED, is_newest};

/// The lock that whoever changes the tables holds until that is done: "Call".
const LOCK: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SELECT pg_advisory_xact_lock(1130458220); SELECT 0";

pub(super) fn migrate(session: &mut Session<'_>) -> Result<()> {
    let known = CHANGES.len() as u32;
    session.begin(LOCK).map_err(|it| it.error())?;
    let found = version(session)?;
    if found > known {
        session.rollback().map_err(|it| it.error())?;
        return Err(StoreError::Newer { found, known });
    }
    if found == 0 {
        let made = session.batch(
            "CREATE TABLE callboard(version BIGINT NOT NULL, seal BYTEA);
             INSERT INTO callboard VALUES(0, NULL)",
        );
        made.map_err(|it| it.error())?;
    }
    if (1..known).contains(&found) {
        // Who writes meanwhile holds this row and then waits for a table: so it is taken first.
        session.one("SELECT version FROM callboard FOR UPDATE", &[])?;
    }
    for (format, change) in (1..).zip(CHANGES).skip(found as usize) {
        let change = Dialect::Postgres.translate_change(change);
        session.batch(&change).map_err(|it| foreign(it.error()))?;
        if format == DIVIDED {
            partition::divide(session).map_err(foreign)?;
        }
    }
    if found < known {
        session.exec("UPDATE callboard SET version = $1", &[known.into()])?;
    }
    session.commit().map_err(|_| {
        StoreError::Db("the tables could not be made; start the program again".to_owned())
    })
}

/// Looks whether the tables are there and of the newest format.
pub(super) fn look(session: &mut Session<'_>) -> Result<()> {
    session.begin("BEGIN READ ONLY; SELECT 0").map_err(|it| it.error())?;
    let found = version(session)?;
    session.rollback().map_err(|it| it.error())?;
    match found {
        0 => {
            let text = "there is no store in this database; name the one that holds it";
            Err(StoreError::Db(text.to_owned()))
        }
        found => is_newest(found),
    }
}

/// The format of the tables that are there; 0 = there are none.
fn version(session: &mut Session<'_>) -> Result<u32> {
    let sql = "SELECT count(*) FROM information_schema.tables
        WHERE table_schema = current_schema() AND table_name = 'callboard'";
    if session.only(sql, &[])?.int(0)? == 0 {
        return encoding(session).map(|()| 0);
    }
    Ok(session.only("SELECT max(version) FROM callboard", &[])?.number(0)? as u32)
}

/// Text is kept as it is in UTF-8 only.
fn encoding(session: &mut Session<'_>) -> Result<()> {
    match session.only("SELECT current_setting('server_encoding')", &[])?.text(0)?.as_str() {
        "UTF8" => Ok(()),
        other => Err(StoreError::Db(format!(
            "the database keeps text as {other}; make one that keeps UTF-8: \
             createdb --encoding UTF8 --template template0 NAME"
        ))),
    }
}

fn foreign(error: StoreError) -> StoreError {
    let text = error.to_string();
    if !text.contains("already exists") {
        return error;
    }
    StoreError::Db(format!(
        "the database holds tables of another program ({text}); give the store a database, or a schema, \
         of its own"
    ))
}
