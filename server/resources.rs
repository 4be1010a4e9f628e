//! Resources, prompts and what fits their blanks, in the protocol's own words.

use std::collections::BTreeMap;

use callboard_scheduler::{Desk, Refusal};
use callboard_tools::{self as tools, Blank, Excerpted, Listed, Reading, Subject, Told};
use callboard_trace::Caller;
use rmcp::model::{
    CacheScope, CompleteRequestParams, CompleteResult, CompletionInfo, ContentBlock, ErrorData,
    GetPromptRequestParams, GetPromptResult, MetaObject, Prompt, PromptArgument, PromptMessage,
    ReadResourceResult, Reference, Resource, ResourceContents, ResourceTemplate, Role,
};
use serde_json::Value;

use crate::era::{TTL_MS, error, unread};

/// Bytes of a resource that are read at once.
const READ_BYTES: usize = 1 << 20;

/// A resource as it is listed.
pub(crate) fn resource(it: &Listed) -> Resource {
    let listed = Resource::new(it.uri.clone(), it.name.clone());
    listed.with_description(it.description.clone()).with_mime_type(it.mime)
}

/// A template as it is listed.
pub(crate) fn template(it: &Listed) -> ResourceTemplate {
    let listed = ResourceTemplate::new(it.uri.clone(), it.name.clone());
    listed.with_description(it.description.clone()).with_mime_type(it.mime)
}

/// A prompt as it is listed.
pub(crate) fn prompt(it: &tools::Prompt) -> Prompt {
    let arguments = it.arguments.iter().map(|it| {
        let taken = PromptArgument::new(it.name).with_required(it.required);
        taken.with_description(it.description)
    });
    Prompt::new(it.name, Some(it.description.clone()), Some(arguments.collect()))
}

/// Reads a resource whole, or as much of it as there is room for and where to read on. `meta` is
/// there for the newer era.
pub(crate) async fn read(
    desk: &Desk,
    uri: String,
    caller: &Caller,
    meta: Option<MetaObject>,
) -> Result<ReadResourceResult, ErrorData> {
    let reading = Reading { uri: uri.clone(), most: READ_BYTES, ..Reading::default() };
    let page = tools::read(desk, &reading, caller).await.map_err(|it| unread(&it, &uri))?;
    let is_still = page.is_still;
    let mut result = ReadResourceResult::new(vec![contents(page, uri)]);
    if meta.is_some() {
        result = result.with_ttl_ms(if is_still { TTL_MS } else { 0 });
        result = result.with_cache_scope(CacheScope::Private);
    }
    result.meta = meta;
    Ok(result)
}

/// A text under the uri it was asked for by, with a word on what is left out of it.
fn contents(page: Excerpted, uri: String) -> ResourceContents {
    let Excerpted { mut text, bytes, next_offset, mime, .. } = page;
    if let Some(next) = next_offset {
        text.push_str(&format!(
            "\n… cut at {next} of {bytes} bytes; `team_read` with this uri and `offset` {next} reads \
             on.\n"
        ));
    }
    ResourceContents::text(text, uri).with_mime_type(mime)
}

/// Fills a prompt in.
pub(crate) async fn get(
    desk: &Desk,
    request: GetPromptRequestParams,
    caller: &Caller,
    meta: Option<MetaObject>,
) -> Result<GetPromptResult, ErrorData> {
    let mut arguments = BTreeMap::new();
    for (name, value) in request.arguments.unwrap_or_default() {
        let value = match value {
            Value::String(text) => text,
            Value::Null => continue,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let short: String = name.chars().take(64).collect();
                let told = format!("{}: must be a text", short.escape_debug());
                return Err(ErrorData::invalid_params(told, None));
            }
        };
        arguments.insert(name, value);
    }
    let told = Told::of(desk, &request.name, &arguments, caller).await.map_err(|it| error(&it))?;
    let mut messages = vec![PromptMessage::new(Role::User, ContentBlock::text(told.text))];
    messages.extend(told.embedded.into_iter().map(|it| {
        let uri = it.uri.clone();
        PromptMessage::new(Role::User, ContentBlock::resource(contents(it, uri)))
    }));
    let mut result = GetPromptResult::new(messages).with_description(told.description);
    result.meta = meta;
    Ok(result)
}

/// What may be written in a blank.
pub(crate) async fn complete(
    desk: &Desk,
    request: CompleteRequestParams,
    caller: &Caller,
    meta: Option<MetaObject>,
) -> Result<CompleteResult, ErrorData> {
    let of = match request.r#ref {
        Reference::Resource(it) => Subject::Template(it.uri),
        Reference::Prompt(it) => Subject::Prompt(it.name),
        _ => return Err(ErrorData::invalid_params("ref: write a template or a prompt", None)),
    };
    let others = request.context.and_then(|it| it.arguments).unwrap_or_default();
    let blank = Blank { of, name: request.argument.name, value: request.argument.value, others };
    let (values, n_all) = blank.values(desk, caller).await.map_err(|it: Refusal| error(&it))?;
    let has_more = n_all.is_none_or(|it| it > values.len());
    let total = n_all.and_then(|it| u32::try_from(it).ok());
    let info = CompletionInfo::with_pagination(values, total, has_more);
    let info = info.map_err(|told| ErrorData::internal_error(told, None))?;
    let mut result = CompleteResult::new(info);
    result.meta = meta;
    Ok(result)
}
