//! A fold of a run's tree: what was done, step by step, and what came of it.

use std::collections::HashMap;

use callboard_trace::{Event, Finish, ModelReplied, Record, RunId, StepBegun, Work};
use serde_json::{Value, json};

/// One entry a step, in the order in which they began; a repeated step is one entry.
pub(crate) fn steps(records: &[Record]) -> Vec<Value> {
    let mut fold = Fold::default();
    for record in records {
        fold.take(record);
    }
    fold.steps
}

#[derive(Default)]
struct Fold {
    steps: Vec<Value>,
    at: HashMap<(RunId, u32), usize>,
    /// The tool behind each call that a model asked for.
    calls: HashMap<(RunId, String), String>,
}

impl Fold {
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::StepBegun(begun) => self.begin(record, begun),
            Event::StepWaiting(waiting) => {
                self.tell(record, waiting.step, &[("waits_for", json!(waiting.resource))]);
            }
            Event::ModelReplied(reply) => self.replied(record, reply),
            Event::ToolReturned { step, call, ok, ms, .. } => {
                self.at_once(record, *step, call);
                let state = if *ok { "done" } else { "failed" };
                self.tell(record, *step, &[("state", json!(state)), ("ms", json!(ms))]);
            }
            Event::StepFailed(failure) => {
                let facts = [
                    ("state", json!("failed")),
                    ("ms", json!(failure.ms)),
                    ("error", json!({"code": failure.code, "message": failure.message})),
                ];
                self.tell(record, failure.step, &facts);
            }
            Event::StepDecided { step, decision } => {
                self.tell(record, *step, &[("decided", json!(decision))]);
            }
            Event::NodeStarted { .. }
            | Event::NodeStopped { .. }
            | Event::TeamLoaded { .. }
            | Event::AdmissionChanged { .. }
            | Event::TaskAccepted(_)
            | Event::Routed { .. }
            | Event::PlanMade { .. }
            | Event::PlanChanged { .. }
            | Event::RunStarted(_)
            | Event::RankSet { .. }
            | Event::Embedded { .. }
            | Event::LimitsLearned { .. }
            | Event::BreakerChanged { .. }
            | Event::HandedOff(_)
            | Event::HandoffAccepted { .. }
            | Event::HandoffRefused { .. }
            | Event::HandoffFailed { .. }
            | Event::ChildEnded { .. }
            | Event::Noted { .. }
            | Event::Forgotten { .. }
            | Event::Checked { .. }
            | Event::QuestionAsked { .. }
            | Event::QuestionClosed { .. }
            | Event::BudgetAlerted { .. }
            | Event::BudgetSet { .. }
            | Event::FuseBlown { .. }
            | Event::Controlled(_)
            | Event::Checkpointed { .. }
            | Event::RunEnded(_)
            | Event::Delivered { .. }
            | Event::CallerLeft { .. }
            | Event::Exported { .. }
            | Event::DayClosed { .. } => {}
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
        let known = self.at.get(&(record.run.clone(), begun.step)).copied();
        match known.and_then(|at| self.steps.get_mut(at)) {
            Some(entry) => *entry = step,
            None => {
                self.at.insert((record.run.clone(), begun.step), self.steps.len());
                self.steps.push(step);
            }
        }
    }

    fn replied(&mut self, record: &Record, reply: &ModelReplied) {
        for call in &reply.calls {
            self.calls.insert((record.run.clone(), call.id.clone()), call.tool.clone());
        }
        let mut facts = vec![
            ("state", json!(if whole(&reply.finish) { "done" } else { "cut" })),
            ("ms", json!(reply.ms)),
            ("tokens", json!(reply.usage.input + reply.usage.output)),
        ];
        if !reply.calls.is_empty() {
            let calls: Vec<&str> = reply.calls.iter().map(|it| it.tool.as_str()).collect();
            facts.push(("calls", json!(calls)));
        }
        self.tell(record, reply.step, &facts);
    }

    /// A tool of our own is done in the write that asks for it, and has no beginning of its own.
    fn at_once(&mut self, record: &Record, step: u32, call: &str) {
        if self.at.contains_key(&(record.run.clone(), step)) {
            return;
        }
        let tool = self.calls.get(&(record.run.clone(), call.to_owned()));
        let tool = tool.map_or("", String::as_str).to_owned();
        let arguments = Value::Null;
        let call = call.to_owned();
        let work = Work::Tool { call, tool, arguments, repeatable: true, server: None };
        self.begin(record, &StepBegun { step, attempt: 1, work });
    }

    fn tell(&mut self, record: &Record, step: u32, facts: &[(&str, Value)]) {
        let Some(at) = self.at.get(&(record.run.clone(), step)) else { return };
        let Some(Value::Object(entry)) = self.steps.get_mut(*at) else { return };
        entry.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
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
        Event::StepBegun(StepBegun { step, attempt, work })
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
        }));
        let noted = Event::ToolReturned {
            step: 2,
            call: "c1".to_owned(),
            ok: true,
            result: Value::Null,
            ms: 0,
        };
        let events = [asks(1, 1), failed, asks(1, 2), replied, noted, asks(3, 1)];
        let told = steps(&events.map(record));
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
        assert_eq!(told, [asked, noted, step(3, "model p/m", 1, "working")]);
    }
}
