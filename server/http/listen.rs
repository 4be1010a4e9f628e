//! Sockets: how many there may be, how long they may take, and how they end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use callboard_config::Limits;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::stall::Stalls;

/// Bytes of a buffer for the head of a request; what was read last may double it.
const HEAD_BYTES: usize = 32 << 10;
/// Open files beside the connections: the journal's, those of tools and of models.
const OTHER_FILES: u64 = 512;
/// Headers that a request may have.
const HEADERS: usize = 100;
/// How long answers that are under way have when the server ends.
const GRACE: Duration = Duration::from_millis(700);
/// How long a client may not read what it is sent; a comment now and then finds out.
const STALL: Duration = Duration::from_secs(30);
/// Without a free descriptor nothing can be accepted; one may be free a little later.
const BREATH: Duration = Duration::from_millis(50);
/// How long somebody who is turned away may take to hear it.
const GOODBYE: Duration = Duration::from_secs(1);
/// What is said to one connection too many.
const TURNED_AWAY: &str = "{\"error\": \"there are as many connections as there may be \
(`limits.connections`); try again in 1 s\"}";

/// Each connection is an open file. Asks for as many as there may be connections, and for those that
/// the rest of the house needs; where the system says no, there are as many as it lets us have.
#[cfg(unix)]
fn ask_for_files(limits: &Limits) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = (limits.connections as u64).saturating_add(OTHER_FILES);
    let found = getrlimit(Resource::Nofile);
    let current = found.maximum.map_or(wanted, |it| it.min(wanted));
    if found.current.is_some_and(|it| it < current)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..found })
    {
        tracing::debug!(%error, "there are no more files than before");
    }
}

/// Elsewhere the system counts sockets by itself.
#[cfg(not(unix))]
fn ask_for_files(_limits: &Limits) {}

/// Takes connections until `leaving` fires, then lets those that are open finish their answers; not
/// for long any more once `ending` fires.
pub(crate) async fn listen(
    listener: TcpListener,
    app: Router,
    limits: &Limits,
    (leaving, ending): (CancellationToken, CancellationToken),
) {
    ask_for_files(limits);
    let seats = Arc::new(Semaphore::new(limits.connections));
    let head = Duration::from_secs(limits.head_s.max(1));
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = leaving.cancelled() => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match (accepted, Arc::clone(&seats).try_acquire_owned()) {
            (Ok((stream, _)), Ok(seat)) => {
                let (app, leaving) = (app.clone(), leaving.clone());
                open.spawn(async move {
                    connection(stream, app, head, leaving).await;
                    drop(seat);
                });
            }
            (Ok((stream, _)), Err(_)) => drop(open.spawn(turn_away(stream))),
            (Err(error), _) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = async { while open.join_next().await.is_some() {} } => {}
        () = async { ending.cancelled().await; sleep(GRACE).await } => {}
    }
    open.shutdown().await;
}

async fn connection(stream: TcpStream, app: Router, head: Duration, leaving: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets are held back");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Stalls::new(stream, STALL)), TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = leaving.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn turn_away(mut stream: TcpStream) {
    let n_bytes = TURNED_AWAY.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {n_bytes}\r\n\r\n{TURNED_AWAY}"
    );
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // Whoever does not listen is gone.
    let _ = timeout(GOODBYE, said).await;
}
