//! All tools of a team: the list that clients see, and the way of a call to its tool.

use std::collections::HashMap;

use callboard_config::{Agent, AgentName, Kind as Who, Team};
use callboard_scheduler::Desk;
use callboard_trace::Caller;
use serde_json::{Value, json};

use crate::call::{Asked, Call, Outcome, Patience, UnknownTool};
use crate::check::{Check, Result};
use crate::fields::{self, Field};
use crate::nearest::{did_you_mean, quoted};
use crate::published::{Annotations, Published};
use crate::surface::{SURFACE_TOKENS, instructions, surface_tokens};
use crate::{agent, answer, control, handoff, read, run, status};

/// How agents are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// One tool an agent.
    Full,
    /// One tool `ask_agent` for all of them.
    Compact,
}

/// The published tools of a team, with their checks compiled.
pub struct Toolset {
    published: Vec<Published>,
    instructions: String,
    profile: Profile,
    tools: HashMap<String, (Kind, Check)>,
}

/// Most agents that are a tool of their own.
const AGENTS_MAX: usize = 15;
/// The one tool of the compact profile.
const ASK_AGENT: &str = "ask_agent";
/// Characters of an agent's description in the compact profile, as many as fit.
const CUTS: [usize; 5] = [200, 120, 80, 40, 0];

#[derive(Clone)]
enum Kind {
    Agent(AgentName),
    AskAgent,
    Run,
    Status,
    Handoff,
    Answer,
    Control,
    Read,
}

impl Kind {
    /// How a tool of the team is published.
    fn published(&self, name: &str, says: &str, fields: &[Field]) -> Published {
        let annotations = match self {
            Kind::Status | Kind::Read => Annotations::looks_only(),
            Kind::Answer | Kind::Control => Annotations::stays_here(),
            Kind::Agent(_) | Kind::AskAgent | Kind::Run | Kind::Handoff => Annotations::default(),
        };
        let (name, description) = (name.to_owned(), says.to_owned());
        Published { name, description, input_schema: fields::shown(fields), annotations }
    }
}

impl Toolset {
    /// The tools of a team, in the profile that fits a client's context.
    pub fn of(team: &Team) -> Toolset {
        let full = Toolset::in_profile(team, Profile::Full);
        let n_agents = agents(team).count();
        let n_tokens = surface_tokens(&full.published, &full.instructions);
        if n_agents <= AGENTS_MAX && n_tokens < SURFACE_TOKENS {
            return full;
        }
        Toolset::in_profile(team, Profile::Compact)
    }

    /// The list, always in the same order.
    pub fn published(&self) -> &[Published] {
        &self.published
    }

    /// What a client's model is told about the tools as a whole.
    pub fn instructions(&self) -> &str {
        &self.instructions
    }

    /// How agents are published.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether a call of this tool may start a run, which then goes on without its caller.
    pub fn starts_a_run(&self, tool: &str) -> bool {
        self.tools.get(tool).is_some_and(|(kind, _)| match kind {
            Kind::Agent(_) | Kind::AskAgent | Kind::Run | Kind::Handoff => true,
            Kind::Status | Kind::Answer | Kind::Control | Kind::Read => false,
        })
    }

    /// Whether a call of this tool looks at what is there and changes nothing, whoever calls.
    pub fn looks_only(&self, tool: &str) -> bool {
        self.tools.get(tool).is_some_and(|(kind, _)| matches!(kind, Kind::Status | Kind::Read))
    }

    /// Whether a call of this tool waits for what its run comes to, unless it says otherwise.
    pub fn waits(&self, tool: &str) -> bool {
        let kind = self.tools.get(tool).map(|it| &it.0);
        self.starts_a_run(tool) || matches!(kind, Some(Kind::Status | Kind::Answer))
    }

    /// Checks a call and does it. A wrong call is an outcome with `is_error`.
    ///
    /// # Errors
    /// The tool is not published.
    pub async fn apply(
        &self,
        desk: &Desk,
        mut call: Call,
        caller: &Caller,
        patience: &Patience,
    ) -> Result<Outcome, UnknownTool> {
        let Some((kind, check)) = self.tools.get(&call.tool) else {
            return Err(self.unknown(&call));
        };
        let given = std::mem::take(&mut call.arguments);
        let done = match check.arguments(&call.tool, given) {
            Ok(arguments) => {
                let (arguments, call) = (&arguments, &call);
                done(kind, Asked { desk, arguments, call, caller, patience }).await
            }
            Err(refusal) => Err(refusal),
        };
        let mut outcome = match done {
            Ok(body) => Outcome { body, is_error: false },
            Err(refusal) => Outcome::refused(&refusal),
        };
        let shown = outcome.body.get("run").and_then(Value::as_str).map(str::to_owned);
        let notices = desk.notices(caller, shown.as_deref()).await;
        outcome.tell(notices);
        Ok(outcome)
    }

