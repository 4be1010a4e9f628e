//! The protocol, in both of its eras: lists the team's tools and answers calls.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use callboard_scheduler::{Desk, Refusal, RefusalCode, Reloads};
use callboard_tools::{Call, Outcome, Patience, UnknownTool};
use callboard_trace::{Action, Caller, Control, RunId};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
    CustomRequest, CustomResult, DiscoverResult, ErrorCode, ErrorData, Implementation,
    InitializeRequestParams, InitializeResult, ListToolsResult, MetaObject, PaginatedRequestParams,
    ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{Peer, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::deadline::Deadline;
use crate::open::Asked;
use crate::progress::Progress;
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
        let principal = Principal::local();
        Server(Arc::new(Inner { shared, ending, transport, principal }))
    }

    /// The same for another caller.
    pub(crate) fn of(self, principal: Principal) -> Server {
        let Inner { shared, ending, transport, .. } = &*self.0;
        let (shared, ending) = (shared.clone(), ending.clone());
        Server(Arc::new(Inner { shared, ending, transport, principal }))
    }

    fn desk(&self) -> &Desk {
        &self.0.shared.desk
    }

    fn shown(&self) -> Arc<Shown> {
        self.0.shared.shown()
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
    fn signed(&self, context: &RequestContext<RoleServer>) -> Option<MetaObject> {
        if !is_modern(context) {
            return None;
        }
        let mut meta = MetaObject::new();
        meta.0.insert(SERVER_INFO.to_owned(), json!(self.identity()));
        Some(meta)
    }

    fn caller(&self, context: &RequestContext<RoleServer>) -> Caller {
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

    /// Does a call in a task of its own, with news of it going out beside.
    async fn answer(
        &self,
        call: Call,
        context: &RequestContext<RoleServer>,
    ) -> Result<Outcome, ErrorData> {
        let caller = self.caller(context);
        let gives_up = self.desk().gives_up_after(&caller.client).await;
        let deadline = Deadline::of(&caller.client, &self.desk().team().limits, gives_up);
        let left = self.0.ending.child_token();
        let asked = context.extensions.get::<Asked>().cloned();
        let asked = asked.or_else(|| brought(&context.extensions));
        let ear = asked.as_ref().map(Asked::ear).unwrap_or_default();
        let (patience, named) = Patience::new(deadline.usual, deadline.most, left.clone());
        let patience = patience.with_ear(ear);
        let shown = self.shown();
        let starts_a_run = shown.tools.starts_a_run(&call.tool);
        let mut news = JoinSet::new();
        if let Some(token) = context.meta.get_progress_token() {
            let (desk, peer) = (self.desk().clone(), context.peer.clone());
            let (caller, named) = (caller.clone(), named.clone());
            news.spawn(Progress { desk, caller, named, peer, token }.tell());
        }
        let mut body = JoinSet::new();
        let inner = Arc::clone(&self.0);
        let whose = caller.clone();
        body.spawn(
            async move { shown.tools.apply(&inner.shared.desk, &call, &whose, &patience).await },
        );
        let done = tokio::select! {
            done = body.join_next() => done,
            () = context.ct.cancelled() => {
                left.cancel();
                if let Some(asked) = asked.as_ref().filter(|it| it.timed_out()) {
                    self.desk().gave_up(&caller.client, asked.elapsed()).await;
                }
                let done = body.join_next().await;
                let run = named.borrow().clone().filter(|_| starts_a_run);
                if let Some(run) = run.filter(|_| asked.as_ref().is_some_and(Asked::by_user)) {
                    self.stop(&run, &caller).await;
                }
                done
            }
        };
        news.shutdown().await;
        match done {
            Some(Ok(Ok(outcome))) => {
                asked.filter(|_| outcome.is_end()).inspect(Asked::is_end);
                Ok(outcome)
            }
            Some(Ok(Err(UnknownTool(told)))) => Err(ErrorData::invalid_params(told, None)),
            Some(Err(_)) | None => Ok(broke_down()),
        }
    }

    /// Over HTTP the door has looked already; an older stream has no door of its own.
    fn may_call(&self, tool: &str, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        let needed = self.0.shared.needs(tool);
        if self.principal(context).scope >= needed {
            return Ok(());
        }
        let told = format!("this needs a token with the scope {}", needed.as_str());
        Err(ErrorData::new(NOT_ALLOWED, told, None))
    }

    /// A user who stops a call stops its run.
    async fn stop(&self, run: &RunId, caller: &Caller) {
        let reason = "the user of the client asked to stop".to_owned();
        let cancel = Control { action: Action::Cancel, value: Value::Null, reason };
        if let Err(refusal) = self.desk().control(run, cancel, caller).await {
            tracing::debug!(%run, %refusal, "the run goes on");
        }
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
        let can = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
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
        self.may_call(&request.name, &context)?;
        let call = Call {
            tool: request.name.into_owned(),
            arguments: request.arguments.unwrap_or_default(),
            meta: context.meta.0.0.clone(),
        };
        let outcome = self.answer(call, &context).await?;
        let mut result = CallToolResult::success(vec![ContentBlock::text(outcome.text())]);
        result.structured_content = Some(outcome.body);
        result.is_error = Some(outcome.is_error);
        Ok(result.with_meta(self.signed(&context)).into())
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

/// A call that broke down in our own code: the client is answered all the same.
fn broke_down() -> Outcome {
    let message = "the call broke down inside the server";
    let hint = "what it had started goes on; `team_status` without arguments lists recent runs";
    Outcome::refused(&Refusal::new(RefusalCode::Internal, message, hint))
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

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28)
}
