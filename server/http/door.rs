//! `/mcp`: what a request must be before the protocol's library sees it, and what is kept of it
//! until its answer has left.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use callboard_config::Limits;
use callboard_config::http::Scope;
use callboard_trace::Caller;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Collected, Full as Whole};
use rmcp::ServerHandler;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, GetMeta, JsonRpcMessage,
    JsonRpcRequest, RequestId,
};
use rmcp::transport::StreamableHttpService;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::body::{Answering, Leaving, read};
use super::claims::Denied;
use super::era::{Eras, Reserved};
use super::listening::Listening;
use super::room::{Full, Place};
use super::session::{HEADER, Sessions, Visit, Visitor};
use super::{House, reply};
use crate::changes::Changes;
use crate::host::{HTTP, Server};
use crate::line::{Frame, Read, Refused};
use crate::open::{Asked, Open};
use crate::who::Principal;

/// The way in.
pub(crate) struct Door<H> {
    pub(crate) house: Arc<House>,
    pub(crate) mcp: StreamableHttpService<H, Eras>,
    pub(crate) eras: Arc<Eras>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) ending: CancellationToken,
}

/// What the library answers.
type Boxed = BoxBody<Bytes, std::convert::Infallible>;

/// The header that says which version of the protocol a request is of.
const VERSION: &str = "mcp-protocol-version";
/// What both kinds of answers are.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// What a request is told that is of no session and does not speak for itself.
const NO_SESSION: &str = "there is no session: send `initialize` with protocolVersion, capabilities \
and clientInfo first and its Mcp-Session-Id with every request; or speak 2026-07-28, which needs none: \
the headers MCP-Protocol-Version and Mcp-Method, and the version in _meta";

/// What was let in, and what it holds until it is answered.
struct Admitted {
    id: Option<RequestId>,
    answering: Option<Answering>,
    place: Option<Place>,
    visitor: Option<Visitor>,
    reserved: Option<Reserved>,
    /// Since when it listens, if that is what it wants.
    listens: Option<Instant>,
}

impl Admitted {
    fn with(place: Option<Place>) -> Admitted {
        Admitted { id: None, answering: None, place, visitor: None, reserved: None, listens: None }
    }
}

/// Takes a request of any method.
pub(crate) async fn enter<H: ServerHandler>(
    State(door): State<Arc<Door<H>>>,
    request: Request<Body>,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(principal) = parts.extensions.get::<Principal>().cloned() else {
        return reply::plain(StatusCode::UNAUTHORIZED, "nobody was let in");
    };
    let visit = door.sessions.enter(&mut parts.headers, &principal.name);
    accepts_all(&mut parts.headers);
    copied(&mut parts);
    let taken = match parts.method {
        Method::POST => door.post(&mut parts, body, &principal, visit.as_ref()).await,
        Method::GET => {
            let taken = door.stream(visit.as_ref(), &principal.name).await;
            taken.map_err(|(what, most)| Box::new(reply::full(None, what, most)))
        }
        Method::DELETE if visit.is_none() && parts.headers.contains_key(HEADER) => {
            let told = "there is no such session, or it is over";
            Err(Box::new(reply::plain(StatusCode::NOT_FOUND, told)))
        }
        _ => Ok((Bytes::new(), Admitted::with(None))),
    };
    let (body, admitted) = match taken {
        Ok(taken) => taken,
        Err(response) => {
            tracing::info!(principal = %principal.name, status = %response.status(), "turned away");
            return *response;
        }
    };
    let ends = parts.method == Method::DELETE;
    let mut response = door.mcp.handle(Request::from_parts(parts, Whole::new(body))).await;
    if ends && response.status() == StatusCode::ACCEPTED {
        // The session is over already; some clients take "accepted" for a failure.
        *response.status_mut() = StatusCode::OK;
    }
    let response = match &admitted.id {
        Some(id) => in_form(response, id).await,
        None => response,
    };
    let response = match (&admitted.id, admitted.listens) {
        (Some(id), Some(since)) => door.listening(response, id, since, &principal).await,
        _ => response.map(Body::new),
    };
    door.leave(response, admitted, visit, &principal)
}

impl<H: ServerHandler> Door<H> {
    fn limits(&self) -> Limits {
        self.house.shared.desk.team().limits.clone()
    }

    /// Takes somebody in who only listens.
    async fn stream(&self, visit: Option<&Visit>, whose: &str) -> Result<(Bytes, Admitted), Full> {
        let place = self.house.room.stream(whose)?;
        let reserved = if visit.is_some() { self.eras.reserve(visit, whose).await? } else { None };
        Ok((Bytes::new(), Admitted { reserved, ..Admitted::with(Some(place)) }))
    }

