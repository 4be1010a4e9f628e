//! The protocol, in both of its eras: lists the team's tools and answers calls.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use callboard_config::http::Scope;
use callboard_tools::Watched;
use callboard_trace::{Caller, RunId};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, CustomRequest, CustomResult, DiscoverResult, ErrorData, GetPromptRequestParams,
    GetPromptResponse, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};

use tokio::time::Instant;

use crate::changes::JUST;
use crate::era::{self, TTL_MS, introduced, is_modern, paged};
use crate::host::{HTTP, Inner, Server};
use crate::kept::kept;
use crate::{calls, resources};

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
        kept(async move {
            let mut agreed = self.negotiate_initialize(&request)?;
            // Tasks are of the newer era only.
            agreed.capabilities.extensions = None;
            let mut client = request;
            client.protocol_version = agreed.protocol_version.clone();
            context.peer.set_peer_info(client);
            if self.0.transport == HTTP {
                self.tell_session(context.peer);
            }
            Ok(agreed)
        })
        .await
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        kept(async move {
            let versions = self.supported_protocol_versions().into_owned();
            Ok(DiscoverResult::from_server_info(versions, self.get_info())
                .with_ttl_ms(TTL_MS)
                .with_cache_scope(CacheScope::Private))
        })
        .await
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        kept(async move {
            introduced(&context)?;
            let (tools, meta) = (self.tools_for(&context), self.signed(&context));
            Ok(paged!(ListToolsResult, &tools, |it| &it.name, request, meta))
        })
        .await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        kept(async move {
            introduced(&context)?;
            let (shown, meta) = (self.shown(), self.signed(&context));
            Ok(paged!(ListResourcesResult, &shown.resources, |it| &it.uri, request, meta))
        })
        .await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        kept(async move {
            introduced(&context)?;
            let (shown, meta) = (self.shown(), self.signed(&context));
            let list = &shown.templates;
            Ok(paged!(ListResourceTemplatesResult, list, |it| &it.uri_template, request, meta))
        })
        .await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        kept(async move {
            introduced(&context)?;
            let (shown, meta) = (self.shown(), self.signed(&context));
            Ok(paged!(ListPromptsResult, &shown.prompts, |it| &it.name, request, meta))
        })
        .await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        kept(async move {
            introduced(&context)?;
            let (caller, meta) = (self.caller(&context), self.signed(&context));
            Ok(resources::read(self.desk(), request.uri, &caller, meta).await?.into())
        })
        .await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        kept(async move {
            introduced(&context)?;
            let (caller, meta) = (self.caller(&context), self.signed(&context));
            Ok(resources::get(self.desk(), request, &caller, meta).await?.into())
        })
        .await
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        kept(async move {
            introduced(&context)?;
            let (caller, meta) = (self.caller(&context), self.signed(&context));
            resources::complete(self.desk(), request, &caller, meta).await
        })
        .await
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        kept(async move {
            introduced(&context)?;
            let Inner { watching, room, .. } = &*self.0;
            let caller = self.caller(&context);
            // What it says from now on is news: the client reads it once it is told that it watches.
            let uri = request.uri;
            let added = watching.add(self.desk(), uri.clone(), &caller, room, Duration::ZERO).await;
            added.map(drop).map_err(|it| era::unread(&it, &uri))
        })
        .await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        kept(async move {
            introduced(&context)?;
            self.0.watching.remove(&request.uri);
            Ok(())
        })
        .await
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shown().listed.iter().find(|it| it.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        kept(async move {
            introduced(&context)?;
            self.may(self.0.shared.needs(&request.name), &context)?;
            let (tool, since) = (request.name.clone(), Instant::now());
            let done = self.call(request, &context).await;
            let Caller { principal, client, transport, .. } = self.caller(&context);
            let came_to = calls::told(&done);
            let ms = since.elapsed().as_millis();
            tracing::info!(%tool, %principal, %client, %transport, ms, "a call: {came_to}");
            done
        })
        .await
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        kept(async move { self.look(&RunId::from_text(request.task_id), &context).await }).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        kept(async move {
            self.may(Scope::Run, &context)?;
            self.update(&RunId::from_text(request.task_id), &request.input_responses, &context)
                .await
        })
        .await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        kept(async move {
            self.may(Scope::Run, &context)?;
            self.end(&RunId::from_text(request.task_id), &context).await
        })
        .await
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
        kept(async move {
            if self.0.transport == HTTP {
                // The door tells what comes, and keeps the end until it is time for it.
                return Ok(());
            }
            let request = context.request_context();
            let caller = self.caller(request);
            let since = self.asked(request).map_or(JUST, |it| it.elapsed());
            let changes = self.changes(Arc::default());
            tokio::select! {
                () = context.cancelled() => Ok(()),
                () = self.0.ending.cancelled() => Ok(()),
                done = changes.serve(context.sink(), &caller, &self.0.room, since) => {
                    done.map_err(|it| era::error(&it))
                }
            }
        })
        .await
    }

    /// A method that the library does not know, or knows and could not read the parameters of.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        kept(async move { Err(era::misfit(&request.method, is_modern(&context))) }).await
    }
}
