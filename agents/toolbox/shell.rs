//! How commands are started: their folder, their sandbox, and the few variables that they get.

use std::collections::BTreeMap;
use std::env::{join_paths, split_paths};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::available_parallelism;
use std::time::Duration;

use callboard_config::servers::Commands;
use callboard_config::{ExposeSecret, Team};
use callboard_sandbox::{Jail, Watch};
use sha2::{Digest, Sha256};
use tokio::process::Child;

use super::kept::Keeper;

/// The most that a command may take.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// The first of them that is there reads commands.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];
/// Where programs are, if nobody says so.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What decides which programs Git runs, in a folder that is a repository.
const CONTROL: [&str; 5] =
    [".git/commondir", ".git/config", ".git/config.worktree", ".git/hooks", ".git/info/attributes"];
/// The same for everybody, so that a command says the same everywhere.
const FIXED: [(&str, &str); 2] = [("LANG", "C.UTF-8"), ("TERM", "dumb")];

/// What commands are started with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shell {
    /// Without it none is started.
    keeper: Option<Keeper>,
    /// What the owner wrote.
    commands: Commands,
    /// All that they may reach.
    jail: Jail,
}

impl Shell {
    /// For the roots of a team, whose own files and journal are not written.
    pub(crate) fn of(team: &Team, data: Option<&PathBuf>, keeper: Option<Keeper>) -> Shell {
        let mut jail = Jail {
            write: team.bounds.roots.clone(),
            guarded: team.bash.guarded.iter().chain(data).cloned().collect(),
            read: team.bash.sandbox.read.clone(),
            network: team.bash.sandbox.network,
            bounds: keeper.as_ref().map(|it| it.bounds).unwrap_or_default(),
            watch: data.map(|it| watch(team, it)),
        };
        // Every processor for as long as it may run: what is left then goes on unseen.
        let processors = available_parallelism().map_or(1, usize::from) as u64;
        jail.bounds.cpu_s = Some(TIMEOUT_MAX.as_secs().saturating_mul(processors));
        Shell { keeper, commands: team.bash.clone(), jail }
    }

    /// How long a command may take, if it says so or not.
    pub(crate) fn patience(&self, asked_ms: Option<u64>) -> Duration {
        let usual = Duration::from_secs(self.commands.timeout_s);
        asked_ms.map_or(usual, Duration::from_millis).min(TIMEOUT_MAX)
    }

    /// The folder of a root that commands make nothing in, since it holds files of the team.
    pub(super) fn guarded_root(&self) -> Option<&Path> {
        let holds = |it: &&PathBuf| self.jail.guarded.iter().any(|file| file.starts_with(it));
        self.jail.write.iter().find(holds).map(PathBuf::as_path)
    }

    /// Where programs are that may be run: others would hide those of the same name behind them.
    fn path(&self) -> OsString {
        let path = self.commands.inherited.get("PATH").map_or(PATH, String::as_str);
        let may = |it: &PathBuf| it.canonicalize().is_ok_and(|it| self.jail.reads(&it));
        join_paths(split_paths(path).filter(may)).unwrap_or_else(|_| PATH.into())
    }

    /// Starts a command in the first root. It runs while its input is held open.
    ///
    /// # Errors
    /// A sentence for the model.
    pub(super) fn start(&self, command: &str) -> Result<Child, String> {
        let keeper = self.keeper.as_ref().ok_or("no command is run by this process")?;
        let folder = self.jail.write.first();
        let folder = folder.ok_or("there is no folder to run it in: the team has no `roots`")?;
        let shell = SHELLS.iter().find(|it| Path::new(it).exists()).unwrap_or(&SHELLS[0]);
        let mut start = keeper.command(Some(&self.jail), true)?;
        start.args([shell, "-c", "--", command]).current_dir(folder);
        start.envs(&self.commands.inherited).env("PATH", self.path()).envs(BTreeMap::from(FIXED));
        let own = self.commands.env.iter();
        start.envs(own.map(|(name, it)| (name, it.expose_secret())));
        start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        start.spawn().map_err(|it| format!("it cannot be started: {it}"))
    }
}

/// What commands can write since Landlock cannot leave it out, and must not.
fn watch(team: &Team, data: &Path) -> Watch {
    let apart = |it: &&PathBuf| !team.bash.guarded.iter().any(|own| it.starts_with(own));
    let of_root = |root: &PathBuf| {
        let others = team.bounds.guarded.iter().filter(apart);
        let others = others.filter_map(|it| it.strip_prefix(root).ok().map(Path::to_path_buf));
        (root.clone(), CONTROL.map(PathBuf::from).into_iter().chain(others).collect())
    };
    let files: BTreeMap<PathBuf, Vec<PathBuf>> = team.bounds.roots.iter().map(of_root).collect();
    let hash = Sha256::digest(format!("{files:?}"));
    let name: String = hash.iter().take(8).map(|it| format!("{it:02x}")).collect();
    Watch { kept: data.join("watched").join(name), files }
}
