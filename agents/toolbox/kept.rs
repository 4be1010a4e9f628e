//! How programs are started: by their keeper, which never outlives this process, and what they may use.

use std::path::PathBuf;

use callboard_config::Team;
use callboard_sandbox::{Bounds, Jail};
use tokio::process::Command;

/// The program that starts others and sees to their end, and what it lets them do in the sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    program: PathBuf,
    /// What each process of a program may use.
    pub(super) bounds: Bounds,
    /// What no program writes.
    pub(super) guarded: Vec<PathBuf>,
}

impl Keeper {
    /// The keeper of a team's programs.
    pub(super) fn of(team: &Team, program: PathBuf) -> Keeper {
        let limits = &team.limits;
        let bounds = Bounds {
            cpu_s: None,
            memory_mib: limits.program_memory_mib,
            file_mib: limits.program_file_mib,
            files: limits.program_files,
            processes: usize::try_from(limits.program_processes).unwrap_or(usize::MAX),
        };
        Keeper { program, bounds, guarded: team.bash.guarded.clone() }
    }

    /// The command that has a program kept, in the sandbox if there is one, in a group of its own.
    /// The program and its arguments come next; of variables it gets none yet. `once`: see
    /// `callboard keep`.
    pub(super) fn command(&self, jail: Option<&Jail>, once: bool) -> Result<Command, String> {
        let mut start = Command::new(&self.program);
        start.arg("keep");
        if let Some(jail) = jail {
            let written = serde_json::to_string(jail).map_err(|it| format!("no sandbox: {it}"))?;
            start.args(["--jail", &written]);
        }
        if once {
            start.arg("--once");
        }
        start.arg("--").env_clear();
        #[cfg(unix)]
        start.process_group(0);
        Ok(start)
    }
}
