//! The front matter of an agent file as it is written, in the forms of several editors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::fields::Fields;
use crate::nearest::{did_you_mean, nearest};
use crate::place::{At, Place, Sink};
use crate::team::{Act, Class, Grants, Mode, Verdict};
use crate::units::{OneOf, Switch, Unit};
use crate::yaml::{Node, Value};

const ACTS: [&str; 5] = ["read", "write", "run", "fetch", "external"];
const CLASSES: [&str; 6] = ["critical", "high", "quality", "normal", "low", "background"];

/// Keys that other products act on, or a later version will; told, and nothing else.
const IDLE: [&str; 41] = [
    "agents",
    "argument-hint",
    "author",
    "autoCompactWindow",
    "background",
    "budget",
    "color",
    "disable-model-invocation",
    "guardrails",
    "hooks",
    "icon",
    "infer",
    "initialPrompt",
    "isolation",
    "license",
    "max_parallel",
    "mcp-servers",
    "mcpServers",
    "memory",
    "metadata",
    "mode",
    "observeSubagents",
    "observeToolResults",
    "observer",
    "observerMessage",
    "omitClaudeMd",
    "permission",
    "permissionMode",
    "prompt",
    "readonly",
    "skills",
    "slots",
    "steps",
    "tags",
    "target",
    "timeout_mins",
    "top_p",
    "user-invocable",
    "user-invokable",
    "version",
    "hidden",
];

/// What stands between the `---` lines of an agent file. Keys of Claude Code, VS Code, Gemini CLI
/// and opencode that are not listed here are kept and told as warnings.
#[derive(Debug, Default, JsonSchema)]
#[schemars(title = "Callboard agent", rename = "agent")]
pub(crate) struct WrittenAgent {
    /// 2 to 32 small letters, digits, `_` or `-`. Default: the file's name.
    pub(crate) name: Option<At<String>>,
    /// What a client's model reads: what the agent does and when to use it, up to 300 characters.
    pub(crate) description: Option<At<String>>,
    /// A model, an alias of `models`, `provider/model`, or a list tried in order.
    #[schemars(with = "Option<OneOf<String, Vec<String>>>")]
    pub(crate) model: Vec<At<String>>,
    /// How hard the model thinks, as its provider calls it.
    #[schemars(with = "Option<OneOf<String, u32>>")]
    pub(crate) effort: Option<String>,
    /// 0 to 2.
    pub(crate) temperature: Option<At<f64>>,
    /// Most tokens of one reply.
    pub(crate) max_output: Option<At<u64>>,
    /// The tools it may use, by name or glob. Default: all the team allows.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) tools: Option<Vec<At<String>>>,
    /// Tools taken away again, by name or glob.
    #[schemars(rename = "disallowedTools", with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) disallowed_tools: Vec<At<String>>,
    /// Model turns before it must finish, 1 to 200.
    #[schemars(rename = "maxTurns")]
    pub(crate) max_turns: Option<At<u64>>,
    /// What it is good at: up to 20 short words.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) capabilities: Vec<At<String>>,
    /// To whom it may pass work.
    #[schemars(with = "Option<Vec<OneOf<String, WrittenEdge>>>")]
    pub(crate) handoffs: Vec<WrittenEdge>,
    /// Who may pass work to it, without a change in their files.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) handoffs_from: Vec<At<String>>,
    /// Agents it shares no handoff with, whatever else is written.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) handoffs_deny: Vec<At<String>>,
    /// Words for all its handoffs; `any` = it may hand off freely.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) triggers: Vec<At<String>>,
    /// The priority of its runs. Default: `normal`. `priority` means the same.
    #[schemars(with = "Option<Class>")]
    pub(crate) class: Option<Class>,
    /// 0 to 1, its weight in a synthesis. Default: 0.6.
    pub(crate) authority: Option<At<f64>>,
    /// A JSON Schema whose properties are added to the base answer; or `answer` for the base alone.
    #[schemars(with = "Option<OneOf<String, BTreeMap<String, Json>>>")]
    pub(crate) output: Option<Node>,
    /// `allow`, `ask` or `deny` by class of act. Default: `read` is allowed, the rest asks.
    pub(crate) permissions: Option<BTreeMap<Act, Verdict>>,
    /// What it may pass on of the permissions it received. Default: `own`.
    #[schemars(with = "Option<OneOf<GrantWord, Vec<Act>>>")]
    pub(crate) grants: Option<Grants>,
    /// Whether it is a tool of its own. Default: true.
    #[schemars(with = "Option<Switch>")]
    pub(crate) publish: Option<bool>,
}

