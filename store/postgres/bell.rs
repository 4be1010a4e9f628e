//! The bell: tells the other nodes that something was written, and hears them. A hint only: whoever
//! misses one finds what there is at the next look.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::Builder;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, SimpleQueryMessage};

use super::{DEADLINE, Shared, conn};

/// Between two rings: writes in the meantime share one.
const GATHER: Duration = Duration::from_millis(5);
/// After so long in silence the connection is tried.
const QUIET: Duration = Duration::from_secs(3);
/// Between two tries to connect.
const AGAIN: Duration = Duration::from_millis(500);

/// Rings and listens until the store is dropped.
pub(super) fn serve(shared: &Shared, hint: &Arc<Notify>, stop: oneshot::Receiver<()>) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
    let listening = async {
        loop {
            if let Some((client, _drives)) = open(shared, hint).await {
                // Whatever was rung before this was not heard.
                hint.notify_waiters();
                while goes_on(shared, &client).await {}
            }
            sleep(AGAIN).await;
        }
    };
    runtime.block_on(async {
        tokio::select! { () = listening => (), _ = stop => () }
    });
}

async fn open(shared: &Shared, hint: &Arc<Notify>) -> Option<(Client, JoinSet<()>)> {
    let (client, mut driver) = conn::connect(&shared.address).await.ok()?;
    let (hint, own) = (hint.clone(), Arc::new(AtomicI32::new(0)));
    let of_driver = own.clone();
    let mut drives = JoinSet::new();
    drives.spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| driver.poll_message(cx)).await {
            // Who rang here heard itself before.
            if let AsyncMessage::Notification(rung) = message
                && rung.process_id() != of_driver.load(Ordering::Relaxed)
            {
                hint.notify_waiters();
            }
        }
    });
    // What is rung is no work of anybody's: it need not be on a disk.
    let begin = "SET synchronous_commit = off; LISTEN callboard; SELECT pg_backend_pid()";
    let answers = timeout(DEADLINE, client.simple_query(begin)).await.ok()?.ok()?;
    let pid = answers.iter().find_map(|it| match it {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    });
    own.store(pid.unwrap_or_default(), Ordering::Relaxed);
    Some((client, drives))
}

/// Rings once if there is something to tell, else makes sure that the connection lives.
async fn goes_on(shared: &Shared, client: &Client) -> bool {
    let rung = timeout(QUIET, shared.rung.notified()).map(|it| it.is_ok()).await;
    // Never within a transaction of the store: all who notify queue up for one lock until they have
    // committed.
    let sql = if rung { "NOTIFY callboard" } else { "SELECT 1" };
    let done = timeout(DEADLINE, client.batch_execute(sql)).await;
    if rung {
        sleep(GATHER).await;
    }
    done.is_ok_and(|it| it.is_ok())
}
