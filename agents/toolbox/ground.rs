//! What the built-in tools reach the machine with: which folders, and how much of each thing.

use std::path::{Path, PathBuf};

use callboard_config::hands::Bounds;
use callboard_config::{Limits, Team};

use super::egress::Egress;
use super::kept::Keeper;
use super::shell::Shell;

/// The ground that the agents of a team stand on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ground {
    /// The folders they see, each with its links resolved; relative paths begin at the first.
    pub(crate) roots: Vec<PathBuf>,
    /// What no agent writes, with all below it, whether it is there or not.
    pub(crate) guarded: Vec<PathBuf>,
    /// How much they are shown, and may take.
    pub(crate) limits: Limits,
    /// The way out to the network.
    pub(crate) egress: Egress,
    /// How commands are started.
    pub(crate) shell: Shell,
}

impl Ground {
    /// The ground of a team whose journal is in the folder `data`, which no agent writes.
    pub(crate) fn of(team: &Team, data: &Path, keeper: Option<Keeper>) -> Ground {
        let Bounds { roots, mut guarded, fetch } = team.bounds.clone();
        let whole = data.canonicalize().or_else(|_| std::path::absolute(data));
        let shell = Shell::of(team, whole.as_ref().ok(), keeper);
        guarded.extend(whole);
        let limits = team.limits.clone();
        Ground { roots, guarded, limits, egress: Egress::new(fetch), shell }
    }
}
