//! What a tool server says it can do, cut down to what an agent may use and a record may hold.

use std::collections::{BTreeMap, BTreeSet};

use callboard_config::permit::{Deed, Object, Permit};
use callboard_config::servers::{Definition, Definitions, ToolServer};
use callboard_config::{Act, Agent, Verdict};
use rmcp::model::{PaginatedRequestParams, Tool};
use rmcp::service::{Peer, RoleClient, ServiceError};
use serde_json::{Value, json};

use crate::shelf::{WAY_OUT, may_use, shown};
use crate::weight;
use crate::words::{self, is_hidden};

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
/// Bytes of a tool's name.
const NAME_MAX: usize = 128;
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

/// What a tool is known by: its definition as it was told, without what its owner keeps secret.
pub(super) fn definitions(tools: &[Tool], clean: impl Fn(Value) -> Value) -> Definitions {
    let mut all = Definitions::new();
    for tool in tools.iter().filter(|it| it.name.len() <= NAME_MAX) {
        let told = json!({
            "name": tool.name,
            "description": tool.description,
            "inputSchema": *tool.input_schema,
            "outputSchema": tool.output_schema.as_deref(),
            "annotations": tool.annotations,
        });
        all.entry(tool.name.to_string()).or_insert_with(|| Definition::of(clean(told)));
    }
    all
}

/// Every tool of a server as it is now: the hash of its definition, and whether it is the one that
/// was agreed to.
pub(super) type Held = BTreeMap<String, (String, bool)>;

/// The cards of those tools that the agent may use, as the run records them.
pub(super) fn cards(agent: &Agent, server: &str, tools: Vec<Tool>, held: &Held) -> Value {
    let (mut cards, mut left_out, mut bytes) = (Vec::<Value>::new(), Vec::new(), 0);
    let (mut n_left_out, mut changed, mut known) = (0, Vec::new(), BTreeSet::new());
    let permit = Permit::of(agent);
    for tool in tools.into_iter().filter(|it| may_use(agent, server, &it.name)) {
        let reads = tool.annotations.as_ref().is_some_and(|it| it.read_only_hint == Some(true));
        // What its server does not call read-only may change something outside.
        let act = if reads { Act::Read } else { Act::External };
        let name = shown(ToolServer::name_of(server), &tool.name);
        let ruling = permit.judge(&Deed { act, tool: name, object: Object::Any });
        let is_new = known.insert(tool.name.clone());
        let card = match (held.get(&*tool.name), card(&tool)) {
            _ if ruling.verdict == Verdict::Deny => Err(ruling.why),
            _ if !is_new => Err("a second tool has its name".to_owned()),
            (None, _) => Err(format!("its name has more than {NAME_MAX} bytes")),
            (Some((_, false)), _) => {
                if changed.len() < TOOLS_MAX {
                    changed.push(tool.name.to_string());
                }
                Err(format!("it is not what was agreed to: {WAY_OUT}"))
            }
            (_, Ok(_)) if cards.len() == TOOLS_MAX => Err(format!("more than {TOOLS_MAX} tools")),
            (_, Ok((_, size))) if bytes + size > CARDS_MAX => Err("no room for its schema".into()),
            (Some((hash, true)), Ok((mut card, size))) => {
                card["sha256"] = json!(hash);
                Ok((card, size))
            }
            (_, Err(why)) => Err(why),
        };
        match card {
            Ok((card, size)) => {
                bytes += size;
                cards.push(card);
            }
            Err(why) => {
                n_left_out += 1;
                if left_out.len() < REASONS_MAX {
                    let name = words::cut(&words::shown(&tool.name), 100);
                    left_out.push(json!({"tool": name, "why": why}));
                }
            }
        }
    }
    let mut listed = json!({ "tools": cards });
    if n_left_out > 0 {
        listed["left_out"] = json!({"count": n_left_out, "first": left_out});
    }
    if !changed.is_empty() {
        listed["changed"] = json!(changed);
    }
    listed
}

/// One card and its size; or why the tool cannot be used.
fn card(tool: &Tool) -> Result<(Value, usize), String> {
    let mut schema = Value::Object((*tool.input_schema).clone());
    let size = schema.to_string().len();
    if size > SCHEMA_MAX {
        return Err(format!("its schema has {size} bytes, more than {SCHEMA_MAX}"));
    }
    if depth(&schema) > LEVELS_MAX {
        return Err(format!("its schema is deeper than {LEVELS_MAX} levels"));
    }
    if let Some(why) = weight::problem(&schema) {
        return Err(why);
    }
    if !is_plain(&mut schema) {
        return Err("its schema holds characters that are not seen".into());
    }
    if let Err(error) = jsonschema::validator_for(&schema) {
        return Err(words::cut(&format!("its schema is unusable: {error}"), 200));
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

/// Takes what hides or reorders out of what a schema says in words; whether nothing of the kind is
/// in what arguments are held against.
fn is_plain(schema: &mut Value) -> bool {
    let is_seen =
        |it: &str| it.chars().all(|it| it != '\u{1b}' && (it.is_control() || !is_hidden(it)));
    match schema {
        Value::Object(map) => map.iter_mut().all(|(key, value)| {
            let is_said = matches!(key.as_str(), "description" | "title" | "$comment");
            if let (true, Value::String(said)) = (is_said, &mut *value) {
                *said = plain(said);
            }
            is_seen(key) && is_plain(value)
        }),
        Value::Array(items) => items.iter_mut().all(is_plain),
        Value::String(text) => is_seen(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
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
    words::cut(text.trim(), DESCRIPTION_MAX)
}