    fn in_profile(team: &Team, profile: Profile) -> Toolset {
        let is_compact = profile == Profile::Compact;
        let instructions = instructions(is_compact);
        let limits = &team.limits;
        let mut set =
            Toolset { published: Vec::new(), instructions, profile, tools: HashMap::new() };
        let of_team = [
            (Kind::Run, run::NAME, run::SAYS, run::fields(limits)),
            (Kind::Status, status::NAME, status::SAYS, status::fields(limits)),
            (Kind::Handoff, handoff::NAME, handoff::SAYS, handoff::fields(limits)),
            (Kind::Answer, answer::NAME, answer::SAYS, answer::fields(limits)),
            (Kind::Control, control::NAME, control::SAYS, control::fields(limits)),
            (Kind::Read, read::NAME, read::SAYS, read::fields(limits)),
        ]
        .map(|(kind, name, says, fields)| (kind.published(name, says, &fields), kind, fields));
        if is_compact {
            let others: Vec<Published> = of_team.iter().map(|(it, ..)| it.clone()).collect();
            set.add(set.ask_agent(team, &others), Kind::AskAgent, &ask_agent_fields(team));
        } else {
            for agent in agents(team) {
                let fields = agent::fields(limits);
                set.add(one_agent(agent, &fields), Kind::Agent(agent.name.clone()), &fields);
            }
        }
        for (published, kind, fields) in of_team {
            set.add(published, kind, &fields);
        }
        set
    }

    fn add(&mut self, published: Published, kind: Kind, fields: &[Field]) {
        self.tools.insert(published.name.clone(), (kind, Check::new(fields)));
        self.published.push(published);
    }

    /// The one tool for all agents, with as much about each as the budget has room for.
    fn ask_agent(&self, team: &Team, others: &[Published]) -> Published {
        let fits = |it: &Published| {
            let all: Vec<Published> = others.iter().chain([it]).cloned().collect();
            surface_tokens(&all, &self.instructions) < SURFACE_TOKENS
        };
        let mut tool = ask_agent(team, CUTS[0]);
        for cut in &CUTS[1..] {
            if fits(&tool) {
                break;
            }
            tool = ask_agent(team, *cut);
        }
        tool
    }

    fn unknown(&self, call: &Call) -> UnknownTool {
        let names = self.published.iter().map(|it| it.name.as_str());
        let way_out = did_you_mean(&call.tool, names, "there are");
        UnknownTool(format!("tool {} is not published{way_out}", quoted(&call.tool)))
    }
}

async fn done(kind: &Kind, asked: Asked<'_>) -> Result<Value> {
    match kind {
        Kind::Agent(name) => agent::apply(name, asked).await,
        Kind::AskAgent => {
            let name = asked.arguments.get("agent").and_then(Value::as_str).unwrap_or_default();
            agent::apply(&handoff::agent(&asked.desk.team(), name)?, asked).await
        }
        Kind::Run => run::apply(asked).await,
        Kind::Status => status::apply(asked).await,
        Kind::Handoff => handoff::apply(asked).await,
        Kind::Answer => answer::apply(asked).await,
        Kind::Control => control::apply(asked).await,
        Kind::Read => read::apply(asked).await,
    }
}

/// The agents that callers may name. A tool of the team keeps its name.
fn agents(team: &Team) -> impl Iterator<Item = &Agent> {
    let taken = [
        ASK_AGENT,
        run::NAME,
        status::NAME,
        handoff::NAME,
        answer::NAME,
        control::NAME,
        read::NAME,
    ];
    team.agents.values().filter(move |it| it.publish && !taken.contains(&it.name.as_str()))
}

fn one_agent(agent: &Agent, fields: &[Field]) -> Published {
    let by = match agent.kind {
        Who::Model => "",
        Who::Human => " A person answers, which may take long.",
    };
    Published {
        name: agent.name.to_string(),
        description: format!("{}{by}", agent.description),
        input_schema: fields::shown(fields),
        annotations: agent::annotations(agent),
    }
}

fn ask_agent(team: &Team, n_letters: usize) -> Published {
    let lines: Vec<String> = agents(team)
        .filter(|_| n_letters > 0)
        .map(|it| format!("{}: {}", it.name, cut(&it.description, n_letters)))
        .collect();
    let all = agents(team).map(agent::annotations).reduce(|one, other| Annotations {
        read_only_hint: one.read_only_hint.and(other.read_only_hint),
        open_world_hint: one.open_world_hint.and(other.open_world_hint),
        ..one
    });
    let opening =
        "Gives a task to an agent of the team; `team_status` with view agents tells more.";
    Published {
        name: ASK_AGENT.to_owned(),
        description: [&[opening.to_owned()], &lines[..]].concat().join("\n"),
        input_schema: fields::shown(&ask_agent_fields(team)),
        annotations: all.unwrap_or_default(),
    }
}

fn ask_agent_fields(team: &Team) -> Vec<Field> {
    let names: Vec<&str> = agents(team).map(|it| it.name.as_str()).collect();
    let name = Field::required("agent", json!({"type": "string", "enum": names}), "its name");
    std::iter::once(name).chain(agent::fields(&team.limits)).collect()
}

fn cut(text: &str, n_letters: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= n_letters {
        return line.to_owned();
    }
    line.chars().take(n_letters).chain(['…']).collect()
}

#[cfg(test)]
#[path = "toolset_tests.rs"]
pub(crate) mod tests;
