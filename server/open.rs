//! The requests of one connection that are not answered yet.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use callboard_tools::Ear;
use rmcp::model::{ProgressToken, RequestId};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Every open request.
#[derive(Default)]
pub(crate) struct Open {
    requests: Mutex<Requests>,
    n_tickets: AtomicU64,
    closed: Notify,
}

/// Open requests in the order they came; an id may be there twice, the first time answered and not
/// written yet. There are few, so that looking through them all is cheap.
type Requests = Vec<Request>;

/// One open request, whatever becomes of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What becomes of one request: shared by the connection, which reads and writes, and by the call.
#[derive(Clone)]
pub(crate) struct Asked(Arc<Inside>);

struct Inside {
    ticket: Ticket,
    since: Instant,
    /// Why the client gave the request up.
    given_up: OnceLock<String>,
    /// What the call listens to.
    ear: Ear,
    /// Whether the answer is the end of that.
    is_end: AtomicBool,
    /// How often its client was told how it gets on.
    n_told: Arc<AtomicU64>,
}

struct Request {
    ticket: Ticket,
    id: RequestId,
    progress: Option<ProgressToken>,
    asked: Asked,
    is_answered: bool,
}

impl Asked {
    fn new(ticket: Ticket) -> Asked {
        let since = Instant::now();
        let (given_up, ear) = (OnceLock::new(), Ear::default());
        let (is_end, n_told) = (AtomicBool::new(false), Arc::default());
        Asked(Arc::new(Inside { ticket, since, given_up, ear, is_end, n_told }))
    }

    /// Its place among the open requests.
    pub(crate) fn ticket(&self) -> Ticket {
        self.0.ticket
    }

    /// The client went away before its answer.
    pub(crate) fn leave(&self) {
        drop(self.0.ear.take());
    }

    /// Where the call puts what it listens to. If the end of that is never written, its caller went
    /// without it.
    pub(crate) fn ear(&self) -> Ear {
        self.0.ear.clone()
    }

    /// Counts what its client is told of it.
    pub(crate) fn n_told(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.n_told)
    }

    /// The answer is the end of what the call listened to.
    pub(crate) fn is_end(&self) {
        self.0.is_end.store(true, Ordering::Relaxed);
    }

    /// The answer is written.
    pub(crate) fn written(&self) {
        let listening = self.0.ear.take();
        if let Some(listening) = listening.filter(|_| self.0.is_end.load(Ordering::Relaxed)) {
            listening.delivered();
        }
    }

    /// Whether a person asked to stop, other than a client that lost its patience.
    pub(crate) fn by_user(&self) -> bool {
        let stops = ["cancel", "abort", "stop", "interrupt"];
        self.has(|it| it == "user")
            && self.has(|word| stops.iter().any(|it| word.starts_with(it)))
            && !self.timed_out()
    }

    /// Whether the client says that it lost its patience.
    pub(crate) fn timed_out(&self) -> bool {
        self.has(|it| it == "timeout" || it == "timed")
    }

    fn has(&self, word: impl Fn(&str) -> bool) -> bool {
        let reason = self.0.given_up.get().map(|it| it.to_lowercase()).unwrap_or_default();
        reason.split(|it: char| !it.is_alphanumeric()).any(word)
    }

    /// Since the request came in.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.since.elapsed()
    }
}

impl Open {
    /// Whether there are as many as there may be. Answers that the client does not read count too,
    /// but not before there are as many of them again: the last one may just have been written.
    pub(crate) fn is_full(&self, most: usize) -> bool {
        let requests = self.requests();
        requests.len() >= most.saturating_mul(2)
            || requests.iter().filter(|it| !it.is_answered).count() >= most
    }

    fn len(&self) -> usize {
        self.requests().len()
    }

    /// Takes a request in; `None` if one of the same id waits for its answer.
    pub(crate) fn add(&self, id: RequestId, progress: Option<ProgressToken>) -> Option<Asked> {
        let mut requests = self.requests();
        if requests.iter().any(|it| it.id == id && !it.is_answered) {
            return None;
        }
        let ticket = Ticket(self.n_tickets.fetch_add(1, Ordering::Relaxed));
        let asked = Asked::new(ticket);
        let kept = asked.clone();
        requests.push(Request { ticket, id, progress, asked: kept, is_answered: false });
        Some(asked)
    }

