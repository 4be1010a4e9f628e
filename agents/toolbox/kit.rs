//! What a call of a built-in tool is done with.

use std::collections::BTreeMap;
use std::sync::Arc;

use callboard_config::Agent;
use callboard_trace::RunId;

use super::board::Board;
use super::ground::Ground;
use crate::Run;

/// What a call is done with.
pub(crate) struct Kit<'a> {
    pub(crate) board: &'a dyn Board,
    pub(crate) ground: &'a Arc<Ground>,
    pub(crate) run: &'a RunId,
    /// The call's id.
    pub(crate) call: &'a str,
    /// 1-based: beyond the first it may have been done already.
    pub(crate) attempt: u32,
    pub(crate) known: &'a Known,
}

/// What a run has to say to its tools, taken when the step is prepared.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) agent: Arc<Agent>,
    /// The files that the run read or wrote, with their hashes as it saw or left them last.
    pub(crate) files: BTreeMap<String, String>,
}

impl Known {
    /// What this run knows; nothing of its files where no built-in tool is called.
    pub(crate) fn of(run: &Run, is_built_in: bool) -> Known {
        let files = if is_built_in { run.files.clone() } else { BTreeMap::new() };
        Known { agent: run.started.agent.clone(), files }
    }
}
