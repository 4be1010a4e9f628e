//! From what is written to the checked team: everything is looked up once, here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::agent::{Agent, AgentName, Kind};
use crate::budget::Prices;
use crate::database;
use crate::edges;
use crate::gather::{self, AgentText, unknown};
use crate::hands::Bounds;
use crate::judges;
use crate::member::{Ground, Member};
use crate::memory::{Access, Memory};
use crate::models::Models;
use crate::nearest::loose;
use crate::origins::{self, Origins};
use crate::place::{At, Place, Sink};
use crate::problem::{Problems, Severity};
use crate::provider::Provider;
use crate::providers;
use crate::sandbox;
use crate::secret::Outside;
use crate::servers;
use crate::team::{SourceFile, Team, ToolServer};
use crate::written_fetch;
use crate::written_http;
use crate::written_policy;
use crate::written_prices;
use crate::written_server;
use crate::written_team::{OnDisconnect, WrittenTeam};
use crate::yaml;

/// The agent that gets unrouted work if nobody says otherwise.
const ENTRY: &str = "coordinator";
/// The workspace of a team that names none.
const WORKSPACE: &str = "default";

/// The text of the files of one team.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// The folder's name.
    pub(crate) name: String,
    /// Where `team.yaml` is or would be.
    pub(crate) team_path: PathBuf,
    /// Its text, if there is one.
    pub(crate) team: Option<String>,
    /// The folder that agent files stand in an agents' folder of, if they do.
    pub(crate) project: Option<PathBuf>,
    /// The path and text of `prices.yaml`, if there is one.
    pub(crate) prices: Option<(PathBuf, String)>,
    /// The path and text of `.mcp.json`, if there is one.
    pub(crate) servers: Option<(PathBuf, String)>,
    /// Every agent file.
    pub(crate) agents: Vec<AgentText>,
    /// The JSON files that are laid over them; a text, or why it cannot be read.
    pub(crate) imports: Vec<(PathBuf, Result<String, String>)>,
    /// What was read.
    pub(crate) files: Vec<SourceFile>,
}

/// Checks everything. Errors in `sink` so far, errors in `team.yaml`, a team without agents and a
/// missing entry stop the start.
pub(crate) fn assemble(texts: Texts, outside: &Outside<'_>, sink: Sink) -> Result<Team, Problems> {
    let team_file = Place::whole(&texts.team_path, true);
    let mut origins = Origins::new();
    let (written, is_known) = written_team(texts.team.as_deref(), &team_file, &mut origins, &sink);
    let (of_models, agents_sink) = (Sink::default(), Sink::default());
    let providers = providers::build(&written.providers, &team_file, outside, &of_models);
    let models = Models::build(&written, &providers, outside, &of_models);
    let route = written_policy::route(written.route.as_ref(), models.small().is_some(), &sink);
    let roots = written_fetch::roots(&written.roots, &texts.project, outside, &sink);
    let ground = Ground::of(models, &written, !roots.is_empty());
    let gathered = gather::all(&texts.agents, &texts.imports, &written, &ground, &agents_sink);
    let (mut members, mut absent) = gathered.done(&mut origins, &sink);
    let both = (&sink, &agents_sink);
    judges::join(written.guards.clone(), (&mut members, &mut absent), &ground.models, both);
    if is_known && asks_models(&written, &members) {
        sink.absorb(of_models);
    }
    tell_modelless(&members, &team_file, &sink);
    let untrusted = tool_servers(&texts, &written, &members, outside, both);
    let mut agents = edges::join(members, &absent, &agents_sink);
    publish(written.publish.as_deref(), &mut agents, &absent, &sink);
    let told = if is_known { &sink } else { &Sink::default() };
    let entry = entry(written.entry.as_ref(), &agents, &absent, &team_file, told);
    let http = written.http.as_ref().map(|it| written_http::read(it, outside, &sink));
    let database = written.store.as_ref().and_then(|it| database::read(it, outside, &sink));
    let bash = sandbox::commands(written.bash.as_ref(), outside, &sink);
    let throttle = written_policy::throttle(written.throttle.as_ref(), &sink);
    let prices = prices(texts.prices.as_ref(), &providers, &mut origins, &sink);
    written_prices::tell_unpriced(&agents, &written.budgets, &prices, &team_file, &sink);
    let stops = sink.has_errors();
    sink.absorb(agents_sink);
    let problems = sink.sorted();
    let in_team =
        problems.iter().any(|it| it.severity == Severity::Error && it.file == texts.team_path);
    let (Some(entry), false) = (entry, stops || in_team) else {
        return Err(Problems(problems));
    };
    Ok(Team {
        name: text(written.team, texts.name),
        entry,
        memory: remembering(written.memory, &mut agents),
        agents,
        providers,
        embed: ground.models.embed(),
        small: ground.models.small(),
        limits: written.limits,
        budgets: written.budgets,
        prices,
        resources: written.resources,
        ranking: written.priority,
        route,
        throttle,
        retain: written.retain,
        workspace: text(written.workspace, WORKSPACE.to_owned()),
        goal: written.goal.map(|it| it.value),
        permissions: ground.ceiling.classes,
        patterns: ground.ceiling.patterns,
        approvals: written.approvals.for_hosts(written.fetch.hosts.as_deref()),
        triggers: written.handoffs.triggers.unwrap_or(true),
        bash,
        untrusted,
        finishes: written.clients.on_disconnect == OnDisconnect::Finish,
        http: http.unwrap_or_default(),
        database,
        bounds: Bounds { roots, guarded: vec![], fetch: written.fetch },
        files: texts.files,
        origins,
        ..Team::nobody(problems)
    })
}

