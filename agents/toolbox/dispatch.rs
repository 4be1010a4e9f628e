//! A call of a built-in tool that has to be waited for, brought to its tool.

use serde_json::Value;

use super::board;
use super::kit::Kit;
use super::used::Used;

/// Performs one call of a built-in tool that has to be waited for.
///
/// # Errors
/// A sentence for the model.
pub(crate) async fn use_tool(kit: &Kit<'_>, tool: &str, arguments: &Value) -> Result<Used, String> {
    match tool {
        "read" | "team_status" => board::look(kit.board, kit.run, tool, arguments).await,
        _ => Err(format!("`{tool}` is not there in this version")),
    }
}
