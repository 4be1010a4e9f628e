//! A verb as a call of the team's own tool: the same words, checks and refusals as over MCP.

use std::time::Duration;

use callboard_scheduler::{Desk, Refusal};
use callboard_tools::{Call, Ear, Patience, Toolset};
use callboard_trace::RunView;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::fault::{Fault, Result};
use super::place;

/// Most that a call may wait.
const MOST: Duration = Duration::from_secs(3_600);

/// Calls a tool and answers with its body. Arguments that are null are left out.
///
/// # Errors
/// When the call is refused.
pub(crate) async fn ask(desk: &Desk, tool: &str, arguments: Value) -> Result<Value> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let call = Call { tool: tool.to_owned(), arguments, meta: Map::new() };
    let ear = Ear::default();
    let (patience, _) = Patience::new(Duration::ZERO, MOST, CancellationToken::new());
    let patience = patience.with_ear(ear.clone());
    let caller = place::caller();
    let outcome = Toolset::of(&desk.team()).apply(desk, call, &caller, &patience).await;
    let outcome = outcome.map_err(|it| Fault::broken(it.0, ""))?;
    if let Some(listening) = ear.take().filter(|_| outcome.is_end()) {
        listening.delivered();
    }
    if !outcome.is_error {
        return Ok(outcome.body);
    }
    let refusal = serde_json::from_value::<Refusal>(outcome.body);
    Err(refusal.map_or_else(|it| Fault::broken(it.to_string(), ""), Fault::Refused))
}

/// The same, of a tool that shows a run.
///
/// # Errors
/// When the call is refused.
pub(crate) async fn ask_for_run(desk: &Desk, tool: &str, arguments: Value) -> Result<RunView> {
    let body = ask(desk, tool, arguments).await?;
    let view = serde_json::from_value::<RunView>(body);
    let mut view = view.map_err(|it| Fault::broken(format!("{tool} shows no run: {it}"), ""))?;
    // It names a call of MCP.
    view.next = None;
    Ok(view)
}
