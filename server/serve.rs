//! One client over a pipe of lines, such as stdin and stdout, until it leaves.

use std::io;
use std::time::Duration;

use callboard_config::Limits;
use callboard_scheduler::{Desk, Node};
use rmcp::ServerHandler;
use rmcp::service::serve_directly_with_ct;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::host::{STDIO, Server};
use crate::pipe::{Pipe, over_files, over_stream};
use crate::shared::Shared;
use crate::wire::Wire;
use crate::{ending, stdout};

/// The protocol's own stdin and stdout.
pub(crate) struct Stdio(Pipe);

/// How long a connection may take to end once it was asked to.
const GRACE: Duration = Duration::from_millis(700);
/// How long it may take to see whether something is left to do.
const LAST_LOOK: Duration = Duration::from_millis(300);
/// How long the node may take to give back what it holds; what it does not, its leases do.
const STOP: Duration = Duration::from_millis(900);

impl Stdio {
    /// Takes stdin and stdout for the protocol. Call it before anything else can print.
    ///
    /// # Errors
    /// When one of them is closed.
    pub(crate) fn take() -> io::Result<Stdio> {
        let (input, output) = stdout::take()?;
        Ok(Stdio(over_files(input, output)?))
    }

    /// Serves until the client hangs up or dies, or the process is asked to stop; then answers
    /// what is open and returns, all within about a second.
    pub(crate) async fn serve(self, shared: &Shared, ending: CancellationToken) {
        let mut watch = JoinSet::new();
        watch.spawn(ending::watch(ending.clone()));
        self.serve_beside(shared, ending).await;
        watch.shutdown().await;
    }

    /// Serves until the client hangs up or `ending` fires; somebody else looks after the process.
    pub(crate) async fn serve_beside(self, shared: &Shared, ending: CancellationToken) {
        one(self.0, shared.clone(), ending).await;
    }
}

/// Gives back what the node holds. Answers whether there is something left to do.
pub(crate) async fn leave(node: Node) -> bool {
    // A journal that does not answer may well hold open runs.
    let is_at_rest = timeout(LAST_LOOK, node.desk().is_at_rest()).await;
    let is_at_rest = is_at_rest.is_ok_and(|it| it.unwrap_or(false));
    if timeout(STOP, node.stop()).await.is_err() {
        tracing::warn!("the node did not stop in time; its leases run out by themselves");
    }
    !is_at_rest
}

/// Serves one client over a stream, until the client hangs up or `ending` fires. Serves nobody where
/// the data folder cannot hold a key.
pub async fn serve_stream(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
    desk: Desk,
    ending: CancellationToken,
) {
    let shared = match Shared::new(desk).await {
        Ok(shared) => shared,
        Err(error) => return tracing::error!(%error, "nobody can be served"),
    };
    let mut tasks = JoinSet::new();
    let pipe = over_stream(input, output, &mut tasks);
    one(pipe, shared, ending).await;
    tasks.shutdown().await;
}

/// One client of this machine's user.
async fn one(pipe: Pipe, shared: Shared, ending: CancellationToken) {
    let limits = shared.desk.team().limits.clone();
    let server = Server::new(shared, ending.clone(), STDIO);
    connection(pipe, server.clone(), server, limits, ending).await;
}

/// One client, answered by `handler`; `server` tells it what changes.
pub(crate) async fn connection<H: ServerHandler>(
    pipe: Pipe,
    handler: H,
    server: Server,
    limits: Limits,
    ending: CancellationToken,
) {
    let wire = Wire::new(pipe, limits, ending.clone());
    // The handshake is a request like others: a client may send anything first, or none at all.
    let serving = serve_directly_with_ct(handler, wire, None, CancellationToken::new());
    let mut news = JoinSet::new();
    news.spawn(server.tell_changes(serving.peer().clone()));
    let mut serving = std::pin::pin!(serving.waiting());
    let done = tokio::select! {
        done = &mut serving => Some(done),
        () = ending.cancelled() => timeout(GRACE, serving).await.ok(),
    };
    news.shutdown().await;
    match done {
        Some(Ok(_)) => {}
        Some(Err(error)) => tracing::error!(%error, "the connection broke down"),
        None => tracing::warn!("the connection did not end in time"),
    }
}
