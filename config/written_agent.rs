//! The front matter of an agent file as it is written, in the forms of several editors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::absent::of_server;
use crate::agent::Kind;
use crate::class::Class;
use crate::fields::Fields;
use crate::memory::{self, Access, Slots};
use crate::nearest::nearest;
use crate::permission::{Act, Grants, Verdict};
use crate::permit::Permit;
use crate::place::{At, Place, Sink};
use crate::policy::Breaker;
use crate::units::{OneOf, Switch, Unit};
use crate::written_budget::WrittenCaps;
use crate::written_edge::{self, WrittenEdge};
use crate::written_guard::{self, Read, WrittenGuard};
use crate::written_permission::{WrittenPermissions, permissions};
use crate::written_resource::{self, WrittenBreaker};
use crate::written_server::WrittenServer;
use crate::yaml::{Key, Node, Value};

/// Most model turns of a run.
const TURNS: u64 = 200;
const ACTS: [&str; 5] = ["read", "write", "run", "fetch", "external"];
const CLASSES: [&str; 6] = ["critical", "high", "quality", "normal", "low", "background"];

/// Keys that other products act on, or a later version will; told, and nothing else.
const IDLE: [&str; 34] = [
    "argument-hint",
    "author",
    "autoCompactWindow",
    "background",
    "color",
    "disable",
    "disable-model-invocation",
    "hooks",
    "icon",
    "infer",
    "is_background",
    "initialPrompt",
    "isolation",
    "license",
    "metadata",
    "mode",
    "nickname_candidates",
    "observeSubagents",
    "observeToolResults",
    "observer",
    "observerMessage",
    "omitClaudeMd",
    "permission",
    "permissionMode",
    "sandbox_mode",
    "skills",
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
    /// Who does its work. Default: `model`.
    #[schemars(with = "Option<Kind>")]
    pub(crate) kind: Kind,
    /// What a person may choose from, up to 20 words; only for `kind: human`.
    #[schemars(with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) choices: Vec<At<String>>,
    /// The keys that say something about a model, for the case that a person does the work.
    #[schemars(skip)]
    pub(crate) of_models: Vec<(&'static str, Place)>,
    /// The instructions, where they do not stand below the front matter.
    #[schemars(skip)]
    pub(crate) prompt: Option<At<String>>,
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
    /// Tools that are switched on in a map that leaves the others on too.
    #[schemars(skip)]
    pub(crate) switched_on: Vec<At<String>>,
    /// Tools taken away again, by name or glob.
    #[schemars(rename = "disallowedTools", with = "Option<OneOf<Vec<String>, String>>")]
    pub(crate) disallowed_tools: Vec<At<String>>,
    /// MCP servers it may use: names, or definitions of its own. Default: all of the team's.
    #[schemars(rename = "mcpServers", with = "Option<Servers>")]
    pub(crate) servers: Option<Node>,
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
    /// `output_schema` means the same.
    #[schemars(with = "Option<OneOf<String, BTreeMap<String, Json>>>")]
    pub(crate) output: Option<Node>,
    /// What it may do, by class of act and by tool. Default: `read` is allowed, the rest asks.
    #[schemars(with = "Option<WrittenPermissions>")]
    pub(crate) permissions: Option<Permit>,
    /// What it may pass on of the permissions it received. Default: `own`.
    #[schemars(with = "Option<OneOf<GrantWord, Vec<Act>>>")]
    pub(crate) grants: Option<Grants>,
    /// What it may do with what is remembered beyond a task. Default: `read`.
    pub(crate) memory: Option<Access>,
    /// Which slots of a task's shared context it is shown, and into which it may write.
    pub(crate) slots: Option<Slots>,
    /// What one of its runs may spend. Default: the team's `budgets.run`.
    #[schemars(with = "Option<WrittenCaps>")]
    pub(crate) budget: Option<Node>,
    /// Steps of its runs in progress at once. Default: as many as there are seats.
    #[schemars(range(min = 1))]
    pub(crate) max_parallel: Option<At<u64>>,
    /// When it is left alone after runs that failed; its work goes to others meanwhile.
    #[schemars(with = "Option<WrittenBreaker>")]
    pub(crate) breaker: Breaker,
    /// Whether it is a tool of its own. Default: true.
    #[schemars(with = "Option<Switch>")]
    pub(crate) publish: Option<bool>,
    /// What is checked at the borders of its runs, besides the checks of the team.
    #[schemars(rename = "guardrails", with = "Option<Vec<WrittenGuard>>")]
    pub(crate) guards: Vec<Read>,
}

/// `mcpServers` of an agent, for the schema.
type Servers =
    OneOf<Vec<OneOf<String, BTreeMap<String, WrittenServer>>>, BTreeMap<String, WrittenServer>>;

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
        let (tools, switched_on, switched_off) = tools(&fields);
        let mut agent = WrittenAgent {
            name: fields.text("name"),
            description: fields.text("description"),
            kind: kind(&fields),
            choices: fields.texts("choices").unwrap_or_default(),
            of_models: of_models(&fields),
            prompt: fields.text("prompt"),
            model: fields.texts("model").unwrap_or_default(),
            effort: effort(&fields),
            temperature: fields.real("temperature", 0.0..=2.0),
            max_output: fields.whole("max_output", Unit::Count, 1..=1_000_000),
            tools,
            switched_on,
            disallowed_tools: switched_off,
            servers: fields.either(&["mcpServers", "mcp-servers", "mcp_servers"]).cloned(),
            max_turns: fields
                .either(&["maxTurns", "max_turns", "steps", "maxSteps"])
                .and_then(|it| turns(&fields, it)),
            capabilities: fields.texts("capabilities").unwrap_or_default(),
            handoffs: written_edge::edges(&fields),
            handoffs_from: fields.texts("handoffs_from").unwrap_or_default(),
            handoffs_deny: fields.texts("handoffs_deny").unwrap_or_default(),
            triggers: fields.texts("triggers").unwrap_or_default(),
            class: class(&fields),
            authority: fields.real("authority", 0.0..=1.0),
            output: fields.either(&["output", "output_schema"]).cloned(),
            permissions: permissions(&fields).or_else(|| readonly(&fields)),
            grants: grants(&fields),
            memory: memory::of_agent(&fields),
            slots: fields.node("slots").map(|it| memory::slots(it, fields.name("slots"), sink)),
            budget: fields.node("budget").cloned(),
            max_parallel: fields.whole("max_parallel", Unit::Count, 1..=10_000),
            breaker: written_resource::breaker(&fields),
            publish: fields.flag("publish"),
            guards: written_guard::read(&fields),
        };
        agent.disallowed_tools.extend(fields.texts("disallowedTools").unwrap_or_default());
        agent.handoffs.extend(written_edge::sub_agents(&fields));
        let asked = agent.tools.iter().flatten().flat_map(written_edge::in_tool);
        let (all, named): (Vec<_>, Vec<_>) = asked.partition(|it| it.to.value == "*");
        agent.handoffs.extend(named);
        if agent.handoffs.is_empty() {
            agent.handoffs.extend(all);
        }
        tell_rest(&fields);
        agent
    }
}

