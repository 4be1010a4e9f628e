//! What came of a step.

use callboard_trace::{Event, Failure};

/// What came of a step.
#[derive(Debug)]
pub enum Outcome {
    /// It is done: a `model_replied`, or a `tool_returned` after what it left to be read.
    Done(Vec<Event>),
    /// It is not; the scheduler says when it may be tried again.
    Failed {
        /// Without `retry_at`.
        failure: Failure,
        /// How long the other side asked us to wait.
        retry_after: Option<std::time::Duration>,
    },
}
