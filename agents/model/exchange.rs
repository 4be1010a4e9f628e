//! What a model is asked and what it answers.

use std::sync::Arc;

use callboard_config::budget::Price;
use callboard_trace::{Call, Finish, ModelReplied, Purpose, Usage};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::learned::Learned;

/// The field of an assistant message that keeps the items of the Responses API as they came.
pub(crate) const ITEMS: &str = "response_items";

/// One question to a model: a prompt, what it may call, and who asks.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Who asks; read by the rehearsal model, never sent.
    pub agent: String,
    /// 1-based model turn of this run.
    pub turn: u32,
    /// 1-based attempt of this step.
    pub attempt: u32,
    /// Which run asks; never sent.
    pub run: String,
    /// The run's own task; read by the rehearsal model, never sent apart from the prompt.
    pub task: String,
    /// Whether the run was handed over by another agent.
    pub handed: bool,
    /// Why the model is asked.
    pub purpose: Purpose,
    /// The name the provider knows the model by.
    pub model: String,
    /// Chat messages; earlier assistant messages exactly as they came.
    pub messages: JsonList,
    /// Function tools; none = nothing may be called.
    pub tools: JsonList,
    /// As the chat protocol has it: `"auto"`, `"required"`, or one function.
    pub tool_choice: Option<Value>,
    /// 0..2, where the provider takes it.
    pub temperature: Option<f64>,
    /// Sent as `reasoning_effort`.
    pub effort: Option<String>,
    /// Most tokens of the reply.
    pub max_output: u32,
    /// The W3C trace context of the step, sent as a header.
    pub traceparent: Option<String>,
    /// The structured-output format, as the chat protocol has it.
    pub response_format: Option<Value>,
}

/// A list of a request, kept as text: very many requests wait at the same time.
#[derive(Clone, Debug)]
pub struct JsonList(Arc<RawValue>);

impl JsonList {
    /// A list of these.
    pub(crate) fn written(all: &impl Serialize) -> JsonList {
        JsonList(to_raw_value(all).unwrap_or_default().into())
    }

    /// Whether it has nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self.text(), "[]" | "null")
    }

    /// All of it, as the chat protocol has it.
    pub fn all(&self) -> Vec<Value> {
        serde_json::from_str(self.text()).unwrap_or_default()
    }

    pub(crate) fn raw(&self) -> &RawValue {
        &self.0
    }

    pub(crate) fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for JsonList {
    fn eq(&self, other: &JsonList) -> bool {
        self.text() == other.text()
    }
}

impl From<Vec<Value>> for JsonList {
    fn from(all: Vec<Value>) -> JsonList {
        JsonList::written(&all)
    }
}

impl Default for JsonList {
    fn default() -> JsonList {
        JsonList::written(&[(); 0])
    }
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The assistant message as it came, with ids of calls added where they were missing or double.
    pub raw: Value,
    /// Its text parts, joined.
    pub text: String,
    /// Its tool calls, in order of arrival.
    pub calls: Vec<Call>,
    /// Why it stopped.
    pub finish: Finish,
    /// What it used.
    pub usage: Usage,
    /// Milliseconds to the first byte of the answer.
    pub first_token_ms: u64,
    /// Milliseconds to its end.
    pub ms: u64,
    /// Exchanges it took beyond the first: see [`callboard_trace::ModelReplied::asked_again`].
    pub asked_again: u32,
    /// What the provider told of its limits.
    pub learned: Vec<Learned>,
}

impl Reply {
    /// The record of it, as the answer of `provider/model` to a step.
    pub fn recorded(self, step: u32, model: String, price: Option<Price>) -> ModelReplied {
        let usage = self.usage;
        ModelReplied {
            step,
            reply: self.raw,
            text: self.text,
            calls: self.calls,
            finish: self.finish,
            usage,
            model,
            first_token_ms: self.first_token_ms,
            ms: self.ms,
            asked_again: self.asked_again,
            micro_usd: price.map(|it| it.micro_usd(usage.input, usage.cached, usage.output)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was_and_none_is_none() {
        let all = vec![json!({"type": "function", "function": {"name": "f", "b": 1, "a": 2.5}})];
        let kept = JsonList::from(all.clone());
        assert_eq!((kept.all(), kept.is_empty()), (all.clone(), false));
        assert_eq!(Value::from(kept.all()).to_string(), Value::from(all).to_string());
        let none = JsonList::from(Vec::new());
        assert_eq!((none.all(), none.is_empty()), (Vec::new(), true));
    }
}
