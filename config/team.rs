//! The checked team: what every other room reads, after which nobody checks again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::agent::{Agent, AgentName};
use crate::budget::{Budgets, Prices};
use crate::database::Database;
use crate::hands::Bounds;
use crate::http::Http;
use crate::memory::Memory;
use crate::model::Model;
use crate::nearest::nearest;
use crate::origins::Origins;
use crate::permission::{Act, Approvals, Pattern, Verdict};
use crate::policy::{Ranking, Resources, Retain, Route, Throttle};
use crate::sandbox::{Commands, Sandbox};
use crate::{Limits, Provider};

/// The agents, models and limits one owner loads together.
#[derive(Clone, Debug, Default)]
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
            throttle: Some(Throttle::default()),
            retain: Retain { records: None, bodies: None },
            workspace: "default".to_string(),
            problems,
            ..Team::default()
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
