//! Reads a team from its files; the only place that touches files and the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::assemble::{Texts, assemble};
use crate::database::{self, Database};
use crate::fields::Fields;
use crate::gather::AgentText;
use crate::place::{At, Place, Sink};
use crate::problem::{Problem, Problems};
use crate::provider::ProviderKind;
use crate::secret::Outside;
use crate::team::{Reach, SourceFile, Team, ToolServer};
use crate::yaml;

/// The file beside the agents.
const TEAM: &str = "team.yaml";
/// What models cost, beside the team.
const PRICES: &str = "prices.yaml";
/// Tool servers as other programs write them, beside the team.
const SERVERS: &str = ".mcp.json";
/// Variables that every tool server gets from this process.
const INHERITED: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_COLLATE",
    "LC_MESSAGES",
    "LC_NUMERIC",
    "LC_TIME",
    "TZ",
    "TMPDIR",
    "USER",
    "SHELL",
    "LOGNAME",
];
/// Variables that every command of the tool Bash gets from this process.
const OF_COMMANDS: [&str; 2] = ["PATH", "TZ"];
/// Where agents are looked for, in the order in which a name is taken.
const FOLDERS: [&str; 9] = [
    "agents",
    ".claude/agents",
    ".github/agents",
    ".github/chatmodes",
    ".gemini/agents",
    ".opencode/agent",
    ".opencode/agents",
    ".cursor/agents",
    ".codex/agents",
];
/// The folders of other programs beside their agents: what stands there may run by itself.
const OTHERS: [&str; 6] = [".claude", ".gemini", ".opencode", ".cursor", ".codex", ".vscode"];
/// The folder whose own product looks into the folders inside it too, and how deep.
const NESTED: (&str, usize) = (".claude/agents", 8);
/// Files that say who may hand to whom, in the order they are laid over the agents.
const IMPORTS: [&str; 2] = ["agent_handoffs.json", "agents_extended.json"];
/// Bytes of one file.
const BYTES: u64 = 1 << 20;
/// Agent files of one team.
const AGENTS: usize = 1_000;

