//! The team as one connection, or one request over HTTP, sees it: who calls, what is shown, what ends.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callboard_config::http::Scope;
use callboard_scheduler::Desk;
use callboard_trace::Caller;
use rmcp::RoleServer;
use rmcp::model::{ErrorCode, ErrorData, Implementation, MetaObject, Tool};
use rmcp::service::{Peer, RequestContext};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::changes::{Changes, Room, Watching};
use crate::era::is_modern;
use crate::open::Asked;
use crate::seal::Seals;
use crate::shared::Shared;
use crate::shown::Shown;
use crate::trace_context;
use crate::who::{Principal, brought};

/// A team as an MCP server, for one connection or one request. Cheap to clone.
#[derive(Clone)]
pub struct Server(pub(crate) Arc<Inner>);

/// What it holds.
pub(crate) struct Inner {
    pub(crate) shared: Shared,
    /// What a client of the older era watches.
    pub(crate) watching: Arc<Watching>,
    pub(crate) room: Room,
    /// The trace that this process was started in, where it was started for one client.
    trace: Option<String>,
    /// Fires when the connection ends: every wait is over then.
    pub(crate) ending: CancellationToken,
    pub(crate) transport: &'static str,
    /// Whose connection it is; over HTTP each request says so itself.
    principal: Principal,
    /// Questions that were put to the user of an older client and are not answered yet.
    put: Mutex<HashSet<String>>,
    /// What waits for them.
    beside: TaskTracker,
    /// Fires when nobody holds this any more.
    gone: DropGuard,
}

/// A caller without the right to do it: our own code, outside the range JSON-RPC keeps to itself.
const NOT_ALLOWED: ErrorCode = ErrorCode(403);
/// The transports, as the journal names them.
pub(crate) const STDIO: &str = "stdio";
pub(crate) const HTTP: &str = "http";
pub(crate) const SSE: &str = "sse";
/// Where a result says who made it.
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

impl Server {
    /// The team, over a transport of this name, for the user of this machine.
    pub(crate) fn new(
        shared: Shared,
        ending: CancellationToken,
        transport: &'static str,
    ) -> Server {
        Server::made(shared, ending, transport, Principal::local())
    }

    fn made(
        shared: Shared,
        ending: CancellationToken,
        transport: &'static str,
        principal: Principal,
    ) -> Server {
        let gone = CancellationToken::new();
        Server(Arc::new(Inner {
            watching: Arc::default(),
            room: Room::new(),
            trace: (transport == STDIO).then(trace_context::of_process).flatten(),
            put: Mutex::default(),
            beside: TaskTracker::new(),
            gone: gone.drop_guard(),
            shared,
            ending,
            transport,
            principal,
        }))
    }

    /// The same for another caller.
    pub(crate) fn of(self, principal: Principal) -> Server {
        let Inner { shared, ending, transport, .. } = &*self.0;
        Server::made(shared.clone(), ending.clone(), transport, principal)
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.0.shared.desk
    }

    pub(crate) fn seals(&self) -> &Seals {
        &self.0.shared.seals
    }

    pub(crate) fn shown(&self) -> Arc<Shown> {
        self.0.shared.shown()
    }

    /// Fires when the connection ends, or earlier for whoever holds it.
    pub(crate) fn ending(&self) -> CancellationToken {
        self.0.ending.child_token()
    }

    /// Resolves when the connection ends.
    pub(crate) async fn ended(&self) {
        self.0.ending.cancelled().await;
    }

    /// Whether a question is not put yet; from here on it is.
    pub(crate) fn put(&self, question: &str) -> bool {
        self.questions().insert(question.to_owned())
    }

    /// A question is answered, or nobody will.
    pub(crate) fn unput(&self, question: &str) {
        self.questions().remove(question);
    }

    fn questions(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.put.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes on beside the calls, and ends with the connection.
    pub(crate) fn beside(&self) -> &TaskTracker {
        &self.0.beside
    }

    /// The trace that this process was started in, where it was started for one client.
    pub(crate) fn trace(&self) -> Option<&str> {
        self.0.trace.as_deref()
    }

    /// The tools that a caller may use.
    pub(crate) fn tools_for(&self, context: &RequestContext<RoleServer>) -> Vec<Tool> {
        let scope = self.principal(context).scope;
        let mut tools = self.shown().listed.clone();
        tools.retain(|it| self.0.shared.needs(&it.name) <= scope);
        tools
    }

    /// What becomes of the request of a call.
    pub(crate) fn asked(&self, context: &RequestContext<RoleServer>) -> Option<Asked> {
        context.extensions.get::<Asked>().cloned().or_else(|| brought(&context.extensions))
    }

    /// Tells a client of the older era, once it has shaken hands, whenever something has changed.
    pub(crate) async fn tell_changes(self, peer: Peer<RoleServer>) {
        self.changes(Arc::clone(&self.0.watching)).tell(peer).await;
    }

    /// The same for a session over HTTP, which ends when nobody holds this any more.
    pub(crate) fn tell_session(&self, peer: Peer<RoleServer>) {
        let changes = self.changes(Arc::clone(&self.0.watching));
        let (gone, ending) = (self.0.gone.token().clone(), self.ending());
        self.0.beside.spawn(async move {
            tokio::select! {
                () = changes.tell(peer) => {}
                () = gone.cancelled() => {}
                () = ending.cancelled() => {}
            }
        });
    }

    pub(crate) fn changes(&self, watching: Arc<Watching>) -> Changes {
        Changes::new(&self.0.shared.desk, &self.0.shared.shown, watching)
    }

    pub(crate) fn identity(&self) -> Implementation {
        Implementation::new("callboard", env!("CARGO_PKG_VERSION"))
            .with_title(self.desk().team().name.clone())
    }

    /// What a modern result says about its maker; older clients were told once.
    pub(crate) fn signed(&self, context: &RequestContext<RoleServer>) -> Option<MetaObject> {
        if !is_modern(context) {
            return None;
        }
        let mut meta = MetaObject::new();
        meta.0.insert(SERVER_INFO.to_owned(), json!(self.identity()));
        Some(meta)
    }

    pub(crate) fn caller(&self, context: &RequestContext<RoleServer>) -> Caller {
        // Over HTTP the library gives its own name to a client that does not say its own.
        let client =
            if is_modern(context) { context.meta.client_info() } else { context.client_info() };
        let (client, version) = client.map_or_else(Default::default, |it| (it.name, it.version));
        let transport = self.0.transport.to_owned();
        let principal = self.principal(context).name;
        Caller { principal, client, version, transport }
    }

    pub(crate) fn principal(&self, context: &RequestContext<RoleServer>) -> Principal {
        brought(&context.extensions).unwrap_or_else(|| self.0.principal.clone())
    }

    /// Over HTTP the door has looked already; an older stream has no door of its own.
    pub(crate) fn may(
        &self,
        needed: Scope,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if self.principal(context).scope >= needed {
            return Ok(());
        }
        let told = format!("this needs a token with the scope {}", needed.as_str());
        Err(ErrorData::new(NOT_ALLOWED, told, None))
    }
}
