//! Every agent of the team: what was written of it in several files, laid over each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::agent::AgentName;
use crate::codex;
use crate::front_matter::{self, Parts};
use crate::imports::{self, Imports};
use crate::member::{Ground, Member};
use crate::nearest::{did_you_mean, loose};
use crate::origins::{self, Origins};
use crate::place::{At, Place, Sink};
use crate::problem::Problem;
use crate::written_team::WrittenTeam;
use crate::yaml::{Node, Value};

/// One agent file.
#[derive(Debug)]
pub(crate) struct AgentText {
    pub(crate) path: PathBuf,
    /// Its name without endings.
    pub(crate) stem: String,
    /// Its text, or why it cannot be read.
    pub(crate) text: Result<String, String>,
}

/// Takes the agents in: their files, what JSON files lay over them, what `agents:` changes.
pub(crate) fn all<'a>(
    files: &[AgentText],
    laid_over: &[(PathBuf, Result<String, String>)],
    written: &'a WrittenTeam,
    ground: &'a Ground,
    sink: &'a Sink,
) -> Gathered<'a> {
    let imports = imports(laid_over, sink);
    let mut gathered = Gathered::new(written, ground, sink);
    gathered.take_files(files, &imports);
    gathered.take_imports(&imports);
    gathered
}

/// Every agent that loads, and the loose names of those that are left out.
pub(crate) struct Gathered<'a> {
    ground: &'a Ground,
    sink: &'a Sink,
    overrides: BTreeMap<String, &'a (At<String>, Node)>,
    members: BTreeMap<AgentName, Member>,
    absent: BTreeSet<String>,
    origins: Origins,
}

impl<'a> Gathered<'a> {
    fn new(written: &'a WrittenTeam, ground: &'a Ground, sink: &'a Sink) -> Gathered<'a> {
        let overrides = written.agents.iter().map(|it| (loose(&it.0.value), it)).collect();
        let (members, absent, origins) = Default::default();
        Gathered { ground, sink, overrides, members, absent, origins }
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
            let member = Member::check(&parts, stem, self.ground, &own)?;
            Some((member, parts.front))
        });
        let broken = own.has_errors();
        self.sink.absorb(own);
        let Some((member, front)) = member.filter(|_| !broken) else {
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
        origins::add(&front, &format!("agents.{}", member.agent.name), 1, &mut self.origins);
        self.members.insert(member.agent.name.clone(), member);
    }

    /// What there is in the end; where it was written goes to `origins`.
    pub(crate) fn done(
        self,
        origins: &mut Origins,
        team_sink: &Sink,
    ) -> (BTreeMap<AgentName, Member>, BTreeSet<String>) {
        for (key, (name, _)) in &self.overrides {
            if !self.absent.contains(key) && !self.knows(key) {
                team_sink.push(unknown(name, "agents", self.members.keys()));
            }
        }
        // An override is found with the agent, also under a name that is written another way.
        origins.retain(|it, _| !it.starts_with("agents."));
        origins.extend(self.origins);
        (self.members, self.absent)
    }
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

/// Told of a name under `key` that no agent bears.
pub(crate) fn unknown<'a>(
    name: &At<String>,
    key: &str,
    agents: impl Iterator<Item = &'a AgentName>,
) -> Problem {
    let near = did_you_mean(&name.value, agents.map(AgentName::as_str));
    let said = format!("agent \"{}\" in `{key}` is not in this team{near}", name.value);
    name.place.error(said, "")
}
