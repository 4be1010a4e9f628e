//! A record as callers and other agents are told it: without what guardrails may hold back.

use callboard_config::guards::{Border, Guard, OnFail};
use serde_json::json;

use crate::{Event, Record};

impl Record {
    /// The record without an answer or a tool's result that one of these guardrails, its agent's, looks at
    /// and can withhold, also where a person is asked about it. What passed stands in the run's end.
    pub fn withheld(&self, guards: &[Guard]) -> Record {
        let by = |on: Border| {
            let mut all = guards.iter().filter(|it| it.on == on && it.on_fail != OnFail::Flag);
            all.next().map(|it| format!("[withheld by guardrail {}]", it.name))
        };
        let mut told = self.clone();
        if let Event::ModelReplied(reply) = &mut told.event {
            if let Some(instead) = by(Border::Output).filter(|_| !reply.text.is_empty()) {
                reply.reply = json!({"role": "assistant", "content": instead});
                reply.text = instead;
            }
        } else if let Event::ToolReturned { result, .. } = &mut told.event
            && let Some(instead) = by(Border::ToolResult)
        {
            *result = json!(instead);
        } else if let Event::Noted { slot, provenance: None, value, .. } = &mut told.event
            && slot == "notes"
            && let Some(instead) = by(Border::ToolResult)
        {
            // The whole of a result that did not fit; what an agent notes says who wrote it.
            *value = json!(instead);
        } else if let Event::QuestionAsked { prompt, act: Some(act), .. } = &mut told.event {
            let on = [("answer/", Border::Output), ("result/", Border::ToolResult)];
            let on = on.into_iter().find(|it| act.call.starts_with(it.0));
            if let Some(instead) = on.and_then(|it| by(it.1)) {
                *prompt = instead;
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use callboard_config::guards::Kind;

    use super::*;
    use crate::{FORMAT, RunId};

    #[test]
    fn the_whole_of_a_result_is_withheld_and_what_an_agent_noted_is_not() {
        let guard = Guard {
            name: "mail".into(),
            on: Border::ToolResult,
            kind: Kind::Approval,
            on_fail: OnFail::Block,
            timeout_s: 1,
            tools: Vec::new(),
        };
        let run = RunId::new(7);
        let noted = |slot: &str| Record {
            seq: 1,
            at: 0,
            v: FORMAT,
            workspace: "w".into(),
            task: run.clone(),
            run: run.clone(),
            attempt: 1,
            agent: None,
            by: "engine".into(),
            prev: String::new(),
            event: Event::Noted {
                slot: slot.into(),
                key: "Read (c_1)".into(),
                value: json!("ann.b@mail.example"),
                artifact: "a_1".into(),
                confidence: None,
                taint: None,
                provenance: None,
                tags: Vec::new(),
                expires: None,
            },
        };
        let shown = |slot: &str, guards: &[Guard]| {
            noted(slot).withheld(guards).made().map(|it| it.1).unwrap_or_default()
        };
        let guards = [guard];
        assert_eq!(shown("notes", &guards), "[withheld by guardrail mail]");
        assert_eq!(shown("findings", &guards), "ann.b@mail.example");
        assert_eq!(shown("notes", &[]), "ann.b@mail.example");
    }
}
