//! A connection as the protocol's library wants it: messages in and out, and nothing that could
//! hurt it. Bad lines are answered here, and at the end every open request still is.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use callboard_config::Limits;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, GetExtensions, GetMeta,
    JsonRpcMessage, JsonRpcRequest, RequestId, ServerNotification,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::line::{Frame, Framer, Read, Refused};
use crate::open::Open;
use crate::pipe::{Output, Pipe};

/// One connection.
pub(crate) struct Wire {
    input: mpsc::Receiver<Vec<u8>>,
    output: Output,
    framer: Framer,
    frames: VecDeque<Frame>,
    open: Arc<Open>,
    limits: Limits,
    /// Our answer to a bad line, on its way out: nothing is read before it has left.
    owed: Option<Writing>,
    /// The handshake that is not answered yet: what a client sends behind it is read then.
    handshake: Option<RequestId>,
    ending: CancellationToken,
    drained_by: Option<Instant>,
}

type Request = JsonRpcRequest<ClientRequest>;
type Writing = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// How long open requests have for their answers once the connection ends.
const DRAIN: Duration = Duration::from_millis(500);
/// Too many requests are open: our own code, outside the range that JSON-RPC keeps to itself.
pub(crate) const OVER_CAPACITY: ErrorCode = ErrorCode(429);

impl Wire {
    /// A connection that ends with its input, or when `ending` fires; the one makes the other.
    pub(crate) fn new(pipe: Pipe, limits: Limits, ending: CancellationToken) -> Wire {
        Wire {
            input: pipe.input,
            output: pipe.output,
            framer: Framer::new(limits.line_bytes),
            frames: VecDeque::new(),
            open: Arc::default(),
            limits,
            owed: None,
            handshake: None,
            ending,
            drained_by: None,
        }
    }

    /// The message of a line, if it is one that may pass.
    fn admit(&mut self, frame: Frame) -> Option<ClientJsonRpcMessage> {
        let message = match frame.read(&self.limits) {
            Read::Message(message) => *message,
            Read::Nothing => return None,
            Read::Refused(refused) => {
                self.refuse(&refused);
                return None;
            }
        };
        match message {
            JsonRpcMessage::Request(request) => self.request(request).map(JsonRpcMessage::Request),
            JsonRpcMessage::Notification(notification) => {
                let passes = self.passes(&notification.notification);
                passes.then_some(JsonRpcMessage::Notification(notification))
            }
            // The library knows what it asked.
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => Some(message),
        }
    }

    /// Whether a notification concerns anybody: a request that is over cannot be given up.
    fn passes(&self, notification: &ClientNotification) -> bool {
        let ClientNotification::CancelledNotification(it) = notification else { return true };
        let id = it.params.request_id.as_ref();
        id.is_some_and(|id| self.open.give_up(id, it.params.reason.as_deref()))
    }

    fn request(&mut self, mut request: Request) -> Option<Request> {
        let id = request.id.clone();
        let refused = |code, message| Refused { id: Some(id.clone()), code, message };
        if self.open.is_full(self.limits.in_flight) {
            let message = format!(
                "{} requests are open on this connection, the most there may be; \
                 wait for an answer and send this one again",
                self.limits.in_flight
            );
            self.refuse(&refused(OVER_CAPACITY, message));
            return None;
        }
        let progress = request.request.get_meta().get_progress_token();
        let Some(asked) = self.open.add(id.clone(), progress) else {
            let message = format!("the id {id} belongs to a request that is not answered yet");
            self.refuse(&refused(ErrorCode::INVALID_REQUEST, message));
            return None;
        };
        request.request.extensions_mut().insert(asked);
        if matches!(request.request, ClientRequest::InitializeRequest(_)) {
            self.handshake = Some(id);
        }
        Some(request)
    }

    /// Whether a message may still be sent: no progress may follow the answer.
    fn is_awaited(&self, item: &TxJsonRpcMessage<RoleServer>) -> bool {
        let JsonRpcMessage::Notification(item) = item else { return true };
        let ServerNotification::ProgressNotification(it) = &item.notification else { return true };
        self.open.awaits(&it.params.progress_token)
    }

    fn refuse(&mut self, refused: &Refused) {
        self.owed = Some(Box::pin(self.output.write(refused.line())));
    }

    /// Reads on; whether there may be more.
    async fn more(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.ending.cancelled() => false,
            piece = self.input.recv() => match piece {
                Some(piece) => {
                    self.frames.extend(self.framer.push(&piece));
                    true
                }
                None => match self.framer.end() {
                    Some(last) => {
                        self.frames.push_back(last);
                        true
                    }
                    None => false,
                },
            },
        }
    }
}

impl Transport<RoleServer> for Wire {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let answer = answers(&item);
        if answer == self.handshake {
            self.handshake = None;
        }
        let answered = answer.and_then(|id| self.open.answer(&id));
        let is_awaited = self.is_awaited(&item);
        // The line takes its place now: what is sent later, is written later.
        let written = is_awaited
            .then(|| serde_json::to_vec(&item).map(|line| self.output.write(line)))
            .transpose();
        let open = Arc::clone(&self.open);
        async move {
            let sent = match written {
                Ok(Some(written)) => written.await,
                Ok(None) => Ok(()),
                Err(error) => Err(error.into()),
            };
            if let Some((ticket, asked)) = answered {
                if sent.is_ok() {
                    asked.written();
                }
                open.close(ticket);
            }
            sent
        }
    }

    /// Forgets nothing when it is dropped half-way, which happens whenever an answer is ready.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(owed) = &mut self.owed {
                // A client that is gone will be noticed where its input ends.
                let _ = owed.await;
                self.owed = None;
            }
            if let Some(until) = self.drained_by {
                self.open.drained(until).await;
                return None;
            }
            if self.handshake.is_some() {
                self.ending.cancelled().await;
                self.handshake = None;
            }
            if let Some(frame) = self.frames.pop_front() {
                match self.admit(frame) {
                    Some(message) => return Some(message),
                    None => continue,
                }
            }
            if !self.more().await {
                self.ending.cancel();
                self.drained_by = Some(Instant::now() + DRAIN);
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.input.close();
        Ok(())
    }
}

fn answers(item: &TxJsonRpcMessage<RoleServer>) -> Option<RequestId> {
    match item {
        JsonRpcMessage::Response(it) => Some(it.id.clone()),
        JsonRpcMessage::Error(it) => it.id.clone(),
        JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
    }
}
