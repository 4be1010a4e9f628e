//! The demo's own folder: the shipped team on the rehearsal model, and a journal.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use callboard_trace::{Record, RunId};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::broken::Broken;

const TEAM: &str = include_str!("../../examples/demo/team.yaml");
const PLAYBOOK: &str = include_str!("../../examples/demo/playbook.yaml");

/// How long a process may take to read a small journal.
const READING: Duration = Duration::from_secs(20);

/// Where the demo happens.
pub(crate) struct House {
    /// This program.
    pub(crate) binary: PathBuf,
    /// The team's files.
    pub(crate) team: PathBuf,
    /// The journal.
    pub(crate) data: PathBuf,
    log: PathBuf,
    /// Removed at the end, unless it is to be kept.
    _folder: Option<TempDir>,
}

impl House {
    /// Writes the team into a new folder: the named one, or one that goes away again.
    pub(crate) fn build(keep: Option<&Path>) -> Result<House, Broken> {
        let binary = std::env::current_exe()
            .map_err(|error| Broken::machine("this program cannot find itself", &error))?;
        let made = |error: io::Error| Broken::machine("the demo's folder cannot be made", &error);
        let (folder, path) = match keep {
            Some(path) => (None, fresh(path)?),
            None => {
                let folder = tempfile::Builder::new().prefix("callboard-demo-").tempdir();
                let folder = folder.map_err(made)?;
                let path = folder.path().to_path_buf();
                (Some(folder), path)
            }
        };
        let (team, data, log) = (path.join("team"), path.join("data"), path.join("serve.log"));
        fs::create_dir_all(&team).map_err(made)?;
        callboard_config::write(&team, false)
            .map_err(|error| Broken::said(format!("the team cannot be written: {error}")))?;
        fs::write(team.join("team.yaml"), TEAM).map_err(made)?;
        fs::write(team.join("playbook.yaml"), PLAYBOOK).map_err(made)?;
        Ok(House { binary, team, data, log, _folder: folder })
    }

    /// The arguments that name the team and the journal.
    pub(crate) fn place(&self) -> [OsString; 4] {
        ["--team".into(), self.team.clone().into(), "--data".into(), self.data.clone().into()]
    }

    /// The names of the team's agents, as the files say.
    pub(crate) fn agents(&self) -> Result<Vec<String>, Broken> {
        let team = callboard_config::load_here(&self.team);
        let team = team.map_err(|it| Broken::said(format!("the team does not hold: {it}")))?;
        Ok(team.agents.keys().map(ToString::to_string).collect())
    }

    /// Where a server's own words go.
    pub(crate) fn log(&self) -> io::Result<Stdio> {
        File::options().create(true).append(true).open(&self.log).map(Stdio::from)
    }

    /// The last of a server's own words, for somebody who looks for a cause.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Every record of a run's tree, read by a process of its own as a user would.
    pub(crate) async fn journal(&self, run: &RunId) -> Result<Vec<Record>, Broken> {
        let mut reader = Command::new(&self.binary);
        reader.args(["trace", run.as_str(), "--json"]).args(self.place());
        let output = reader.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = timeout(READING, output)
            .await
            .map_err(|_| Broken::said(format!("`callboard trace` takes over {READING:?}")))?
            .map_err(|error| Broken::machine("the journal cannot be read", &error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Broken::said(format!("`callboard trace` failed: {said}")));
        }
        let lines = output.stdout.split(|it| *it == b'\n').filter(|it| !it.is_empty());
        let records = lines.map(serde_json::from_slice).collect::<Result<Vec<Record>, _>>();
        records
            .map_err(|error| Broken::said(format!("the journal holds what is no record: {error}")))
    }
}

fn fresh(path: &Path) -> Result<PathBuf, Broken> {
    let made = |error: io::Error| Broken::machine("the folder to keep cannot be made", &error);
    fs::create_dir_all(path).map_err(made)?;
    let path = path.canonicalize().map_err(made)?;
    if fs::read_dir(&path).map_err(made)?.next().is_some() {
        let shown = path.display();
        return Err(Broken::Said {
            message: format!("{shown} is not empty"),
            help: "name a new folder: the demo overwrites nothing".to_owned(),
        });
    }
    Ok(path)
}
