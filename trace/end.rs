//! How a run ended.

use callboard_config::AgentName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::FailureCode;

/// The end of a run's attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Success, part of it, or none.
    pub state: EndState,
    /// What stopped it.
    pub stop: Stop,
    /// The answer object: `summary`, `confidence` and the role's own fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// What is not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recommendations: Vec<String>,
    /// Why it is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
}

/// The terminal states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    /// Done.
    Completed,
    /// Stopped, with something usable.
    Partial,
    /// Stopped, with nothing.
    Failed,
    /// Stopped from outside.
    Cancelled,
}

/// What stopped a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It was finished.
    Done,
    /// Nothing left to spend.
    Budget,
    /// Too many model turns.
    Turns,
    /// Too late.
    Deadline,
    /// Circles and fuses.
    Loop,
    /// A check.
    Guardrail,
    /// A breaker.
    Breaker,
    /// An error.
    Error,
    /// Somebody outside.
    Cancelled,
    /// The receiver or the model declined.
    Refused,
}

/// Something a partial result lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// Who should have given it.
    pub agent: AgentName,
    /// Why it did not.
    pub error: String,
    /// What that means for the result.
    pub impact: String,
}

/// Why a run is not whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// The kind.
    pub code: FailureCode,
    /// A lower-case fragment that names the thing.
    pub message: String,
    /// Whether asking again may help.
    pub retryable: bool,
    /// The way out.
    pub hint: String,
}

impl Trouble {
    /// What asking again does not help.
    pub fn of(code: FailureCode, message: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble { code, message: message.into(), retryable: false, hint: hint.into() }
    }
}

impl Finished {
    /// Success with this answer.
    pub fn done(answer: Value) -> Finished {
        Finished {
            state: EndState::Completed,
            stop: Stop::Done,
            answer: Some(answer),
            missing: Vec::new(),
            recommendations: Vec::new(),
            error: None,
        }
    }

    /// A failure of this kind.
    pub fn failed(stop: Stop, trouble: Trouble) -> Finished {
        let done = Finished::done(Value::Null);
        Finished { state: EndState::Failed, stop, answer: None, error: Some(trouble), ..done }
    }

    /// The conclusion: the answer's summary, or the trouble's message.
    pub fn summary(&self) -> &str {
        let said = self.answer.as_ref().and_then(|it| it.get("summary")).and_then(Value::as_str);
        said.or(self.error.as_ref().map(|it| it.message.as_str())).unwrap_or_default()
    }

    /// The answer's own confidence, 0..1.
    pub fn confidence(&self) -> Option<f64> {
        self.answer.as_ref()?.get("confidence")?.as_f64()
    }
}

impl Trouble {
    /// The message with its way out.
    pub fn told(&self) -> String {
        if self.hint.is_empty() {
            self.message.clone()
        } else {
            format!("{}; {}", self.message, self.hint)
        }
    }
}
