//! Which era of the protocol a request is of, and what the newer one wants to know of a list.

use callboard_scheduler::{Refusal, RefusalCode};
use rmcp::RoleServer;
use rmcp::model::{ErrorCode, ErrorData, ProtocolVersion, ServerCapabilities};
use rmcp::service::RequestContext;
use serde_json::json;

/// How long a client may keep a list without asking: the team may be read anew meanwhile.
pub(crate) const TTL_MS: u64 = 60_000;

/// A page of a list for a request. If its `_meta` is there, it is of the newer era, which is told
/// too how long the page may be kept.
macro_rules! paged {
    ($list:ident, $all:expr, $name:expr, $request:expr, $meta:expr) => {{
        let cursor = $request.and_then(|it| it.cursor);
        let page = callboard_tools::page($all, $name, cursor.as_deref());
        let (items, next) = page.map_err(|told| rmcp::ErrorData::invalid_params(told, None))?;
        let mut list = rmcp::model::$list::with_all_items(items);
        list.next_cursor = next;
        list.meta = $meta;
        if list.meta.is_some() {
            list.ttl_ms = Some($crate::era::TTL_MS);
            list.cache_scope = Some(rmcp::model::CacheScope::Private);
        }
        list
    }};
}
pub(crate) use paged;

/// Whether a request is of the newer era.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28)
}

/// Whoever neither shook hands nor says in each request what it speaks, cannot be answered well.
pub(crate) fn introduced(context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    if context.protocol_version().is_some() {
        return Ok(());
    }
    let told = "send `initialize` first, or `io.modelcontextprotocol/protocolVersion` and \
                `io.modelcontextprotocol/clientCapabilities` in the request's _meta";
    Err(ErrorData::invalid_params(told, None))
}

/// A refusal as an error of the protocol; the way out stands beside it.
pub(crate) fn error(refusal: &Refusal) -> ErrorData {
    let code = match refusal.code {
        RefusalCode::InvalidInput
        | RefusalCode::UnknownAgent
        | RefusalCode::NotFound
        | RefusalCode::Conflict
        | RefusalCode::NotAllowed => ErrorCode::INVALID_PARAMS,
        RefusalCode::OverCapacity | RefusalCode::EngineUnavailable | RefusalCode::Internal => {
            ErrorCode::INTERNAL_ERROR
        }
    };
    ErrorData::new(code, refusal.message.clone(), Some(json!(refusal)))
}

/// As [`error`], where a resource is asked for, which is named: the older era has a code for what is
/// not there, which the library puts right for the newer one.
pub(crate) fn unread(refusal: &Refusal, uri: &str) -> ErrorData {
    let mut error = error(refusal);
    if refusal.code == RefusalCode::NotFound {
        error.code = ErrorCode::RESOURCE_NOT_FOUND;
    }
    if let Some(data) = error.data.as_mut() {
        data["uri"] = json!(uri);
    }
    error
}

/// Methods of the older era that the newer one has given up.
const GIVEN_UP: [&str; 4] = ["initialize", "ping", "resources/subscribe", "resources/unsubscribe"];

/// The answer to a method that the library does not know, or knows and could not read the
/// parameters of.
pub(crate) fn misfit(method: &str, is_modern: bool) -> ErrorData {
    let is_served = !(is_modern && GIVEN_UP.contains(&method));
    let takes = match method {
        _ if !is_served => return unserved(method),
        "tools/call" => "a name and an object of arguments",
        "initialize" => "protocolVersion, capabilities and clientInfo",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "a uri",
        "prompts/get" => "a name and an object of arguments, each a text",
        "completion/complete" => "a ref and an argument",
        "tasks/get" | "tasks/cancel" => "a taskId",
        "tasks/update" => "a taskId and an object of inputResponses",
        "subscriptions/listen" => "an object of notifications",
        "tools/list"
        | "resources/list"
        | "resources/templates/list"
        | "prompts/list"
        | "ping"
        | "server/discover" => "an object, or none",
        _ => return unserved(method),
    };
    let told = format!("the params of {method} do not fit: it takes {takes}");
    ErrorData::invalid_params(told, None)
}

fn unserved(method: &str) -> ErrorData {
    let short: String = method.chars().take(64).collect();
    let told = format!("method \"{}\" is not served here", short.escape_debug());
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, told, None)
}

/// What we can.
pub(crate) fn capabilities() -> ServerCapabilities {
    ServerCapabilities::builder()
        .enable_tools()
        .enable_tool_list_changed()
        .enable_prompts()
        .enable_prompts_list_changed()
        .enable_resources()
        .enable_resources_subscribe()
        .enable_resources_list_changed()
        .enable_completions()
        .enable_tasks()
        .build()
}
