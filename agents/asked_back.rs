//! What a tool of another program wants to know before it goes on with a call, and what it is given.

use std::collections::BTreeMap;

use callboard_trace::{Event, RunId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::words;

/// What gives a tool nothing.
pub(crate) const DECLINE: &str = "decline";
/// Characters of a question.
const PROMPT_MAX: usize = 4_000;

/// What a tool asked, as the outcome of its step records it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asks {
    /// What it asks a person, by its own names for it.
    pub(crate) forms: BTreeMap<String, Form>,
    /// What nobody is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) declined: Vec<String>,
    /// What it is to be handed when it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// Its task, if it works on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<String>,
}

/// One question, and the shape of what it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Form {
    pub(crate) message: String,
    pub(crate) schema: Value,
}

/// What a tool is given to go on with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    /// By its own names for what it asked.
    pub(crate) responses: BTreeMap<String, Value>,
    pub(crate) state: Option<String>,
    pub(crate) task: Option<String>,
}

/// What was asked by a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AskedBack {
    pub(crate) step: u32,
    pub(crate) asks: Asks,
}

/// What was answered so far, by the names of questions.
type Heard = BTreeMap<String, String>;

impl AskedBack {
    /// The next question that nobody answered.
    pub(crate) fn question(&self, run: &RunId, heard: &Heard, tool: &str) -> Option<Event> {
        let named = self.asks.forms.values().enumerate();
        let mut open = named.map(|(nth, form)| (self.name(run, nth), form));
        let (question, form) = open.find(|it| !heard.contains_key(&it.0))?;
        let (options, how) = form.answers();
        let kind = if options.is_empty() { "text" } else { "choice" };
        let tool = words::shown(tool);
        let prompt = format!("the tool `{tool}` asks before it goes on: {}{how}", form.message);
        let prompt = words::cut(&words::shown(&prompt), PROMPT_MAX);
        let prompt = format!("{prompt}\n`{DECLINE}` gives it nothing.");
        Some(Event::QuestionAsked { question, form: kind.into(), prompt, options, act: None })
    }

    /// What was answered, in the tool's own form.
    pub(crate) fn given(&self, run: &RunId, heard: &Heard) -> Given {
        let named = self.asks.forms.iter().enumerate();
        let answered = named.map(|(nth, (key, form))| {
            let answer = heard.get(&self.name(run, nth)).map_or(DECLINE, String::as_str);
            (key.clone(), form.read(answer.trim()))
        });
        let declined = self.asks.declined.iter().map(|it| (it.clone(), json!({"action": DECLINE})));
        let responses = answered.chain(declined).collect();
        Given { responses, state: self.asks.state.clone(), task: self.asks.task.clone() }
    }

    /// The name of a question: it ends like those that an agent puts to the owner.
    fn name(&self, run: &RunId, nth: usize) -> String {
        let run = run.as_str().trim_start_matches("r_");
        format!("q_{run}_{}_{nth}_own{nth}", self.step)
    }
}

impl Form {
    /// What may be answered, if that is a list, and what a person has to know of it.
    fn answers(&self) -> (Vec<String>, String) {
        let closed = |all: Vec<String>| all.into_iter().chain([DECLINE.to_owned()]).collect();
        match self.fields().as_slice() {
            [] => (closed(vec!["accept".into()]), String::new()),
            [(name, field)] => {
                let said = ["title", "description"].iter().filter_map(|it| field.get(it)?.as_str());
                let said = said.collect::<Vec<_>>().join(": ");
                let how = format!("\n{name}: {said}");
                match (field.get("enum").and_then(Value::as_array), field["type"].as_str()) {
                    (Some(all), _) => (closed(all.iter().map(plain).collect()), how),
                    (None, Some("boolean")) => {
                        (closed(["true", "false"].map(String::from).to_vec()), how)
                    }
                    (None, _) => (vec![], how),
                }
            }
            _ => (vec![], format!("\nAnswer with a JSON object of this shape: {}", self.schema)),
        }
    }

    /// A person's answer as the tool takes it.
    fn read(&self, answer: &str) -> Value {
        if answer == DECLINE {
            return json!({"action": DECLINE});
        }
        let read = serde_json::from_str::<Value>(answer).ok();
        let content = match self.fields().as_slice() {
            [] => json!({}),
            [(name, field)] => {
                let is_text = field["type"] == "string" || field.get("type").is_none();
                let value = read.filter(|it| !is_text || it.get(name).is_some());
                match value {
                    Some(it) if it.get(name).is_some() => it,
                    value => json!({ name.as_str(): value.unwrap_or_else(|| json!(answer)) }),
                }
            }
            _ => read.unwrap_or_else(|| json!({})),
        };
        json!({"action": "accept", "content": content})
    }

    fn fields(&self) -> Vec<(&String, &Value)> {
        self.schema.get("properties").and_then(Value::as_object).into_iter().flatten().collect()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(properties: Value) -> Form {
        Form { message: "m".into(), schema: json!({"type": "object", "properties": properties}) }
    }

    #[test]
    fn what_a_person_says_becomes_what_the_tool_takes() {
        let accepted = |it: Value| json!({"action": "accept", "content": it});
        for (properties, options, answer, read) in [
            (json!({}), vec!["accept", "decline"], "accept", accepted(json!({}))),
            (json!({"a": {"type": "string"}}), vec![], "7", accepted(json!({"a": "7"}))),
            (
                json!({"a": {"type": "string"}}),
                vec![],
                "{\"a\": \"x\"}",
                accepted(json!({"a": "x"})),
            ),
            (json!({"a": {"type": "integer"}}), vec![], "7", accepted(json!({"a": 7}))),
            (json!({"a": {"type": "integer"}}), vec![], "many", accepted(json!({"a": "many"}))),
            (
                json!({"a": {"type": "boolean"}}),
                vec!["true", "false", "decline"],
                "true",
                accepted(json!({"a": true})),
            ),
            (
                json!({"a": {"type": "string", "enum": ["x", "y"]}}),
                vec!["x", "y", "decline"],
                "y",
                accepted(json!({"a": "y"})),
            ),
            (
                json!({"a": {"type": "string"}, "b": {"type": "number"}}),
                vec![],
                "{\"a\": \"x\", \"b\": 1}",
                accepted(json!({"a": "x", "b": 1})),
            ),
            (json!({"a": {"type": "string"}}), vec![], "decline", json!({"action": "decline"})),
        ] {
            let form = form(properties);
            assert_eq!(form.answers().0, options, "{form:?}");
            assert_eq!(form.read(answer), read, "{form:?}");
        }
    }
}
