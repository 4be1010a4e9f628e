//! One process, one client: the team over stdin and stdout, until the client leaves.

use std::io;
use std::time::Duration;

use callboard_scheduler::{Desk, Node};
use rmcp::service::serve_directly_with_ct;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::mcp::Server;
use crate::pipe::{Pipe, over_files, over_stream};
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
    /// what is open, gives back what the node holds, and returns, all within about a second.
    /// Answers whether there is something left to do.
    pub(crate) async fn serve(self, node: Node) -> bool {
        let ending = CancellationToken::new();
        let mut watch = JoinSet::new();
        watch.spawn(ending::watch(ending.clone()));
        connection(self.0, node.desk(), ending).await;
        watch.shutdown().await;
        // A journal that does not answer may well hold open runs.
        let is_at_rest = timeout(LAST_LOOK, node.desk().is_at_rest()).await;
        let is_at_rest = is_at_rest.is_ok_and(|it| it.unwrap_or(false));
        if timeout(STOP, node.stop()).await.is_err() {
            tracing::warn!("the node did not stop in time; its leases run out by themselves");
        }
        !is_at_rest
    }
}

/// Serves one client over a stream, until the client hangs up or `ending` fires.
pub async fn serve_stream(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
    desk: Desk,
    ending: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let pipe = over_stream(input, output, &mut tasks);
    connection(pipe, desk, ending).await;
    tasks.shutdown().await;
}

async fn connection(pipe: Pipe, desk: Desk, ending: CancellationToken) {
    let wire = Wire::new(pipe, desk.team().limits.clone(), ending.clone());
    let server = Server::new(desk, ending.clone(), "stdio");
    // The handshake is a request like others: a client may send anything first, or none at all.
    let serving = serve_directly_with_ct(server.clone(), wire, None, CancellationToken::new());
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
