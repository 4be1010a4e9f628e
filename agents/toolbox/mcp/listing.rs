//! What a tool server says it can do, cut down to what an agent may use and a record may hold.

use callboard_config::permit::{Deed, Object, Permit};
use callboard_config::servers::ToolServer;
use callboard_config::{Act, Agent, Verdict};
use rmcp::model::{PaginatedRequestParams, Tool};
use rmcp::service::{Peer, RoleClient, ServiceError};
use serde_json::{Value, json};

use crate::shelf::{may_use, shown};
use crate::words::is_hidden;

/// Tools of one server that an agent gets.
const TOOLS_MAX: usize = 200;
/// Tools of one server that are looked at, and pages of them.
const SEEN_MAX: usize = 10_000;
const PAGES_MAX: usize = 100;
/// Bytes and levels of one schema.
const SCHEMA_MAX: usize = 256 << 10;
const LEVELS_MAX: usize = 64;
/// Bytes of all cards of one server.
const CARDS_MAX: usize = 1 << 20;
/// Characters of a description.
const DESCRIPTION_MAX: usize = 2_000;
/// Reasons that are kept of why tools were left out.
const REASONS_MAX: usize = 20;

/// Every tool of a server, page by page.
pub(super) async fn all(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, ServiceError> {
    let (mut tools, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = PaginatedRequestParams::default().with_cursor(cursor);
        let page = peer.list_tools(Some(asked)).await?;
        tools.extend(page.tools);
        cursor = page.next_cursor.filter(|_| tools.len() < SEEN_MAX);
        if cursor.is_none() {
            break;
        }
    }
    tools.truncate(SEEN_MAX);
    Ok(tools)
}

/// The cards of those tools that the agent may use, as the run records them.
pub(super) fn cards(agent: &Agent, server: &str, tools: Vec<Tool>) -> Value {
    let (mut cards, mut left_out, mut bytes) = (Vec::<Value>::new(), Vec::new(), 0);
    let mut n_left_out = 0;
    let permit = Permit::of(agent);
    for tool in tools.into_iter().filter(|it| may_use(agent, server, &it.name)) {
        let known = cards.iter().any(|it| it["name"] == *tool.name);
        let reads = tool.annotations.as_ref().is_some_and(|it| it.read_only_hint == Some(true));
        // What its server does not call read-only may change something outside.
        let act = if reads { Act::Read } else { Act::External };
        let name = shown(ToolServer::name_of(server), &tool.name);
        let ruling = permit.judge(&Deed { act, tool: name, object: Object::Any });
        let card = match card(&tool) {
            _ if ruling.verdict == Verdict::Deny => Err(ruling.why),
            _ if known => Err("a second tool has its name".to_owned()),
            Ok(_) if cards.len() == TOOLS_MAX => Err(format!("more than {TOOLS_MAX} tools")),
            Ok((_, size)) if bytes + size > CARDS_MAX => Err("no room for its schema".into()),
            other => other,
        };
        match card {
            Ok((card, size)) => {
                bytes += size;
                cards.push(card);
            }
            Err(why) => {
                n_left_out += 1;
                if left_out.len() < REASONS_MAX {
                    left_out.push(json!({"tool": crate::words::cut(&tool.name, 100), "why": why}));
                }
            }
        }
    }
    let mut listed = json!({ "tools": cards });
    if n_left_out > 0 {
        listed["left_out"] = json!({"count": n_left_out, "first": left_out});
    }
    listed
}

/// One card and its size; or why the tool cannot be used.
fn card(tool: &Tool) -> Result<(Value, usize), String> {
    let schema = Value::Object((*tool.input_schema).clone());
    let size = schema.to_string().len();
    if size > SCHEMA_MAX {
        return Err(format!("its schema has {size} bytes, more than {SCHEMA_MAX}"));
    }
    if depth(&schema) > LEVELS_MAX {
        return Err(format!("its schema is deeper than {LEVELS_MAX} levels"));
    }
    if let Err(error) = jsonschema::validator_for(&schema) {
        return Err(crate::words::cut(&format!("its schema is unusable: {error}"), 200));
    }
    let hints = tool.annotations.as_ref();
    let is_set = |it: Option<Option<bool>>| it.flatten() == Some(true);
    let card = json!({
        "name": tool.name,
        "description": plain(tool.description.as_deref().unwrap_or_default()),
        "inputSchema": schema,
        "readOnlyHint": is_set(hints.map(|it| it.read_only_hint)),
        "idempotentHint": is_set(hints.map(|it| it.idempotent_hint)),
    });
    Ok((card, size + tool.name.len() + DESCRIPTION_MAX))
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The text without marks that hide or reorder what stands there.
fn plain(text: &str) -> String {
    let text: String =
        text.chars().filter(|it| matches!(it, '\n' | '\t') || !is_hidden(*it)).collect();
    crate::words::cut(text.trim(), DESCRIPTION_MAX)
}
