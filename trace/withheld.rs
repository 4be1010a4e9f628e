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