/// Where only people work, nobody misses an endpoint that nobody wrote.
fn asks_models(written: &WrittenTeam, members: &BTreeMap<AgentName, Member>) -> bool {
    let is_model = |it: &Member| it.agent.kind == Kind::Model;
    !written.providers.is_empty() || members.is_empty() || members.values().any(is_model)
}

fn text(it: Option<At<String>>, or: String) -> String {
    it.map_or(or, |it| it.value)
}

fn tell_modelless(members: &BTreeMap<AgentName, Member>, team_file: &Place, sink: &Sink) {
    let has_none = |it: &Member| it.agent.kind == Kind::Model && it.agent.models.is_empty();
    if sink.has_errors() || !members.values().any(has_none) {
        return;
    }
    let help = "write `models: {default: PROVIDER/MODEL}`: agents that name no model use it";
    sink.push(team_file.error("`models.default` is missing", help));
}

/// What the team remembers: also where only an agent's own file speaks of it.
fn remembering(memory: Memory, agents: &mut BTreeMap<AgentName, Agent>) -> Memory {
    if !memory.on {
        agents.values_mut().for_each(|it| it.memory = Access::None);
    }
    let writes = agents.values().any(|it| it.memory == Access::Write);
    Memory { workspace: memory.workspace || writes, ..memory }
}

/// Every tool server of the team's files; what is wrong with one of another program's files only
/// leaves that one out.
fn tool_servers(
    texts: &Texts,
    written: &WrittenTeam,
    members: &BTreeMap<AgentName, Member>,
    outside: &Outside<'_>,
    (sink, soft): (&Sink, &Sink),
) -> Vec<ToolServer> {
    let ground = &written_server::Ground { outside, files: &texts.files };
    let imported = texts.servers.as_ref().and_then(|(path, text)| {
        // Its form is JSON, which is YAML but for tabs at the beginning of a line.
        let spaced = |it: &str| {
            let rest = it.trim_start();
            format!("{}{rest}", it[..it.len() - rest.len()].replace('\t', " "))
        };
        let text: String = text.split_inclusive('\n').map(spaced).collect();
        yaml::parse(&text, &Place::whole(path, false), soft)
    });
    let team = servers::of_team(&written.servers, imported.as_ref(), ground, sink, soft);
    servers::join(members, team, ground, soft)
}

