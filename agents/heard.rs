//! What people are asked by a run, and what becomes of what they say.

use callboard_trace::{Bound, Purpose};
use serde_json::Value;

use crate::asked_back::AskedBack;
use crate::person;
use crate::run::{Approval, Run, Word};

/// How a word begins that does not allow an act, with the reason behind it.
const DENY: &str = "deny";
/// What allows it.
const ALLOW: &str = "allow";

/// What stands in the name of a question that a check asks, and of no other.
pub(crate) const CHECK: &str = callboard_trace::Question::CHECK;

/// What may be said of an act.
pub(crate) const LEAVE: [&str; 2] = [ALLOW, DENY];

impl Run {
    /// A question is open; if a person does the work, it told them what was said since.
    pub(crate) fn asked_a_person(&mut self, question: &str) {
        self.questions.push(question.to_string());
        if self.is_human() {
            self.tell(&Purpose::Turn);
        }
    }

    /// A question is closed; if a person does the work, what they said is the reply.
    pub(crate) fn heard(&mut self, by: &str, question: &str, answer: Option<&str>) {
        // What a check asked and nobody waits for any more is nobody's reply.
        if self.heard_on_leave(by, question, answer) || question.contains(CHECK) {
            return;
        }
        self.questions.retain(|it| it != question);
        let Some(answer) = answer else { return };
        if self.is_human() {
            self.replied(&person::reply(self, answer));
        } else {
            self.heard.insert(question.to_string(), answer.to_string());
        }
    }

    /// Takes in that a tool asks something before it goes on with a call. `false` if it does not.
    pub(crate) fn asks_back(&mut self, step: u32, call: &str, result: &Value) -> bool {
        let at = self.tools.iter().position(|it| it.step == step && it.server.is_some());
        let asks = result.get("asks").and_then(|it| serde_json::from_value(it.clone()).ok());
        let (Some(at), Some(asks)) = (at, asks) else { return false };
        self.tools.remove(at);
        self.asked_back.insert(call.to_owned(), AskedBack { step, asks });
        true
    }

    /// A person is asked to allow an act.
    pub(crate) fn asked_for_leave(&mut self, question: &str, act: &Bound) {
        let (question, act) = (question.to_string(), act.clone());
        let (is_check, by) = (question.contains(CHECK), String::new());
        self.approvals.push(Approval { question, act, is_check, word: Word::Open, by });
    }

    /// A person's word on an act, the first one; whether the question was about an act.
    fn heard_on_leave(&mut self, by: &str, question: &str, answer: Option<&str>) -> bool {
        let mut asked = self.approvals.iter_mut();
        let Some(approval) = asked.find(|it| it.question == question) else { return false };
        if approval.word == Word::Open {
            approval.by = by.to_string();
            approval.word = match answer.map(str::trim) {
                None => Word::Withdrawn,
                Some(ALLOW) => Word::Allowed,
                Some(other) => {
                    let reason = other.strip_prefix(DENY).unwrap_or(other);
                    Word::Denied(reason.trim_start_matches(':').trim().to_string())
                }
            };
        }
        true
    }

    /// A person's word on a step in doubt: one attempt more, none, or the end.
    pub(crate) fn decided(&mut self, by: &str, step: u32, decision: &str) {
        if decision == "abort" {
            self.control.aborted = Some(by.to_string());
        }
        if let Some(tool) = self.tools.iter_mut().find(|it| it.step == step) {
            tool.forgiven = tool.lost;
            tool.may_rerun = decision == "rerun";
            tool.skipped = decision == "skip";
        }
        if let Some(asking) = self.asking.as_mut().filter(|it| it.step == step) {
            asking.lost = 0;
        }
    }
}
