//! One rule of a playbook: when it answers, and what.

use callboard_trace::Purpose;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::exchange::Request;

/// Answers the requests that meet its conditions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) when: When,
    pub(crate) act: Act,
    /// Milliseconds of thought before the answer.
    pub(crate) after_ms: u64,
    /// Answers per run; of a rule that fails, attempts of one step.
    pub(crate) times: Option<u32>,
}

/// Conditions; all that are given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    agent: Option<String>,
    turn: Option<u32>,
    task: Option<String>,
    last: Option<String>,
    handed: Option<bool>,
    purpose: Option<Why>,
}

/// Why the model is asked, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    Turn,
    Finalise,
    Repair,
    Summarise,
    Judge,
}

/// What a rule does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Says something and calls tools, in this order.
    Speak { say: String, calls: Vec<ToolCall> },
    /// Gives the agent's answer; fields it leaves out are filled from the schema.
    Answer(Map<String, Value>),
    /// Fails as a provider would.
    Fail(Fail),
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolCall {
    pub(crate) tool: String,
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
    /// Whether a task and a summary are added where a handoff has none.
    #[serde(skip)]
    pub(crate) filled: bool,
}

/// A fault of a provider.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fail {
    /// An answer that is not 2xx.
    Status { status: u16, retry_after_s: Option<f64>, message: String },
    /// No byte in time.
    Timeout,
    /// A stream that ends in the middle.
    Cut,
    /// A reply that is none.
    Garbage,
}

impl Default for Act {
    fn default() -> Act {
        Act::Speak { say: String::new(), calls: Vec::new() }
    }
}

impl Rule {
    /// Whether the rule answers this request; `number` is its 1-based place in the playbook.
    pub(crate) fn answers(&self, number: usize, request: &Request) -> bool {
        let left = match (&self.act, self.times) {
            (_, None) => true,
            (Act::Fail(_), Some(times)) => request.attempt <= times,
            (Act::Speak { .. } | Act::Answer(_), Some(times)) => given(number, request) < times,
        };
        let can = !self.calls_tools() || may_call(request);
        left && can && self.when.holds(request)
    }

    fn calls_tools(&self) -> bool {
        match &self.act {
            Act::Speak { calls, .. } => !calls.is_empty(),
            Act::Answer(_) | Act::Fail(_) => false,
        }
    }
}

impl When {
    fn holds(&self, request: &Request) -> bool {
        let within = |part: &Option<String>, whole: &str| {
            let part = part.as_ref().map(|it| it.to_lowercase());
            part.is_none_or(|it| whole.to_lowercase().contains(&it))
        };
        let last = || request.messages.all().last().map(spoken).unwrap_or_default();
        self.agent.as_ref().is_none_or(|it| *it == request.agent)
            && self.turn.is_none_or(|it| it == request.turn)
            && self.handed.is_none_or(|it| it == request.handed)
            && self.purpose.is_none_or(|it| it == why(&request.purpose))
            && within(&self.task, &request.task)
            && (self.last.is_none() || within(&self.last, &last()))
    }
}

fn may_call(request: &Request) -> bool {
    let forbidden = request.tool_choice.as_ref().is_some_and(|it| it == "none");
    !request.tools.is_empty() && !forbidden
}

/// The field of an assistant message that tells which rule gave it: what was said is counted by
/// what the run's records hold, so a restart changes nothing.
pub(crate) const RULE_FIELD: &str = "rehearsal_rule";

fn given(number: usize, request: &Request) -> u32 {
    if !request.messages.text().contains(RULE_FIELD) {
        return 0;
    }
    let mark = |it: &&Value| it.get(RULE_FIELD).and_then(Value::as_u64) == Some(number as u64);
    request.messages.all().iter().filter(mark).count() as u32
}

fn why(purpose: &Purpose) -> Why {
    match purpose {
        Purpose::Turn => Why::Turn,
        Purpose::Finalise => Why::Finalise,
        Purpose::Repair { .. } => Why::Repair,
        Purpose::Summarise { .. } => Why::Summarise,
        Purpose::Judge { .. } => Why::Judge,
    }
}

/// The text of a message, whether it is a string or a list of parts.
fn spoken(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|it| it.get("text")?.as_str()).collect()
        }
        _ => String::new(),
    }
}
