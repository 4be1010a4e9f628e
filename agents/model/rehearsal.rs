//! The built-in rehearsal model: deterministic and offline, it answers by a playbook or by habit.

use std::path::Path;
use std::time::Duration;

use callboard_trace::{FailureCode, Purpose};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::classify::{Asked, refused};
use super::complaint::Complaint;
use super::decode::{Whole, read};
use super::exchange::{Reply, Request};
use super::fault::Fault;
use super::playbook::Playbook;
use super::redact::Secrets;
use super::rule::{Act, Fail, RULE_FIELD, Rule, ToolCall};
use super::sample::sample;

/// A provider that needs no network and no key.
pub(crate) struct Rehearsal {
    provider: String,
    /// The rules, or what is wrong with them.
    playbook: Result<Playbook, String>,
    retry_after_max: Duration,
}

impl Rehearsal {
    pub(crate) fn new(
        provider: &str,
        playbook: Option<(&Path, &str)>,
        retry_after_max: Duration,
    ) -> Rehearsal {
        let playbook = match playbook {
            None => Ok(Playbook::default()),
            Some((file, text)) => Playbook::parse(file, text)
                .map_err(|it| it.0.first().map(ToString::to_string).unwrap_or_default()),
        };
        Rehearsal { provider: provider.to_owned(), playbook, retry_after_max }
    }

    pub(crate) async fn ask(&self, request: &Request) -> Result<Reply, Fault> {
        let begun = Instant::now();
        let playbook = self.playbook.as_ref().map_err(|it| {
            Fault::new(FailureCode::BadRequest, false, format!("the playbook cannot be used: {it}"))
        })?;
        let (number, rule) = match playbook.rule(request) {
            Some((number, rule)) => (number, rule.clone()),
            None => (0, habit(request)),
        };
        tokio::time::sleep(Duration::from_millis(rule.after_ms)).await;
        let ms = || begun.elapsed().as_millis() as u64;
        let reply = self.act(number, rule, request).map_err(|it| it.took(ms()))?;
        Ok(Reply { ms: ms(), first_token_ms: ms(), ..reply })
    }

    fn act(&self, number: usize, rule: Rule, request: &Request) -> Result<Reply, Fault> {
        let (text, calls) = match rule.act {
            Act::Speak { say, calls } => (say, calls),
            Act::Answer(fields) => (answer(request, fields), Vec::new()),
            Act::Fail(fail) => return Err(self.fail(&fail, request)),
        };
        let secrets = Secrets::default();
        let asked = self.asked(request, &secrets);
        let finish = if calls.is_empty() { "stop" } else { "tool_calls" };
        let whole = Whole {
            message: message(number, request.turn, &text, &calls),
            finish: Some(finish.to_owned()),
            usage: None,
        };
        let sent = request.messages.iter().map(|it| it.to_string().len()).sum();
        read(&asked, whole, request.turn, sent)
    }

    fn fail(&self, fail: &Fail, request: &Request) -> Fault {
        let secrets = Secrets::default();
        let asked = self.asked(request, &secrets);
        match fail {
            Fail::Status { status, retry_after_s, message } => {
                let message = if message.is_empty() { "as rehearsed" } else { message };
                let told = Complaint { message: message.to_owned(), ..Complaint::default() };
                let pause = retry_after_s.map(Duration::from_secs_f64);
                refused(&asked, *status, &told, pause.map(|it| it.min(self.retry_after_max)))
            }
            Fail::Timeout => {
                asked.fault(FailureCode::Timeout, true, "no byte in time, as rehearsed")
            }
            Fail::Cut => asked.bad_reply("the stream broke off, as rehearsed"),
            Fail::Garbage => asked.bad_reply("the reply is no JSON, as rehearsed"),
        }
    }

    fn asked<'a>(&'a self, request: &'a Request, secrets: &'a Secrets) -> Asked<'a> {
        let (provider, model) = (&*self.provider, &*request.model);
        Asked { provider, model, key_source: None, has_key: false, secrets }
    }
}

/// What it does where no rule answers: gives its answer at once and hands nothing on.
fn habit(_request: &Request) -> Rule {
    Rule { act: Act::Answer(Map::new()), ..Rule::default() }
}

/// The answer's fields over a sample of the schema that was asked for.
fn answer(request: &Request, fields: Map<String, Value>) -> String {
    let voice = voice(request);
    let asked_for = request.response_format.as_ref();
    let schema = asked_for.and_then(|it| it.pointer("/json_schema/schema"));
    let mut value = match schema {
        Some(schema) => sample(schema, &voice),
        None => plain(request, &voice),
    };
    match value.as_object_mut() {
        Some(sampled) => sampled.extend(fields),
        None if !fields.is_empty() => value = Value::Object(fields),
        None => {}
    }
    value.to_string()
}

/// The base fields of an answer, or of a summary for a handoff.
fn plain(request: &Request, voice: &str) -> Value {
    match &request.purpose {
        Purpose::Summarise { to, .. } => json!({
            "did": voice,
            "must_know": "[rehearsal] nothing beyond the task itself",
            "open_questions": [],
            "do_next": format!("[rehearsal] begin the task as {to}"),
        }),
        Purpose::Turn | Purpose::Finalise | Purpose::Repair { .. } => {
            json!({"summary": voice, "confidence": 0.8, "findings": [], "artifacts": [], "open_questions": []})
        }
    }
}

/// Characters of the task that are repeated in an answer.
const TASK_CHARS: usize = 120;

fn voice(request: &Request) -> String {
    let task: String = request.task.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = task.chars().take(TASK_CHARS).collect();
    let cut = if short.len() < task.len() { "…" } else { "" };
    format!("[rehearsal] {} took the task: {short}{cut}", request.agent)
}

fn message(number: usize, turn: u32, text: &str, calls: &[ToolCall]) -> Map<String, Value> {
    let mut message = Map::new();
    let content = if text.is_empty() { Value::Null } else { Value::from(text) };
    message.insert("role".to_owned(), Value::from("assistant"));
    message.insert("content".to_owned(), content);
    if !calls.is_empty() {
        let calls = (1..).zip(calls).map(|(nth, it)| {
            let arguments = Value::Object(it.arguments.clone()).to_string();
            let function = json!({"name": it.tool, "arguments": arguments});
            json!({"id": format!("call_{turn}_{nth}"), "type": "function", "function": function})
        });
        message.insert("tool_calls".to_owned(), calls.collect());
    }
    message.insert("model".to_owned(), Value::from("rehearsal"));
    if number > 0 {
        message.insert(RULE_FIELD.to_owned(), Value::from(number));
    }
    message
}
