//! A fold of a run's tree: what was done, step by step, and what came of it.

use std::collections::HashMap;

use callboard_trace::{Event, Finish, ModelReplied, Record, RunId, StepBegun, Work};
use serde_json::{Value, json};

use crate::window::Window;

/// A page of steps, one entry each, in the order in which they began; a repeated step is one
/// entry. What is not on the page is known by two numbers.
pub(crate) struct Steps {
    window: Window,
    n_records: u64,
    runs: HashMap<RunId, u32>,
    at: HashMap<(u32, u32), u64>,
    /// The tool behind each call that a model asked for and that has not returned.
    calls: HashMap<(u32, String), String>,
}

/// A page is looked at for its end after so many records.
const LOOK: u64 = 200;

impl Steps {
    /// The page from `after` on.
    pub(crate) fn new(after: u64, limit: u32) -> Steps {
        let window = Window::new(after, limit);
        let (runs, at, calls) = (HashMap::new(), HashMap::new(), HashMap::new());
        Steps { window, n_records: 0, runs, at, calls }
    }

    /// The page.
    pub(crate) fn page(self) -> Value {
        self.window.page("steps")
    }

    /// Takes in one more record; whether the page wants more of them.
    pub(crate) fn take(&mut self, record: &Record) -> bool {
        self.apply(record);
        self.n_records += 1;
        !self.n_records.is_multiple_of(LOOK) || !self.window.is_settled(|it| it["state"] == "done")
    }

    fn apply(&mut self, record: &Record) {
        let event = &record.event;
        if let Event::StepBegun(begun) = event {
            self.begin(record, begun);
        } else if let Event::StepWaiting(waiting) = event {
            self.tell(record, waiting.step, &[("waits_for", json!(waiting.resource))]);
        } else if let Event::ModelReplied(reply) = event {
            self.replied(record, reply);
        } else if let Event::ToolReturned { step, call, ok, ms, .. } = event {
            self.at_once(record, *step, call);
            let state = if *ok { "done" } else { "failed" };
            self.tell(record, *step, &[("state", json!(state)), ("ms", json!(ms))]);
        } else if let Event::StepFailed(failure) = event {
            let facts = [
                ("state", json!("failed")),
                ("ms", json!(failure.ms)),
                ("error", json!({"code": failure.code, "message": failure.message})),
            ];
            self.tell(record, failure.step, &facts);
        } else if let Event::StepDecided { step, decision } = event {
            self.tell(record, *step, &[("decided", json!(decision))]);
        }
    }

    fn begin(&mut self, record: &Record, begun: &StepBegun) {
        let what = match &begun.work {
            Work::Model { provider, model, .. } => format!("model {provider}/{model}"),
            Work::Tool { tool, .. } => format!("tool {tool}"),
        };
        let step = json!({
            "run": record.run, "agent": record.agent, "step": begun.step,
            "what": what, "attempt": begun.attempt, "state": "working"
        });
        let key = (self.run(record), begun.step);
        match self.at.get(&key) {
            Some(at) => {
                if let Some(entry) = self.window.get_mut(*at) {
                    *entry = step;
                }
            }
            None => drop(self.at.insert(key, self.window.push(step))),
        }
    }

    fn replied(&mut self, record: &Record, reply: &ModelReplied) {
        let run = self.run(record);
        for call in &reply.calls {
            self.calls.insert((run, call.id.clone()), call.tool.clone());
        }
        let mut facts = vec![
            ("state", json!(if whole(&reply.finish) { "done" } else { "cut" })),
            ("ms", json!(reply.ms)),
            ("tokens", json!(reply.usage.input.saturating_add(reply.usage.output))),
        ];
        if !reply.calls.is_empty() {
            let calls: Vec<&str> = reply.calls.iter().map(|it| it.tool.as_str()).collect();
            facts.push(("calls", json!(calls)));
        }
        self.tell(record, reply.step, &facts);
    }

    /// A tool of our own is done in the write that asks for it, and has no beginning of its own.
    fn at_once(&mut self, record: &Record, step: u32, call: &str) {
        let run = self.run(record);
        let tool = self.calls.remove(&(run, call.to_owned())).unwrap_or_default();
        if self.at.contains_key(&(run, step)) {
            return;
        }
        let arguments = Value::Null;
        let call = call.to_owned();
        let work = Work::Tool { call, tool, arguments, repeatable: true, server: None };
        self.begin(record, &StepBegun::new(step, 1, work));
    }

