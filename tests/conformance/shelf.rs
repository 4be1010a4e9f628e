//! The fixture prompts and resources, word for word as the suite expects them.

use rmcp::model::{
    CompleteRequestParams, CompleteResult, CompletionInfo, ContentBlock, GetPromptRequestParams,
    GetPromptResponse, GetPromptResult, ImageContent, InputRequiredResult, Prompt, PromptArgument,
    PromptMessage, ReadResourceResult, Resource, ResourceContents, ResourceTemplate, Role,
};
use serde_json::Value;

use super::asks::{answered, asking, form};
use super::plain::IMAGE;

const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";
const WATCHED: &str = "test://watched-resource";
const BEFORE_ID: &str = "test://template/";
const AFTER_ID: &str = "/data";
/// How long a client may keep what never changes.
const TTL_MS: u64 = 60_000;

pub(crate) fn prompts() -> Vec<Prompt> {
    let arguments = vec![
        PromptArgument::new("arg1").with_description("First test argument").with_required(true),
        PromptArgument::new("arg2").with_description("Second test argument").with_required(true),
    ];
    let uri = PromptArgument::new("resourceUri")
        .with_description("URI of the resource to embed")
        .with_required(true);
    let prompt = |name: &str, told: &str, takes| Prompt::new(name, Some(told), takes);
    vec![
        prompt("test_simple_prompt", "A prompt without arguments", None),
        prompt("test_prompt_with_arguments", "A prompt with arguments", Some(arguments)),
        prompt("test_prompt_with_embedded_resource", "A prompt with a resource", Some(vec![uri])),
        prompt("test_prompt_with_image", "A prompt with an image", None),
        prompt("test_input_required_result_prompt", "A prompt that asks its user first", None),
    ]
}

/// The prompt, if it is one of ours.
pub(crate) fn prompt(request: &GetPromptRequestParams) -> Option<GetPromptResponse> {
    let argument = |name: &str| {
        let given = request.arguments.as_ref().and_then(|it| it.get(name));
        given.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let text = |it: String| PromptMessage::new_text(Role::User, it);
    let messages = match request.name.as_str() {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.".to_owned())],
        "test_prompt_with_arguments" => vec![text(format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1"),
            argument("arg2")
        ))],
        "test_prompt_with_embedded_resource" => {
            let resource = ResourceContents::TextResourceContents {
                uri: argument("resourceUri"),
                mime_type: Some("text/plain".to_owned()),
                text: "Embedded resource content for testing.".to_owned(),
                meta: None,
            };
            vec![
                PromptMessage::new(Role::User, ContentBlock::resource(resource)),
                text("Please process the embedded resource above.".to_owned()),
            ]
        }
        "test_prompt_with_image" => {
            let image = ContentBlock::Image(ImageContent::new(IMAGE, "image/png"));
            let asked = text("Please analyze the image above.".to_owned());
            vec![PromptMessage::new(Role::User, image), asked]
        }
        "test_input_required_result_prompt" => return Some(prompt_that_asks(request)),
        _ => return None,
    };
    Some(GetPromptResult::new(messages).into())
}

fn prompt_that_asks(request: &GetPromptRequestParams) -> GetPromptResponse {
    let Some(answer) = answered(request.input_responses.as_ref(), "user_context") else {
        let question = form("What context should the prompt use?", "context", "string");
        return InputRequiredResult::from_input_requests(asking([("user_context", question)]))
            .into();
    };
    let context = answer["content"]["context"].as_str().unwrap_or_default();
    let message = PromptMessage::new_text(Role::User, format!("Use this context: {context}"));
    GetPromptResult::new(vec![message]).into()
}

/// What fits an argument of our prompts and of our template.
pub(crate) fn complete(request: &CompleteRequestParams) -> Option<CompleteResult> {
    let asked = &request.r#ref;
    let is_own_prompt = asked.as_prompt_name().is_some_and(|it| it.starts_with("test_"));
    let known: &[&str] = if is_own_prompt {
        &["paris", "park", "party"]
    } else if asked.as_resource_uri().is_some_and(is_own) {
        &["1", "2", "3"]
    } else {
        return None;
    };
    let begun = &request.argument.value;
    let fitting = known.iter().filter(|it| it.starts_with(begun.as_str()));
    let fitting = fitting.map(|it| (*it).to_owned()).collect();
    Some(CompleteResult::new(CompletionInfo::with_all_values(fitting).expect("three values")))
}

pub(crate) fn resources() -> [Resource; 3] {
    [
        Resource::new(TEXT, "static text").with_mime_type("text/plain"),
        Resource::new(BINARY, "static binary").with_mime_type("image/png"),
        Resource::new(WATCHED, "watched resource").with_mime_type("text/plain"),
    ]
}

pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new("test://template/{id}/data", "template")
        .with_description("Data of an id")
        .with_mime_type("application/json")
}

pub(crate) fn is_own(uri: &str) -> bool {
    uri.starts_with("test://")
}

/// The resource, if it is one of ours. What is not, the server below knows or refuses.
pub(crate) fn read(uri: &str) -> Option<ReadResourceResult> {
    let text = |mime_type: &str, text: String| ResourceContents::TextResourceContents {
        uri: uri.to_owned(),
        mime_type: Some(mime_type.to_owned()),
        text,
        meta: None,
    };
    let content = match uri {
        TEXT => text("text/plain", "This is the content of the static text resource.".to_owned()),
        WATCHED => text("text/plain", "Watched resource content".to_owned()),
        BINARY => ResourceContents::BlobResourceContents {
            uri: uri.to_owned(),
            mime_type: Some("image/png".to_owned()),
            blob: IMAGE.to_owned(),
            meta: None,
        },
        _ => {
            let id = uri.strip_prefix(BEFORE_ID)?.strip_suffix(AFTER_ID)?;
            let data = serde_json::json!({
                "id": id, "templateTest": true, "data": format!("Data for ID: {id}")
            });
            text("application/json", data.to_string())
        }
    };
    let scope = rmcp::model::CacheScope::Public;
    Some(ReadResourceResult::new(vec![content]).with_ttl_ms(TTL_MS).with_cache_scope(scope))
}