/// Names of tools.
type Names = Vec<At<String>>;

/// A list or comma text; or opencode's map of switches, which takes tools away, or with `"*": false`
/// leaves only those that are on.
fn tools(fields: &Fields<'_>) -> (Option<Names>, Names, Names) {
    let Some(node) = fields.node("tools") else { return (None, vec![], vec![]) };
    let Value::Map(entries) = &node.value else {
        return (Some(fields.texts_of(node, "tools")), vec![], vec![]);
    };
    let switched = |to: bool| {
        let is_it = move |it: &&(Key, Node)| matches!(it.1.value, Value::Flag(is) if is == to);
        let all = entries.iter().filter(is_it);
        all.map(|(key, _)| At { place: key.place.clone(), value: key.name.clone() })
    };
    let ours = |it: At<String>| At { value: of_server(&it.value).unwrap_or(it.value), ..it };
    let (on, off): (Vec<_>, Vec<_>) =
        (switched(true).collect(), switched(false).map(ours).collect());
    match off.iter().any(|it| it.value == "*") {
        true => {
            let on = on.into_iter().map(ours).collect();
            (Some(on), vec![], off.into_iter().filter(|it| it.value != "*").collect())
        }
        false => (None, on, off),
    }
}

/// Model turns; in files of other products, which know no bound, more than there are mean all.
fn turns(fields: &Fields<'_>, node: &Node) -> Option<At<u64>> {
    if let Value::Whole(it) = node.value
        && it > TURNS as i64
        && !node.place.source.strict
    {
        let said = format!("`maxTurns` is {it}; an agent has {TURNS} at most");
        fields.sink.push(node.place.warning(said, ""));
        return Some(At { place: node.place.clone(), value: TURNS });
    }
    fields.whole_of(node, "maxTurns", Unit::Count, 1..=TURNS)
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
pub(crate) fn class(fields: &Fields<'_>) -> Option<Class> {
    let (class, priority) = (fields.node("class"), fields.node("priority"));
    let key = if class.is_some() { "class" } else { "priority" };
    let node = class.or(priority)?;
    let Value::Whole(_) = node.value else {
        return fields.choice_of(node, key, &CLASSES).map(|it| it.value);
    };
    let points = fields.whole_of(node, key, Unit::Count, 0..=1_000)?;
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

fn kind(fields: &Fields<'_>) -> Kind {
    let Some(node) = fields.node("kind") else { return Kind::Model };
    match node.text() {
        Some("model" | "local") => return Kind::Model,
        Some("human") => return Kind::Human,
        Some(kind @ ("cli" | "remote")) => fields.wrong(
            node,
            "kind",
            &format!("\"{kind}\" is not supported by this version"),
            "remove the line to let a model do the work",
        ),
        Some(_) | None => fields.wrong(node, "kind", "must be \"model\" or \"human\"", ""),
    }
    Kind::Model
}

/// The keys that only a model can act on.
fn of_models(fields: &Fields<'_>) -> Vec<(&'static str, Place)> {
    let keys = [
        "model",
        "effort",
        "temperature",
        "max_output",
        "tools",
        "disallowedTools",
        "maxTurns",
        "max_turns",
    ];
    keys.iter().filter_map(|key| Some((*key, fields.node(key)?.place.clone()))).collect()
}

/// Cursor's `readonly`: it reads and fetches, and changes nothing.
fn readonly(fields: &Fields<'_>) -> Option<Permit> {
    let changes = [Act::Write, Act::Run, Act::External];
    let classes = || changes.map(|act| (act, Verdict::Deny)).into();
    fields.flag("readonly")?.then(|| Permit { classes: classes(), ..Permit::default() })
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
