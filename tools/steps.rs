//! A fold of a run's tree: what was done, step by step, and what came of it.

use std::collections::HashMap;

use callboard_trace::{Event, Finish, Record, RunId, StepBegun, Work};
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
}

impl Fold {
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::StepBegun(begun) => self.begin(record, begun),
            Event::StepWaiting(waiting) => {
                self.tell(record, waiting.step, &[("waits_for", json!(waiting.resource))]);
            }
            Event::ModelReplied(reply) => {
                let tokens = reply.usage.input + reply.usage.output;
                let calls: Vec<&str> = reply.calls.iter().map(|it| it.tool.as_str()).collect();
                let mut facts = vec![
                    ("state", json!(if whole(&reply.finish) { "done" } else { "cut" })),
                    ("ms", json!(reply.ms)),
                    ("tokens", json!(tokens)),
                ];
                if !calls.is_empty() {
                    facts.push(("calls", json!(calls)));
                }
                self.tell(record, reply.step, &facts);
            }
            Event::ToolReturned { step, ok, ms, .. } => {
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