/// What `team.yaml` says, and whether that is known: what a file that is no YAML says of models and of
/// the entry nobody knows.
fn written_team(
    text: Option<&str>,
    place: &Place,
    origins: &mut Origins,
    sink: &Sink,
) -> (WrittenTeam, bool) {
    let before = sink.count();
    let Some(node) = text.and_then(|it| yaml::parse(it, place, sink)) else {
        return (WrittenTeam::default(), sink.count() == before);
    };
    origins::add(&node, "", origins::LEVELS, origins);
    (WrittenTeam::read(&node, sink), true)
}

/// What models cost, by the owner's file; those of this machine cost nothing.
fn prices(
    text: Option<&(PathBuf, String)>,
    providers: &BTreeMap<String, Provider>,
    origins: &mut Origins,
    sink: &Sink,
) -> Prices {
    let mut prices = Prices::default();
    if let Some((path, text)) = text {
        let place = Place::whole(path, true);
        if let Some(node) = yaml::parse(text, &place, sink) {
            origins::add(&node, "prices", 2, origins);
            prices = written_prices::read(&node, sink);
        }
    }
    let local = providers.values().filter(|it| it.kind.is_local());
    prices.free = local.map(|it| it.name.clone()).collect();
    prices
}

fn publish(
    written: Option<&[At<String>]>,
    agents: &mut BTreeMap<AgentName, Agent>,
    absent: &BTreeSet<String>,
    sink: &Sink,
) {
    let Some(written) = written else { return };
    let wanted: BTreeSet<String> = written.iter().map(|it| loose(&it.value)).collect();
    let known: BTreeSet<String> = agents.keys().map(|it| loose(it.as_str())).collect();
    for name in written {
        let key = loose(&name.value);
        if !known.contains(&key) && !absent.contains(&key) {
            sink.push(unknown(name, "publish", agents.keys()));
        }
    }
    for agent in agents.values_mut() {
        agent.publish &= wanted.contains(&loose(agent.name.as_str()));
    }
}

fn entry(
    written: Option<&At<String>>,
    agents: &BTreeMap<AgentName, Agent>,
    absent: &BTreeSet<String>,
    team_file: &Place,
    sink: &Sink,
) -> Option<AgentName> {
    let find = |name: &str| agents.keys().find(|it| loose(it.as_str()) == loose(name)).cloned();
    if agents.is_empty() && !absent.is_empty() {
        let help = "what is wrong with each file stands beside this";
        sink.push(team_file.error("every agent of this team is left out", help));
        return None;
    }
    if agents.is_empty() {
        let help =
            "put agent files into `agents/`, or write the shipped team with `callboard init`";
        sink.push(team_file.error("this team has no agent", help));
        return None;
    }
    if let Some(name) = written {
        let found = find(&name.value);
        if found.is_none() && absent.contains(&loose(&name.value)) {
            let said = format!("the entry agent \"{}\" is left out", name.value);
            sink.push(name.place.error(said, "mend its file, or name another `entry`"));
        } else if found.is_none() {
            sink.push(unknown(name, "entry", agents.keys()));
        }
        return found;
    }
    let only = agents.keys().next().filter(|_| agents.len() == 1).cloned();
    let found = find(ENTRY).or(only.filter(|_| absent.is_empty()));
    if found.is_some() {
        return found;
    }
    // Agents that somebody wrote for another program are served as they are.
    let first = agents.keys().next().cloned()?;
    let names: Vec<&str> = agents.keys().map(AgentName::as_str).collect();
    sink.push(team_file.warning(
        format!("no agent is named for work that nobody is named for; {first} gets it"),
        format!("write `entry: NAME` with one of {}", names.join(", ")),
    ));
    Some(first)
}
