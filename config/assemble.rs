//! From what is written to the checked team: everything is looked up once, here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::budget::{Budgets, Prices};
use crate::front_matter::{self, Parts};
use crate::imports::{self, Imports};
use crate::member::{self, Ground, Member};
use crate::models::Models;
use crate::nearest::{did_you_mean, loose};
use crate::place::{At, Place, Sink};
use crate::policy::{Ranking, Resources, Route, Throttle};
use crate::problem::{Problems, Severity};
use crate::providers;
use crate::secret::Outside;
use crate::servers;
use crate::team::{Agent, AgentName, Kind, SourceFile, Team, ToolServer};
use crate::written_http;
use crate::written_server;
use crate::written_team::{OnDisconnect, WrittenTeam};
use crate::yaml::{self, Node, Value};
use crate::{codex, edges};

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
    /// The path and text of `.mcp.json`, if there is one.
    pub(crate) servers: Option<(PathBuf, String)>,
    /// Every agent file.
    pub(crate) agents: Vec<AgentText>,
    /// The JSON files that are laid over them; a text, or why it cannot be read.
    pub(crate) imports: Vec<(PathBuf, Result<String, String>)>,
    /// What was read.
    pub(crate) files: Vec<SourceFile>,
}

/// One agent file.
#[derive(Debug)]
pub(crate) struct AgentText {
    pub(crate) path: PathBuf,
    /// Its name without endings.
    pub(crate) stem: String,
    /// Its text, or why it cannot be read.
    pub(crate) text: Result<String, String>,
}

/// Checks everything. Errors in `sink` so far, errors in `team.yaml`, a team without agents and a
/// missing entry stop the start.
pub(crate) fn assemble(texts: Texts, outside: &Outside<'_>, sink: Sink) -> Result<Team, Problems> {
    let team_file = Place::whole(&texts.team_path, true);
    let written = written_team(texts.team.as_deref(), &team_file, &sink);
    let of_models = Sink::default();
    let providers = providers::build(&written.providers, &team_file, outside, &of_models);
    let models = Models::build(&written, &providers, outside, &of_models);
    let ceiling = member::ceiling(written.permissions.clone());
    let embed = models.embed();
    let ground = Ground { models, turns: written.limits.turns, ceiling: ceiling.clone() };

    let agents_sink = Sink::default();
    let imports = imports(&texts.imports, &agents_sink);
    let mut gathered = Gathered::new(&written, &ground, &agents_sink);
    gathered.take_files(&texts.agents, &imports);
    gathered.take_imports(&imports);
    let (members, absent) = gathered.done(&sink);
    // Where only people work, nobody misses an endpoint that nobody wrote.
    let is_model = |it: &Member| it.agent.kind == Kind::Model;
    if !written.providers.is_empty() || members.is_empty() || members.values().any(is_model) {
        sink.absorb(of_models);
    }
    let without = members.values().find(|it| is_model(it) && it.agent.models.is_empty());
    if without.is_some() && !sink.has_errors() {
        sink.push(team_file.error(
            "`models.default` is missing",
            "write `models: {default: PROVIDER/MODEL}`: agents that name no model use it",
        ));
    }
    let files = &texts.files;
    let servers = written_server::Ground { outside, files };
    let untrusted = tool_servers(&texts, &written, &members, &servers, (&sink, &agents_sink));
    let mut agents = edges::join(members, &absent, &agents_sink);
    publish(written.publish.as_deref(), &mut agents, &absent, &sink);
    let entry = entry(written.entry.as_ref(), &agents, &absent, &team_file, &sink);

    let http = written.http.as_ref().map(|it| written_http::read(it, outside, &sink));

    let stops = sink.has_errors();
    sink.absorb(agents_sink);
    let problems = sink.sorted();
    let in_team =
        problems.iter().any(|it| it.severity == Severity::Error && it.file == texts.team_path);
    let (Some(entry), false) = (entry, stops || in_team) else {
        return Err(Problems(problems));
    };
    let text = |it: Option<At<String>>, or: String| it.map_or(or, |it| it.value);
    Ok(Team {
        name: text(written.team, texts.name),
        entry,
        agents,
        providers,
        embed,
        limits: written.limits,
        budgets: Budgets::default(),
        prices: Prices::default(),
        resources: Resources::default(),
        ranking: Ranking::default(),
        route: Route::default(),
        throttle: Some(Throttle::default()),
        workspace: text(written.workspace, WORKSPACE.to_owned()),
        goal: written.goal.map(|it| it.value),
        permissions: ceiling,
        triggers: written.handoffs.triggers.unwrap_or(true),
        servers: BTreeMap::new(),
        untrusted,
        trust: None,
        finishes: written.clients.on_disconnect == OnDisconnect::Finish,
        http: http.unwrap_or_default(),
        files: texts.files,
        problems,
    })
}