/// One handoff, as written; the short form is the receiver's name.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(rename = "handoff")]
#[schemars(extend("anyOf" = [{"required": ["to"]}, {"required": ["agent"]}]))]
pub(crate) struct WrittenEdge {
    /// Who receives. `agent` means the same.
    #[schemars(with = "Option<String>")]
    pub(crate) to: At<String>,
    /// Up to 30 words that hand off by themselves once the agent has its answer.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) triggers: Vec<At<String>>,
    /// One line told to the model. `label` means the same.
    pub(crate) when: Option<At<String>>,
    /// A template for the new task; `{{task}}` is the source's own. `prompt` means the same.
    pub(crate) task: Option<At<String>>,
    /// Who finishes. Default: `transfer`.
    #[schemars(with = "Option<Mode>")]
    pub(crate) mode: Mode,
    /// Whether it was written in VS Code's form, whose own agents no team has.
    #[schemars(skip)]
    pub(crate) foreign: bool,
}

/// The words of `grants`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum GrantWord {
    /// Cut to the agent's own permissions.
    Own,
    /// Uncut.
    Team,
}

impl WrittenAgent {
    /// Reads the keys; whatever is wrong is in `sink` and counts as not written.
    pub(crate) fn read(node: &Node, path: &str, sink: &Sink) -> WrittenAgent {
        let fields = Fields::open(node, path, sink);
        let (tools, switched_off) = tools(&fields);
        let mut agent = WrittenAgent {
            name: fields.text("name"),
            description: fields.text("description"),
            model: fields.texts("model").unwrap_or_default(),
            effort: effort(&fields),
            temperature: fields.real("temperature", 0.0..=2.0),
            max_output: fields.whole("max_output", Unit::Count, 1..=1_000_000),
            tools,
            disallowed_tools: switched_off,
            max_turns: fields
                .either(&["maxTurns", "max_turns"])
                .and_then(|it| fields.whole_of(it, "maxTurns", Unit::Count, 1..=200)),
            capabilities: fields.texts("capabilities").unwrap_or_default(),
            handoffs: edges(&fields),
            handoffs_from: fields.texts("handoffs_from").unwrap_or_default(),
            handoffs_deny: fields.texts("handoffs_deny").unwrap_or_default(),
            triggers: fields.texts("triggers").unwrap_or_default(),
            class: class(&fields),
            authority: fields.real("authority", 0.0..=1.0),
            output: fields.node("output").cloned(),
            permissions: permissions(&fields),
            grants: grants(&fields),
            publish: fields.flag("publish"),
        };
        agent.disallowed_tools.extend(fields.texts("disallowedTools").unwrap_or_default());
        kind(&fields);
        tell_rest(&fields);
        agent
    }
}

/// `permissions:` of an agent or of the team: a verdict by class of act.
pub(crate) fn permissions(fields: &Fields<'_>) -> Option<BTreeMap<Act, Verdict>> {
    let node = fields.node("permissions")?;
    let inner = Fields::open(node, fields.name("permissions"), fields.sink);
    let mut verdicts = BTreeMap::new();
    for act in ACTS {
        let verdict = inner.choice(act, &["allow", "ask", "deny"]);
        let act = serde_json::from_value(act.into()).ok();
        if let (Some(act), Some(verdict)) = (act, verdict) {
            verdicts.insert(act, verdict.value);
        }
    }
    for (key, place) in inner.rest() {
        let near = did_you_mean(key, ACTS);
        let why = if near.is_empty() {
            "; tool patterns are not supported by this version"
        } else {
            near.as_str()
        };
        let said = format!("`{}` is no class of act{why}", inner.name(key));
        fields.sink.push(place.error(said, format!("write one of {}", ACTS.join(", "))));
    }
    Some(verdicts)
}

/// opencode writes a map of switches; the others a list or comma text.
fn tools(fields: &Fields<'_>) -> (Option<Vec<At<String>>>, Vec<At<String>>) {
    let Some(node) = fields.node("tools") else { return (None, vec![]) };
    let Value::Map(entries) = &node.value else {
        return (Some(fields.texts_of(node, "tools")), vec![]);
    };
    let off = entries.iter().filter(|(_, it)| matches!(it.value, Value::Flag(false)));
    let off = off.map(|(key, _)| At { place: key.place.clone(), value: key.name.clone() });
    (None, off.collect())
}

