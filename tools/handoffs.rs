//! A fold of a run's tree: who passed what to whom, and what became of it.

use std::collections::HashMap;

use callboard_trace::{Event, Handoff, Record};
use serde_json::{Value, json};

/// One entry a handoff, in the order in which they were made.
pub(crate) fn handoffs(records: &[Record]) -> Vec<Value> {
    let mut fold = Fold::default();
    for record in records {
        fold.take(record);
    }
    fold.made
}

#[derive(Default)]
struct Fold {
    made: Vec<Value>,
    at: HashMap<String, usize>,
}

impl Fold {
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::HandedOff(handoff) => self.made(handoff),
            Event::RunStarted(started) => {
                // A handoff from outside has no source run that could have recorded it.
                if let Some(handoff) = &started.handoff {
                    self.made(handoff);
                }
            }
            Event::HandoffAccepted { handoff } => self.tell(handoff, "accepted", None),
            Event::HandoffRefused { handoff, reason, .. } => {
                self.tell(handoff, "refused", Some(reason));
            }
            Event::HandoffFailed { handoff, reason, .. } => {
                self.tell(handoff, "failed", Some(reason));
            }
            Event::ChildEnded { handoff: Some(handoff), end, .. } => {
                let state = json!(end.state);
                self.tell(handoff, state.as_str().unwrap_or("done"), None);
            }
            Event::NodeStarted { .. }
            | Event::NodeStopped { .. }
            | Event::TeamLoaded { .. }
            | Event::AdmissionChanged { .. }
            | Event::TaskAccepted(_)
            | Event::Routed { .. }
            | Event::PlanMade { .. }
            | Event::PlanChanged { .. }
            | Event::RankSet { .. }
            | Event::Embedded { .. }
            | Event::StepWaiting(_)
            | Event::StepBegun(_)
            | Event::ModelReplied(_)
            | Event::ToolReturned { .. }
            | Event::StepFailed(_)
            | Event::StepDecided { .. }
            | Event::LimitsLearned { .. }
            | Event::BreakerChanged { .. }
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

    fn made(&mut self, handoff: &Handoff) {
        if self.at.contains_key(&handoff.id) {
            return;
        }
        self.at.insert(handoff.id.clone(), self.made.len());
        self.made.push(json!({
            "id": handoff.id, "from": handoff.source, "to": handoff.target, "run": handoff.run,
            "mode": handoff.mode, "state": "proposed", "reason": handoff.reason,
            "task": handoff.task, "summary": handoff.summary, "artifacts": handoff.artifacts
        }));
    }

    fn tell(&mut self, id: &str, state: &str, why: Option<&str>) {
        let Some(entry) = self.at.get(id).and_then(|at| self.made.get_mut(*at)) else { return };
        entry["state"] = json!(state);
        if let Some(why) = why {
            entry["why"] = json!(why);
        }
    }
}
