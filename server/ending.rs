//! What ends a process besides the end of its input: a signal, or the death of its client.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How often the parent is looked for.
const LOOK: Duration = Duration::from_millis(300);

/// Fires `ending` when the process is asked to stop, or its parent is gone. Some clients leave a
/// pipe open in another child, so that the input does not end when they do.
pub(crate) async fn watch(ending: CancellationToken) {
    tokio::select! {
        () = asked_to_stop() => tracing::debug!("asked to stop"),
        () = orphaned() => tracing::debug!("the client is gone"),
        () = ending.cancelled() => {}
    }
    ending.cancel();
}

/// Returns when Ctrl-C, a polite termination signal or a hangup arrives.
#[cfg(unix)]
pub(crate) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// Returns when Ctrl-C arrives.
#[cfg(not(unix))]
pub(crate) async fn asked_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn orphaned() {
    let parent = rustix::process::getppid();
    loop {
        tokio::time::sleep(LOOK).await;
        if rustix::process::getppid() != parent {
            return;
        }
    }
}

#[cfg(not(unix))]
async fn orphaned() {
    std::future::pending().await
}
