//! Tells a waiting client how its run gets on. Runs beside the call: a client that does not read
//! holds up nothing but its own news, and hears the newest when it reads again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use callboard_scheduler::Desk;
use callboard_trace::{Caller, RunId, progress_line};
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::Peer;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Longest silence: clients that count it give a call up after a while.
const SILENCE: Duration = Duration::from_secs(8);
/// Shortest time between two lines.
const PAUSE: Duration = Duration::from_millis(300);

/// Whom to tell, and about which run.
pub(crate) struct Progress {
    /// The desk that knows.
    pub(crate) desk: Desk,
    /// Whose run it is.
    pub(crate) caller: Caller,
    /// Names the run as soon as it is known.
    pub(crate) named: watch::Receiver<Option<RunId>>,
    /// The client.
    pub(crate) peer: Peer<RoleServer>,
    /// The client's mark for this call.
    pub(crate) token: ProgressToken,
    /// How often it was told of this call; the number never falls.
    pub(crate) n_told: Arc<AtomicU64>,
}

impl Progress {
    /// Tells a line at every change, and at least every eight seconds, until it is stopped.
    pub(crate) async fn tell(mut self) {
        let Some(run) = self.run().await else { return };
        while let Ok(view) = self.desk.view(&run, &self.caller).await {
            let line = progress_line(&view);
            let n_told = self.n_told.fetch_add(1, Ordering::Relaxed) + 1;
            let news = ProgressNotificationParam::new(self.token.clone(), n_told as f64);
            if self.peer.notify_progress(news.with_message(line.clone())).await.is_err() {
                return;
            }
            self.until_news(&run, &line).await;
        }
    }

    async fn run(&mut self) -> Option<RunId> {
        self.named.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Returns when there is another line to tell, or the silence has lasted long enough.
    async fn until_news(&self, run: &RunId, last: &str) {
        let news = async {
            loop {
                sleep(PAUSE).await;
                // Listens before it looks, so that what happened during the pause is news at once.
                let changed = self.desk.changed();
                match self.desk.view(run, &self.caller).await {
                    Ok(view) if progress_line(&view) == last => changed.await,
                    Ok(_) | Err(_) => return,
                }
            }
        };
        // That it was silent is news too.
        let _ = timeout(SILENCE, news).await;
    }
}
