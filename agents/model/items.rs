//! The events of the Responses API put together again into the response they tell of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::classify::{Asked, told};
use super::decode::Whole;
use super::fault::Fault;
use super::responses::whole;

/// What has arrived of a response.
#[derive(Debug, Default)]
pub(crate) struct Items {
    items: BTreeMap<u64, Value>,
    /// The response as its last event has it.
    last: Option<Value>,
    events: usize,
}

impl Items {
    /// Takes one event.
    pub(crate) fn take(&mut self, mut event: Value) {
        self.events += 1;
        let at = event["output_index"].as_u64().unwrap_or_default();
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.last = Some(event["response"].take());
            }
            "response.output_item.added" | "response.output_item.done" => {
                self.items.insert(at, event["item"].take());
            }
            "response.output_text.delta" | "response.output_text.done" => {
                self.text(at, &event, kind.ends_with("delta"));
            }
            "response.function_call_arguments.delta" => {
                self.grow(at, "arguments", event["delta"].as_str().unwrap_or_default());
            }
            "response.function_call_arguments.done" => {
                if let Some(item) = self.items.get_mut(&at) {
                    item["arguments"] = event["arguments"].take();
                }
            }
            // A body in place of a stream.
            "" if event["object"] == "response" || event["output"].is_array() => {
                self.last = Some(event);
            }
            _ => {}
        }
    }

    /// Whether any event was seen at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Whether the response said how it ended. Nothing else tells.
    pub(crate) fn is_complete(&self) -> bool {
        self.last.is_some()
    }

    /// Whether nothing was said and nothing called.
    pub(crate) fn is_silent(&self) -> bool {
        let said = |it: &Value| it["type"] == "message" || it["type"] == "function_call";
        let last = self.last.iter().flat_map(|it| it["output"].as_array().into_iter().flatten());
        !self.items.values().chain(last).any(said)
    }

    /// The response; some endpoints leave its output out of their last event.
    pub(crate) fn whole(self, asked: &Asked<'_>) -> Result<Whole, Fault> {
        let mut last = self.last.unwrap_or_default();
        if last["status"] == "failed" && last["error"].is_null() {
            return Err(told(asked, &json!("the response failed")));
        }
        if last.is_object() && last["output"].as_array().is_none_or(Vec::is_empty) {
            last["output"] = self.items.into_values().collect();
        }
        whole(asked, last)
    }

    fn text(&mut self, at: u64, event: &Value, grows: bool) {
        let part = event["content_index"].as_u64().unwrap_or_default() as usize;
        let Some(item) = self.items.get_mut(&at).filter(|it| it.is_object()) else { return };
        if !item["content"].is_array() {
            item["content"] = json!([]);
        }
        let Some(parts) = item["content"].as_array_mut() else { return };
        if parts.len() == part {
            parts.push(json!({"type": "output_text", "text": ""}));
        }
        let Some(part) = parts.get_mut(part).filter(|it| it.is_object()) else { return };
        if grows {
            grow(part, "text", event["delta"].as_str().unwrap_or_default());
        } else {
            part["text"] = event["text"].clone();
        }
    }

    fn grow(&mut self, at: u64, field: &str, more: &str) {
        if let Some(item) = self.items.get_mut(&at).filter(|it| it.is_object()) {
            grow(item, field, more);
        }
    }
}

fn grow(object: &mut Value, field: &str, more: &str) {
    if let Value::String(text) = &mut object[field] {
        text.push_str(more);
    } else {
        object[field] = Value::from(more);
    }
}
