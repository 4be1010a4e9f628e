//! The built-in rehearsal model: deterministic and offline, it answers by a playbook or by habit.

use std::path::Path;
use std::time::Duration;

use callboard_trace::{FailureCode, Purpose};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::classify::{Asked, refused};
use super::complaint::Complaint;
use super::decode::{Whole, read};
use super::echo::adopt;
use super::exchange::{Reply, Request};
use super::fault::Fault;
use super::playbook::Playbook;
use super::redact::Secrets;
use super::rule::{Act, Fail, RULE_FIELD, Rule, ToolCall};
use super::sample::sample;

/// Half of the time between two ticks of a timer.
const HALF_A_TICK: Duration = Duration::from_micros(500);

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
            None => (0, habit()),
        };
        if rule.after_ms > 0 {
            // A timer ends at the millisecond behind it: on average a pause is as long as it is written.
            tokio::time::sleep(Duration::from_millis(rule.after_ms) - HALF_A_TICK).await;
        }
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
            message: message(number, request, &text, calls),
            finish: Some(finish.to_owned()),
            usage: None,
        };
        let mut reply = read(&asked, whole, request.turn, request.messages.text().len())?;
        adopt(&mut reply, request);
        Ok(reply)
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
fn habit() -> Rule {
    Rule { act: Act::Answer(Map::new()), ..Rule::default() }
}

/// The answer's fields over a sample of the schema that was asked for.
fn answer(request: &Request, fields: Map<String, Value>) -> String {
    let voice = voice(request);
    let mut value = match schema(request) {
        Some(schema) => sample(&schema, &voice),
        None => plain(request, &voice),
    };
    match value.as_object_mut() {
        Some(sampled) => sampled.extend(fields),
        None if !fields.is_empty() => value = Value::Object(fields),
        None => {}
    }
    value.to_string()
}

/// The schema of the output format, else the one that stands on a line of the system prompt.
fn schema(request: &Request) -> Option<Value> {
    let format = request.response_format.as_ref();
    let given = format.and_then(|it| it.pointer("/json_schema/schema")).cloned();
    let is_schema = |it: &Value| it["type"] == "object" && it["properties"].is_object();
    let in_prompt = || {
        let system = request.messages.all().into_iter().find(|it| it["role"] == "system")?;
        let lines = system["content"].as_str()?.lines().rev();
        lines.filter_map(|it| serde_json::from_str(it).ok()).find(is_schema)
    };
    match request.purpose {
        Purpose::Summarise { .. } => given,
        Purpose::Judge { .. } => None,
        Purpose::Turn | Purpose::Finalise | Purpose::Repair { .. } => given.or_else(in_prompt),
    }
}