/// Loads the team at `place`: a folder, a `team.yaml`, or a single agent file. `env` answers for
/// the variables that files refer to.
///
/// # Errors
/// All problems at once if the team cannot start: any error in `team.yaml`, no agent, no entry.
/// What only concerns one agent is in `Team::problems`, and the agent is left out.
pub(crate) fn load(place: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Team, Problems> {
    let sink = Sink::default();
    let texts = find(place, &sink);
    let folder = texts.team_path.parent().unwrap_or(Path::new("")).to_path_buf();
    let read = |path: &Path| text(path).map(|(text, _)| text);
    let folder_at = |path: &Path| path.canonicalize().ok().filter(|it| it.is_dir());
    let outside = Outside { folder: &folder, env, folder_at: &folder_at, read: &read };
    let mut team = assemble(texts, &outside, sink)?;
    team.bash.inherited =
        OF_COMMANDS.iter().filter_map(|it| Some(((*it).to_owned(), env(it)?))).collect();
    for provider in team.providers.values() {
        if let ProviderKind::Rehearsal { playbook: Some((path, text)) } = &provider.kind {
            team.files.push(SourceFile { path: path.clone(), hash: hash(text.as_bytes()) });
        }
    }
    for server in &mut team.untrusted {
        team.problems.extend(at_home(server, env));
        let place = server.source.path.canonicalize().unwrap_or_default();
        let what = format!("{}\n{}", place.display(), server.shown);
        server.key = format!("{}/{}", &hash(what.as_bytes())[..8], server.key);
    }
    team.bounds.guarded = guarded(&folder, &team.bounds.roots, &team);
    team.bash.guarded = guarded(&folder, &[], &team);
    Ok(team)
}

/// Everything that a team in this folder is or would be read from, and what other programs run by
/// themselves.
fn guarded(folder: &Path, roots: &[PathBuf], team: &Team) -> Vec<PathBuf> {
    let names = [TEAM, "team.yml", PRICES, SERVERS].iter();
    let names = names.chain(&OTHERS).chain(&IMPORTS).chain(&FOLDERS).collect::<Vec<_>>();
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let folders = [&folder].into_iter().chain(roots);
    let mut all: BTreeSet<PathBuf> =
        folders.flat_map(|folder| names.iter().map(|it| folder.join(it))).collect();
    let files = team.files.iter().filter_map(|it| it.path.canonicalize().ok());
    let apart = files.filter(|file| !all.iter().any(|it| file.starts_with(it)));
    let apart: Vec<PathBuf> = apart.collect();
    all.extend(apart);
    all.into_iter().collect()
}

/// Gives a program its whole path and the variables it inherits; a problem if it is not there.
fn at_home(server: &mut ToolServer, env: &dyn Fn(&str) -> Option<String>) -> Option<Problem> {
    let Reach::Program { command, inherited, cwd, .. } = &mut server.reach else { return None };
    *inherited = INHERITED.iter().filter_map(|it| Some(((*it).to_owned(), env(it)?))).collect();
    *cwd = cwd.canonicalize().unwrap_or_else(|_| cwd.clone());
    let path = inherited.get("PATH").cloned().unwrap_or_default();
    let is_bare = command.components().count() == 1 && !command.is_absolute();
    let places: Vec<PathBuf> = if is_bare {
        std::env::split_paths(&path).map(|it| it.join(&*command)).collect()
    } else {
        vec![command.clone()]
    };
    if let Some(found) = places.iter().find(|it| it.is_file()) {
        // The name is kept: what a link points to may look at the name it was called by.
        *command = std::path::absolute(found).unwrap_or_else(|_| found.clone());
        return None;
    }
    let place = Place::whole(&server.source.path, false).at(server.line);
    let said =
        format!("the program of tool server `{}` is not there: {}", server.name, server.shown);
    Some(place.warning(said, "install it, or write its whole path"))
}

/// Loads the team at `place` with the environment of this process.
///
/// # Errors
/// As `load`.
pub fn load_here(place: &Path) -> Result<Team, Problems> {
    load(place, &environment)
}

/// The database that an option such as `--store` names: `env:NAME`, `file:PATH`, or an address without
/// a password.
///
/// # Errors
/// When it names none.
pub fn database_named(option: &str, written: &str) -> Result<Database, Problems> {
    let place = Place::whole(option.as_ref(), true);
    let written = At { place, value: written.trim().to_owned() };
    let (sink, read) = (Sink::default(), |path: &Path| text(path).map(|(text, _)| text));
    let (env, folder_at) = (&environment, &|_: &Path| None);
    let outside = Outside { folder: Path::new(""), env, folder_at, read: &read };
    database::named(option, &written, &outside, &sink).ok_or_else(|| Problems(sink.sorted()))
}

/// What `store` says in the team's file at `place`, also where the rest of the team does not hold.
///
/// # Errors
/// When it names no database, or when nobody can tell what it says.
pub fn database_here(place: &Path) -> Result<Option<Database>, Problems> {
    database_of(place, &environment)
}

pub(crate) fn database_of(
    place: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Database>, Problems> {
    let (is_agent, folder, team_path) = parts_of(place);
    let (sink, other, file) = (Sink::default(), Sink::default(), Place::whole(&team_path, true));
    let Some((whole, _)) = text(&team_path).ok().filter(|_| !is_agent) else { return Ok(None) };
    let Some(node) = yaml::parse(&whole, &file, &sink) else {
        let is_written = whole.lines().any(|it| it.starts_with("store"));
        return if is_written { Err(Problems(sink.sorted())) } else { Ok(None) };
    };
    let Some(written) = Fields::open(&node, "", &other).text("store") else {
        return if other.has_errors() { Err(Problems(other.sorted())) } else { Ok(None) };
    };
    let read = |path: &Path| text(path).map(|(text, _)| text);
    let outside = Outside { folder: &folder, env, folder_at: &|_| None, read: &read };
    let found = database::read(&written, &outside, &sink);
    found.map(Some).ok_or_else(|| Problems(sink.sorted()))
}

/// What the files of a team look like from outside: as long as it is the same, nobody wrote one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Every folder in which a file of the team is or would be.
    pub folders: BTreeSet<PathBuf>,
    /// Bytes and time of every file; `None` for one that is not there.
    files: BTreeMap<PathBuf, Option<(u64, SystemTime)>>,
}

/// Looks at the files of the team at `place`, and at those it was loaded from, without opening one.
pub fn footprint(place: &Path, served: &Team) -> Footprint {
    let sink = Sink::default();
    let (is_agent, folder, team_path) = parts_of(place);
    let mut footprint = Footprint::default();
    let mut files: BTreeSet<PathBuf> = served.files.iter().map(|it| it.path.clone()).collect();
    if is_agent {
        files.insert(place.to_path_buf());
    } else {
        files.insert(team_path);
        files.extend(IMPORTS.iter().chain([&SERVERS, &PRICES]).map(|it| folder.join(it)));
        files.extend(agent_files(&folder, &sink));
        footprint.folders.insert(folder.clone());
        for name in FOLDERS {
            let inner = Path::new(name).ancestors().map(|it| folder.join(it));
            footprint.folders.extend(inner.filter(|it| it.is_dir()));
        }
    }
    footprint.folders.extend(files.iter().map(|it| parent(it)));
    if footprint.folders.remove(Path::new("")) {
        footprint.folders.insert(PathBuf::from("."));
    }
    // Looked at, but not listened to: everything else in the data folder changes all the time.
    files.extend(served.trust.iter().map(|it| it.file.clone()));
    let pins = served.trust.iter().map(|it| it.pins());
    files.extend(pins.flat_map(|it| served.servers.keys().map(move |key| it.waiting_file(key))));
    let look =
        |it: &PathBuf| Some((it.metadata().ok()?.len(), it.metadata().ok()?.modified().ok()?));
    footprint.files = files.into_iter().map(|it| (it.clone(), look(&it))).collect();
    footprint
}

/// Whether a folder holds anything of a team.
pub fn holds_a_team(folder: &Path) -> bool {
    let signs = [TEAM].into_iter().chain(IMPORTS).chain(FOLDERS);
    signs.map(|it| folder.join(it)).any(|it| it.exists())
}

/// A variable of this process's environment; `None` if it is not set or no text.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn find(place: &Path, sink: &Sink) -> Texts {
    let (is_agent, folder, team_path) = parts_of(place);
    let is_team = team_path == place;
    let mut texts = Texts { name: folder_name(&folder), team_path, ..Texts::default() };
    texts.project = if is_agent { project(&folder) } else { Some(folder.clone()) };
    if !place.exists() {
        let help = "name a team's folder, or write the shipped team with `callboard init`";
        sink.push(Place::whole(place, true).error("there is no such file or folder", help));
        return texts;
    }
    let wrong = folder.join("team.yml");
    if !is_team && wrong.exists() {
        sink.push(Place::whole(&wrong, true).error("is not read", "rename it to `team.yaml`"));
    }
    let imports = IMPORTS.map(|it| folder.join(it));
    for path in imports.into_iter().filter(|it| !is_agent && it.exists()) {
        let text = keep(&path, &mut texts.files);
        texts.imports.push((path, text));
    }
    if is_team || (!is_agent && texts.team_path.exists()) {
        texts.team = keep(&texts.team_path, &mut texts.files)
            .map_err(|error| sink.push(Place::whole(&texts.team_path, true).error(error, "")))
            .ok();
    }
    let prices = folder.join(PRICES);
    if !is_agent && prices.exists() {
        texts.prices = keep(&prices, &mut texts.files)
            .map_err(|error| sink.push(Place::whole(&prices, true).error(error, "")))
            .ok()
            .map(|text| (prices, text));
    }
    let servers = folder.join(SERVERS);
    if !is_agent && servers.exists() {
        texts.servers = keep(&servers, &mut texts.files)
            .map_err(|error| sink.push(Place::whole(&servers, false).warning(error, "")))
            .ok()
            .map(|text| (servers, text));
    }
    let agents = if is_agent { vec![place.to_path_buf()] } else { agent_files(&folder, sink) };
    for path in agents {
        let (stem, text) = (stem(&path), keep(&path, &mut texts.files));
        texts.agents.push(AgentText { path, stem, text });
    }
    texts
}

