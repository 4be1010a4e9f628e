//! Every built-in tool: its name, what the model reads about it, the shape of its arguments.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, PoisonError};

use callboard_config::hands::TOOLS;
use callboard_trace::memory::REMEMBER;
use serde::Serialize;
use serde_json::{Value, json};

use super::bash::BASH;
use super::card::Card;
use super::cards::cards;
use super::fetching::WEB_FETCH;
use super::reading::{LS, READ};
use super::searching::{GLOB, GREP};
use super::todo::TODO_WRITE;
use super::writing::{EDIT, WRITE};
use crate::Run;
use crate::model::JsonList;

/// How a tool's call is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Passes the rest of the task on.
    HandOff,
    /// Asks another agent and gets its answer back.
    Delegate,
    /// Declines what was handed over.
    Refuse,
    /// Writes into shared context.
    Note,
    /// Writes into memory.
    Remember,
    /// Erases what is in memory.
    Forget,
    /// Asks the owner.
    AskOwner,
    /// Begins a graph of runs and gets their results.
    Plan,
    /// Waits for something outside the run.
    Performed,
}

/// One tool as the model sees it.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: Cow<'static, str>,
    pub(crate) description: Cow<'static, str>,
    pub(crate) schema: Cow<'static, Value>,
}

impl PartialEq for Tool {
    fn eq(&self, other: &Tool) -> bool {
        let is_one = std::ptr::eq(&*self.schema, &*other.schema);
        let is_same = self.name == other.name && self.description == other.description;
        is_same && (is_one || self.schema == other.schema)
    }
}

/// The lists that were written last. The runs of an agent have most often the same.
static LAST: Mutex<VecDeque<(Vec<Tool>, JsonList)>> = Mutex::new(VecDeque::new());
/// How many of them are kept.
const LISTS: usize = 32;

/// Tools as a model is told of them, with equal ones kept once.
pub(crate) fn written(tools: Vec<Tool>) -> JsonList {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = last.iter().find(|it| it.0 == tools) {
        return known.clone();
    }
    let list = JsonList::written(&tools.iter().map(Tool::function).collect::<Vec<_>>());
    last.truncate(LISTS - 1);
    last.push_front((tools, list.clone()));
    list
}

/// A tool as an OpenAI function.
#[derive(Serialize)]
struct Function<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Signature<'a>,
}

#[derive(Serialize)]
struct Signature<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

impl Tool {
    /// The schema that a call must meet to be read at all. Whom work goes to and what the receiver
    /// is told is left to the handoff's own rules, which say better what is wrong and, in the end,
    /// write the summary themselves.
    pub(crate) fn least(&self) -> Value {
        let mut schema = self.schema.clone().into_owned();
        if matches!(kind(&self.name), Some(Kind::HandOff | Kind::Delegate)) {
            schema["properties"]["to"] = json!({"type": "string"});
            schema["properties"]["summary"] = json!({});
            schema["required"] = json!(["to", "task"]);
        }
        // Which slots it may write into is told by the rule, with the reason.
        if self.name == "note" {
            schema["properties"]["slot"] = json!({"type": "string"});
        }
        schema
    }

    /// The tool as an OpenAI function.
    fn function(&self) -> Function<'_> {
        let (name, description, parameters) = (&*self.name, &*self.description, &*self.schema);
        Function { kind: "function", function: Signature { name, description, parameters } }
    }
}

/// How a call of that name is dealt with; `None` for a tool that is not built in.
/// `Task` and `Agent` are what agent files of other programs call `delegate`.
pub(crate) fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "handoff" => Kind::HandOff,
        "delegate" | "Task" | "Agent" => Kind::Delegate,
        "refuse_handoff" => Kind::Refuse,
        "note" | "TodoWrite" => Kind::Note,
        REMEMBER => Kind::Remember,
        "forget" => Kind::Forget,
        "ask_owner" => Kind::AskOwner,
        "plan" => Kind::Plan,
        _ if looks(name) || TOOLS.iter().any(|it| it.0 == name) => Kind::Performed,
        _ => return None,
    })
}

/// Whether a call of that name only looks at what the team did.
pub(crate) fn looks(name: &str) -> bool {
    matches!(name, "read" | "team_status")
}

/// Whether a call of that name may be done again after its process went away.
pub(crate) fn is_repeatable(name: &str) -> bool {
    name != BASH.name
}

