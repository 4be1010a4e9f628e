//! What is answered over HTTP before the protocol is reached.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use rmcp::model::RequestId;
use serde_json::{Value, json};

use crate::line::Refused;
use crate::veil;
use crate::wire::OVER_CAPACITY;

/// Whoever is turned away may come again after so many seconds.
const AGAIN_S: u64 = 1;

/// An answer in the form of the protocol, under this status.
pub(crate) fn refused(status: StatusCode, refused: &Refused) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, refused.line()).into_response()
}

/// A request that cannot be taken, whatever it was.
pub(crate) fn plain(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({"error": veil::over(message)}))).into_response()
}

/// There is no room: what is full, and when to come again.
pub(crate) fn full(id: Option<RequestId>, what: &str, most: usize) -> Response {
    let data = json!({"retryAfterMs": AGAIN_S * 1_000, "limit": most, "of": what});
    let message = format!("{most} {what} are the most there may be; try again in {AGAIN_S} s");
    let error = json!({"code": OVER_CAPACITY.0, "message": message, "data": data});
    answered(StatusCode::SERVICE_UNAVAILABLE, id, &error, header::RETRY_AFTER, AGAIN_S.into())
}

/// A caller without the right to do this.
pub(crate) fn challenged(status: StatusCode, message: &str, challenge: Option<&str>) -> Response {
    let mut response = plain(status, message);
    if let Some(challenge) = challenge.and_then(|it| HeaderValue::from_str(it).ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn answered(
    status: StatusCode,
    id: Option<RequestId>,
    error: &Value,
    name: HeaderName,
    value: HeaderValue,
) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
    (status, [(name, value)], axum::Json(body)).into_response()
}
