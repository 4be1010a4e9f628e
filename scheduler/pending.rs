//! A step that is decided on and has not begun.

use callboard_agents::{Asked, Draft, Prepared};
use callboard_store::NewRun;
use callboard_trace::{Event, Spend};

/// A step that begins as soon as its gates let it. The run has not heard of it yet.
pub(crate) struct Pending {
    /// Its records.
    pub(crate) events: Vec<Event>,
    /// What it is.
    pub(crate) what: What,
}

impl Pending {
    /// What it sets aside of budgets.
    pub(crate) fn set_aside(&self) -> Spend {
        let (What::Model(_, step) | What::Tool(step)) = &self.what else { return Spend::default() };
        step.begun().reserved
    }
}

/// What a gated step does.
pub(crate) enum What {
    /// Asks a model.
    Model(Asked, Prepared),
    /// Calls a tool.
    Tool(Prepared),
    /// Passes work on, as an agent thought of.
    HandOff(Draft, NewRun),
}
