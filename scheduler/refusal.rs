//! Why a call was refused: nothing was started, and the caller knows what to do.

use callboard_store::StoreError;
use serde::{Deserialize, Serialize};

/// What the store answers.
pub(crate) type Stored<T> = Result<T, StoreError>;
/// What callers are told, or why not.
pub(crate) type Result<T, E = Refusal> = std::result::Result<T, E>;

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind.
    pub code: RefusalCode,
    /// A lower-case fragment that names the thing.
    pub message: String,
    /// Whether the same call may work later.
    pub retryable: bool,
    /// The way out.
    pub hint: String,
    /// Every single problem, with the path of its argument.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The arguments are wrong.
    InvalidInput,
    /// No such agent.
    UnknownAgent,
    /// No such run, or not the caller's.
    NotFound,
    /// It does not fit the state of things.
    Conflict,
    /// Too much is open.
    OverCapacity,
    /// Not permitted.
    NotAllowed,
    /// The journal cannot be written or read.
    EngineUnavailable,
    /// Our own fault.
    Internal,
}

impl Refusal {
    /// A refusal that the same call will meet again.
    pub fn new(code: RefusalCode, message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        let retryable = match code {
            RefusalCode::OverCapacity | RefusalCode::EngineUnavailable => true,
            RefusalCode::InvalidInput
            | RefusalCode::UnknownAgent
            | RefusalCode::NotFound
            | RefusalCode::Conflict
            | RefusalCode::NotAllowed
            | RefusalCode::Internal => false,
        };
        let (message, hint) = (message.into(), hint.into());
        Refusal { code, message, retryable, hint, problems: Vec::new() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  help: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// A store that fails is the operator's to mend; nothing was accepted, or nobody can tell.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        match error {
            StoreError::Conflict { run } => Refusal::new(
                RefusalCode::Conflict,
                format!("the key belongs to {run}, which was asked something else"),
                "use another key, or `fresh` to start anew",
            ),
            StoreError::OverCapacity { open, cap } => Refusal::new(
                RefusalCode::OverCapacity,
                format!("{open} tasks are open, the limit is {cap}"),
                "try again when some of them have ended, or raise `limits.queue`",
            ),
            StoreError::Unknown => Refusal::new(
                RefusalCode::EngineUnavailable,
                "the journal did not say whether it was accepted",
                "ask again under the same key, which joins what was accepted; without a key look at \
                 `team_status` first",
            ),
            StoreError::Fenced
            | StoreError::Full
            | StoreError::Corrupt(_)
            | StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Away(_)
            | StoreError::Closed
            | StoreError::Db(_) => Refusal::new(
                RefusalCode::EngineUnavailable,
                format!("the journal cannot be used: {error}"),
                "nothing was accepted; mend the store, then ask again",
            ),
        }
    }
}
