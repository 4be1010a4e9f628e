//! The line to one tool server: opened when it is wanted, shared by all runs, opened again after
//! a crash with growing pauses, closed when nobody used it for long.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callboard_config::servers::ToolServer;
use rmcp::RoleClient;
use rmcp::model::CancelTaskParams;
use rmcp::service::Peer;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::child::Words;
use super::connection::{Connection, Us, connect};
use super::listing::Held;
use crate::model::backoff;
use crate::toolbox::kept::Keeper;

/// A line nobody used for so long is closed.
const IDLE: Duration = Duration::from_secs(600);
/// A line that held so long is no longer held to be failing.
const STEADY: Duration = Duration::from_secs(60);
/// Longest pause after a failure that a caller waits out; before the end of a longer one it is told.
const PATIENCE: Duration = Duration::from_secs(3);
/// Calls in a row without an answer after which a server is held to hang.
const SILENT_MAX: u32 = 2;
/// Longest wait for a server to hear that nobody waits for its task.
const CANCEL: Duration = Duration::from_secs(5);
/// Most who wait for one server at once.
const WAITING_MAX: usize = 256;

/// Who wants to use the server, and the trace context of the step.
struct Want(String, oneshot::Sender<Result<Loan, String>>);

/// The right to use an open line; while it is held, the line does not count as idle.
#[derive(Clone)]
pub(super) struct Loan {
    pub(super) peer: Peer<RoleClient>,
    words: Arc<Words>,
    seen: Arc<Seen>,
}

/// What is known of the tools of an open line.
struct Seen {
    /// How often the server said that they are others now.
    news: Us,
    /// What they are, and the news that were known before they were asked for.
    tools: Mutex<Option<(u32, Arc<Held>)>>,
    /// Takes the tasks that nobody waits for any more.
    left: mpsc::Sender<String>,
}

/// A task at the server; it is cancelled there when this goes, unless it is settled.
pub(super) struct OpenTask {
    task: Option<String>,
    left: mpsc::Sender<String>,
}

impl OpenTask {
    /// It is over, or goes on for good reason.
    pub(super) fn settle(&mut self) {
        self.task = None;
    }
}

impl Drop for OpenTask {
    fn drop(&mut self) {
        // Where too many were left, they end by themselves.
        let _ = self.task.take().map(|it| self.left.try_send(it));
    }
}

impl Loan {
    /// Sees to the end of a task that nobody waits for any more.
    pub(super) fn cancels_task(&self, task: String) -> OpenTask {
        OpenTask { task: Some(task), left: self.seen.left.clone() }
    }

    /// What is to be handed to `looked` when the tools are known that are asked for now.
    pub(super) fn begin_look(&self) -> u32 {
        self.seen.news.count()
    }

    /// The tools are these.
    pub(super) fn looked(&self, seen: u32, held: &Arc<Held>) {
        let mut tools = self.seen.tools.lock().unwrap_or_else(PoisonError::into_inner);
        *tools = Some((seen, held.clone()));
    }

    /// The tools, unless nobody asked for them yet or the server changed them since.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        let tools = self.seen.tools.lock().unwrap_or_else(PoisonError::into_inner);
        tools.as_ref().filter(|it| it.0 == self.seen.news.count()).map(|it| it.1.clone())
    }

    /// Whether the server went away.
    pub(super) fn is_lost(&self) -> bool {
        self.peer.is_transport_closed()
    }

    /// The last that the server said to people.
    pub(super) fn last_words(&self) -> String {
        self.words.last()
    }
}

/// A random number.
pub(super) type Chance = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The line to one server.
pub(super) struct Line {
    server: ToolServer,
    keeper: Option<Keeper>,
    chance: Chance,
    open: Mutex<Option<Desk>>,
    /// Calls in a row that met their deadline.
    silent: AtomicU32,
}

/// The task that owns the connection, and the way to it.
struct Desk {
    wants: mpsc::Sender<Want>,
    _task: JoinSet<()>,
}

impl Line {
    pub(super) fn new(server: ToolServer, keeper: Option<Keeper>, chance: Chance) -> Line {
        Line { server, keeper, chance, open: Mutex::default(), silent: AtomicU32::new(0) }
    }

    /// Says something about the server, by its name.
    pub(super) fn told(&self, what: &str) -> String {
        format!("tool server `{}` {what}", self.server.name)
    }

    /// An open line, which may have to be opened first.
    pub(super) async fn borrow(&self, traceparent: &str) -> Result<Loan, String> {
        let (reply, answer) = oneshot::channel();
        let wants = self.wants();
        let sent = wants.try_send(Want(traceparent.to_owned(), reply));
        if sent.is_err() {
            return Err(self.told("is not served here now: too many wait for it, or it was closed"));
        }
        let lost = || Err(self.told("was closed"));
        answer.await.unwrap_or_else(|_| lost())
    }

