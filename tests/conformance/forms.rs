//! The fixture tools that put a form before the user in the older era, inside the open call.

use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock, ElicitRequestParams, Tool};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use super::plain::{no_arguments, tool};

const FREE: &str = "test_elicitation";
const DEFAULTS: &str = "test_elicitation_sep1034_defaults";
const ENUMS: &str = "test_elicitation_sep1330_enums";

pub(crate) fn tools() -> [Tool; 3] {
    let message = json!({"type": "object", "properties": {"message": {"type": "string"}}});
    [
        tool(FREE, "Asks the user for a name and an address", message),
        no_arguments(DEFAULTS, "Asks the user with a default for every kind of field"),
        no_arguments(ENUMS, "Asks the user to choose in every way there is"),
    ]
}

/// The answer, if the tool is one of ours.
pub(crate) async fn call(
    name: &str,
    message: &str,
    context: &RequestContext<RoleServer>,
) -> Option<CallToolResult> {
    let (message, schema) = match name {
        FREE => (message, name_and_address()),
        DEFAULTS => ("Change what does not fit", defaults()),
        ENUMS => ("Choose", enums()),
        _ => return None,
    };
    let asked = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema: serde_json::from_value(schema).expect("a schema of a form"),
    };
    Some(match context.peer.create_elicitation(asked).await {
        Ok(said) => {
            let told = json!({"action": said.action, "content": said.content});
            CallToolResult::success(vec![ContentBlock::text(format!("The user said {told}"))])
        }
        Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
    })
}

fn name_and_address() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "Your name"},
            "email": {"type": "string", "description": "Your address"},
        },
        "required": ["username", "email"],
    })
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {
                "type": "string", "enum": ["active", "inactive", "pending"], "default": "active"
            },
            "verified": {"type": "boolean", "default": true},
        },
        "required": [],
    })
}

fn enums() -> Value {
    let titled = json!([
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"},
    ]);
    let plain = ["option1", "option2", "option3"];
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {
                "type": "string", "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
        "required": [],
    })
}
