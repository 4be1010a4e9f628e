//! The checked team: what every other room reads, after which nobody checks again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::budget::{Budgets, Caps, Prices};
use crate::class::Class;
use crate::database::Database;
use crate::guards::Guard;
use crate::hands::Bounds;
use crate::http::Http;
use crate::memory::{Access, Memory, Slots};
use crate::model::Model;
use crate::nearest::nearest;
use crate::origins::Origins;
use crate::permission::{Act, Approvals, Grants, Pattern, Verdict};
use crate::policy::{Breaker, Ranking, Resources, Retain, Route, Throttle};
use crate::sandbox::{Commands, Sandbox};
use crate::select::selects;
use crate::{Limits, Provider};

/// The agents, models and limits one owner loads together.
#[derive(Clone, Debug)]
pub struct Team {
    /// Shown to clients and in traces; `team:` in `team.yaml`, else the folder's name.
    pub name: String,
    /// The agent that gets work nobody is named for.
    pub entry: AgentName,
    /// Every agent that loaded, by name.
    pub agents: BTreeMap<AgentName, Agent>,
    /// Model endpoints by name.
    pub providers: BTreeMap<String, Provider>,
    /// What texts are made vectors with: the alias `embed` of `models`, if there is one.
    pub embed: Option<Model>,
    /// What tasks are ranked with: the alias `small` of `models`, if there is one.
    pub small: Option<Model>,
    /// Every bound of the product, as this owner set it.
    pub limits: Limits,
    /// What may be spent.
    pub budgets: Budgets,
    /// What models cost.
    pub prices: Prices,
    /// What steps share, and which tools take it.
    pub resources: Resources,
    /// How the order of the queue is found.
    pub ranking: Ranking,
    /// Who gets work that nobody is named for.
    pub route: Route,
    /// When nothing new begins; `None` = the machine's load does not matter.
    pub throttle: Option<Throttle>,
    /// For how long what was done is kept.
    pub retain: Retain,
    /// The walled area that tasks and budgets belong to.
    pub workspace: String,
    /// What it remembers beyond a task.
    pub memory: Memory,
    /// What the team is for, in the owner's words; priority may ask it.
    pub goal: Option<String>,
    /// The ceiling over every root's permissions; the agents' own are already cut to it.
    pub permissions: BTreeMap<Act, Verdict>,
    /// The same by tool, before its class.
    pub patterns: Vec<Pattern>,
    /// When and how long people are asked for leave.
    pub approvals: Approvals,
    /// Whether trigger words hand off by themselves (`handoffs.triggers`).
    pub triggers: bool,
    /// What commands of the tool Bash reach.
    pub bash: Commands,
    /// The tool servers that may run, by key; see `Team::trust`.
    pub servers: BTreeMap<String, ToolServer>,
    /// Tool servers that nobody agreed to yet.
    pub untrusted: Vec<ToolServer>,
    /// What the owner agreed to, once that was looked up.
    pub trust: Option<Trust>,
    /// Whether open runs are finished when their client goes away (`clients.on_disconnect`).
    pub finishes: bool,
    /// Who may reach it over HTTP.
    pub http: Http,
    /// The server that keeps its runs; `None` = a file of the data folder does.
    pub database: Option<Database>,
    /// How far the built-in tools of its agents reach.
    pub bounds: Bounds,
    /// What was read, with the hash of its bytes.
    pub files: Vec<SourceFile>,
    /// Where each key was written; what is not there has its default.
    pub origins: Origins,
    /// Agent files left out and warnings: the rest of the team still serves.
    pub problems: Vec<crate::Problem>,
}

impl Team {
    /// A team without agents, for who only looks at what was done; with what kept it from loading.
    pub fn nobody(problems: Vec<crate::Problem>) -> Team {
        Team {
            name: String::new(),
            entry: AgentName("nobody".to_string()),
            agents: BTreeMap::new(),
            providers: BTreeMap::new(),
            embed: None,
            small: None,
            limits: Limits::default(),
            budgets: Budgets::default(),
            prices: Prices::default(),
            resources: Resources::default(),
            ranking: Ranking::default(),
            route: Route::default(),
            throttle: Some(Throttle::default()),
            retain: Retain { records: None, bodies: None },
            workspace: "default".to_string(),
            memory: Memory::default(),
            goal: None,
            permissions: BTreeMap::new(),
            patterns: Vec::new(),
            approvals: Approvals::default(),
            triggers: false,
            bash: Commands::default(),
            servers: BTreeMap::new(),
            untrusted: vec![],
            trust: None,
            finishes: false,
            http: Http::default(),
            database: None,
            bounds: Bounds::default(),
            files: Vec::new(),
            origins: Origins::new(),
            problems,
        }
    }

    /// The agent whose name is nearest to a misspelt one, if one is near.
    pub fn nearest(&self, typed: &str) -> Option<&AgentName> {
        let near = nearest(typed, self.agents.keys().map(AgentName::as_str))?;
        self.agents.keys().find(|it| it.as_str() == near)
    }
}

/// One MCP server whose tools agents may use.
#[derive(Clone, Debug)]
pub struct ToolServer {
    /// A key of `Team::servers`: its name, or `agent/name` where one agent's own file defines it,
    /// behind eight letters of a hash of where and how it is defined. Runs record it: another
    /// team's server of the same name is never taken for it.
    pub key: String,
    /// Letters, digits, `-` and `_`; its tools are named `mcp__<name>__<tool>`.
    pub name: String,
    /// How it is reached.
    pub reach: Reach,
    /// What would be run or asked, as it is written: without the values of secrets.
    pub shown: String,
    /// The file that names it.
    pub source: SourceFile,
    /// The line there.
    pub line: usize,
    /// Whether that file is the team's own: `team.yaml`, or one in its `agents/`.
    pub own: bool,
    /// The agents that may use it.
    pub users: Vec<AgentName>,
    /// The sandbox that its program runs in; `None` = it runs as any program of the user.
    pub sandbox: Option<Sandbox>,
    /// Every value of it that must never reach a record.
    pub secrets: Vec<SecretString>,
}

/// How a tool server is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// A program that speaks on its stdin and stdout.
    Program {
        /// Its whole path, or the name that was not found on `PATH`.
        command: PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// The variables that are written for it.
        env: BTreeMap<String, SecretString>,
        /// The variables of this process that it gets besides: `PATH`, `HOME` and the like.
        inherited: BTreeMap<String, String>,
        /// The folder it starts in.
        cwd: PathBuf,
    },
    /// An address that speaks Streamable HTTP: https, or http on this machine.
    Http {
        /// The whole address.
        url: String,
        /// Sent with every request.
        headers: BTreeMap<String, SecretString>,
        /// Whether it may be in a private network.
        private: bool,
    },
}

impl ToolServer {
    /// The name out of a key.
    pub fn name_of(key: &str) -> &str {
        key.rsplit('/').next().unwrap_or(key)
    }
}

/// Which files may name programs and addresses: see `Trust::read`.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The record in the data folder.
    pub(crate) file: PathBuf,
    /// Whether the owner named the team's folder, which trusts its own files.
    pub(crate) named: bool,
    /// Every file that was agreed to, as it was then.
    pub(crate) known: Vec<SourceFile>,
}

/// One file the team was loaded from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Where it was found.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hex.
    pub hash: String,
}

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

impl std::fmt::Display for AgentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A named specialist, complete: a run records this whole value and keeps it to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
