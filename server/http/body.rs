//! A request's body, within its size and its time; and an answer's, seen to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::open::{Asked, Open, Ticket};

/// Reads a body of at most `most` bytes within `within`.
///
/// # Errors
/// The status to answer, and what is wrong.
pub(crate) async fn read(
    body: Body,
    most: usize,
    within: Duration,
) -> Result<Bytes, (StatusCode, String)> {
    if http_body::Body::size_hint(&body).lower() > most as u64 {
        return Err(too_large(most));
    }
    match timeout(within, Limited::new(body, most).collect()).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Ok(Err(error)) => Err((StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))),
        Err(_) => {
            let told = format!("the body took longer than {} s", within.as_secs());
            Err((StatusCode::REQUEST_TIMEOUT, told))
        }
    }
}

fn too_large(most: usize) -> (StatusCode, String) {
    let told = format!("the body has more than the {most} bytes that are taken");
    (StatusCode::PAYLOAD_TOO_LARGE, told)
}

/// A request that is being answered: it is open until the last byte of its answer has left, or the
/// client has.
pub(crate) struct Answering {
    open: Arc<Open>,
    ticket: Ticket,
    asked: Asked,
}

impl Answering {
    /// A request that was taken in.
    pub(crate) fn new(open: Arc<Open>, asked: Asked) -> Answering {
        Answering { ticket: asked.ticket(), open, asked }
    }

    fn end(self, is_written: bool) {
        if is_written {
            self.asked.written();
        } else {
            self.asked.leave();
        }
        self.open.close(self.ticket);
    }
}

/// An answer on its way, and what is held until it has left.
pub(crate) struct Leaving<H> {
    body: Body,
    answering: Option<Answering>,
    is_over: bool,
    _held: H,
}

impl<H> Leaving<H> {
    /// The body of an answer; `held` is let go with it.
    pub(crate) fn new(body: Body, answering: Option<Answering>, held: H) -> Leaving<H> {
        Leaving { body, answering, is_over: false, _held: held }
    }
}

impl<H: Unpin> http_body::Body for Leaving<H> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.is_over |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<H> Drop for Leaving<H> {
    fn drop(&mut self) {
        let is_written = self.is_over || http_body::Body::is_end_stream(&self.body);
        if let Some(answering) = self.answering.take() {
            answering.end(is_written);
        }
    }
}
