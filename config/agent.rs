//! One specialist, checked: who it is, what it may do, and to whom it passes work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::budget::Caps;
use crate::class::Class;
use crate::guards::Guard;
use crate::memory::{Access, Slots};
use crate::model::Model;
use crate::permission::{Act, Grants, Pattern, Verdict};
use crate::policy::Breaker;
use crate::select::selects;

/// The name of an agent, which is also its tool's name: `[a-z][a-z0-9_]{1,31}`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct AgentName(String);

impl AgentName {
    /// Reads a name; `-` becomes `_`. Answers `None` if it is no name.
    pub fn parse(text: &str) -> Option<AgentName> {
        let name = text.trim().replace('-', "_");
        let mut letters = name.chars();
        let first = letters.next()?.is_ascii_lowercase();
        let rest = letters.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_');
        (first && rest && (2..=32).contains(&name.len())).then_some(AgentName(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `nobody`.
impl Default for AgentName {
    fn default() -> AgentName {
        AgentName("nobody".to_owned())
    }
}

impl std::fmt::Display for AgentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A named specialist, complete: a run records this whole value and keeps it to its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Also the name of its tool.
    pub name: AgentName,
    /// What a client's model reads, 1..300 characters.
    pub description: String,
    /// Who does its work.
    #[serde(default, skip_serializing_if = "Kind::is_model")]
    pub kind: Kind,
    /// What a person may choose from; empty = any text, and always so for a model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The system prompt: the body of the agent's file.
    pub instructions: String,
    /// Models in the order they are tried; never empty, but for a person.
    pub models: Vec<Model>,
    /// Passed on when the provider takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Passed on as `reasoning_effort` when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Tools by name or glob; `None` = all the team allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Tools taken away again, by name or glob.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disallowed_tools: Vec<String>,
    /// The built-in tools it has, by name: see [`crate::hands`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hands: Vec<String>,
    /// Keys of the tool servers it may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Model turns before the finalisation turn.
    pub max_turns: u32,
    /// Whether its own file says so, and not the team's limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub turns_are_its_own: bool,
    /// What one of its runs may spend, complete; `None` = the team's `budgets.run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Caps>,
    /// Steps of its runs in progress at once; `None` = as many as there are seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// When it is left alone: it counts runs that fail.
    #[serde(default, skip_serializing_if = "Breaker::is_usual")]
    pub breaker: Breaker,
    /// What it is good at, as slugs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// To whom it may pass work: either side's declaration counts, denials are taken off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handoffs: Vec<Edge>,
    /// Base priority of its runs.
    pub class: Class,
    /// 0..1, its weight in a synthesis.
    pub authority: f64,
    /// JSON Schema of its answer: the base schema with the role's own fields.
    pub output: Value,
    /// What it may do with what is remembered beyond a task.
    #[serde(default, skip_serializing_if = "Access::is_usual")]
    pub memory: Access,
    /// Which slots of a task it is shown, and into which it may write.
    #[serde(default, skip_serializing_if = "Slots::are_open")]
    pub slots: Slots,
    /// What it may do by class of act.
    pub permissions: BTreeMap<Act, Verdict>,
    /// What it may do by tool, before its class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<Pattern>,
    /// What it may pass on in a handoff.
    pub grants: Grants,
    /// Whether it is a tool of its own.
    pub publish: bool,
    /// What is checked at the borders of its runs: the team's checks and its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
}

impl Agent {
    /// One with nothing but a name: it is published, and may do nothing.
    pub fn named(name: AgentName) -> Agent {
        let (max_turns, authority, output) = (20, 0.6, Value::Object(serde_json::Map::new()));
        Agent { name, max_turns, authority, output, publish: true, ..Agent::default() }
    }

    /// Whether its `tools` and `disallowedTools` leave it this tool of a server.
    pub fn may_use(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|it| selects(it, tool))
            && !selects(&self.disallowed_tools, tool)
    }
}

/// The right to pass work to another agent, with all the model is told about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Who receives.
    pub to: AgentName,
    /// Words that hand off by themselves once the agent has its answer; `any` = may always be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<String>,
    /// One line told to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// A template for the new task, in which `{{task}}` is the source's own task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Who finishes.
    pub mode: Mode,
    /// The receiver's description.
    pub description: String,
    /// The receiver's capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
}

/// Who does an agent's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A language model.
    #[default]
    Model,
    /// A person, who is asked and answers.
    Human,
}

impl Kind {
    fn is_model(&self) -> bool {
        *self == Kind::Model
    }
}

/// Who finishes after a handoff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The receiver finishes.
    #[default]
    Transfer,
    /// The answer comes back.
    Delegate,
}
