//! Tools of other programs as a run knows them: what each listing told, under the model's names.

use std::collections::BTreeMap;

use callboard_config::Agent;
use callboard_config::servers::ToolServer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Letters of a tool's name that every provider takes.
const NAME_MAX: usize = 64;
/// What becomes of a tool that is not what was agreed to.
pub(crate) const WAY_OUT: &str = "`callboard trust` shows what is other, and agrees to it";
/// Keywords that large providers refuse at the top of a schema.
const REFUSED: [&str; 7] = ["anyOf", "oneOf", "allOf", "not", "enum", "$schema", "$id"];

/// One tool of a tool server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Card {
    /// What the model calls it.
    pub(crate) name: String,
    /// The key of its server.
    pub(crate) server: String,
    /// What its server calls it.
    pub(crate) tool: String,
    /// The shape of its arguments.
    pub(crate) schema: Value,
    /// Doing it again changes nothing, says its server.
    pub(crate) repeatable: bool,
    /// It only reads, says its server.
    pub(crate) reads: bool,
    /// The hash of its definition; runs of before know none.
    pub(crate) sha256: Option<String>,
    pub(crate) description: String,
}

/// Everything that the listings of a run told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shelf {
    cards: Vec<Card>,
    /// Every server that was asked, and why it has no tools if it could not say.
    asked: Vec<(String, Option<String>)>,
    /// Tools that are not what was agreed to: their server, and what the model would call them.
    changed: Vec<(String, String)>,
}

impl Shelf {
    /// Takes in the outcome of one listing.
    pub(crate) fn put(&mut self, server: &str, ok: bool, result: &Value) {
        let why = result.get("error").and_then(Value::as_str).unwrap_or("it gave no list");
        self.asked.push((server.to_owned(), (!ok).then(|| why.to_owned())));
        for told in result.get("tools").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default();
            let is_set = |key: &str| told.get(key).and_then(Value::as_bool).unwrap_or(false);
            let mut name = shown(ToolServer::name_of(server), text("name"));
            if self.card(&name).is_some() {
                name = marked(&name, &format!("{server} {}", text("name")));
            }
            self.cards.push(Card {
                name,
                server: server.to_owned(),
                tool: text("name").to_owned(),
                schema: told.get("inputSchema").cloned().unwrap_or_else(|| json!({})),
                repeatable: is_set("readOnlyHint") || is_set("idempotentHint"),
                reads: is_set("readOnlyHint"),
                sha256: told.get("sha256").and_then(Value::as_str).map(str::to_owned),
                description: text("description").to_owned(),
            });
        }
        let server = ToolServer::name_of(server);
        let changed = result.get("changed").and_then(Value::as_array).into_iter().flatten();
        let changed =
            changed.filter_map(|it| Some((server.to_owned(), shown(server, it.as_str()?))));
        self.changed.extend(changed);
    }

    /// Whether that server was asked.
    pub(crate) fn knows(&self, server: &str) -> bool {
        self.asked.iter().any(|it| it.0 == server)
    }

    /// The tool of that name.
    pub(crate) fn card(&self, name: &str) -> Option<&Card> {
        self.cards.iter().find(|it| it.name == name)
    }

    /// The servers that could not be asked, by name, and why.
    pub(crate) fn absent<'a>(&'a self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let why =
            |it: &'a (String, Option<String>)| Some((ToolServer::name_of(&it.0), it.1.as_deref()?));
        self.asked.iter().filter_map(why)
    }

    /// The servers with tools that are not what was agreed to, and how many.
    pub(crate) fn changed(&self) -> BTreeMap<&str, usize> {
        let mut all = BTreeMap::new();
        self.changed.iter().for_each(|it| *all.entry(it.0.as_str()).or_default() += 1);
        all
    }

    /// Whether the tool of that name is not what was agreed to.
    pub(crate) fn is_changed(&self, name: &str) -> bool {
        self.changed.iter().any(|it| it.1 == name)
    }

    /// Every tool that was told of.
    pub(crate) fn cards(&self) -> &[Card] {
        &self.cards
    }
}

impl Card {
    /// The schema without what only few providers take; arguments are held against the whole one.
    pub(crate) fn plain_schema(&self) -> Value {
        plain(&self.schema)
    }
}

/// Whether the agent may use that tool of that server.
pub(crate) fn may_use(agent: &Agent, server: &str, tool: &str) -> bool {
    agent.may_use(&shown(ToolServer::name_of(server), tool))
}

/// `mcp__files__read`, in letters and a length that every provider takes.
pub(crate) fn shown(server: &str, tool: &str) -> String {
    let whole = format!("mcp__{server}__{tool}");
    let plain = |it: char| if it.is_ascii_alphanumeric() || it == '-' { it } else { '_' };
    let name: String = whole.chars().map(plain).collect();
    if name.len() <= NAME_MAX { name } else { marked(&name, &whole) }
}

/// The name with its end replaced by what tells it from others like it.
fn marked(name: &str, whole: &str) -> String {
    let hash = Sha256::digest(whole);
    let mark: String = hash.iter().take(4).map(|it| format!("{it:02x}")).collect();
    let head: String = name.chars().take(NAME_MAX - 1 - mark.len()).collect();
    format!("{head}_{mark}")
}

fn plain(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(map) = schema.as_object_mut() {
        map.retain(|key, _| !REFUSED.contains(&key.as_str()));
        map.insert("type".into(), json!("object"));
        map.entry("properties").or_insert_with(|| json!({}));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_stay_apart() {
        let long = "x".repeat(90);
        let mut shelf = Shelf::default();
        let tools = ["read file", "read.file", &long, "plain"].map(|it| json!({"name": it}));
        shelf.put("me/files", true, &json!({ "tools": tools }));
        shelf.put("files", true, &json!({"tools": [{"name": "plain", "readOnlyHint": true}]}));
        shelf.put("gone", false, &json!({"error": "no such program"}));
        let names: Vec<&str> = shelf.cards.iter().map(|it| it.name.as_str()).collect();
        let fits = |it: &&str| {
            it.len() <= 64 && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it))
        };
        assert!(names.iter().all(fits), "{names:?}");
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{names:?}");
        assert_eq!(names[0], "mcp__files__read_file");
        assert_eq!(
            shelf.card(names[4]).map(|it| (&*it.server, it.repeatable)),
            Some(("files", true))
        );
        assert_eq!(shelf.absent().collect::<Vec<_>>(), [("gone", "no such program")]);
    }

    #[test]
    fn a_schema_is_shown_as_every_provider_takes_it() {
        let shown =
            plain(&json!({"anyOf": [{"required": ["a"]}], "properties": {"a": {"enum": [1]}}}));
        assert_eq!(shown, json!({"properties": {"a": {"enum": [1]}}, "type": "object"}));
        assert_eq!(plain(&json!({})), json!({"type": "object", "properties": {}}));
    }
}
