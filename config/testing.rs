//! The language of this room's tests: files in, a team or the told problems out.

use std::path::Path;

use tempfile::TempDir;

use crate::{Agent, AgentName, Problems, Team, load};

/// An agent file that is right.
pub(crate) const PLAIN: &str = "---\ndescription: Does it.\n---\nDo it.\n";

/// A folder with these files.
pub(crate) fn folder<T: AsRef<[u8]>>(files: &[(&str, T)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// What variables hold in tests.
pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some("sk-from-env\n".to_owned()),
        "LOCAL_KEY" => Some("  local-key  \n".to_owned()),
        "BROKEN_KEY" => Some("first\nsecond".to_owned()),
        "PATH" => Some("/usr/bin:/bin".to_owned()),
        "CI_TOKEN" => Some("ci-token-0123456789\n".to_owned()),
        "BLANK_TOKEN" => Some("ci token 0123456789".to_owned()),
        "STORE" => Some("postgres://callboard:hunter2%2Fx@db.example/work\n".to_owned()),
        "ODD_STORE" => Some("mysql://callboard:hunter22@db.example/work".to_owned()),
        "EMPTY_KEY" => Some(" ".to_owned()),
        _ => None,
    }
}

pub(crate) fn try_load<T: AsRef<[u8]>>(files: &[(&str, T)]) -> Result<Team, Problems> {
    load(folder(files).path(), &env)
}

/// The team of files that have no error.
pub(crate) fn team<T: AsRef<[u8]>>(files: &[(&str, T)]) -> Team {
    let folder = folder(files);
    load(folder.path(), &env).unwrap_or_else(|it| panic!("{}", relative(&it, folder.path())))
}

/// One agent of a team.
pub(crate) fn agent<'a>(team: &'a Team, name: &str) -> &'a Agent {
    &team.agents[&AgentName::parse(name).unwrap()]
}

/// Everything told about these files, with paths from the folder; `starts` first if it loads.
pub(crate) fn told<T: AsRef<[u8]>>(files: &[(&str, T)]) -> String {
    let folder = folder(files);
    match load(folder.path(), &env) {
        Ok(team) => {
            let told = relative(&Problems(team.problems), folder.path());
            format!("starts\n{told}")
        }
        Err(problems) => relative(&problems, folder.path()),
    }
}

/// What is told about one agent file beside a good agent and a good team file.
pub(crate) fn told_of_agent(text: &str) -> String {
    told(&[("team.yaml", "entry: lead"), ("agents/lead.md", PLAIN), ("agents/odd.md", text)])
}

/// What is told about a team file beside one good agent.
pub(crate) fn told_of_team(text: &str) -> String {
    told(&[("team.yaml", text), ("agents/lead.md", PLAIN)])
}

fn relative(problems: &Problems, folder: &Path) -> String {
    problems.to_string().replace(&format!("{}/", folder.display()), "")
}
