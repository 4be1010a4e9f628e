//! How checks change a run: their words, what judges said.

use std::collections::BTreeMap;

use callboard_config::Model;
use callboard_config::guards::{Border, Guard, Kind};
use callboard_trace::{Event, Failure, FailureCode, ModelReplied, Purpose, StepBegun, Work};
use serde_json::{Value, json};

use crate::checks::{ANSWER, Brought, INPUT, Judging, Made};
use crate::run::{Run, Said};
use crate::{guard, spending};

impl Run {
    /// The models that a step of that purpose asks, in order.
    pub fn models_for<'a>(&'a self, purpose: &Purpose) -> &'a [Model] {
        let agent = &self.started.agent;
        let Purpose::Judge { check, .. } = purpose else { return &agent.models };
        let of_judge = agent.guards.iter().filter(|it| it.name == *check).find_map(|it| {
            if let Kind::Judge { models, .. } = &it.kind { Some(models) } else { None }
        });
        of_judge.unwrap_or(&agent.models)
    }

    /// Model steps in progress: number, and attempt.
    pub fn open_models(&self) -> Vec<(u32, u32)> {
        let asking = self.asking.iter().filter(|it| it.open).map(|it| (it.step, it.begun));
        let judges = self.checks.judging.iter().filter(|it| it.open);
        asking.chain(judges.map(|it| (it.step, it.begun))).collect()
    }

    /// How often a judge's step failed by itself; none if the step asks no judge.
    pub fn judge_attempts(&self, step: u32) -> Option<u32> {
        self.checks.judging.iter().find(|it| it.step == step).map(|it| it.attempts)
    }

    /// The checks of a border that are about a tool, those without a model first, persons last.
    pub(crate) fn guards(&self, on: Border, tool: &str) -> Vec<&Guard> {
        let all = self.started.agent.guards.iter();
        let mut found: Vec<&Guard> =
            all.filter(|it| it.on == on && (tool.is_empty() || it.is_about(tool))).collect();
        let is_judge = |it: &Guard| matches!(it.kind, Kind::Judge { .. });
        found.sort_by_key(|it| (it.kind == Kind::Approval, is_judge(it)));
        found
    }

    /// Tests that are known to fail, by notes, by answers of others, by this run's own.
    pub(crate) fn failing_tests(&self) -> Vec<String> {
        let mut known = BTreeMap::new();
        for (name, value) in &self.checks.tests {
            guard::cases(&mut known, name, value);
        }
        let ends = self.children.iter().filter_map(|it| it.end.as_ref()?.answer.as_ref());
        for answer in ends.chain(&self.kept) {
            if let Some(tests) = answer.get("tests") {
                guard::cases(&mut known, "tests", tests);
            }
        }
        guard::failing(known)
    }

    /// Whether every check of answers but this one let the kept one pass.
    pub(crate) fn is_cleared(&self, but: Option<&str>) -> bool {
        let subject = self.kept_as();
        self.guards(Border::Output, "").iter().filter(|it| Some(&*it.name) != but).all(|it| {
            let made = self.checks.verdict(&it.name, &subject);
            made.is_some_and(|it| ["pass", "flag", "redact"].contains(&&*it.verdict))
        })
    }

    /// What the kept answer is called by checks.
    pub(crate) fn kept_as(&self) -> String {
        format!("{ANSWER}/{}", self.kept_by)
    }

    /// What came in, without what checks of the input took out of it.
    pub(crate) fn seen(&self, content: Value) -> Value {
        let guards = self.started.agent.guards.iter().filter(|it| it.on == Border::Input);
        guards.fold(content, |content, it| match self.checks.verdict(&it.name, INPUT) {
            Some(made) if made.verdict == "redact" => guard::without(&it.kind, &content).0,
            Some(_) | None => content,
        })
    }

    /// The same for a text.
    pub(crate) fn seen_text(&self, text: String) -> String {
        self.seen(Value::String(text)).as_str().unwrap_or_default().to_owned()
    }

    /// Takes in the word of a check.
    pub(crate) fn checked(&mut self, event: &Event) {
        let Event::Checked { check, place, verdict, reasons, subject, .. } = event else { return };
        self.checks.judging.retain(|it| it.check != *check || it.subject != *subject);
        let (check, subject) = (check.clone(), subject.clone());
        let agent = self.started.agent.clone();
        let kind = agent.guards.iter().find(|it| it.name == check).map(|it| &it.kind);
        match (place.as_str(), verdict.as_str(), kind) {
            ("output", "redact", Some(kind)) if subject == self.kept_as() => {
                self.kept = self.kept.take().map(|it| guard::without(kind, &it).0);
            }
            ("output", "retry", _) => {
                let lead = "Your answer was not accepted. Mend what is wrong, then send the whole \
                            answer again:";
                let note = self.checks.note.take().unwrap_or_else(|| lead.to_owned());
                let more: Vec<String> = reasons.iter().map(|it| format!("\n- {it}")).collect();
                self.checks.note = Some(format!("{note}{}", more.concat()));
            }
            ("tool_result", "redact" | "block" | "stop", kind) => {
                self.taken_out(&check, &subject, verdict, reasons, kind);
            }
            _ => (),
        }
        let (verdict, reasons) = (verdict.clone(), reasons.clone());
        self.checks.made.push(Made { check, subject, verdict, reasons });
    }

    /// The model sees less of a result than its tool brought.
    fn taken_out(
        &mut self,
        check: &str,
        subject: &str,
        verdict: &str,
        reasons: &[String],
        kind: Option<&Kind>,
    ) {
        let Some(brought) = self.checks.brought.iter().find(|it| it.subject == subject) else {
            return;
        };
        let is_it = |it: &&mut Said| matches!(it, Said::Tool { call, .. } if *call == brought.call);
        if let Some(Said::Tool { result, .. }) = self.dialogue.iter_mut().rev().find(is_it) {
            *result = match (verdict, kind) {
                ("redact", Some(kind)) => guard::without(kind, result).0,
                _ => {
                    json!({"error": format!("withheld by guardrail `{check}`: {}", reasons.join("; "))})
                }
            };
        }
    }

    /// A tool brought something to be checked; what the engine answers itself is none.
    pub(crate) fn brings(&mut self, step: u32, call: &str) {
        let used = self.tools.iter().find(|it| it.step == step && it.call.tool != Work::LIST);
        let Some(tool) = used.map(|it| it.call.tool.clone()) else { return };
        let (subject, call) = (format!("result/{step}"), call.to_owned());
        self.checks.brought.push(Brought { subject, call, tool });
    }

    /// Something was noted.
    pub(crate) fn noted_tests(&mut self, event: &Event) {
        if let Event::Noted { slot, key, value, .. } = event
            && slot == "tests"
        {
            self.checks.tests.retain(|it| it.0 != *key);
            self.checks.tests.push((key.clone(), value.clone()));
        }
    }

    /// A judge is asked; `false` if the step asks none.
    pub(crate) fn judge_asked(
        &mut self,
        begun: &StepBegun,
        purpose: &Purpose,
        named: (&str, &str),
    ) -> bool {
        let Purpose::Judge { check, subject, .. } = purpose else { return false };
        let is_it = |it: &Model| (&*it.provider, &*it.model) == named;
        let at = self.models_for(purpose).iter().position(is_it);
        let at = at.unwrap_or_default();
        let known = self.checks.judging.iter_mut().find(|it| it.step == begun.step);
        if let Some(judging) = known {
            (judging.open, judging.reserved) = (true, begun.reserved);
            judging.begun += 1;
            if at != judging.model {
                (judging.model, judging.attempts) = (at, 0);
            }
            return true;
        }
        self.checks.judging.push(Judging {
            step: begun.step,
            check: check.clone(),
            subject: subject.clone(),
            model: at,
            begun: 1,
            open: true,
            reserved: begun.reserved,
            ..Judging::default()
        });
        true
    }

    /// A judge spoke; `false` if the reply is no judge's.
    pub(crate) fn judge_replied(&mut self, reply: &ModelReplied) -> bool {
        let Some(judging) = self.checks.judging.iter_mut().find(|it| it.step == reply.step) else {
            return false;
        };
        judging.open = false;
        judging.text = Some(reply.text.clone());
        let reserved = std::mem::take(&mut judging.reserved);
        self.settle(reserved, spending::of_reply(reply));
        self.totals = self.totals.and(spending::totals(reply, false));
        true
    }

    /// A judge was not heard; `false` if the step asked none.
    pub(crate) fn judge_failed(&mut self, failure: &Failure) -> bool {
        let Some(judging) = self.checks.judging.iter_mut().find(|it| it.step == failure.step)
        else {
            return false;
        };
        judging.open = false;
        let is_lost = failure.code == FailureCode::InDoubt;
        let is_cut_off = is_lost || failure.code == FailureCode::Cancelled;
        judging.lost = if is_cut_off { judging.lost + u32::from(is_lost) } else { 0 };
        judging.attempts += u32::from(!is_cut_off);
        judging.failure = Some(failure.clone());
        let reserved = std::mem::take(&mut judging.reserved);
        self.settle(reserved, spending::of_failure(reserved, failure));
        true
    }
}
