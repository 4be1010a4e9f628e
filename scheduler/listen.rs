//! Who listens to a run, what was delivered, and what ended while nobody listened.

use std::sync::Arc;
use std::time::Duration;

use callboard_store::{RunRow, Unread};
use callboard_trace::{Caller, Event, Fact, RunId};
use tokio::time::Instant;

use crate::desk::Desk;
use crate::house::House;

/// Words are gathered for so long before they are written: many calls share one write.
const GATHER: Duration = Duration::from_millis(10);
/// Runs that a notice names.
const NAMED: usize = 5;
/// So often what is unread is read anew because something was delivered meanwhile.
const READ_AGAIN_MAX: u8 = 4;
/// For so long an unread run is told, in microseconds: seven days.
const TOLD_FOR: i64 = 7 * 86_400 * 1_000_000;

/// A call that is about a run, until its answer is written. Dropping it says that the caller went
/// without the end, if it had waited for it.
pub struct Listening {
    house: Arc<House>,
    run: RunId,
    caller: Caller,
    since: Instant,
    waits: bool,
    is_delivered: bool,
}

impl Listening {
    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The end of the run was written to the caller.
    pub fn delivered(mut self) {
        self.is_delivered = true;
        let caller = &self.caller;
        let to = if caller.client.is_empty() { &caller.principal } else { &caller.client };
        let event = Event::Delivered { to: to.clone(), form: caller.transport.clone() };
        self.house.callers.say(&self.run, Fact::new(caller.principal.as_str(), event));
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let left = (self.waits && !self.is_delivered).then(|| {
            let after_s = (self.since.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
            Fact::new(self.caller.principal.as_str(), Event::CallerLeft { after_s })
        });
        self.house.callers.close(&self.run, self.waits, left);
    }
}

/// Writes down what became of calls, beside them.
pub(crate) async fn write_down(house: Arc<House>) {
    loop {
        tokio::select! {
            biased;
            () = house.stopping.cancelled() => return,
            () = house.callers.said() => (),
        }
        tokio::time::sleep(GATHER).await;
        write_all(&house).await;
    }
}

/// Writes down everything that was said by now.
pub(crate) async fn write_all(house: &House) {
    loop {
        let words = house.callers.take();
        if words.is_empty() {
            return;
        }
        if let Err(error) = house.store.hear(words).await {
            tracing::debug!(%error, "what became of some calls was not kept");
        }
        house.callers.kept();
    }
}

impl Desk {
    /// A call of this process that is about a run; `waits` if it stays open until the end.
    pub fn listen(&self, run: &RunId, caller: &Caller, waits: bool) -> Listening {
        let house = self.house.clone();
        house.callers.open(run, waits);
        Listening {
            house,
            run: run.clone(),
            caller: caller.clone(),
            since: Instant::now(),
            waits,
            is_delivered: false,
        }
    }

    /// What ended while the caller did not listen, a line each, and how many more; not about the
    /// run that the caller is shown anyway. Empty where the journal cannot be read.
    pub async fn notices(&self, caller: &Caller, shown: Option<&str>) -> Vec<String> {
        let (rows, n_all) = self.unread(caller, NAMED).await.unwrap_or_default();
        let others = rows.iter().filter(|it| Some(it.run.as_str()) != shown);
        let line = |it: &RunRow| {
            format!("{} {}, unread", it.run, it.outcome.as_deref().unwrap_or("ended"))
        };
        let mut lines: Vec<String> = others.map(line).collect();
        let n_more = n_all - rows.len() as u64;
        if n_more > 0 {
            let least = if n_all >= Unread::COUNTED { "at least " } else { "" };
            lines
                .push(format!("{least}{n_more} more unread; `team_status` without run lists them"));
        }
        lines
    }

    /// The newest of what ended unread, at most `most`, and how many there are.
    pub(crate) async fn unread(
        &self,
        caller: &Caller,
        most: usize,
    ) -> Result<(Vec<RunRow>, u64), callboard_store::StoreError> {
        let callers = &self.house.callers;
        // Those that are on their way to the caller just now may stand before the others.
        let limit = u32::try_from(most + 1 + callers.n_under_way()).unwrap_or(u32::MAX);
        let since = self.house.world.now() - TOLD_FOR;
        let mut tries = 1..READ_AGAIN_MAX;
        let (mut rows, n_all) = loop {
            let n_kept = callers.n_kept();
            let found = self.house.store.unread(&caller.principal, since, limit).await?;
            let n_found = found.newest.len();
            let mut rows = found.newest;
            rows.retain(|it| !callers.hears(&it.run));
            let n_all = found.n_all.saturating_sub((n_found - rows.len()) as u64);
            if rows.is_empty() || callers.n_kept() == n_kept || tries.next().is_none() {
                break (rows, n_all);
            }
        };
        rows.truncate(most);
        Ok((rows, n_all))
    }
}
