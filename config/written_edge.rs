//! The handoffs of an agent file as they are written, in our form and in that of VS Code.

use schemars::JsonSchema;

use crate::agent::Mode;
use crate::fields::Fields;
use crate::hands;
use crate::place::At;
use crate::units::{OneOf, Switch};
use crate::yaml::{Node, Value};

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

/// The handoffs of an agent.
pub(crate) fn edges(fields: &Fields<'_>) -> Vec<WrittenEdge> {
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
            let said = format!("`{name}` is not acted on by this version");
            let strict = node.place.source.strict;
            fields.sink.push(if strict {
                node.place.error(said, "")
            } else {
                node.place.warning(said, "")
            });
        }
    }
    fields.close();
    Some(written)
}

/// VS Code's `agents`: whom it may ask as its sub-agents; `*` is everybody, `[]` nobody.
pub(crate) fn sub_agents(fields: &Fields<'_>) -> Vec<WrittenEdge> {
    let names = fields.texts("agents").unwrap_or_default().into_iter();
    let edge = |it| WrittenEdge { mode: Mode::Delegate, foreign: true, ..plain_edge(it) };
    names.map(edge).collect()
}

/// `Task` and `Agent` of other products among the tools: whom it may ask, as in `Agent(worker, critic)`;
/// without names, `*`.
pub(crate) fn in_tool(tool: &At<String>) -> Vec<WrittenEdge> {
    if !hands::delegates(&tool.value) {
        return vec![];
    }
    let named = tool.value.split_once('(').and_then(|it| it.1.trim_end().strip_suffix(')'));
    let names = named.unwrap_or_default().split(',').map(str::trim).filter(|it| !it.is_empty());
    let names: Vec<&str> = names.collect();
    let all = if names.is_empty() { vec!["*"] } else { names };
    let edge = |it: &str| {
        let to = At { place: tool.place.clone(), value: it.to_owned() };
        WrittenEdge { mode: Mode::Delegate, foreign: true, ..plain_edge(to) }
    };
    all.into_iter().map(edge).collect()
}

/// How agents hand over.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "handoffs", deny_unknown_fields)]
pub(crate) struct WrittenHandoffs {
    /// Whether trigger words hand off by themselves; off leaves handoffs to the models.
    #[schemars(with = "Option<Switch>")]
    pub(crate) triggers: Option<bool>,
}

/// Reads `handoffs:` of a team.
pub(crate) fn handoffs(fields: &Fields<'_>) -> WrittenHandoffs {
    let Some(node) = fields.node("handoffs") else { return WrittenHandoffs::default() };
    let inner = Fields::open(node, "handoffs", fields.sink);
    let handoffs = WrittenHandoffs { triggers: inner.flag("triggers") };
    inner.close();
    handoffs
}
