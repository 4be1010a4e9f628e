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
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full as Whole;
use rmcp::ServerHandler;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, GetMeta, JsonRpcMessage,
    JsonRpcRequest, RequestId,
};
use rmcp::transport::StreamableHttpService;

use super::body::{Answering, Leaving, read};
use super::claims::Denied;
use super::era::Eras;
use super::room::{Place, Room};
use super::session::{HEADER, Sessions, Visit, Visitor};
use super::{House, reply};
use crate::host::Server;
use crate::line::{Frame, Read, Refused};
use crate::open::{Asked, Open};
use crate::who::Principal;

/// The way in.
pub(crate) struct Door<H> {
    pub(crate) house: Arc<House>,
    pub(crate) mcp: StreamableHttpService<H, Eras>,
    pub(crate) eras: Arc<Eras>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) room: Room,
}

/// What both kinds of answers are.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// What was let in, and what it holds until it is answered.
struct Admitted {
    answering: Option<Answering>,
    place: Option<Place>,
    visitor: Option<Visitor>,
}

impl Admitted {
    fn with(place: Option<Place>) -> Admitted {
        Admitted { answering: None, place, visitor: None }
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
    let taken = match parts.method {
        Method::POST => door.post(&mut parts, body, &principal, visit.as_ref()).await,
        Method::GET => {
            let place =
                door.room.stream().map_err(|(what, most)| Box::new(reply::full(None, what, most)));
            place.map(|it| (Bytes::new(), Admitted::with(Some(it))))
        }
        _ => Ok((Bytes::new(), Admitted::with(None))),
    };
    let (body, admitted) = match taken {
        Ok(taken) => taken,
        Err(response) => return *response,
    };
    let ends = parts.method == Method::DELETE;
    let mut response = door.mcp.handle(Request::from_parts(parts, Whole::new(body))).await;
    if ends && response.status() == StatusCode::ACCEPTED {
        // The session is over already; some clients take "accepted" for a failure.
        *response.status_mut() = StatusCode::OK;
    }
    door.leave(response, admitted, visit, &principal)
}

impl<H: ServerHandler> Door<H> {
    fn limits(&self) -> Limits {
        self.house.shared.desk.team().limits.clone()
    }

    async fn post(
        &self,
        parts: &mut Parts,
        body: Body,
        principal: &Principal,
        visit: Option<&Visit>,
    ) -> Result<(Bytes, Admitted), Box<Response>> {
        if !is_json(&parts.headers) {
            let told = "the Content-Type must be application/json";
            return Err(Box::new(reply::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, told)));
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
        Ok((body, admitted))
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
        let place = if stays { self.room.stream() } else { self.room.call(&principal.name) };
        let place = place.map_err(full)?;
        let visitor = visitor(&request.request).filter(|_| visit.is_none());
        if visitor.is_some() && self.eras.is_full().await {
            return Err(full(("sessions", limits.sessions)));
        }
        let (open, asked) = self.ask(request, visit, limits)?;
        parts.extensions.insert(asked.clone());
        let answering = Some(Answering::new(open, asked));
        Ok(Admitted { answering, place: Some(place), visitor })
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

    /// Sends an answer on its way.
    fn leave(
        &self,
        response: Response<http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>>,
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
        let held = (admitted.place, visit);
        let body = Leaving::new(Body::new(body), admitted.answering, held);
        Response::from_parts(parts, Body::new(body))
    }
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

/// Where the handler of one connection or request comes from.
pub(crate) type Dress<H> = Arc<dyn Fn(Server) -> H + Send + Sync>;
