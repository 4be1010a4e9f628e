//! One connection: made within a deadline, set up, and what its errors mean.

use std::error::Error as _;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{sleep, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Connection, Error, Socket};

use super::tls::Tls;
use super::{Address, DEADLINE, IDLE, STATEMENT};
use crate::StoreError;

/// How much later than the host before it a host is asked.
const STAGGER: Duration = Duration::from_millis(200);

/// What drives a connection: whoever has the client polls this beside it.
pub(super) type Driver = Connection<Socket, <Tls as MakeTlsConnect<Socket>>::Stream>;

/// Why a transaction did not come to its end. Unless it was at its commit nothing of it stands.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The database undid it; it may be tried again at once.
    Again(String),
    /// The connection is of no more use; it may be tried again on another one.
    Lost(String),
    /// Trying again does not help.
    Refused(StoreError),
}

impl Fault {
    pub(super) fn error(&self) -> StoreError {
        match self {
            Fault::Again(text) => StoreError::Db(format!("the database undid the write: {text}")),
            Fault::Lost(text) => StoreError::Away(text.clone()),
            Fault::Refused(error) => error.clone(),
        }
    }

    pub(super) fn silent() -> Fault {
        Fault::Lost(format!("silent for {} s", DEADLINE.as_secs()))
    }
}

/// Opens a connection to the first host that will do; the driver has to be polled. One that is away
/// holds up the next only for a moment: each is asked as well, a little later.
pub(super) async fn connect(address: &Address) -> Result<(Client, Driver), Fault> {
    let tls = Tls::new(&address.trust).map_err(Fault::Refused)?;
    let mut asked: FuturesUnordered<_> = (0..)
        .zip(address.each())
        .map(|(place, host)| {
            let tls = tls.clone();
            Box::pin(async move {
                sleep(STAGGER * place).await;
                let connected = timeout(DEADLINE, host.connect(tls)).await;
                connected.map_err(|_| Fault::silent())?.map_err(|it| unreached(address, &it))
            })
        })
        .collect();
    let mut first = None;
    while let Some(answer) = asked.next().await {
        match (answer, &first) {
            (Ok(connected), _) => return Ok(connected),
            // What has to be mended is told rather than who is away.
            (Err(fault), None | Some(Fault::Lost(_))) => first = Some(fault),
            (Err(_), Some(_)) => {}
        }
    }
    Err(first.unwrap_or_else(Fault::silent))
}

/// What every session is told, in one message: no statement, and nothing that is left open, hinders
/// others for long, whose host is gone is forgotten; and a commit is one that the disk has.
pub(super) fn settings() -> String {
    format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {};
         SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
         SELECT set_config('synchronous_commit', 'on', false)
           WHERE current_setting('synchronous_commit') = 'off'",
        STATEMENT.as_millis(),
        IDLE.as_millis()
    )
}

fn unreached(address: &Address, error: &Error) -> Fault {
    let text = |it: String| Fault::Refused(StoreError::Db(it));
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("28P01" | "28000") => text(format!(
            "{address} does not let us in ({}); check the user and the password of `store`",
            said(error)
        )),
        Some("3D000") => {
            text(format!("{address}: there is no such database; make it first: createdb NAME"))
        }
        Some(_) | None => Fault::Lost(format!("{address}: {}", said(error))),
    }
}

/// What an error means for the transaction it is of.
pub(super) fn fault(error: &Error) -> Fault {
    let text = said(error);
    let refused = |it: String| Fault::Refused(StoreError::Db(it));
    let Some(code) = error.code().map(tokio_postgres::error::SqlState::code) else {
        return match error.is_closed() || error.source().is_some_and(|it| it.is::<std::io::Error>())
        {
            true => Fault::Lost(text),
            // A value that does not fit: the statement is wrong, not the database.
            false => refused(format!("the store failed: {text}")),
        };
    };
    match code {
        "40001" | "40P01" | "55P03" | "57014" => Fault::Again(text),
        // Shut down, starting up, too many connections, timed out, or no longer the primary.
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25006" | "25P03" => Fault::Lost(text),
        it if it.starts_with("08") => Fault::Lost(text),
        "53100" => refused(format!("the database's disk is full ({text}); free some space there")),
        "42501" => refused(format!("the database forbids it ({text}); grant its role the right")),
        "22021" => refused("text with a zero byte cannot be kept; leave it out".to_owned()),
        _ => refused(format!("the store failed: {text} (SQLSTATE {code})")),
    }
}

/// Whether a server that answers with this code does not know what was asked: it lacks the feature, or
/// the words for it.
pub(super) fn is_unknown(code: &str) -> bool {
    code.starts_with("0A") || code == "42601"
}

/// The database's own words, else the library's.
pub(super) fn said(error: &Error) -> String {
    if let Some(it) = error.as_db_error() {
        return it.message().to_owned();
    }
    error.source().map_or_else(|| error.to_string(), |it| format!("{error}: {it}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_is_missing_is_no_right_that_is_missing() {
        assert!(is_unknown("0A000") && is_unknown("42601"));
        // Forbidden, there already, no such table, a lock that was not had, disk full, no connection.
        for code in ["42501", "42P07", "42P01", "55P03", "53100", "08006"] {
            assert!(!is_unknown(code), "{code}");
        }
    }
}