    /// The client gives a request up; whether it was waiting for its answer.
    pub(crate) fn give_up(&self, id: &RequestId, reason: Option<&str>) -> bool {
        let mut requests = self.requests();
        let found = requests.iter().position(|it| it.id == *id && !it.is_answered);
        let Some(at) = found else { return false };
        let request = requests.remove(at);
        let _ = request.asked.0.given_up.set(reason.unwrap_or_default().to_owned());
        // At once: the same call may be the next line.
        request.asked.leave();
        self.closed.notify_one();
        true
    }

    /// The answer is on its way: from here on nothing more is said about the request, and its id
    /// is free again. `None` if nobody waits for it.
    pub(crate) fn answer(&self, id: &RequestId) -> Option<(Ticket, Asked)> {
        let mut requests = self.requests();
        let request = requests.iter_mut().find(|it| it.id == *id && !it.is_answered)?;
        request.is_answered = true;
        Some((request.ticket, request.asked.clone()))
    }

    /// The answer is written, or never will be.
    pub(crate) fn close(&self, ticket: Ticket) {
        self.requests().retain(|it| it.ticket != ticket);
        self.closed.notify_one();
    }

    /// Whether progress under this token is still awaited.
    pub(crate) fn awaits(&self, token: &ProgressToken) -> bool {
        self.requests().iter().any(|it| !it.is_answered && it.progress.as_ref() == Some(token))
    }

    /// Returns when every request is answered, or at `until`.
    pub(crate) async fn drained(&self, until: Instant) {
        while self.len() > 0 {
            if timeout_at(until, self.closed.notified()).await.is_err() {
                return;
            }
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_stops_a_run() {
        let by_user = |reason: &str| {
            let open = Open::default();
            let asked = open.add(RequestId::Number(1), None).expect("it is new");
            assert!(open.give_up(&RequestId::Number(1), Some(reason)));
            (asked.by_user(), asked.timed_out())
        };
        for reason in
            ["User requested cancellation", "cancelled by user", "The user aborted a request."]
        {
            assert_eq!(by_user(reason), (true, false), "{reason}");
        }
        for reason in [
            "SdkError: Request timed out",
            "McpError: MCP error -32001: Request timed out",
            "request timeout",
            "user request timed out, cancelled",
        ] {
            assert_eq!(by_user(reason), (false, true), "{reason}");
        }
        for reason in
            ["MCP request cancelled by caller", "AbortError: The operation was aborted.", ""]
        {
            assert_eq!(by_user(reason), (false, false), "{reason}");
        }
    }

    #[test]
    fn a_request_is_open_once_and_hears_no_progress_after_its_answer() {
        let open = Open::default();
        let (id, token) = (RequestId::Number(1), ProgressToken(RequestId::Number(9)));
        assert!(open.add(id.clone(), Some(token.clone())).is_some());
        assert!(open.add(id.clone(), None).is_none());
        assert!(open.awaits(&token));
        let (first, _) = open.answer(&id).expect("somebody waits");
        assert!(!open.awaits(&token));
        assert!(!open.give_up(&id, None), "it is too late");
        assert!(open.add(id.clone(), None).is_some(), "the id is free before the line is written");
        assert_eq!(open.len(), 2);
        open.close(first);
        assert_eq!(open.len(), 1);
        assert!(open.give_up(&id, None));
        assert_eq!(open.len(), 0);
        assert!(open.answer(&id).is_none());
    }

    #[test]
    fn it_is_full_of_calls_that_wait_or_of_answers_that_nobody_reads() {
        let open = Open::default();
        let add = |id: i64| open.add(RequestId::Number(id), None).expect("it is new");
        add(1);
        add(2);
        assert!(open.is_full(2) && !open.is_full(3));
        let unread = [1, 2].map(|id| open.answer(&RequestId::Number(id)).expect("it waits").0);
        assert!(!open.is_full(2));
        add(3);
        assert!(!open.is_full(2));
        open.answer(&RequestId::Number(3));
        add(4);
        assert!(open.is_full(2), "three answers are not read, and one call waits");
        unread.into_iter().for_each(|it| open.close(it));
        assert!(!open.is_full(2));
    }
}
