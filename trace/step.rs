//! What a step was asked to do, and what came of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Spend;

/// A step begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepBegun {
    /// 1-based within the run.
    pub step: u32,
    /// 1-based within the step.
    pub attempt: u32,
    /// What is done.
    pub work: Work,
    /// The most it may cost, set aside until its outcome is known.
    #[serde(default, skip_serializing_if = "Spend::is_nothing")]
    pub reserved: Spend,
    /// The resource it takes where its own has no room; none where it takes its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stead: Option<Stead>,
}

/// A resource that is taken in the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stead {
    /// What is taken.
    pub resource: String,
    /// In whose place.
    pub of: String,
}

impl StepBegun {
    /// One that costs nothing.
    pub fn new(step: u32, attempt: u32, work: Work) -> StepBegun {
        StepBegun { step, attempt, work, reserved: Spend::default(), stead: None }
    }

    /// It takes this resource, in the place of that one; or its own.
    pub fn takes(&mut self, stead: Option<(&str, &str)>) {
        self.stead = stead.map(|(resource, of)| Stead { resource: resource.into(), of: of.into() });
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Work {
    /// Asks a model.
    Model {
        /// A key of the team's providers.
        provider: String,
        /// The model's name there.
        model: String,
        /// Why it is asked.
        purpose: Purpose,
        /// How many messages the prompt holds.
        messages: usize,
        /// SHA-256 (hex) of the prompt, which is derived from the records and not stored.
        prompt: String,
    },
    /// Calls a tool.
    Tool {
        /// The model's own id of the call.
        call: String,
        /// The tool's name.
        tool: String,
        /// As the model gave them.
        arguments: Value,
        /// Doing it again changes nothing.
        repeatable: bool,
        /// The key of the tool server it belongs to; none for the team's own tools.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<String>,
    },
}

impl Work {
    /// What the step is called that asks a tool server for its tools.
    pub const LIST: &str = "tools/list";
    /// What the step is called that looks for what is remembered.
    pub const LOOK: &str = "memory/look";
}

/// A file as a step left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Its whole path, without links.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 (hex) of all its bytes.
    pub hash: String,
    /// Whether the step wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wrote: bool,
}

/// Why a model is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// An ordinary turn.
    #[default]
    Turn,
    /// The last turn, without tools.
    Finalise,
    /// The answer did not meet its schema.
    Repair {
        /// What to say about it.
        problem: String,
    },
    /// A guardrail wants to know whether content passes.
    Judge {
        /// The guardrail.
        check: String,
        /// `input`, `tool_call`, `tool_result`, `handoff` or `output`.
        place: String,
        /// What the content is called.
        subject: String,
        /// The content.
        content: Value,
    },
    /// A summary for a handoff that a trigger asked for.
    Summarise {
        /// The receiver.
        to: callboard_config::AgentName,
        /// The word that fired.
        trigger: String,
    },
}

/// A model answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReplied {
    /// The step it belongs to.
    pub step: u32,
    /// The assistant message exactly as it came; sent back unchanged on the next turn.
    pub reply: Value,
    /// Its text parts, joined.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Its tool calls, with ids made unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// Why it stopped.
    pub finish: Finish,
    /// What it used.
    pub usage: Usage,
    /// Who answered: `provider/model`.
    pub model: String,
    /// Milliseconds to the first byte of the answer.
    pub first_token_ms: u64,
    /// Milliseconds to its end.
    pub ms: u64,
    /// Exchanges with the endpoint beyond the first: it refused a field and was asked without it,
    /// or its stream lost what it said and it was asked for the whole.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asked_again: u32,
    /// What it cost in millionths of a US dollar; absent where the model has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
}

/// One tool call of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Unique within the reply.
    pub id: String,
    /// As the model named it.
    pub tool: String,
    /// The parsed arguments, or the text that would not parse as an object.
    pub arguments: Result<Value, String>,
}

/// The one act that an approval is for, and until when it may be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The id of the call.
    pub call: String,
    /// SHA-256 (hex) of the tool and its arguments.
    pub digest: String,
    /// Microseconds since 1970.
    pub expires: i64,
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// It ran out of output.
    Length,
    /// It wants tools.
    ToolCalls,
    /// The provider or the model declined.
    ContentFilter,
    /// Taken as `Stop`, and kept.
    Other(String),
}

/// Tokens of one reply, as counted by the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub input: u64,
    /// Of those, read from a cache.
    pub cached: u64,
    /// Reply tokens, reasoning included.
    pub output: u64,
    /// Of those, reasoning.
    pub reasoning: u64,
    /// The provider said nothing usable; bytes / 4.
    #[serde(default)]
    pub estimated: bool,
}

/// A step ended without an outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The step.
    pub step: u32,
    /// Which attempt of it.
    pub attempt: u32,
    /// What kind of failure.
    pub code: FailureCode,
    /// A lower-case fragment that names the thing and the way out; never a secret.
    pub message: String,
    /// Whether another attempt may help.
    pub retryable: bool,
    /// Microseconds since 1970 before which there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<i64>,
    /// Milliseconds it took.
    pub ms: u64,
    /// As in [`ModelReplied`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asked_again: u32,
}

impl Failure {
    /// A step, with its attempt, that took no time of its own.
    pub fn of((step, attempt): (u32, u32), code: FailureCode, message: &str) -> Failure {
        let (retryable, retry_at, ms, asked_again) = (false, None, 0, 0);
        let message = message.to_owned();
        Failure { step, attempt, code, message, retryable, retry_at, ms, asked_again }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as the serializer calls it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The kinds of failure of a run, and of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// No endpoint, or it cannot be reached.
    ModelUnavailable,
    /// 429: rate control, not an attempt.
    RateLimited,
    /// No byte, or no end, in time.
    Timeout,
    /// Nonsense, an incomplete stream, or an error inside a 200.
    BadReply,
    /// The prompt does not fit.
    ContextOverflow,
    /// The endpoint refused the key: 401, 403.
    Unauthorized,
    /// The endpoint refused the request: other 4xx.
    BadRequest,
    /// A tool failed.
    ToolFailed,
    /// A tool is not there.
    ToolUnavailable,
    /// A breaker is open.
    BreakerOpen,
    /// No receiver for the work.
    HandoffFailed,
    /// The receiver or the model declined.
    Refused,
    /// A check stopped it.
    CheckBlocked,
    /// It went round in circles.
    Loop,
    /// A count reached its limit.
    Fuse,
    /// The process that took the step went away; what it did is not known.
    InDoubt,
    /// Nothing left to spend.
    Budget,
    /// Too late.
    Deadline,
    /// Stopped from outside.
    Cancelled,
    /// Our own fault.
    Internal,
}

/// A step waits at a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The step.
    pub step: u32,
    /// What it waits for.
    pub resource: String,
    /// How many wait before it.
    pub ahead: u64,
    /// Seconds, if that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Since when the step waits, microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

/// Somebody outside acted on the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// What was asked.
    pub action: Action,
    /// Its operand, such as a priority or the text of a message.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// Why, at most 500 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What can be asked of a run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End it; what it has stays readable.
    Cancel,
    /// Stop at the next step boundary.
    Pause,
    /// Go on.
    Resume,
    /// One finalisation turn.
    FinishNow,
    /// Run an ended one again from its last good step.
    Retry,
    /// Change its priority.
    SetPriority,
    /// Change what it may spend.
    SetBudget,
    /// Tell its agent something.
    Message,
    /// Pass it to another agent at its next step.
    Redirect,
    /// Take no new work, and end what is there: of an agent.
    Drain,
}
