//! What the official conformance suite asks of any server, beside whatever else that server has:
//! the fixture tools, prompts and resources, put on top of a handler that does everything else.

#![expect(deprecated, reason = "the suite asks for the older era's logging and subscriptions")]

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CancelledNotificationParam,
    CompleteRequestParams, CompleteResult, CustomNotification, CustomRequest, CustomResult,
    DiscoverResult, ErrorData, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
    GetTaskResult, InitializeRequestParams, InitializeResult, JsonObject, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};

use super::asks::Asks;
use super::jobs::Jobs;
use super::news::News;
use super::{plain, shelf};

/// What the fixtures remember between requests, for all callers of one server.
#[derive(Clone)]
pub(crate) struct Fixtures(Arc<Kept>);

struct Kept {
    asks: Asks,
    jobs: Jobs,
    news: News,
}

impl Fixtures {
    /// `worker` is the tool of the wrapped server that takes a while: `jobs.rs`; `team` the folder
    /// that it watches.
    pub(crate) fn new(worker: &'static str, team: &Path) -> Fixtures {
        let (asks, jobs, news) = (Asks::new(), Jobs::new(worker), News::new(team));
        Fixtures(Arc::new(Kept { asks, jobs, news }))
    }

    /// The fixtures on top of a server.
    pub(crate) fn over<S>(&self, inner: S) -> Pack<S> {
        Pack { inner, kept: Arc::clone(&self.0) }
    }
}

/// A server with the suite's fixtures on top: its lists are longer by them, and what does not
/// concern them goes to the server below untouched.
pub(crate) struct Pack<S> {
    inner: S,
    kept: Arc<Kept>,
}

/// The suite asks for the deprecated logging of the older era; the product does not have it.
fn with_logging(mut can: ServerCapabilities) -> ServerCapabilities {
    can.logging.get_or_insert_with(JsonObject::new);
    can
}

impl<S: ServerHandler> ServerHandler for Pack<S> {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.inner.get_info();
        info.capabilities = with_logging(info.capabilities);
        info
    }

    fn negotiate_initialize(
        &self,
        request: &InitializeRequestParams,
    ) -> Result<InitializeResult, ErrorData> {
        let mut agreed = self.inner.negotiate_initialize(request)?;
        agreed.capabilities = with_logging(agreed.capabilities);
        Ok(agreed)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let mut agreed = self.inner.initialize(request, context).await?;
        agreed.capabilities = with_logging(agreed.capabilities);
        Ok(agreed)
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let mut found = self.inner.discover(context).await?;
        found.capabilities = with_logging(found.capabilities);
        Ok(found)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.inner.supported_protocol_versions()
    }

    async fn ping(&self, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.inner.ping(context).await
    }

    async fn set_level(
        &self,
        _request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // The fixtures log at one level only, whatever level is asked for.
        Ok(())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut page = self.inner.list_tools(request, context).await?;
        if page.next_cursor.is_none() {
            page.tools.extend(own_tools());
        }
        Ok(page)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        own_tools().find(|it| it.name == name).or_else(|| self.inner.get_tool(name))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.as_ref();
        if Asks::is_one(name) {
            return self.kept.asks.call(&request, &context);
        }
        if Jobs::is_one(name) {
            return self.kept.jobs.call(&self.inner, request, context).await;
        }
        if News::is_one(name) {
            return Ok(self.kept.news.call(name).into());
        }
        match plain::call(&request, &context).await {
            Some(answer) => answer.map(Into::into),
            None => self.inner.call_tool(request, context).await,
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        match self.kept.jobs.get(&request.task_id) {
            Some(task) => Ok(GetTaskResult::new(task)),
            None => self.inner.get_task(request, context).await,
        }
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if self.kept.jobs.get(&request.task_id).is_some() {
            return self.kept.jobs.update(&request.task_id, request.input_responses);
        }
        self.inner.update_task(request, context).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if self.kept.jobs.get(&request.task_id).is_some() {
            return self.kept.jobs.cancel(&request.task_id);
        }
        self.inner.cancel_task(request, context).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut page = self.inner.list_prompts(request, context).await?;
        if page.next_cursor.is_none() {
            page.prompts.extend(shelf::prompts());
        }
        Ok(page)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        match shelf::prompt(&request) {
            Some(prompt) => Ok(prompt),
            None => self.inner.get_prompt(request, context).await,
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        match shelf::complete(&request) {
            Some(values) => Ok(values),
            None => self.inner.complete(request, context).await,
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut page = self.inner.list_resources(request, context).await?;
        if page.next_cursor.is_none() {
            page.resources.extend(shelf::resources());
        }
        Ok(page)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut page = self.inner.list_resource_templates(request, context).await?;
        if page.next_cursor.is_none() {
            page.resource_templates.push(shelf::template());
        }
        Ok(page)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match shelf::read(&request.uri) {
            Some(found) => Ok(found.into()),
            None => self.inner.read_resource(request, context).await,
        }
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if shelf::is_own(&request.uri) {
            return Ok(());
        }
        self.inner.subscribe(request, context).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if shelf::is_own(&request.uri) {
            return Ok(());
        }
        self.inner.unsubscribe(request, context).await
    }

    fn accepted_subscription_filter(
        &self,
        asked: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.inner.accepted_subscription_filter(asked)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.inner.listen(context).await
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        self.inner.on_custom_request(request, context).await
    }

    async fn on_cancelled(
        &self,
        notification: CancelledNotificationParam,
        context: NotificationContext<RoleServer>,
    ) {
        self.inner.on_cancelled(notification, context).await;
    }

    async fn on_progress(
        &self,
        notification: ProgressNotificationParam,
        context: NotificationContext<RoleServer>,
    ) {
        self.inner.on_progress(notification, context).await;
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.inner.on_initialized(context).await;
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        self.inner.on_roots_list_changed(context).await;
    }

    async fn on_custom_notification(
        &self,
        notification: CustomNotification,
        context: NotificationContext<RoleServer>,
    ) {
        self.inner.on_custom_notification(notification, context).await;
    }
}

fn own_tools() -> impl Iterator<Item = Tool> {
    plain::tools().into_iter().chain(Asks::tools()).chain(Jobs::tools()).chain(News::tools())
}
