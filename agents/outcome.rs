//! What came of a step.

use callboard_trace::{Event, Failure};

use crate::model::Learned;

/// What came of a step.
#[derive(Debug)]
pub enum Outcome {
    /// It is done.
    Done {
        /// A `model_replied`, or a `tool_returned` after what it left to be read.
        events: Vec<Event>,
        /// What the provider told of its limits.
        learned: Vec<Learned>,
    },
    /// It is not; the scheduler says when it may be tried again.
    Failed {
        /// Without `retry_at`.
        failure: Failure,
        /// How long the other side asked us to wait.
        retry_after: Option<std::time::Duration>,
        /// What the provider told of its limits.
        learned: Vec<Learned>,
    },
}

impl Outcome {
    /// Done, with nothing told about limits.
    pub(crate) fn done(events: Vec<Event>) -> Outcome {
        Outcome::Done { events, learned: Vec::new() }
    }
}