/// The base fields of an answer, or of a summary for a handoff.
fn plain(request: &Request, voice: &str) -> Value {
    match &request.purpose {
        Purpose::Summarise { .. } => summary(voice, &request.task),
        Purpose::Judge { .. } => json!({"score": 1.0, "pass": true, "reasons": []}),
        Purpose::Turn | Purpose::Finalise | Purpose::Repair { .. } => {
            json!({"summary": voice, "confidence": 0.8, "findings": [], "artifacts": [],
                "open_questions": []})
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

fn summary(voice: &str, task: &str) -> Value {
    let must_know = "[rehearsal] there is nothing to know beyond the task itself";
    json!({"did": voice, "must_know": must_know, "open_questions": [], "do_next": task})
}

fn message(
    number: usize,
    request: &Request,
    text: &str,
    calls: Vec<ToolCall>,
) -> Map<String, Value> {
    let mut message = Map::new();
    let content = if text.is_empty() { Value::Null } else { Value::from(text) };
    message.insert("role".to_owned(), Value::from("assistant"));
    message.insert("content".to_owned(), content);
    if !calls.is_empty() {
        let calls = (1..).zip(calls).map(|(nth, it)| {
            let arguments = Value::Object(arguments(&it, request)).to_string();
            let function = json!({"name": it.tool, "arguments": arguments});
            let id = format!("call_{}_{nth}", request.turn);
            json!({"id": id, "type": "function", "function": function})
        });
        message.insert("tool_calls".to_owned(), calls.collect());
    }
    message.insert("model".to_owned(), Value::from("rehearsal"));
    if number > 0 {
        message.insert(RULE_FIELD.to_owned(), Value::from(number));
    }
    message
}

/// The arguments as the playbook has them; a handoff without a task passes its own on.
fn arguments(call: &ToolCall, request: &Request) -> Map<String, Value> {
    let mut arguments = call.arguments.clone();
    if call.filled && ["handoff", "delegate"].contains(&&*call.tool) {
        let task = arguments.entry("task").or_insert_with(|| Value::from(&*request.task));
        let task = task.as_str().unwrap_or(&request.task).to_owned();
        arguments.entry("summary").or_insert_with(|| summary(&voice(request), &task));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JsonList;

    /// The base schema of an answer, with a role's own field.
    fn base() -> Value {
        json!({"type": "object", "required": ["summary", "confidence", "verdict"], "properties": {
            "summary": {"type": "string", "minLength": 1, "maxLength": 2000},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "findings": {"type": "array", "items": {"type": "object"}},
            "verdict": {"enum": ["pass", "revise"]},
            "do_next": {"type": "string", "maxLength": 500}}})
    }

    fn prompt(system: &str, task: &str) -> JsonList {
        let system = json!({"role": "system", "content": system});
        vec![system, json!({"role": "user", "content": task})].into()
    }

    fn request(agent: &str, task: &str) -> Request {
        Request {
            agent: agent.to_owned(),
            turn: 1,
            attempt: 1,
            run: "r_1".to_owned(),
            task: task.to_owned(),
            handed: false,
            purpose: Purpose::Turn,
            model: "any".to_owned(),
            messages: prompt("You act.", task),
            tools: vec![json!({"type": "function", "function": {"name": "handoff"}})].into(),
            tool_choice: None,
            temperature: None,
            effort: None,
            max_output: 100,
            traceparent: None,
            response_format: None,
        }
    }

    async fn asked(playbook: Option<&str>, request: &Request) -> Result<Reply, Fault> {
        let playbook = playbook.map(|it| (Path::new("play.yaml"), it));
        Rehearsal::new("stage", playbook, Duration::from_mins(1)).ask(request).await
    }

    #[tokio::test]
    async fn by_habit_it_answers_in_the_form_that_is_asked_for_and_hands_nothing_on() {
        let bare = request("coder", "write\n a parser");
        let formatted = Request {
            response_format: Some(
                json!({"type": "json_schema", "json_schema": {"schema": base()}}),
            ),
            purpose: Purpose::Finalise,
            ..bare.clone()
        };
        let messages = prompt(&format!("You act.\n{}\nGo on.", base()), "write\n a parser");
        let prompted = Request { messages, ..bare.clone() };
        for request in [bare.clone(), formatted, prompted] {
            let reply = asked(None, &request).await.unwrap();
            let answer: Value = serde_json::from_str(&reply.text).unwrap();
            assert_eq!(answer["summary"], "[rehearsal] coder took the task: write a parser");
            assert_eq!(answer["confidence"], 0.8);
            assert!(answer.get("do_next").is_none() && reply.calls.is_empty(), "{answer}");
            assert_eq!(reply.raw["model"], "rehearsal");
            assert!(reply.usage.estimated && reply.usage.input > 0);
            let meets = jsonschema::is_valid(&base(), &answer);
            assert!(meets || request.messages == bare.messages && request.purpose == Purpose::Turn);
            assert_eq!(asked(None, &request).await.unwrap().raw, reply.raw);
        }
    }

    #[tokio::test]
    async fn a_summary_holds_what_a_handoff_needs() {
        let to = callboard_config::AgentName::parse("tester").unwrap();
        let purpose = Purpose::Summarise { to, trigger: "test".to_owned() };
        let messages = prompt(&base().to_string(), "write a parser");
        let request = Request { purpose, messages, ..request("coder", "write a parser") };
        let reply = asked(None, &request).await.unwrap();
        let summary: Value = serde_json::from_str(&reply.text).unwrap();
        for field in ["did", "must_know", "do_next"] {
            assert!(summary[field].as_str().is_some_and(|it| !it.is_empty()), "{summary}");
        }
        assert!(reply.text.len() > 40);
    }

    #[tokio::test]
    async fn times_are_counted_by_what_was_said_so_a_restart_changes_nothing() {
        let play = "- {say: first, times: 2}\n- {say: then}\n";
        let mut request = request("coder", "x");
        let mut said = Vec::new();
        for turn in 1..=4 {
            request.turn = turn;
            let reply = asked(Some(play), &request).await.unwrap();
            said.push(reply.text);
            request.messages = [request.messages.all(), vec![reply.raw]].concat().into();
        }
        assert_eq!(said, ["first", "first", "then", "then"]);
    }

    #[tokio::test]
    async fn faults_are_counted_by_attempts() {
        let play = "- {fail: {status: 429, retry_after_s: 120}, times: 1}\n- {fail: timeout, times: 2}\n\
                    - {fail: cut, times: 3}\n- {fail: garbage, times: 4}\n- {say: at last}\n";
        let mut faults = Vec::new();
        for attempt in 1..=4 {
            let request = Request { attempt, ..request("coder", "x") };
            let fault = asked(Some(play), &request).await.unwrap_err();
            faults.push((fault.code, fault.retryable, fault.retry_after));
        }
        let minute = Some(Duration::from_mins(1));
        let bad = (FailureCode::BadReply, true, None);
        let limited = (FailureCode::RateLimited, true, minute);
        assert_eq!(faults, [limited, (FailureCode::Timeout, true, None), bad, bad]);
        let request = Request { attempt: 5, ..request("coder", "x") };
        assert_eq!(asked(Some(play), &request).await.unwrap().text, "at last");
    }

    #[tokio::test]
    async fn calls_are_made_only_where_they_are_offered() {
        let play = "- {handoff: {to: tester}}\n- {say: no tools}\n";
        let offered = request("coder", "write a parser");
        let reply = asked(Some(play), &offered).await.unwrap();
        let given = reply.calls[0].arguments.clone().unwrap();
        assert_eq!((&*reply.calls[0].tool, &given["to"]), ("handoff", &json!("tester")));
        assert_eq!(given["task"], "write a parser");
        assert!(given["summary"]["did"].as_str().is_some_and(|it| it.len() > 20));
        let none = Request { tools: Vec::new().into(), ..offered.clone() };
        let forbidden = Request { tool_choice: Some(json!("none")), ..offered };
        for request in [none, forbidden] {
            assert_eq!(asked(Some(play), &request).await.unwrap().text, "no tools");
        }
    }

    #[tokio::test]
    async fn it_thinks_as_long_as_it_is_told() {
        let play = "- {say: slow, after_ms: 80}\n";
        let request = request("coder", "x");
        assert!(asked(Some(play), &request).await.unwrap().ms >= 80);
        let short = Duration::from_millis(10);
        assert!(tokio::time::timeout(short, asked(Some(play), &request)).await.is_err());
    }

    #[tokio::test]
    async fn a_broken_playbook_is_told_with_its_line() {
        let fault = asked(Some("- say: a\n- sya: b\n"), &request("coder", "x")).await.unwrap_err();
        assert_eq!((fault.code, fault.retryable), (FailureCode::BadRequest, false));
        assert!(fault.message.contains("play.yaml:2: a rule has no key `sya`"), "{fault:?}");
    }
}
