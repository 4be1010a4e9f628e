//! What the endpoint was asked, and scripts that answer by it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::act::Act;

/// One request, as a script sees it.
pub(crate) struct Ask {
    /// Behind the version, such as `/chat/completions`.
    pub(crate) path: String,
    /// The body as sent.
    pub(crate) body: Value,
    /// How many requests came before it.
    pub(crate) nth: usize,
}

impl Ask {
    /// All system and developer messages, joined.
    pub(crate) fn system(&self) -> String {
        let is_system = |it: &&Value| it["role"] == "system" || it["role"] == "developer";
        self.messages().iter().filter(is_system).map(text).collect::<Vec<_>>().join("\n")
    }

    /// The text of the first user message: the task as the model sees it.
    pub(crate) fn user(&self) -> String {
        self.messages().iter().find(|it| it["role"] == "user").map(text).unwrap_or_default()
    }

    /// The text of the last message.
    pub(crate) fn last(&self) -> String {
        self.messages().last().map(text).unwrap_or_default()
    }

    /// 1-based: how many times the model has spoken in this conversation, and once more.
    pub(crate) fn turn(&self) -> usize {
        self.messages().iter().filter(|it| it["role"] == "assistant").count() + 1
    }

    /// The names of the tools on offer.
    pub(crate) fn tools(&self) -> Vec<String> {
        let tools = self.body["tools"].as_array().into_iter().flatten();
        tools.filter_map(|it| it["function"]["name"].as_str()).map(str::to_owned).collect()
    }

    /// Whether events are wanted.
    pub(crate) fn streams(&self) -> bool {
        self.body["stream"] == true
    }

    /// The messages of a chat, or the input items of a response.
    pub(crate) fn messages(&self) -> &[Value] {
        let field = if self.body["input"].is_array() { "input" } else { "messages" };
        self.body[field].as_array().map_or(&[], Vec::as_slice)
    }
}

/// A script of queues: the first whose words stand in the system prompt gives its next act.
pub(crate) fn by_agent(
    queues: impl IntoIterator<Item = (&'static str, Vec<Act>)>,
) -> impl Fn(&Ask) -> Act + Send + Sync + 'static {
    let queues: Vec<(&str, Mutex<VecDeque<Act>>)> =
        queues.into_iter().map(|(words, acts)| (words, Mutex::new(acts.into()))).collect();
    move |ask| {
        let system = ask.system();
        let queue = queues.iter().find(|(words, _)| system.contains(words));
        let next =
            queue.and_then(|(_, it)| it.lock().unwrap_or_else(PoisonError::into_inner).pop_front());
        next.unwrap_or_else(|| {
            let message = format!("the script has no act left for request {}", ask.nth);
            Act::error(400, &serde_json::json!({"error": {"message": message}}))
        })
    }
}

fn text(message: &Value) -> String {
    let parts = message["content"].as_array().into_iter().flatten();
    let parts: String = parts.filter_map(|it| it["text"].as_str()).collect();
    message["content"].as_str().map_or(parts, str::to_owned)
}