    async fn post(
        &self,
        parts: &mut Parts,
        body: Body,
        principal: &Principal,
        visit: Option<&Visit>,
    ) -> Result<(Bytes, Admitted), Box<Response>> {
        if let Some(told) = unreadable(&parts.headers) {
            return Err(Box::new(reply::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, told)));
        }
        if parts.headers.get_all(VERSION).iter().nth(1).is_some() {
            let told = format!("there is more than one {VERSION} header");
            return Err(Box::new(reply::plain(StatusCode::BAD_REQUEST, &told)));
        }
        let limits = self.limits();
        let within = Duration::from_secs(limits.body_s.max(1));
        let body = read(body, limits.line_bytes, within).await.map_err(|(status, message)| {
            refused(status, &Refused { id: None, code: ErrorCode::INVALID_REQUEST, message })
        })?;
        let message = match Frame::whole(&body).read(&limits) {
            Read::Message(message) => *message,
            Read::Refused(bad) => {
                return Err(refused(StatusCode::BAD_REQUEST, &bad));
            }
            Read::Nothing => {
                let message = "the body holds no message that can be read".to_owned();
                let bad = Refused { id: None, code: ErrorCode::PARSE_ERROR, message };
                return Err(refused(StatusCode::BAD_REQUEST, &bad));
            }
        };
        let admitted = self.admit(&message, parts, principal, visit, &limits).await?;
        // The library reads once more. What it reads is what was looked at here, and not another
        // reading of the same bytes.
        let body = serde_json::to_vec(&message).map_err(|error| {
            let message = format!("the message cannot be passed on: {error}");
            let bad = Refused { id: None, code: ErrorCode::INVALID_REQUEST, message };
            refused(StatusCode::BAD_REQUEST, &bad)
        })?;
        Ok((body.into(), admitted))
    }

    async fn admit(
        &self,
        message: &ClientJsonRpcMessage,
        parts: &mut Parts,
        principal: &Principal,
        visit: Option<&Visit>,
        limits: &Limits,
    ) -> Result<Admitted, Box<Response>> {
        let request = match message {
            JsonRpcMessage::Request(request) => request,
            JsonRpcMessage::Notification(it) => {
                if let (ClientNotification::CancelledNotification(it), Some(visit)) =
                    (&it.notification, visit)
                    && let Some(id) = &it.params.request_id
                {
                    self.sessions.open(&visit.session).give_up(id, it.params.reason.as_deref());
                }
                return Ok(Admitted::with(None));
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                return Ok(Admitted::with(None));
            }
        };
        let id = request.id.clone();
        self.scope(&request.request, principal)?;
        let full = |(what, most)| Box::new(reply::full(Some(id.clone()), what, most));
        let stays = matches!(request.request, ClientRequest::SubscriptionsListenRequest(_));
        let place = if stays {
            self.house.room.stream(&principal.name)
        } else {
            self.house.room.call(&principal.name)
        };
        let place = place.map_err(full)?;
        let visitor = visitor(&request.request).filter(|_| visit.is_none());
        let opens = visitor.is_some() || visit.is_some();
        let reserved = if opens {
            self.eras.reserve(visit, &principal.name).await.map_err(full)?
        } else {
            None
        };
        let (open, asked) = self.ask(request, visit, limits)?;
        parts.extensions.insert(asked.clone());
        let answering = Some(Answering::new(open, asked));
        let listens = stays.then(Instant::now);
        let place = Some(place);
        Ok(Admitted { id: Some(id), answering, place, visitor, reserved, listens })
    }

    /// Whether the caller may ask for this at all. What it may not is an error of HTTP, so that its
    /// client can ask for a token that may.
    fn scope(&self, request: &ClientRequest, principal: &Principal) -> Result<(), Box<Response>> {
        let acts = matches!(
            request,
            ClientRequest::UpdateTaskRequest(_) | ClientRequest::CancelTaskRequest(_)
        );
        let needed = if let ClientRequest::CallToolRequest(it) = request {
            self.house.shared.needs(&it.params.name)
        } else if acts {
            Scope::Run
        } else {
            Scope::Read
        };
        if principal.scope >= needed {
            return Ok(());
        }
        Err(Box::new(self.house.denied(&Denied::Scope(needed))))
    }

    /// Takes a request in: one that goes on in a session, or one that stands for itself.
    fn ask(
        &self,
        request: &JsonRpcRequest<ClientRequest>,
        visit: Option<&Visit>,
        limits: &Limits,
    ) -> Result<(Arc<Open>, Asked), Box<Response>> {
        let id = &request.id;
        let open = visit.map_or_else(Arc::default, |it| self.sessions.open(&it.session));
        if open.is_full(limits.in_flight) {
            let what = "requests of one session that wait for their answer";
            return Err(Box::new(reply::full(Some(id.clone()), what, limits.in_flight)));
        }
        let progress = request.request.get_meta().get_progress_token();
        let asked = open.add(id.clone(), progress).ok_or_else(|| twice(id))?;
        Ok((open, asked))
    }

    /// An answer that goes on until the end, where the library said that it listens.
    async fn listening(
        &self,
        response: http::Response<Boxed>,
        id: &RequestId,
        since: Instant,
        principal: &Principal,
    ) -> Response {
        let (parts, body) = response.into_parts();
        let said = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        let shared = &self.house.shared;
        let [client, version] = [String::new(), String::new()];
        let (principal, transport) = (principal.name.clone(), HTTP.to_owned());
        let listening = Listening {
            id: id.clone(),
            changes: Changes::new(&shared.desk, &shared.shown, Arc::default()),
            caller: Caller { principal, client, version, transport },
            since,
            ending: self.ending.clone(),
        };
        let body = listening.body(&said).unwrap_or_else(|| Body::from(said));
        Response::from_parts(parts, body)
    }

    /// Sends an answer on its way.
    fn leave(
        &self,
        response: Response,
        admitted: Admitted,
        visit: Option<Visit>,
        principal: &Principal,
    ) -> Response {
        let (mut parts, body) = response.into_parts();
        if let (Some(session), Some(visitor)) = (parts.headers.get(HEADER), &admitted.visitor) {
            let session = session.to_str().unwrap_or_default();
            let named = self.sessions.named(session, visitor, &principal.name);
            if let Some(named) = named {
                parts.headers.insert(HEADER, named);
            }
        }
        // The session is there, or never will be.
        drop(admitted.reserved);
        let held = (admitted.place, visit);
        let body = Leaving::new(body, admitted.answering, held);
        Response::from_parts(parts, Body::new(body))
    }
}

