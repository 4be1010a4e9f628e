//! The fixture tools that answer at once, word for word as the suite expects them.

#![expect(
    deprecated,
    reason = "the suite asks for sampling and logging, which the protocol is giving up"
)]

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    AudioContent, CallToolRequestParams, CallToolResult, ClientCapabilities, ContentBlock,
    CreateMessageRequestParams, ErrorData, JsonObject, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, ResourceContents, SamplingMessage,
    Tool,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::forms;

/// One red pixel.
pub(crate) const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/\
                                PchI7wAAAABJRU5ErkJggg==";
/// No sound at all.
const AUDIO: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
/// Between two notifications of one call.
const PAUSE: Duration = Duration::from_millis(50);
/// Who a log message is from.
const LOGGER: &str = "conformance";

/// Tools without arguments and what they do.
const BARE: [(&str, &str); 11] = [
    ("test_simple_text", "Answers with a text"),
    ("test_image_content", "Answers with an image"),
    ("test_audio_content", "Answers with a sound"),
    ("test_embedded_resource", "Answers with a resource"),
    ("test_multiple_content_types", "Answers with a text, an image and a resource"),
    ("test_error_handling", "Fails"),
    ("test_tool_with_progress", "Tells its progress"),
    ("test_tool_with_logging", "Logs what it does"),
    ("test_logging_tool", "Logs if the request asks for it"),
    ("test_missing_capability", "Needs a client whose model can be asked"),
    ("test_reconnection", "Takes a moment"),
];

pub(crate) fn tools() -> Vec<Tool> {
    let mut tools: Vec<_> = BARE.into_iter().map(|(name, told)| no_arguments(name, told)).collect();
    let one = |field: &str| json!({"type": "object", "properties": {field: {"type": "string"}}});
    tools.extend([
        tool("test_sampling", "Asks the client's model", one("prompt")),
        tool("json_schema_2020_12_tool", "Has a schema of every kind", rich_schema()),
        tool(
            "test_custom_header",
            "Has an argument that travels in a header too",
            json!({
                "type": "object",
                "properties": {"value": {"type": "string", "x-mcp-header": "Value"}},
                "required": ["value"],
            }),
        ),
    ]);
    tools.extend(forms::tools());
    tools
}

/// The answer, if the tool is one of ours.
pub(crate) async fn call(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResult, ErrorData>> {
    let argument = |name: &str| {
        let given = request.arguments.as_ref().and_then(|it| it.get(name));
        given.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let text = |it: &str| Ok(CallToolResult::success(vec![ContentBlock::text(it)]));
    let answer = match request.name.as_ref() {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => {
            Ok(CallToolResult::success(vec![ContentBlock::image(IMAGE, "image/png")]))
        }
        "test_audio_content" => {
            let audio = ContentBlock::Audio(AudioContent::new(AUDIO, "audio/wav"));
            Ok(CallToolResult::success(vec![audio]))
        }
        "test_embedded_resource" => {
            let told = "This is an embedded resource content.";
            let held = resource("test://embedded-resource", "text/plain", told);
            Ok(CallToolResult::success(vec![held]))
        }
        "test_multiple_content_types" => Ok(CallToolResult::success(vec![
            ContentBlock::text("Multiple content types test:"),
            ContentBlock::image(IMAGE, "image/png"),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data"}"#),
        ])),
        "test_error_handling" => {
            let told = "This tool intentionally returns an error for testing";
            Ok(CallToolResult::error(vec![ContentBlock::text(told)]))
        }
        "test_tool_with_progress" => {
            tell_progress(context).await;
            text("Progress was told.")
        }
        "test_tool_with_logging" => {
            for told in
                ["Tool execution started", "Tool processing data", "Tool execution completed"]
            {
                log(context, LoggingLevel::Info, told).await;
                sleep(PAUSE).await;
            }
            text("It was logged.")
        }
        "test_logging_tool" => {
            if let Some(level) = context.meta.log_level() {
                log(context, level, "a level was asked for").await;
            }
            text("It was logged if it was asked for.")
        }
        "test_missing_capability" => needs_sampling(context),
        "test_sampling" => Ok(sample(&argument("prompt"), context).await),
        "test_reconnection" => {
            sleep(PAUSE * 2).await;
            text("Reconnected or never gone.")
        }
        "test_custom_header" => text(&argument("value")),
        "json_schema_2020_12_tool" => text("The schema is what counts."),
        name => return forms::call(name, &argument("message"), context).await.map(Ok),
    };
    Some(answer)
}

async fn tell_progress(context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else { return };
    for done in [0.0, 50.0, 100.0] {
        let told = ProgressNotificationParam::new(token.clone(), done)
            .with_total(100.0)
            .with_message(format!("{done} of 100"));
        // A client that has left hears nothing; its call ends all the same.
        let _ = context.peer.notify_progress(told).await;
        sleep(PAUSE).await;
    }
}

async fn log(context: &RequestContext<RoleServer>, level: LoggingLevel, told: &str) {
    let message = LoggingMessageNotificationParam::new(level, json!(told)).with_logger(LOGGER);
    let _ = context.peer.notify_logging_message(message).await;
}

fn needs_sampling(context: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    if context.client_capabilities().is_some_and(|it| it.sampling.is_some()) {
        return Ok(CallToolResult::success(vec![ContentBlock::text("The client can.")]));
    }
    let wanted = ClientCapabilities::builder().enable_sampling().build();
    Err(ErrorData::missing_required_client_capability(wanted))
}

async fn sample(prompt: &str, context: &RequestContext<RoleServer>) -> CallToolResult {
    let asked = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], 100);
    match context.peer.create_message(asked).await {
        Ok(said) => {
            CallToolResult::success(vec![ContentBlock::text(format!("LLM response: {said:?}"))])
        }
        Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
    }
}

fn resource(uri: &str, mime_type: &str, text: &str) -> ContentBlock {
    ContentBlock::resource(ResourceContents::TextResourceContents {
        uri: uri.to_owned(),
        mime_type: Some(mime_type.to_owned()),
        text: text.to_owned(),
        meta: None,
    })
}

pub(crate) fn no_arguments(name: &'static str, told: &'static str) -> Tool {
    tool(name, told, json!({"type": "object", "properties": {}}))
}

pub(crate) fn tool(name: &'static str, told: &'static str, schema: Value) -> Tool {
    let schema: JsonObject = serde_json::from_value(schema).expect("a schema is an object");
    Tool::new(name, told, schema)
}

/// What the suite wants to find again in the list, keyword by keyword.
fn rich_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}