    fn tell(&mut self, record: &Record, step: u32, facts: &[(&str, Value)]) {
        let key = (self.run(record), step);
        let entry = self.at.get(&key).and_then(|at| self.window.get_mut(*at));
        let Some(Value::Object(entry)) = entry else { return };
        entry.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }

    /// A short name for the record's run.
    fn run(&mut self, record: &Record) -> u32 {
        let n_runs = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        match self.runs.get(&record.run) {
            Some(known) => *known,
            None => *self.runs.entry(record.run.clone()).or_insert(n_runs),
        }
    }
}

fn whole(finish: &Finish) -> bool {
    match finish {
        Finish::Stop | Finish::ToolCalls | Finish::Other(_) => true,
        Finish::Length | Finish::ContentFilter => false,
    }
}

#[cfg(test)]
mod tests {
    use callboard_trace::{Call, Failure, FailureCode, Purpose, Usage};

    use super::*;

    fn record(event: Event) -> Record {
        let run = RunId::from_text("r_a");
        Record {
            seq: 1,
            at: 0,
            v: callboard_trace::FORMAT,
            workspace: "default".to_owned(),
            task: run.clone(),
            run,
            attempt: 1,
            agent: callboard_config::AgentName::parse("coder"),
            by: "test".to_owned(),
            prev: String::new(),
            event,
        }
    }

    fn asks(step: u32, attempt: u32) -> Event {
        let work = Work::Model {
            provider: "p".to_owned(),
            model: "m".to_owned(),
            purpose: Purpose::Turn,
            messages: 2,
            prompt: String::new(),
        };
        Event::StepBegun(StepBegun::new(step, attempt, work))
    }

    #[test]
    fn a_step_is_told_once_with_what_came_of_it() {
        let failed = Event::StepFailed(Failure {
            step: 1,
            attempt: 1,
            code: FailureCode::Timeout,
            message: "no byte in time".to_owned(),
            retryable: true,
            retry_at: None,
            ms: 5,
            asked_again: 0,
        });
        let call = Call { id: "c1".to_owned(), tool: "note".to_owned(), arguments: Ok(json!({})) };
        let replied = Event::ModelReplied(Box::new(ModelReplied {
            step: 1,
            reply: Value::Null,
            text: String::new(),
            calls: vec![call],
            finish: Finish::ToolCalls,
            usage: Usage { input: 3, output: 4, ..Usage::default() },
            model: "p/m".to_owned(),
            first_token_ms: 1,
            ms: 9,
            asked_again: 0,
            micro_usd: None,
        }));
        let noted = Event::ToolReturned {
            step: 2,
            call: "c1".to_owned(),
            ok: true,
            result: Value::Null,
            ms: 0,
            documents: vec![],
            files: vec![],
        };
        let events = [asks(1, 1), failed, asks(1, 2), replied, noted, asks(3, 1)];
        let told = |after, limit| {
            let mut steps = Steps::new(after, limit);
            events.iter().all(|it| steps.take(&record(it.clone())));
            steps.page()
        };
        let step = |step: u32, what: &str, attempt: u32, state: &str| {
            json!({"run": "r_a", "agent": "coder", "step": step, "what": what, "attempt": attempt,
                "state": state})
        };
        let mut asked = step(1, "model p/m", 2, "done");
        asked["ms"] = json!(9);
        asked["tokens"] = json!(7);
        asked["calls"] = json!(["note"]);
        let mut noted = step(2, "tool note", 1, "done");
        noted["ms"] = json!(0);
        let last = step(3, "model p/m", 1, "working");
        assert_eq!(told(0, 9), json!({"steps": [asked, noted, last]}));
        assert_eq!(told(0, 1), json!({"steps": [asked], "next": 1}));
        assert_eq!(told(1, 1), json!({"steps": [noted], "next": 2}));
    }

    #[test]
    fn a_page_wants_no_more_when_it_is_full_and_settled() {
        let mut steps = Steps::new(0, 1);
        let done = |step| Event::ToolReturned {
            step,
            call: format!("c{step}"),
            ok: true,
            result: json!(0),
            ms: 0,
            documents: vec![],
            files: vec![],
        };
        let n_taken = (1..10_000).take_while(|it| steps.take(&record(done(*it)))).count();
        assert!(n_taken < 500, "{n_taken}");
        let mut open = Steps::new(0, 1);
        assert!(open.take(&record(asks(1, 1))));
        assert!((2..1_000).all(|it| open.take(&record(done(it)))), "the first is not done");
    }
}
