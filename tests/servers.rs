//! Agents with the tools of other programs: used, recorded, recovered, and gone when we are.
#![cfg(unix)]
#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

#[path = "servers/asks.rs"]
mod asks;
#[path = "servers/crash.rs"]
mod crash;
mod endpoint;
#[path = "servers/faults.rs"]
mod faults;
#[path = "servers/fixture.rs"]
mod fixture;
#[path = "servers/http.rs"]
mod http;
#[path = "servers/pins.rs"]
mod pins;
#[path = "servers/plain.rs"]
mod plain;
#[path = "servers/reload.rs"]
mod reload;
mod stage;
#[path = "servers/stead.rs"]
mod stead;
#[path = "servers/trust.rs"]
mod trust;

use callboard_scheduler::Desk;
use callboard_trace::{Event, Record, RunId, Work};
use fixture::Fixture;
use serde_json::{Value, json};
use stage::{Stage, records};

/// The usual team with these servers, on a model that calls the tools one after the other, each
/// with its arguments, and then answers.
fn stage(servers: &Value, calls: &[(&str, Value)]) -> Stage {
    stage_with(servers, calls, "{}", 0)
}

/// The same with limits, and time to think before the answer.
fn stage_with(servers: &Value, calls: &[(&str, Value)], limits: &str, think_ms: u64) -> Stage {
    let mut rules: Vec<Value> = calls
        .iter()
        .zip(1..)
        .map(|((tool, arguments), turn)| {
            json!({"when": {"turn": turn}, "calls": [{"tool": tool, "arguments": arguments}]})
        })
        .collect();
    rules.push(json!({"answer": {"summary": "done", "confidence": 1}, "after_ms": think_ms}));
    let stage = Stage::new(&json!(rules).to_string());
    stage.write(
        "team.yaml",
        &format!(
            "team: stage\nproviders:\n  rehearsal: {{kind: rehearsal, playbook: playbook.yaml}}\n\
             models:\n  default: rehearsal/rehearsal\nlimits: {limits}\nmcpServers: {servers}\n\
             budgets: {{run: {{tokens: null}}, task: {{tokens: null}}}}\n\
             approvals: {{tainted: allow}}\n"
        ),
    );
    stage
}

/// A stage with one server named `x`.
fn one(fixture: &Fixture, calls: &[(&str, Value)]) -> Stage {
    stage(&json!({"x": fixture.entry(json!({}))}), calls)
}

/// Every call of a server's tool in the journal: tool, arguments, whether it went well, result.
async fn called(desk: &Desk, run: &RunId) -> Vec<(String, Value, bool, Value)> {
    paired(&records(desk, run).await)
}

fn paired(records: &[Record]) -> Vec<(String, Value, bool, Value)> {
    let begun = |step: u32| {
        records.iter().find_map(|it| match &it.event {
            Event::StepBegun(begun) if begun.step == step => match &begun.work {
                Work::Tool { tool, arguments, server: Some(_), .. } if tool != "tools/list" => {
                    Some((tool.clone(), arguments.clone()))
                }
                _ => None,
            },
            _ => None,
        })
    };
    let returned = records.iter().filter_map(|it| match &it.event {
        Event::ToolReturned { step, ok, result, .. } => {
            let (tool, arguments) = begun(*step)?;
            Some((tool, arguments, *ok, result.clone()))
        }
        _ => None,
    });
    returned.collect()
}
