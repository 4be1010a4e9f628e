//! A run that is to be: what a caller or a parent hands in.

use callboard_trace::rank::Points;
use callboard_trace::{Fact, RunId};

/// A run to be kept, with its first records.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its name.
    pub run: RunId,
    /// The root of its tree; `None` = it is one itself.
    pub root: Option<RunId>,
    /// The run that started it.
    pub parent: Option<RunId>,
    /// Whose run it is.
    pub agent: String,
    /// The walled area it belongs to.
    pub workspace: String,
    /// The authenticated caller of its root.
    pub principal: String,
    /// The caller's idempotency key: unique with the principal, for a day.
    pub key: Option<String>,
    /// A hash of what was asked: the same key with another one is a conflict.
    pub fingerprint: String,
    /// The base, 0..1000; a point is worth a second of waiting.
    pub priority: u16,
    /// What comes on top of it.
    pub points: Points,
    /// Whether a better base may be found for it: see [`crate::Store::unscored`].
    pub unscored: bool,
    /// Microseconds since 1970 at which its root ends.
    pub deadline: i64,
    /// Its first records, in order.
    pub facts: Vec<Fact>,
    /// How many roots may be open; asked of roots only.
    pub queue_cap: u32,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The run that does the work.
    pub run: RunId,
    /// It was there already, under the same key.
    pub joined: bool,
}