fn effort(fields: &Fields<'_>) -> Option<String> {
    let node = fields.node("effort")?;
    match &node.value {
        Value::Whole(it) => Some(it.to_string()),
        Value::Null
        | Value::Flag(_)
        | Value::Real(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Map(_) => fields.text_of(node, "effort").map(|it| it.value),
    }
}

/// A word, or points of priority, which mean the nearest class.
fn class(fields: &Fields<'_>) -> Option<Class> {
    let node = fields.either(&["class", "priority"])?;
    let Value::Whole(_) = node.value else {
        return fields.choice_of(node, "class", &CLASSES).map(|it| it.value);
    };
    let points = fields.whole_of(node, "priority", Unit::Count, 0..=1_000)?;
    CLASSES
        .iter()
        .filter_map(|it| serde_json::from_value::<Class>((*it).into()).ok())
        .min_by_key(|it| u64::from(it.priority()).abs_diff(points.value))
}

fn grants(fields: &Fields<'_>) -> Option<Grants> {
    let node = fields.node("grants")?;
    if let Value::List(items) = &node.value {
        let acts = items.iter().filter_map(|it| fields.choice_of(it, "grants", &ACTS));
        return Some(Grants::Only(acts.map(|it| it.value).collect()));
    }
    Some(match fields.choice_of(node, "grants", &["own", "team"])?.value {
        GrantWord::Own => Grants::Own,
        GrantWord::Team => Grants::Team,
    })
}

fn edges(fields: &Fields<'_>) -> Vec<WrittenEdge> {
    let Some(node) = fields.node("handoffs") else { return vec![] };
    let Value::List(items) = &node.value else {
        return fields.texts_of(node, "handoffs").into_iter().map(plain_edge).collect();
    };
    items.iter().filter_map(|it| edge(it, fields)).collect()
}

fn plain_edge(to: At<String>) -> WrittenEdge {
    let mode = Mode::default();
    WrittenEdge { to, triggers: vec![], when: None, task: None, mode, foreign: false }
}

fn edge(node: &Node, outer: &Fields<'_>) -> Option<WrittenEdge> {
    if !matches!(node.value, Value::Map(_)) {
        return outer.text_of(node, "handoffs").map(plain_edge);
    }
    let fields = Fields::open(node, outer.name("handoffs"), outer.sink);
    let to = fields.node("to");
    let foreign = to.is_none();
    let Some(to) = to.or(fields.node("agent")) else {
        outer.wrong(node, "handoffs", "names no receiver", "write `to: NAME`");
        return None;
    };
    let text = |keys: &[&str]| fields.either(keys).and_then(|it| fields.text_of(it, keys[0]));
    let written = WrittenEdge {
        to: fields.text_of(to, "to")?,
        triggers: fields.texts("triggers").unwrap_or_default(),
        when: text(&["when", "label"]),
        task: text(&["task", "prompt"]),
        mode: fields
            .choice("mode", &["transfer", "delegate"])
            .map(|it| it.value)
            .unwrap_or_default(),
        foreign,
    };
    for key in ["send", "model", "showContinueOn"] {
        let idle = fields.node(key).filter(|it| !matches!(it.value, Value::Flag(false)));
        if let Some(node) = idle {
            let name = fields.name(key);
            tell_idle(
                fields.sink,
                &node.place,
                &format!("`{name}` is not acted on by this version"),
            );
        }
    }
    fields.close();
    Some(written)
}

fn kind(fields: &Fields<'_>) {
    let Some(node) = fields.node("kind") else { return };
    match node.text() {
        Some("model" | "local") => {}
        Some(kind @ ("human" | "cli" | "remote")) => fields.wrong(
            node,
            "kind",
            &format!("\"{kind}\" is not supported by this version"),
            "remove the line to let a model do the work",
        ),
        Some(_) | None => fields.wrong(node, "kind", "must be \"model\"", ""),
    }
}

/// Unknown keys: one warning for those other products act on, one for each likely slip.
fn tell_rest(fields: &Fields<'_>) {
    let known = fields.known();
    let mut idle: Option<(Vec<String>, &Place)> = None;
    for (key, place) in fields.rest() {
        let slip = nearest(key, known.iter().map(String::as_str));
        let slip = slip.filter(|_| !IDLE.contains(&key));
        let name = fields.name(key);
        match slip {
            Some(near) => tell_idle(
                fields.sink,
                place,
                &format!("key `{name}` is not known; did you mean \"{near}\"?"),
            ),
            None if place.source.strict => {
                tell_idle(fields.sink, place, &format!("`{name}` is not acted on by this version"));
            }
            None => idle.get_or_insert((vec![], place)).0.push(format!("`{key}`")),
        }
    }
    if let Some((keys, place)) = idle {
        let said = format!("not acted on by this version: {}", keys.join(", "));
        fields.sink.push(place.warning(said, ""));
    }
}

fn tell_idle(sink: &Sink, place: &Place, said: &str) {
    let strict = place.source.strict;
    sink.push(if strict { place.error(said, "") } else { place.warning(said, "") });
}
