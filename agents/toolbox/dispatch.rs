//! A call of a built-in tool that has to be waited for, brought to its tool.

use callboard_trace::Work;
use serde_json::Value;

use super::kit::Kit;
use super::used::Used;
use super::{bash, board, fetching, reading, searching, writing};

/// Performs one call of a built-in tool that has to be waited for.
///
/// # Errors
/// A sentence for the model.
pub(crate) async fn use_tool(kit: &Kit<'_>, tool: &str, arguments: &Value) -> Result<Used, String> {
    match tool {
        "read" | "team_status" | Work::LOOK => {
            board::look(kit.board, kit.run, tool, arguments).await
        }
        "Read" => reading::read(kit, arguments).await,
        "LS" => reading::list(kit, arguments).await,
        "Grep" => searching::grep(kit, arguments).await,
        "Glob" => searching::glob(kit, arguments).await,
        "Write" => writing::write(kit, arguments).await,
        "Edit" => writing::edit(kit, arguments).await,
        "WebFetch" => fetching::fetch(kit, arguments).await,
        "Bash" => bash::bash(kit.ground, arguments).await,
        _ => Err(format!("`{tool}` is not there in this version")),
    }
}
