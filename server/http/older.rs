//! `/sse` and `/messages`: the transport of 2024-11-05, for clients that know no other. A stream
//! is a connection like stdin and stdout: lines come in by one request each, and go out as events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use http::{Request, StatusCode};
use rmcp::ServerHandler;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::body::read;
use super::door::Dress;
use super::listening::KEEP_ALIVE;
use super::room::Place;
use super::{House, reply};
use crate::host::{SSE, Server};
use crate::pipe::{Output, Pipe};
use crate::serve::connection;
use crate::who::Principal;

/// Messages that wait to be read.
const WAITING: usize = 4;

/// The open streams.
pub(crate) struct Older<H> {
    pub(crate) house: Arc<House>,
    pub(crate) dress: Dress<H>,
    pub(crate) ending: CancellationToken,
    pub(crate) streams: Mutex<Streams>,
}

/// Where a stream's messages go, by its name, and whose it is.
pub(crate) type Streams = HashMap<String, (String, mpsc::Sender<Vec<u8>>)>;

/// A stream that is open until this is dropped.
struct Opened<H> {
    older: Arc<Older<H>>,
    name: String,
    _ending: DropGuard,
    _place: Place,
    _serving: JoinSet<()>,
}

impl<H> Older<H> {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> Drop for Opened<H> {
    fn drop(&mut self) {
        self.older.streams().remove(&self.name);
    }
}

/// `GET /sse`: a stream, whose first event says where messages go.
pub(crate) async fn open<H: ServerHandler>(
    State(older): State<Arc<Older<H>>>,
    request: Request<Body>,
) -> Response {
    let Some(principal) = request.extensions().get::<Principal>().cloned() else {
        return reply::plain(StatusCode::UNAUTHORIZED, "nobody was let in");
    };
    let place = match older.house.room.stream(&principal.name) {
        Ok(place) => place,
        Err((what, most)) => return reply::full(None, what, most),
    };
    let name = older.house.shared.desk.nonce();
    let (messages, input) = mpsc::channel(WAITING);
    let (output, lines) = Output::unread();
    older.streams().insert(name.clone(), (principal.name.clone(), messages));
    let ending = older.ending.child_token();
    let shared = older.house.shared.clone();
    let server = Server::new(shared.clone(), ending.clone(), SSE).of(principal);
    let handler = (older.dress)(server.clone());
    let mut serving = JoinSet::new();
    let limits = shared.desk.team().limits.clone();
    serving.spawn(connection(Pipe { input, output }, handler, server, limits, ending.clone()));
    let first = Event::default().event("endpoint").data(format!("/messages?sessionId={name}"));
    let opened =
        Opened { older, name, _ending: ending.drop_guard(), _place: place, _serving: serving };
    let rest = stream::unfold((lines, opened), async |(mut lines, opened)| {
        let line = lines.next().await?;
        let event = Event::default().event("message").data(String::from_utf8_lossy(&line));
        Some((Ok::<_, Infallible>(event), (lines, opened)))
    });
    let events = stream::iter([Ok(first)]).chain(rest.boxed());
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// `POST /messages`: one message of a stream. Its answer comes on the stream.
pub(crate) async fn message<H: ServerHandler>(
    State(older): State<Arc<Older<H>>>,
    request: Request<Body>,
) -> Response {
    let principal = request.extensions().get::<Principal>().map(|it| it.name.clone());
    let mut said = request.uri().query().unwrap_or_default().split('&');
    let name = said.find_map(|it| it.strip_prefix("sessionId=")).unwrap_or_default();
    let found = older.streams().get(name).cloned();
    let found = found.filter(|it| principal.as_ref() == Some(&it.0));
    let Some((_, messages)) = found else {
        return reply::plain(StatusCode::NOT_FOUND, "there is no such stream; open one at /sse");
    };
    let limits = older.house.shared.desk.team().limits.clone();
    let within = Duration::from_secs(limits.body_s.max(1));
    let line = match read(request.into_body(), limits.line_bytes, within).await {
        Ok(body) => one_line(&body),
        Err((status, told)) => return reply::plain(status, &told),
    };
    match messages.send_timeout(line, within).await {
        Ok(()) => (StatusCode::ACCEPTED, "Accepted").into_response(),
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
            reply::full(None, "messages that this stream has not read", WAITING)
        }
        Err(mpsc::error::SendTimeoutError::Closed(_)) => {
            reply::plain(StatusCode::NOT_FOUND, "the stream is closed; open one at /sse")
        }
    }
}

/// A message as a line: between the parts of JSON a break is a blank.
fn one_line(body: &[u8]) -> Vec<u8> {
    let flat = body.iter().map(|it| if matches!(it, b'\n' | b'\r') { b' ' } else { *it });
    flat.chain([b'\n']).collect()
}