/// Every tool server of the team's files; what is wrong with one of another program's files only
/// leaves that one out.
fn tool_servers(
    texts: &Texts,
    written: &WrittenTeam,
    members: &BTreeMap<AgentName, Member>,
    ground: &written_server::Ground<'_>,
    (sink, soft): (&Sink, &Sink),
) -> Vec<ToolServer> {
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

fn written_team(text: Option<&str>, place: &Place, sink: &Sink) -> WrittenTeam {
    let node = text.and_then(|it| yaml::parse(it, place, sink));
    node.map_or_else(WrittenTeam::default, |it| WrittenTeam::read(&it, sink))
}

/// The JSON files that are laid over the agents, as one.
fn imports(texts: &[(PathBuf, Result<String, String>)], sink: &Sink) -> Imports {
    let mut all = Imports::new();
    for (path, text) in texts {
        let whole = Place::whole(path, false);
        match text {
            Ok(text) => imports::read(text, &whole, sink, &mut all),
            Err(error) => sink.push(whole.error(error, "")),
        }
    }
    all
}

/// Every agent that loads, and the loose names of those that are left out.
struct Gathered<'a> {
    ground: &'a Ground,
    sink: &'a Sink,
    overrides: BTreeMap<String, &'a (At<String>, Node)>,
    members: BTreeMap<AgentName, Member>,
    absent: BTreeSet<String>,
}

impl<'a> Gathered<'a> {
    fn new(written: &'a WrittenTeam, ground: &'a Ground, sink: &'a Sink) -> Gathered<'a> {
        let overrides = written.agents.iter().map(|it| (loose(&it.0.value), it)).collect();
        Gathered { ground, sink, overrides, members: BTreeMap::new(), absent: BTreeSet::new() }
    }

    fn take_files(&mut self, texts: &[AgentText], imports: &Imports) {
        for file in texts {
            let own = Sink::default();
            let mut parts = parts(file, &own);
            let name = parts.as_ref().and_then(|it| written_name(&it.front));
            let name = name.unwrap_or(&file.stem).to_owned();
            if let (Some(parts), Some(import)) = (&mut parts, imports.get(&loose(&name))) {
                import.lay_over(&mut parts.front);
            }
            self.take(parts, &name, &file.stem, own);
        }
    }

    /// Those that no file is about.
    fn take_imports(&mut self, imports: &Imports) {
        for (key, import) in imports {
            if !self.absent.contains(key) && !self.knows(key) {
                let own = Sink::default();
                let name = &import.name.value;
                self.take(Some(import.parts()), name, name, own);
                if self.knows(key) {
                    import.tell(self.sink);
                }
            }
        }
    }

    fn knows(&self, key: &str) -> bool {
        self.members.keys().any(|it| loose(it.as_str()) == key)
    }

    /// One agent, or the name it would have had.
    fn take(&mut self, parts: Option<Parts>, name: &str, stem: &str, own: Sink) {
        let changes = self.overrides.get(&loose(name)).filter(|_| parts.is_some()).copied();
        let member = parts.and_then(|mut parts| {
            if let Some((_, changes)) = changes {
                self.overrides.remove(&loose(name));
                lay_over(&mut parts, changes, name, &own);
            }
            Member::check(&parts, stem, self.ground, &own)
        });
        let broken = own.has_errors();
        self.sink.absorb(own);
        let Some(member) = member.filter(|_| !broken) else {
            self.absent.insert(loose(name));
            return;
        };
        if let Some(first) = self.members.get(&member.agent.name) {
            self.sink.push(member.place.error(
                format!("a second agent is named \"{}\"", member.agent.name),
                format!("the first is {}", first.place.source.path.display()),
            ));
            return;
        }
        self.members.insert(member.agent.name.clone(), member);
    }

    fn done(self, team_sink: &Sink) -> (BTreeMap<AgentName, Member>, BTreeSet<String>) {
        for (key, (name, _)) in &self.overrides {
            if !self.absent.contains(key) && !self.knows(key) {
                team_sink.push(unknown(name, "agents", self.members.keys()));
            }
        }
        (self.members, self.absent)
    }
}

/// The two parts of an agent file; `None` if it cannot be read, and why is in `sink`.
fn parts(file: &AgentText, sink: &Sink) -> Option<Parts> {
    let whole = Place::whole(&file.path, false);
    match &file.text {
        Ok(text) if file.path.extension().is_some_and(|it| it == "toml") => {
            codex::split(text, &whole, sink)
        }
        Ok(text) => front_matter::split(text, &whole, sink),
        Err(error) => {
            sink.push(whole.error(error, ""));
            None
        }
    }
}

fn written_name(front: &Node) -> Option<&str> {
    let Value::Map(entries) = &front.value else { return None };
    entries.iter().find(|(key, _)| key.name == "name").and_then(|(_, it)| it.text())
}

/// Puts the keys of `agents.NAME` in `team.yaml` over those of the agent's file.
fn lay_over(parts: &mut Parts, changes: &Node, name: &str, sink: &Sink) {
    let (Value::Map(entries), Value::Map(changes)) = (&mut parts.front.value, &changes.value)
    else {
        if !matches!(changes.value, Value::Null) {
            let said = format!("`agents.{name}` must be a map, found {}", changes.kind());
            sink.push(changes.place.error(said, ""));
        }
        return;
    };
    for (key, value) in changes {
        if key.name == "name" {
            let said = format!("`agents.{name}.name` cannot be changed here");
            sink.push(key.place.error(said, "rename the agent in its own file"));
            continue;
        }
        entries.retain(|(it, _)| it.name != key.name);
        entries.push((key.clone(), value.clone()));
    }
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

fn unknown<'a>(
    name: &At<String>,
    key: &str,
    agents: impl Iterator<Item = &'a AgentName>,
) -> crate::problem::Problem {
    let near = did_you_mean(&name.value, agents.map(AgentName::as_str));
    let said = format!("agent \"{}\" in `{key}` is not in this team{near}", name.value);
    name.place.error(said, "")
}