/// Whether a place is one agent, its folder, and where its team file is or would be.
fn parts_of(place: &Path) -> (bool, PathBuf, PathBuf) {
    let ends =
        |endings: &[&str]| place.extension().is_some_and(|it| endings.iter().any(|e| it == *e));
    let (is_agent, is_team) = (ends(&["md", "toml"]), ends(&["yaml", "yml"]));
    let folder = if is_agent || is_team { parent(place) } else { place.to_path_buf() };
    let team_path = if is_team { place.to_path_buf() } else { folder.join(TEAM) };
    (is_agent, folder, team_path)
}

/// The folder that a folder of agent files belongs to, if it is one by its name.
fn project(agents: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(agents).ok()?;
    let name = FOLDERS.iter().find(|it| whole.ends_with(it))?;
    whole.ancestors().nth(Path::new(name).components().count()).map(Path::to_path_buf)
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

fn folder_name(folder: &Path) -> String {
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    full.file_name().map_or_else(|| "team".to_owned(), |it| it.to_string_lossy().into_owned())
}

/// The agent files of all folders, in order; `README.md` is none.
fn agent_files(folder: &Path, sink: &Sink) -> Vec<PathBuf> {
    let mut found = vec![];
    for name in FOLDERS {
        let deep = if name == NESTED.0 { NESTED.1 } else { 0 };
        look_into(&folder.join(name), deep, &mut found, sink);
    }
    if found.len() > AGENTS {
        let said = format!("holds {} agent files, more than {AGENTS}", found.len());
        sink.push(Place::whole(folder, true).error(said, ""));
        found.truncate(AGENTS);
    }
    found
}

/// Adds the agent files of a folder, sorted, and then those of the folders inside it.
fn look_into(here: &Path, deep: usize, found: &mut Vec<PathBuf>, sink: &Sink) {
    let Ok(entries) = std::fs::read_dir(here) else {
        if here.is_dir() {
            sink.push(Place::whole(here, true).error("cannot be read", ""));
        }
        return;
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
    paths.sort();
    found.extend(paths.iter().filter(|it| is_agent_file(it)).cloned());
    for inner in paths.iter().filter(|it| deep > 0 && it.is_dir()) {
        look_into(inner, deep - 1, found, sink);
    }
}

fn is_agent_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let codex = path.parent().is_some_and(|it| it.ends_with(".codex/agents"));
    let ends = path.extension().is_some_and(|it| it == if codex { "toml" } else { "md" });
    ends && !name.starts_with('.') && !name.eq_ignore_ascii_case("README.md") && path.is_file()
}

/// `reviewer` of `reviewer.md`, of `reviewer.agent.md` and of `reviewer.chatmode.md`.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = [".agent", ".chatmode"].iter().find_map(|it| stem.strip_suffix(it));
    ending.unwrap_or(&stem).to_owned()
}

fn keep(path: &Path, files: &mut Vec<SourceFile>) -> Result<String, String> {
    let (text, hash) = text(path)?;
    files.push(SourceFile { path: path.to_path_buf(), hash });
    Ok(text)
}

/// The text of a file, without a byte order mark, and the hash of its bytes.
fn text(path: &Path) -> Result<(String, String), String> {
    if !path.is_file() {
        return Err("is no file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > BYTES {
        return Err(format!("is larger than {} KiB", BYTES >> 10));
    }
    let hash = hash(&bytes);
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("is no UTF-8 text: byte {}", error.utf8_error().valid_up_to()))?;
    Ok((text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned(), hash))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}
