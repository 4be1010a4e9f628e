//! What an endpoint that answers is tried for, one thing after the other.

use callboard_trace::Finish;
use serde_json::{Value, json};

use super::asking::Asking;
use super::dialect::Dialect;
use super::exchange::{JsonList, Reply, Request};
use super::fault::Fault;
use super::learned::Learned;
use super::manners::MAX_FIELDS;

/// Of a reply that was cut.
const CUT: &str = "its reply ran out of tokens; raise limits.probe_tokens";

/// The tool that is offered.
const TOOL: &str = "look_up";

impl Asking {
    pub(super) async fn streaming(&mut self) {
        let request = self.request("Count from 1 to 5.");
        let answer = self.raw(&request, true, |_| {}).await;
        match answer {
            Err(fault) => self.fails("streaming", &fault),
            Ok((_, true)) => self.tell("streaming", false, "taken, and answered as a whole"),
            Ok((reply, false)) => {
                let usage = if reply.usage.estimated { "without" } else { "with" };
                self.tell("streaming", true, format!("{usage} usage"));
            }
        }
    }

    pub(super) async fn tools(&mut self) {
        let once = format!("Call the tool {TOOL} with the key \"one\". Do not answer in words.");
        let reply = self.called(&once).await;
        let calls = match &reply {
            Err(fault) => return self.fails("tools", fault),
            Ok(reply) => &reply.calls,
        };
        let is_cut = reply.as_ref().is_ok_and(|it| it.finish == Finish::Length);
        let is_native = reply.as_ref().is_ok_and(|it| it.raw.get("tool_calls").is_some());
        match calls.first() {
            None if is_cut => return self.tell("tools", None, CUT),
            None => return self.tell("tools", false, "it answered in words"),
            Some(call) if call.arguments.is_err() => {
                return self.tell("tools", false, "its arguments are no JSON object");
            }
            Some(_) if is_native => self.tell("tools", true, "native"),
            Some(_) => self.tell("tools", true, "written as text, which is read as calls"),
        }
        let twice = format!(
            "Call the tool {TOOL} twice in this one reply: with the key \"one\" and with the key \
             \"two\". Do not answer in words."
        );
        match self.called(&twice).await {
            Err(fault) => self.fails("parallel tools", &fault),
            Ok(reply) => {
                let count = reply.calls.len();
                self.tell("parallel tools", count > 1, format!("{count} of 2 calls in one reply"));
            }
        }
    }

    /// The reply to a request that offers the tool.
    async fn called(&mut self, task: &str) -> Result<Reply, Fault> {
        let parameters = json!({"type": "object", "properties": {"key": {"type": "string"}},
            "required": ["key"]});
        let function =
            json!({"name": TOOL, "description": "Looks up a key.", "parameters": parameters});
        let tools = JsonList::from(vec![json!({"type": "function", "function": function})]);
        let request = Request { tools, tool_choice: Some(json!("auto")), ..self.request(task) };
        Ok(self.raw(&request, false, |_| {}).await?.0)
    }

    pub(super) async fn form(&mut self) {
        let schema = json!({"type": "object", "additionalProperties": false,
            "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
            "required": ["city", "people"]});
        let format = json!({"type": "json_schema",
            "json_schema": {"name": "city", "strict": true, "schema": schema}});
        let request = self.request("Name a large city and how many people live there.");
        let request = Request { response_format: Some(format), ..request };
        match self.raw(&request, false, |_| {}).await {
            Err(fault) => self.fails("JSON schema", &fault),
            Ok((reply, _)) if reply.finish == Finish::Length => self.tell("JSON schema", None, CUT),
            Ok((reply, _)) => {
                let answer: Value = serde_json::from_str(reply.text.trim()).unwrap_or_default();
                let keeps = answer["city"].is_string() && answer["people"].is_i64();
                let said = if keeps { "kept to" } else { "taken, and not kept to" };
                self.tell("JSON schema", keeps, said);
            }
        }
    }

    /// Fields that some endpoints refuse.
    pub(super) async fn fields(&mut self) {
        let dialect = Dialect::of(&self.endpoint, &self.wire.known(&self.survey.model));
        let mut fields = vec![("temperature", json!(0.2))];
        if dialect == Dialect::Chat {
            fields.push(("seed", json!(7)));
            fields.extend(MAX_FIELDS.map(|it| (it, json!(self.tokens))));
        }
        for (field, value) in fields {
            let request = self.request("Reply with the one word: ready");
            let change = |body: &mut Value| {
                let Some(body) = body.as_object_mut() else { return };
                if MAX_FIELDS.contains(&field) {
                    MAX_FIELDS.iter().for_each(|it| drop(body.shift_remove(*it)));
                }
                body.insert(field.to_owned(), value);
            };
            match self.raw(&request, false, change).await {
                Ok(_) => self.tell(field, true, "taken"),
                Err(fault) => self.fails(field, &fault),
            }
        }
    }

    pub(super) fn limits(&mut self) {
        let told = |it: &Learned| match it.limit {
            Some(limit) => format!("{} {limit}", it.header),
            None => it.header.clone(),
        };
        let all: Vec<String> = self.limits.iter().map(told).collect();
        match all.is_empty() {
            true => self.tell("rate limits", None, "no header tells of any"),
            false => self.tell("rate limits", true, all.join(", ")),
        }
    }

    pub(super) async fn vectors(&mut self, model: &str) {
        let answer = self.wire.embed(model, &["ready".to_owned()]).await;
        self.survey.requests += 1;
        match answer {
            Err(fault) => self.fails("embeddings", &fault),
            Ok(vectors) => {
                let length = vectors.first().map_or(0, Vec::len);
                self.tell("embeddings", true, format!("\"{model}\" gives {length} numbers"));
            }
        }
    }
}
