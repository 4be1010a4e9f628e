//! A record as callers and other agents are told it: without what guardrails may hold back.

use callboard_config::guards::{Border, Guard, OnFail};
use serde_json::json;

use crate::{Event, Record};

/// The record without an answer or a tool's result that one of these guardrails, its agent's, looks at
/// and can withhold. What passed stands in the run's end.
pub fn withheld(record: &Record, guards: &[Guard]) -> Record {
    let by = |on: Border| {
        let mut all = guards.iter().filter(|it| it.on == on && it.on_fail != OnFail::Flag);
        all.next().map(|it| format!("[withheld by guardrail {}]", it.name))
    };
    let mut told = record.clone();
    if let Event::ModelReplied(reply) = &mut told.event {
        if let Some(instead) = by(Border::Output).filter(|_| !reply.text.is_empty()) {
            reply.reply = json!({"role": "assistant", "content": instead});
            reply.text = instead;
        }
    } else if let Event::ToolReturned { result, .. } = &mut told.event
        && let Some(instead) = by(Border::ToolResult)
    {
        *result = json!(instead);
    }
    told
}