/// The built-in tools that reach the machine, as far as this version has them.
fn hands() -> impl Iterator<Item = Tool> {
    let cards: [&'static LazyLock<Card>; 9] =
        [&READ, &GREP, &GLOB, &LS, &TODO_WRITE, &WRITE, &EDIT, &BASH, &WEB_FETCH];
    cards.into_iter().map(|it| Tool {
        name: it.name.into(),
        description: it.description.into(),
        schema: Cow::Borrowed(&it.schema),
    })
}

/// The tools of a run at this moment.
pub(crate) fn tools_of(run: &Run) -> Vec<Tool> {
    let mut tools = Vec::new();
    if !run.started.agent.handoffs.is_empty() {
        tools.push(handing("handoff", HANDOFF, run));
        tools.push(handing("delegate", DELEGATE, run));
    }
    if run.started.handoff.is_some() && !run.started.is_step() && !run.accepted {
        tools.push(refuse());
    }
    tools.extend(cards(run).into_iter().map(|(name, description, schema)| Tool {
        name: name.into(),
        description: description.into(),
        schema,
    }));
    tools.extend([read(), team_status()]);
    let agent = &run.started.agent;
    tools.extend(hands().filter(|it| agent.hands.iter().any(|had| *had == it.name)));
    tools.retain(|it| !agent.disallowed_tools.iter().any(|denied| *denied == it.name));
    tools.extend(run.shelf.cards().iter().map(|it| Tool {
        name: it.name.clone().into(),
        description: it.description.clone().into(),
        schema: Cow::Owned(it.plain_schema()),
    }));
    tools
}

const HANDOFF: &str = "Pass the rest of this task to a team mate who finishes it in your place. \
    Your part ends here, so the summary must hold all the receiver needs.";
const DELEGATE: &str = "Give a team mate a piece of work and get the answer back as this call's \
    result. Several calls in one turn run side by side.";

fn handing(name: &'static str, description: &'static str, run: &Run) -> Tool {
    let targets: Vec<&str> = run.started.agent.handoffs.iter().map(|it| it.to.as_str()).collect();
    Tool {
        name: name.into(),
        description: description.into(),
        schema: Cow::Owned(json!({
            "type": "object",
            "properties": {
                "to": {"type": "string", "enum": targets},
                "task": {"type": "string", "description": "What the receiver is to do."},
                "summary": {
                    "type": "object",
                    "description": "40 to 6,000 characters in all.",
                    "properties": {
                        "did": {"type": "string", "description": "What was done."},
                        "must_know": {
                            "type": "string",
                            "description": "The one thing the receiver has to know.",
                        },
                        "open_questions": {
                            "type": "array", "items": {"type": "string"}, "maxItems": 10,
                        },
                        "do_next": {"type": "string", "description": "What to do first."},
                    },
                },
                "artifacts": {
                    "type": "array",
                    "maxItems": 20,
                    "items": {
                        "type": "object",
                        "properties": {"id": {"type": "string"}, "why": {"type": "string"}},
                        "required": ["id"],
                    },
                },
                "reason": {"type": "string", "description": "Why this agent."},
            },
            "required": ["to", "task", "summary"],
        })),
    }
}

fn refuse() -> Tool {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        json!({
            "type": "object",
            "properties": {
                "reason": {"type": "string", "minLength": 10, "maxLength": 500},
                "better": {"type": "string", "description": "Who should do it."},
            },
            "required": ["reason"],
        })
    });
    Tool {
        name: "refuse_handoff".into(),
        description: "Decline what was handed to you, as your first act only, when it is not \
            yours to do."
            .into(),
        schema: Cow::Borrowed(&SCHEMA),
    }
}

fn read() -> Tool {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        json!({
            "type": "object",
            "properties": {
                "uri": {"type": "string", "minLength": 1},
                "offset": {"type": "integer", "minimum": 0, "description": "Bytes to skip."},
            },
            "required": ["uri"],
        })
    });
    Tool {
        name: "read".into(),
        description: "Read an artifact (`a_…`) or an extract of a run of this task (`r_…`).".into(),
        schema: Cow::Borrowed(&SCHEMA),
    }
}

fn team_status() -> Tool {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| json!({"type": "object", "properties": {}}));
    Tool {
        name: "team_status".into(),
        description: "See who works on what under this task.".into(),
        schema: Cow::Borrowed(&SCHEMA),
    }
}