    /// Whether a call was answered in time. A server that is silent again and again hangs, and is
    /// started anew for the next one who wants it.
    pub(super) fn answered(&self, in_time: bool) {
        let before = self.silent.fetch_add(1, Ordering::Relaxed);
        if in_time || before + 1 >= SILENT_MAX {
            self.silent.store(0, Ordering::Relaxed);
        }
        if !in_time && before + 1 >= SILENT_MAX {
            self.close();
        }
    }

    /// Closes the line; it opens again when it is wanted.
    pub(super) fn close(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn wants(&self) -> mpsc::Sender<Want> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = open.get_or_insert_with(|| {
            let (wants, wanted) = mpsc::channel(WAITING_MAX);
            let mut task = JoinSet::new();
            task.spawn(hold(self.server.clone(), self.keeper.clone(), self.chance.clone(), wanted));
            Desk { wants, _task: task }
        });
        desk.wants.clone()
    }
}

/// Opens the line whenever somebody wants it, and lends it until it ends.
async fn hold(
    server: ToolServer,
    keeper: Option<Keeper>,
    chance: Chance,
    mut wants: mpsc::Receiver<Want>,
) {
    let (mut failures, mut is_old, mut not_before) = (0, false, Instant::now());
    while let Some(first) = wants.recv().await {
        let pause = not_before.saturating_duration_since(Instant::now());
        if pause > PATIENCE {
            let why = format!("it failed {failures} times in a row, and rests");
            refuse(&server, first, &mut wants, &why);
            continue;
        }
        tokio::time::sleep(pause).await;
        match connect(&server, keeper.as_ref(), &first.0, &mut is_old).await {
            Ok(connection) => {
                let since = Instant::now();
                let is_lost = lend(connection, first, &mut wants).await;
                let was_steady = since.elapsed() > STEADY;
                failures = if is_lost && !was_steady { failures + 1 } else { u32::from(is_lost) };
            }
            Err(why) => {
                failures += 1;
                tracing::debug!(server = server.name, why, "a tool server did not come up");
                refuse(&server, first, &mut wants, &why);
            }
        }
        if failures > 0 {
            not_before = Instant::now() + backoff(failures, chance());
        }
    }
}

/// Tells everybody who waits that the server is not there.
fn refuse(server: &ToolServer, first: Want, wants: &mut mpsc::Receiver<Want>, why: &str) {
    let why = format!("tool server `{}` is not there: {why}", server.name);
    let waiting = std::iter::from_fn(|| wants.try_recv().ok());
    for Want(_, reply) in std::iter::once(first).chain(waiting) {
        // Who gave up waiting needs no answer.
        let _ = reply.send(Err(why.clone()));
    }
}

async fn cancel(peer: Peer<RoleClient>, task: String) {
    let told = peer.cancel_task(CancelTaskParams::new(task));
    if !matches!(timeout(CANCEL, told).await, Ok(Ok(()))) {
        tracing::debug!("a tool server did not hear that nobody waits for its task");
    }
}

/// Lends an open line to everybody who wants it; whether it was lost, other than left idle.
async fn lend(connection: Connection, first: Want, wants: &mut mpsc::Receiver<Want>) -> bool {
    let Connection { service, mut program } = connection;
    let words = program.as_ref().map(|it| it.words.clone()).unwrap_or_default();
    let (left, mut tasks) = mpsc::channel(WAITING_MAX);
    let mut cancels = JoinSet::new();
    let seen = Seen { news: service.service().clone(), tools: Mutex::default(), left };
    let seen = Arc::new(seen);
    let peer = service.peer().clone();
    let give = |Want(_, reply): Want| {
        let loan = Loan { peer: peer.clone(), words: words.clone(), seen: seen.clone() };
        let _ = reply.send(Ok(loan));
    };
    give(first);
    let is_lost = {
        let mut ended = std::pin::pin!(service.waiting());
        loop {
            tokio::select! {
                _ = &mut ended => break true,
                want = wants.recv() => match want {
                    Some(want) => give(want),
                    None => break false,
                },
                Some(task) = tasks.recv() => {
                    while cancels.try_join_next().is_some() {}
                    cancels.spawn(cancel(peer.clone(), task));
                }
                () = tokio::time::sleep(IDLE) => {
                    if Arc::strong_count(&seen) == 1 {
                        break false;
                    }
                }
            }
        }
    };
    // The end of its input asks the program to go, and its keeper sees to it.
    if let Some(program) = &mut program {
        program.gone().await;
    }
    is_lost
}
