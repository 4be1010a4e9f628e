//! The team over HTTP: who may come in, what a request must be, and how long it may take. What is
//! let in is answered by the same server as on stdin and stdout.

mod access;
mod body;
mod claims;
pub(crate) mod door;
mod era;
mod guard;
mod jwks;
mod listen;
mod listening;
mod oauth;
mod older;
mod reply;
mod room;
mod session;
mod stall;
mod tokens;

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod jwks_tests;
#[cfg(test)]
mod login;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use callboard_config::Team;
use callboard_config::http::Scope;
use callboard_scheduler::Desk;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use rmcp::ServerHandler;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use access::{Access, Gate};
use claims::Denied;
use door::{Door, Dress};
use era::Eras;
use guard::Guard;
use older::Older;
use room::Room;
use session::{Introductions, Sessions};

use crate::host::{HTTP, Server};
use crate::shared::Shared;
use crate::who::Principal;

/// How long calls have for their answers when the server ends; less than the sockets have.
const DRAIN: Duration = Duration::from_millis(500);
/// Between two looks for calls that are not answered yet.
const LOOK: Duration = Duration::from_millis(50);
/// When an issuer that could not be asked may be there again, seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("30");
/// Where the document about tokens stands.
const METADATA: &str = "/.well-known/oauth-protected-resource";

/// How the team is served over HTTP.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpOptions {
    /// Also serves `/sse` and `/messages`, the transport of 2024-11-05.
    pub sse: bool,
}

/// What all routes share.
pub(crate) struct House {
    pub(crate) shared: Shared,
    /// For the calls and the streams of every route.
    pub(crate) room: Room,
    gate: Gate,
    own: SocketAddr,
    /// Whether nobody may come in without a token: so where others can reach us, and for good where
    /// tokens were asked for once. A file that is half written opens no door.
    is_closed: AtomicBool,
}

/// Serves the team at `/mcp` until `ending` fires. `dress` makes the handler of a connection out of
/// the team's own server; the product hands it back as it is.
///
/// # Errors
/// When the listener has no address, or may not be used without tokens.
pub async fn serve_http<H: ServerHandler>(
    listener: TcpListener,
    desk: Desk,
    options: HttpOptions,
    ending: CancellationToken,
    dress: impl Fn(Server) -> H + Send + Sync + 'static,
) -> std::io::Result<()> {
    let own = listener.local_addr()?;
    let shared = Shared::new(desk).await?;
    if let Some(told) = open_to_all(own, &shared.desk.team()) {
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, told));
    }
    serve(listener, shared, options, (ending.clone(), ending), dress).await;
    Ok(())
}

/// Why the team is not served here, if strangers could give it work.
pub(crate) fn open_to_all(own: SocketAddr, team: &Team) -> Option<String> {
    (!own.ip().is_loopback() && Access::is_open(team))
        .then(|| format!("{own} can be reached by others, and this team asks nobody for a token"))
}

/// As [`serve_http`], where that was looked at. Once `leaving` fires nobody else comes in, and as soon
/// as the last call is answered, or `ending` fires, it is over.
pub(crate) async fn serve<H: ServerHandler>(
    listener: TcpListener,
    shared: Shared,
    options: HttpOptions,
    (leaving, ending): (CancellationToken, CancellationToken),
    dress: impl Fn(Server) -> H + Send + Sync + 'static,
) {
    let own = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
    let limits = shared.desk.team().limits.clone();
    let gate = Gate::new(shared.desk.team());
    let is_closed = AtomicBool::new(!own.ip().is_loopback());
    let house = Arc::new(House { room: Room::new(&limits), shared, gate, own, is_closed });
    house.access();
    let dress: Dress<H> = Arc::new(dress);
    let closing = CancellationToken::new();
    let app = router(&house, dress, options, (&ending, &closing));
    let _closed = closing.clone().drop_guard();
    tokio::select! {
        () = listen::listen(listener, app, &limits, (leaving.clone(), ending.clone())) => {}
        () = close_later(&ending, &closing) => {}
        () = end_when_idle(&house.room, &leaving, &ending) => {}
    }
}

/// Who only listens does not keep a server that is to go.
async fn end_when_idle(room: &Room, leaving: &CancellationToken, ending: &CancellationToken) {
    leaving.cancelled().await;
    while room.is_in_call() {
        sleep(LOOK).await;
    }
    ending.cancel();
    std::future::pending().await
}

/// The library cuts off whatever is open once it is told of the end; calls are answered before.
async fn close_later(ending: &CancellationToken, closing: &CancellationToken) {
    ending.cancelled().await;
    sleep(DRAIN).await;
    closing.cancel();
    std::future::pending().await
}

