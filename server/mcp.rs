//! The protocol, in both of its eras: lists the team's tools and answers calls.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callboard_config::http::Scope;
use callboard_scheduler::{Desk, Reloads};
use callboard_trace::{Caller, RunId};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CustomRequest,
    CustomResult, DiscoverResult, ErrorCode, ErrorData, GetTaskParams, GetTaskResult,
    Implementation, InitializeRequestParams, InitializeResult, ListToolsResult, MetaObject,
    PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter,
    Tool, UpdateTaskParams,
};
use rmcp::service::{Peer, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::open::Asked;
use crate::seal::Seals;
use crate::shared::Shared;
use crate::shown::Shown;
use crate::who::{Principal, brought};

/// A team as an MCP server, for one connection or one request. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    shared: Shared,
    /// Fires when the connection ends: every wait is over then.
    ending: CancellationToken,
    transport: &'static str,
    /// Whose connection it is; over HTTP each request says so itself.
    principal: Principal,
    /// Questions that were put to the user of an older client and are not answered yet.
    put: Mutex<HashSet<String>>,
    /// What waits for them.
    beside: TaskTracker,
}

/// How long a client may keep a list without asking: the team may be read anew meanwhile.
const TTL_MS: u64 = 60_000;
/// A change so shortly before a subscription is told again. The library acknowledges one before
/// it lets us listen, and what changed in between would be lost; a word too many costs one list.
const JUST: Duration = Duration::from_secs(10);
/// A caller without the right to do it: our own code, outside the range JSON-RPC keeps to itself.
const NOT_ALLOWED: ErrorCode = ErrorCode(403);
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
        let (put, beside) = (Mutex::default(), TaskTracker::new());
        Server(Arc::new(Inner { shared, ending, transport, principal, put, beside }))
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

    /// What becomes of the request of a call.
    pub(crate) fn asked(&self, context: &RequestContext<RoleServer>) -> Option<Asked> {
        context.extensions.get::<Asked>().cloned().or_else(|| brought(&context.extensions))
    }

    /// Tells a client of the older era, once it has shaken hands, whenever its list has changed.
    pub(crate) async fn tell_changes(self, peer: Peer<RoleServer>) {
        let mut changes = self.changes();
        loop {
            changes.next().await;
            if peer.peer_info().is_some()
                && let Err(error) = peer.notify_tool_list_changed().await
            {
                tracing::debug!(%error, "a change was not told");
            }
        }
    }

    fn changes(&self) -> Changes {
        let reloads = self.desk().reloads();
        Changes { server: self.clone(), reloads, told: None }
    }

    fn identity(&self) -> Implementation {
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

    fn principal(&self, context: &RequestContext<RoleServer>) -> Principal {
        brought(&context.extensions).unwrap_or_else(|| self.0.principal.clone())
    }

    /// Over HTTP the door has looked already; an older stream has no door of its own.
    fn may(&self, needed: Scope, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        if self.principal(context).scope >= needed {
            return Ok(());
        }
        let told = format!("this needs a token with the scope {}", needed.as_str());
        Err(ErrorData::new(NOT_ALLOWED, told, None))
    }
}

/// Hears of every change of the list, also of one just before it was made.
struct Changes {
    server: Server,
    reloads: Reloads,
    told: Option<Arc<Shown>>,
}

impl Changes {
    /// Resolves when the list is another one.
    async fn next(&mut self) {
        if self.told.is_none() {
            let shown = self.server.shown();
            let is_news = shown.is_newer_than(JUST);
            self.told = Some(shown);
            if is_news {
                return;
            }
        }
        loop {
            self.reloads.next().await;
            let shown = self.server.shown();
            let is_news = self.told.as_ref().is_none_or(|it| it.listed != shown.listed);
            self.told = Some(shown);
            if is_news {
                return;
            }
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .build();
        ServerConfig::new(can)
            .with_server_info(self.identity())
            .with_instructions(self.shown().tools.instructions())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let agreed = self.negotiate_initialize(&request)?;
        let mut client = request;
        client.protocol_version = agreed.protocol_version.clone();
        context.peer.set_peer_info(client);
        Ok(agreed)
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        introduced(&context)?;
        if request.is_some_and(|it| it.cursor.is_some()) {
            let told = "the cursor is not known; the list has one page, ask without a cursor";
            return Err(ErrorData::invalid_params(told, None));
        }
        let scope = self.principal(&context).scope;
        let mut tools = self.shown().listed.clone();
        tools.retain(|it| self.0.shared.needs(&it.name) <= scope);
        let mut list = ListToolsResult::with_all_items(tools);
        list.meta = self.signed(&context);
        if is_modern(&context) {
            list = list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private);
        }
        Ok(list)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shown().listed.iter().find(|it| it.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        introduced(&context)?;
        self.may(self.0.shared.needs(&request.name), &context)?;
        self.call(request, &context).await
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.look(&RunId::from_text(request.task_id), &context).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.may(Scope::Run, &context)?;
        self.update(&RunId::from_text(request.task_id), &request.input_responses, &context).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.may(Scope::Run, &context)?;
        self.end(&RunId::from_text(request.task_id), &context).await
    }

    fn accepted_subscription_filter(
        &self,
        asked: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        // Some clients insist on being told, also that nothing of what they ask for ever changes.
        Some(asked.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let wants = context.accepted().tools_list_changed == Some(true);
        let mut changes = self.changes();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.0.ending.cancelled() => return Ok(()),
                () = tell_one(&mut changes, &context), if wants => {}
            }
        }
    }

    /// A method that the library does not know, or knows and could not read the parameters of.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let takes = match request.method.as_str() {
            "tools/call" => "a name and an object of arguments",
            "initialize" => "protocolVersion, capabilities and clientInfo",
            "tools/list" | "ping" | "server/discover" => "an object, or none",
            method => {
                let short: String = method.chars().take(64).collect();
                let told = format!("method \"{}\" is not served here", short.escape_debug());
                return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, told, None));
            }
        };
        let told = format!("the params of {} do not fit: it takes {takes}", request.method);
        Err(ErrorData::invalid_params(told, None))
    }
}

/// Waits for a change and tells it; a client that does not read can keep us there.
async fn tell_one(changes: &mut Changes, context: &SubscriptionContext) {
    changes.next().await;
    if let Err(error) = context.sink().notify_tool_list_changed().await {
        tracing::debug!(%error, "a change was not told");
    }
}

/// Whoever neither shook hands nor says in each request what it speaks, cannot be answered well.
fn introduced(context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    if context.protocol_version().is_some() {
        return Ok(());
    }
    let told = "send `initialize` first, or `io.modelcontextprotocol/protocolVersion` and \
                `io.modelcontextprotocol/clientCapabilities` in the request's _meta";
    Err(ErrorData::invalid_params(told, None))
}

/// Whether a request is of 2026-07-28 or later.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28)
}
