//! The protocol, in both of its eras: lists the team's tools and answers calls.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callboard_config::http::Scope;
use callboard_scheduler::Desk;
use callboard_tools::Watched;
use callboard_trace::{Caller, RunId};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, CustomRequest, CustomResult, DiscoverResult, ErrorCode, ErrorData,
    GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Implementation,
    InitializeRequestParams, InitializeResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, MetaObject, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ServerConfig, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{Peer, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::changes::{Changes, JUST, Room, Watching};
use crate::era::{self, TTL_MS, introduced, is_modern, paged};
use crate::open::Asked;
use crate::seal::Seals;
use crate::shared::Shared;
use crate::shown::Shown;
use crate::who::{Principal, brought};
use crate::{resources, trace_context};

/// A team as an MCP server, for one connection or one request. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    shared: Shared,
    /// What a client of the older era watches.
    watching: Arc<Watching>,
    room: Room,
    /// The trace that this process was started in, where it was started for one client.
    trace: Option<String>,
    /// Fires when the connection ends: every wait is over then.
    ending: CancellationToken,
    transport: &'static str,
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
    fn tools_for(&self, context: &RequestContext<RoleServer>) -> Vec<Tool> {
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
    fn tell_session(&self, peer: Peer<RoleServer>) {
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

    fn changes(&self, watching: Arc<Watching>) -> Changes {
        Changes::new(&self.0.shared.desk, &self.0.shared.shown, watching)
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

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(era::capabilities())
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
        if self.0.transport == HTTP {
            self.tell_session(context.peer);
        }
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
        let (tools, meta) = (self.tools_for(&context), self.signed(&context));
        Ok(paged!(ListToolsResult, &tools, |it| &it.name, request, meta))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        introduced(&context)?;
        let (shown, meta) = (self.shown(), self.signed(&context));
        Ok(paged!(ListResourcesResult, &shown.resources, |it| &it.uri, request, meta))
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        introduced(&context)?;
        let (shown, meta) = (self.shown(), self.signed(&context));
        let list = &shown.templates;
        Ok(paged!(ListResourceTemplatesResult, list, |it| &it.uri_template, request, meta))
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        introduced(&context)?;
        let (shown, meta) = (self.shown(), self.signed(&context));
        Ok(paged!(ListPromptsResult, &shown.prompts, |it| &it.name, request, meta))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        introduced(&context)?;
        let (caller, meta) = (self.caller(&context), self.signed(&context));
        Ok(resources::read(self.desk(), request.uri, &caller, meta).await?.into())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        introduced(&context)?;
        let (caller, meta) = (self.caller(&context), self.signed(&context));
        Ok(resources::get(self.desk(), request, &caller, meta).await?.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        introduced(&context)?;
        let (caller, meta) = (self.caller(&context), self.signed(&context));
        resources::complete(self.desk(), request, &caller, meta).await
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        introduced(&context)?;
        let Inner { watching, room, .. } = &*self.0;
        let caller = self.caller(&context);
        // What it says from now on is news: the client reads it once it is told that it watches.
        let added = watching.add(self.desk(), request.uri, &caller, room, Duration::ZERO).await;
        added.map(drop).map_err(|it| era::unread(&it))
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        introduced(&context)?;
        self.0.watching.remove(&request.uri);
        Ok(())
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
        let mut accepted = asked.supported_by(&self.get_info().capabilities);
        let team = self.desk().team();
        if let Some(uris) = &mut accepted.resource_subscriptions {
            uris.retain(|it| Watched::may_be(&team, it));
        }
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let request = context.request_context();
        let caller = self.caller(request);
        let since = self.asked(request).map_or(JUST, |it| it.elapsed());
        let changes = self.changes(Arc::default());
        tokio::select! {
            () = context.cancelled() => Ok(()),
            () = self.0.ending.cancelled() => Ok(()),
            done = changes.serve(context.sink(), &caller, &self.0.room, since) => {
                done.map_err(|it| era::unread(&it))
            }
        }
    }

    /// A method that the library does not know, or knows and could not read the parameters of.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(era::misfit(&request.method))
    }
}