fn router<H: ServerHandler>(
    house: &Arc<House>,
    dress: Dress<H>,
    options: HttpOptions,
    (ending, closing): (&CancellationToken, &CancellationToken),
) -> Router {
    // Whatever stands before us may serve us under another path.
    let metadata = format!("{METADATA}/{{*path}}");
    let mut app = Router::new().route("/mcp", any(door::enter::<H>)).with_state(door(
        house,
        dress.clone(),
        (ending, closing),
    ));
    if options.sse {
        let older = Older {
            house: house.clone(),
            dress,
            ending: ending.clone(),
            streams: Mutex::default(),
        };
        let older = Router::new()
            .route("/sse", get(older::open::<H>))
            .route("/messages", post(older::message::<H>))
            .with_state(Arc::new(older));
        app = app.merge(older);
    }
    let told = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route(METADATA, get(tokens))
        .route(&metadata, get(tokens))
        .with_state(house.clone());
    app.merge(told)
        .fallback(async || {
            let told = "there is nothing here; /mcp is the team, and /sse with `serve --sse`";
            reply::plain(StatusCode::NOT_FOUND, told)
        })
        .layer(from_fn_with_state(house.clone(), guarded))
}

fn door<H: ServerHandler>(
    house: &Arc<House>,
    dress: Dress<H>,
    (ending, closing): (&CancellationToken, &CancellationToken),
) -> Arc<Door<H>> {
    let limits = house.shared.desk.team().limits.clone();
    let sessions = Arc::new(Sessions::new(house.shared.seals.clone()));
    let mut local = LocalSessionManager::default();
    local.session_config.keep_alive = Some(Duration::from_secs(limits.session_idle_s.max(1)));
    let eras = Arc::new(Eras::new(local, limits.sessions, sessions.clone()));
    let mut config = StreamableHttpServerConfig::default()
        // What is primed is decided by the era; hosts and origins are looked at on every route.
        .with_sse_retry(None)
        .disable_allowed_hosts()
        .with_max_request_body_bytes(limits.line_bytes)
        .with_cancellation_token(closing.child_token());
    config.session_store = Some(Arc::new(Introductions(sessions.clone())));
    let last = ending.clone();
    let (shared, ending) = (house.shared.clone(), ending.clone());
    let handler = move || Ok(dress(Server::new(shared.clone(), ending.child_token(), HTTP)));
    let mcp = StreamableHttpService::new(handler, eras.clone(), config);
    Arc::new(Door { ending: last, house: house.clone(), mcp, eras, sessions })
}

impl House {
    fn denied(&self, denied: &Denied) -> Response {
        let challenge = self.access().challenge(denied);
        let mut response =
            reply::challenged(denied.status(), &denied.to_string(), challenge.as_deref());
        if denied.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
        }
        response
    }

    fn access(&self) -> Arc<Access> {
        let access = self.gate.now(&self.shared.desk.team());
        self.is_closed.fetch_or(!Access::is_open(access.team()), Ordering::Relaxed);
        access
    }

    /// Who sends this.
    async fn admit(&self, headers: &HeaderMap) -> Result<Principal, Denied> {
        let access = self.access();
        if Access::is_open(access.team()) && self.is_closed.load(Ordering::Relaxed) {
            return Err(Denied::NoToken);
        }
        let principal = access.admit(headers).await?;
        // Whoever may do everything does it as the owner.
        Ok(if principal.scope == Scope::Admin { Principal::local() } else { principal })
    }
}

/// Before every route: from where, then who.
async fn guarded(
    State(house): State<Arc<House>>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let team = house.shared.desk.team();
    let http = &team.http;
    let guard = Guard::new(&http.allowed_hosts, &http.allowed_origins, house.own.ip());
    if let Some(objection) = guard.objects(request.uri(), request.headers()) {
        tracing::info!(%objection, "turned away");
        return reply::plain(StatusCode::FORBIDDEN, &objection);
    }
    let path = request.uri().path();
    if path != "/healthz" && !path.starts_with(METADATA) {
        match house.admit(request.headers()).await {
            Ok(principal) => request.extensions_mut().insert(principal),
            Err(denied) => {
                tracing::info!(reason = %denied, "turned away");
                return house.denied(&denied);
            }
        };
    }
    // From here on nobody sees the token: no log, no handler, no tool.
    request.headers_mut().remove(header::AUTHORIZATION);
    next.run(request).await
}

/// The document that tells a client where to get a token.
async fn tokens(State(house): State<Arc<House>>) -> Response {
    match house.access().metadata() {
        Some(document) => Json(document).into_response(),
        None => reply::plain(StatusCode::NOT_FOUND, "this team takes no tokens of an OAuth issuer"),
    }
}
