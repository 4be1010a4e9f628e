//! A fold of a run's tree: who passed what to whom, and what became of it.

use std::collections::HashMap;

use callboard_trace::{Action, Event, Handoff, Record, RunId};
use serde_json::{Value, json};

use crate::window::Window;

/// A page of handoffs, one entry each, in the order in which they were made.
pub(crate) struct Handoffs {
    window: Window,
    at: HashMap<String, u64>,
    runs: HashMap<RunId, u64>,
}

impl Handoffs {
    /// The page from `after` on.
    pub(crate) fn new(after: u64, limit: u32) -> Handoffs {
        Handoffs { window: Window::new(after, limit), at: HashMap::new(), runs: HashMap::new() }
    }

    /// The page.
    pub(crate) fn page(self) -> Value {
        self.window.page("handoffs")
    }

    /// Takes in one more record; the page always wants more, since any receiver may end late.
    pub(crate) fn take(&mut self, record: &Record) -> bool {
        self.apply(record);
        true
    }

    fn apply(&mut self, record: &Record) {
        let event = &record.event;
        if let Event::HandedOff(handoff) = event {
            self.made(handoff);
        } else if let Event::RunStarted(started) = event {
            // A handoff from outside has no source run that could have recorded it.
            started.handoff.iter().for_each(|it| self.made(it));
        } else if let Event::HandoffAccepted { handoff } = event {
            self.tell(handoff, "accepted", None);
        } else if let Event::HandoffRefused { handoff, reason, .. } = event {
            self.tell(handoff, "refused", Some(reason));
        } else if let Event::HandoffFailed { handoff, reason, .. } = event {
            self.tell(handoff, "failed", Some(reason));
        } else if let Event::RunEnded(end) = event {
            self.stands(record, json!(end.state));
        } else if let Event::Controlled(control) = event
            && control.action == Action::Retry
        {
            self.stands(record, json!("accepted"));
        }
    }

    fn made(&mut self, handoff: &Handoff) {
        if self.at.contains_key(&handoff.id) {
            return;
        }
        let mut entry = json!({
            "id": handoff.id, "from": handoff.source, "to": handoff.target, "run": handoff.run,
            "mode": handoff.mode, "state": "proposed", "reason": handoff.reason,
            "task": handoff.task, "summary": handoff.summary, "artifacts": handoff.artifacts
        });
        if !handoff.dropped.is_empty() {
            entry["without"] = json!(handoff.dropped);
        }
        if let Some(by) = &handoff.taint {
            entry["untrusted"] = json!(by);
        }
        let number = self.window.push(entry);
        self.at.insert(handoff.id.clone(), number);
        self.runs.insert(handoff.run.clone(), number);
    }

    fn stands(&mut self, record: &Record, state: Value) {
        let at = self.runs.get(&record.run);
        if let Some(entry) = at.and_then(|at| self.window.get_mut(*at)) {
            entry["state"] = state;
        }
    }

    fn tell(&mut self, id: &str, state: &str, why: Option<&str>) {
        let entry = self.at.get(id).and_then(|at| self.window.get_mut(*at));
        let Some(entry) = entry else { return };
        entry["state"] = json!(state);
        if let Some(why) = why {
            entry["why"] = json!(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use callboard_trace::{EndState, Finished, MadeBy, Stop, Summary};

    use super::*;

    fn record(run: &str, event: Event) -> Record {
        Record {
            seq: 1,
            at: 0,
            v: callboard_trace::FORMAT,
            workspace: "default".to_owned(),
            task: RunId::from_text("r_root"),
            run: RunId::from_text(run),
            attempt: 1,
            agent: None,
            by: "test".to_owned(),
            prev: String::new(),
            event,
        }
    }

    fn handoff(id: &str, run: &str) -> Event {
        Event::HandedOff(Box::new(Handoff {
            id: id.to_owned(),
            source: "coder".to_owned(),
            target: callboard_config::AgentName::parse("tester").expect("a name"),
            run: RunId::from_text(run),
            call: None,
            task: "test it".to_owned(),
            mode: callboard_config::Mode::Transfer,
            summary: Summary::default(),
            artifacts: Vec::new(),
            reason: "model".to_owned(),
            made_by: MadeBy::Model,
            step: None,
            mark: String::new(),
            dropped: Vec::new(),
            taint: None,
        }))
    }

    #[test]
    fn a_handoff_is_told_once_with_what_became_of_it() {
        let refused = Event::HandoffRefused {
            handoff: "h_1".to_owned(),
            run: RunId::from_text("r_one"),
            reason: "not mine".to_owned(),
            better: None,
        };
        let ended = Event::RunEnded(Box::new(Finished {
            state: EndState::Partial,
            stop: Stop::Turns,
            answer: None,
            missing: Vec::new(),
            recommendations: Vec::new(),
            error: None,
        }));
        let records = [
            record("r_root", handoff("h_1", "r_one")),
            record("r_root", refused),
            record("r_root", handoff("h_2", "r_two")),
            record("r_two", Event::HandoffAccepted { handoff: "h_2".to_owned() }),
            record("r_two", ended.clone()),
            record("r_root", ended),
        ];
        let mut handoffs = Handoffs::new(0, 9);
        records.iter().all(|it| handoffs.take(it));
        let told: Vec<String> = handoffs.page()["handoffs"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| format!("{} {} {}", it["id"], it["state"], it["why"]))
            .collect();
        let expected =
            [r#""h_1" "refused" "not mine""#.to_owned(), r#""h_2" "partial" null"#.to_owned()];
        assert_eq!(told, expected);
    }
}