/// What the library says in plain words, in the form of the protocol: every request has an answer
/// that its client can tell from others.
async fn in_form(response: http::Response<Boxed>, id: &RequestId) -> http::Response<Boxed> {
    let status = response.status();
    let is_plain = !response.headers().contains_key(header::CONTENT_TYPE);
    if !is_plain || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let mut message = String::from_utf8_lossy(&said).into_owned();
    if message.contains("Session ID is required") {
        message = NO_SESSION.to_owned();
    }
    let code = if status.is_client_error() {
        ErrorCode::INVALID_REQUEST
    } else {
        ErrorCode::INTERNAL_ERROR
    };
    let line = Refused { id: Some(id.clone()), code, message }.line();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    http::Response::from_parts(parts, Whole::new(line.into()).boxed())
}

fn visitor(request: &ClientRequest) -> Option<Visitor> {
    let ClientRequest::InitializeRequest(it) = request else { return None };
    Some(Visitor::of(&it.params))
}

fn refused(status: StatusCode, what: &Refused) -> Box<Response> {
    Box::new(reply::refused(status, what))
}

fn twice(id: &RequestId) -> Box<Response> {
    let message = format!("the id {id} belongs to a request that is not answered yet");
    let bad = Refused { id: Some(id.clone()), code: ErrorCode::INVALID_REQUEST, message };
    refused(StatusCode::BAD_REQUEST, &bad)
}

/// Why a body of this kind is not read.
fn unreadable(headers: &HeaderMap) -> Option<&'static str> {
    if !is_json(headers) {
        return Some("the Content-Type must be application/json");
    }
    // What is small here may be endless once it is opened.
    let coded = headers.get_all(header::CONTENT_ENCODING).iter().any(|it| it != "identity");
    coded.then_some("no Content-Encoding is taken; send the body as it is")
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.and_then(|it| it.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Whoever takes anything takes both kinds of answers; `curl` says so.
fn accepts_all(headers: &mut HeaderMap) {
    let takes_any = match headers.get(header::ACCEPT) {
        None => true,
        Some(it) => it.to_str().is_ok_and(|it| it.split(',').any(|it| it.trim() == "*/*")),
    };
    if takes_any {
        headers.insert(header::ACCEPT, ACCEPTED);
    }
}

/// Lets go of the buffer that the head was read into: it would be held for as long as the answer
/// takes, and that of a stream takes long.
fn copied(parts: &mut Parts) {
    parts.uri = Uri::from_static("/mcp");
    for value in parts.headers.values_mut() {
        // It was a value before.
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = copy;
        }
    }
}

/// Where the handler of one connection or request comes from.
pub(crate) type Dress<H> = Arc<dyn Fn(Server) -> H + Send + Sync>;
