//! The cards of what agents write down, remember and ask the owner.

use std::borrow::Cow;
use std::sync::LazyLock;

use callboard_config::memory::{Access, Slot};
use callboard_trace::memory::REMEMBER;
use serde_json::{Value, json};

use crate::Run;

/// A name, what the model reads, and the shape of the arguments.
type Card = (&'static str, &'static str, Cow<'static, Value>);

/// The letters of a key in memory.
const KEY: &str = "^[A-Za-z0-9][A-Za-z0-9._/-]{0,79}$";

/// Those that this run has.
pub(crate) fn cards(run: &Run) -> Vec<Card> {
    let mut tools = vec![note(run), ask_owner()];
    if run.started.agent.memory == Access::Write && run.started.recall.is_some() {
        tools.extend([remember(), forget()]);
    }
    if !run.started.agent.handoffs.is_empty() {
        tools.push(plan(run));
    }
    tools
}

fn plan(run: &Run) -> Card {
    let targets: Vec<&str> = run.started.agent.handoffs.iter().map(|it| it.to.as_str()).collect();
    let schema = json!({
        "type": "object",
        "properties": {
            "steps": {
                "type": "array", "minItems": 1, "maxItems": 500,
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string"},
                        "to": {"type": "string", "enum": targets},
                        "task": {"type": "string", "description": "It must stand alone."},
                        "after": {"type": "array", "items": {"type": "string"},
                            "description": "Ids of the steps whose results it needs."},
                    },
                    "required": ["id", "to", "task"],
                },
            },
        },
        "required": ["steps"],
    });
    let description = "Have several pieces of work done by team mates, each as soon as those it \
        needs are done, and get all results back as this call's result.";
    ("plan", description, Cow::Owned(schema))
}

fn note(run: &Run) -> Card {
    static OPEN: LazyLock<Value> = LazyLock::new(|| note_into(&Slot::ALL));
    let description = "Write something down for the team, such as a finding or a file's text. \
        Answers with an artifact id that handoffs can pass on.";
    let schema = match &run.started.agent.slots.writes {
        None => Cow::Borrowed(&*OPEN),
        Some(slots) => Cow::Owned(note_into(slots)),
    };
    ("note", description, schema)
}

fn note_into(slots: &[Slot]) -> Value {
    json!({
        "type": "object",
        "properties": {
            "slot": {"type": "string", "enum": slots},
            "key": {"type": "string", "minLength": 1, "maxLength": 80},
            "text": {"type": "string"},
            "value": {"description": "Structured content: of a file {path, artifact, language, \
                purpose}, of a test {suite, case, result, message}, of a review {verdict, round, \
                items}, of a finding its value."},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "severity": {"enum": ["info", "low", "medium", "high", "critical"]},
            "evidence": {"type": "array", "items": {"type": "string"}, "maxItems": 10},
        },
        "required": ["slot", "key"],
    })
}

fn ask_owner() -> Card {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        json!({
            "type": "object",
            "properties": {
                "question": {"type": "string", "minLength": 1, "maxLength": 4_000},
                "options": {
                    "type": "array", "maxItems": 20,
                    "items": {"type": "string", "minLength": 1, "maxLength": 200},
                },
            },
            "required": ["question"],
        })
    });
    let description = "Ask the person this is done for, and wait for the answer. Only where \
        nothing else tells, and a wrong guess would cost more than waiting.";
    ("ask_owner", description, Cow::Borrowed(&SCHEMA))
}

fn remember() -> Card {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        json!({
            "type": "object",
            "properties": {
                "key": {"type": "string", "pattern": KEY, "description": "A short name."},
                "text": {"type": "string", "minLength": 1, "maxLength": 2_000},
                "tags": {
                    "type": "array", "maxItems": 10,
                    "items": {"type": "string", "minLength": 1, "maxLength": 40},
                },
                "expires": {"type": "integer", "minimum": 1, "maximum": 90,
                    "description": "Days until it leaves; 90 unless said."},
            },
            "required": ["key", "text"],
        })
    });
    let description = "Keep something for later tasks of this workspace, in the place of what is \
            there under that key.";
    (REMEMBER, description, Cow::Borrowed(&SCHEMA))
}

fn forget() -> Card {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        json!({
            "type": "object",
            "properties": {"key": {"type": "string", "minLength": 1, "maxLength": 80}},
            "required": ["key"],
        })
    });
    let description = "Erase what was remembered under that key.";
    ("forget", description, Cow::Borrowed(&SCHEMA))
}
