//! How a run changes: one record at a time, and in no other way.

use callboard_trace::rank::Ranked;
use callboard_trace::{
    Action, ArtifactRef, Control, Event, Failure, FailureCode, Finish, ModelReplied, Purpose,
    Record, StepBegun, Touched, Work,
};
use serde_json::{Value, json};

use crate::loops::Blown;
use crate::meant::meant;
use crate::plan::Plan;
use crate::rules::{listing, memory};
use crate::run::{Asking, Declined, OpenTool, Replied, Run, Said};
use crate::{answer, notes, person, same, spending};

impl Run {
    /// Folds a run from its whole journal. `None` if it does not begin with a `run_started`
    /// (after an optional `task_accepted`).
    pub fn fold(records: &[Record]) -> Option<Run> {
        let at = records.iter().position(|it| matches!(it.event, Event::RunStarted(_)))?;
        let Event::RunStarted(started) = &records[at].event else { return None };
        let mut run = Run::new(records[at].run.clone(), (**started).clone());
        run.now = records[at].at;
        for record in &records[at + 1..] {
            run.apply(&record.by, &record.event);
        }
        Some(run)
    }

    /// Takes in a record that slipped in before the last ones, where the order makes no difference:
    /// the end of one step of a plan beside the beginning of others. `false` if it does.
    pub fn takes_late(&mut self, record: &Record) -> bool {
        let is_apart = self.plan.is_some() && matches!(record.event, Event::ChildEnded { .. });
        if is_apart {
            self.apply(&record.by, &record.event);
        }
        is_apart
    }

    /// The files that a step read or wrote.
    fn touched(&mut self, files: &[Touched]) {
        let pair = |it: &Touched| (it.path.clone(), it.hash.clone());
        self.files.extend(files.iter().map(pair));
        self.written.extend(files.iter().filter(|it| it.wrote).map(pair));
    }

    /// Takes in what happened.
    pub fn apply(&mut self, by: &str, event: &Event) {
        self.tainted.apply(event);
        match event {
            Event::StepBegun(step) => self.begun(step),
            Event::ModelReplied(reply) => self.replied(reply),
            Event::ToolReturned { .. } => self.tool_returned(event),
            Event::StepFailed(failure) => self.failed(failure),
            Event::StepWaiting(waiting) => self.held = Some(waiting.clone()),
            Event::HandedOff(handoff) => self.handed_off(handoff),
            Event::PlanMade { plan, steps, agents, .. } => {
                self.plan_made(Plan::read(plan, steps, agents));
            }
            Event::PlanChanged { change, .. } => {
                self.plan.iter_mut().for_each(|it| it.changed(change));
            }
            Event::HandoffAccepted { .. } => self.accepted = true,
            Event::HandoffRefused { handoff, reason, better, .. } => {
                if let Some(child) = self.child(handoff) {
                    child.refused =
                        Some(Declined { reason: reason.clone(), better: better.clone() });
                }
            }
            Event::HandoffFailed { handoff, .. } => self.handoff_failed(handoff),
            Event::ChildEnded { .. } => self.child_ended(event),
            Event::Noted { .. } => {
                self.slots.noted(event);
                self.noted(event);
            }
            Event::QuestionAsked { question, act: Some(act), .. } => {
                self.asked_for_leave(question, act);
            }
            Event::QuestionAsked { question, act: None, .. } => self.asked_a_person(question),
            Event::QuestionClosed { question, answer } => {
                self.heard(by, question, answer.as_deref());
            }
            Event::StepDecided { step, decision } => self.decided(by, *step, decision),
            Event::FuseBlown { fuse, value, limit, chain } => {
                let (fuse, chain) = (fuse.clone(), chain.clone());
                self.blew(Blown { fuse, value: *value, limit: *limit, chain });
            }
            Event::BudgetAlerted { .. } => self.alerted(event),
            Event::Checked { .. } => self.checked(event),
            Event::Controlled(control) => self.controlled(by, control),
            Event::Routed(routed) => self.falls_back = routed.falls_back,
            Event::RankSet(ranked) => self.ranked(ranked),
            Event::RunEnded(end) => self.end = Some(end.clone()),
            Event::NodeStarted { .. }
            | Event::NodeStopped { .. }
            | Event::TeamLoaded { .. }
            | Event::AdmissionChanged { .. }
            | Event::TaskAccepted(_)
            | Event::RunStarted(_)
            | Event::Embedded { .. }
            | Event::LimitsLearned { .. }
            | Event::BreakerChanged { .. }
            | Event::Forgotten { .. }
            | Event::BudgetSet { .. }
            | Event::Checkpointed { .. }
            | Event::Delivered { .. }
            | Event::CallerLeft { .. }
            | Event::Exported { .. }
            | Event::DayClosed { .. } => (),
        }
    }

    fn noted(&mut self, event: &Event) {
        self.noted_tests(event);
        let known = |it: &ArtifactRef| self.artifacts.iter().any(|has| has.id == it.id);
        self.artifacts.extend(answer::artifact_of(event).filter(|it| !known(it)));
    }

    /// A rule's value keeps what comes on top of it.
    fn ranked(&mut self, ranked: &Ranked) {
        self.started.priority = ranked.base;
        if ranked.source != "rule" {
            self.started.points.fit = 0;
        }
    }

    fn begun(&mut self, step: &StepBegun) {
        self.steps = self.steps.max(step.step);
        self.spent = self.spent.and(step.reserved);
        self.held = None;
        match &step.work {
            Work::Model { purpose, provider, model, .. } => {
                if !self.judge_asked(step, purpose, (provider, model)) {
                    self.asked(step, purpose, provider, model);
                }
            }
            Work::Tool { call, tool, repeatable, server, .. } => {
                if let Some(tool) = self.tools.iter_mut().find(|it| it.step == step.step) {
                    (tool.open, tool.may_rerun, tool.reserved) = (true, false, step.reserved);
                    return;
                }
                let asked = self.calls.iter().find(|it| it.id == *call).cloned();
                let listing = server.as_deref().filter(|_| tool == Work::LIST).map(listing::call);
                let listing = listing.or_else(|| (tool == Work::LOOK).then(|| memory::call(self)));
                let goes_on = self.asked_back.contains_key(call);
                if let Some(key) = asked.as_ref().filter(|_| !goes_on).and_then(same::call) {
                    self.loops.did(&key);
                }
                if let Some(call) = asked.or(listing) {
                    // A word counts for one act.
                    self.approvals.retain(|it| it.act.call != call.id);
                    self.tools.push(OpenTool {
                        step: step.step,
                        call,
                        repeatable: *repeatable,
                        server: server.clone(),
                        lost: 0,
                        forgiven: 0,
                        may_rerun: false,
                        skipped: false,
                        open: true,
                        reserved: step.reserved,
                    });
                }
            }
        }
    }

    fn asked(&mut self, begun: &StepBegun, purpose: &Purpose, provider: &str, model: &str) {
        let chain = &self.started.agent.models;
        let at = chain.iter().position(|it| it.provider == provider && it.model == model);
        let step = begun.step;
        if let Some(asking) = self.asking.as_mut().filter(|it| it.step == step) {
            asking.open = true;
            asking.begun += 1;
            asking.reserved = begun.reserved;
            if let Some(at) = at.filter(|at| *at != asking.model) {
                (asking.model, asking.attempts, asking.rate_limited) = (at, 0, 0);
            }
            return;
        }
        match purpose {
            Purpose::Repair { .. } => self.tally.repairs += 1,
            Purpose::Summarise { .. } => self.tally.summaries += 1,
            Purpose::Turn | Purpose::Finalise | Purpose::Judge { .. } => (),
        }
        self.tell(purpose);
        self.asking = Some(Asking {
            step,
            purpose: purpose.clone(),
            model: at.unwrap_or_default(),
            begun: 1,
            open: true,
            reserved: begun.reserved,
            ..Asking::default()
        });
    }

    pub(crate) fn replied(&mut self, reply: &ModelReplied) {
        if self.judge_replied(reply) {
            return;
        }
        self.checks.brought.clear();
        self.totals = self.totals.and(spending::totals(reply, self.is_human()));
        let asking = self.asking.take();
        if let Some(asking) = &asking {
            self.settle(asking.reserved, spending::of_reply(reply));
        }
        let purpose = asking.map_or(Purpose::Turn, |it| it.purpose);
        if purpose == Purpose::Turn {
            self.turns += 1;
            self.loops.heard(same::reply(reply).as_deref());
        }
        let is_declined = reply.finish == Finish::ContentFilter;
        let is_silent = reply.calls.is_empty() && reply.text.trim().is_empty();
        // Providers take neither an empty message back nor one whose calls were never answered.
        if !is_silent && !is_declined {
            self.dialogue.push(Said::Model(Box::new(reply.clone())));
        }
        self.calls = reply.calls.iter().map(|it| meant(self, it)).collect();
        self.approvals.clear();
        let answers = match purpose {
            Purpose::Turn | Purpose::Repair { .. } => reply.calls.is_empty(),
            Purpose::Finalise => true,
            Purpose::Summarise { .. } | Purpose::Judge { .. } => false,
        };
        let answer = match (&self.started.output_schema, self.is_human()) {
            (Some(schema), _) => answer::shaped(&reply.text, schema),
            (None, true) => person::said(&reply.text),
            (None, false) => answer::read(&reply.text),
        };
        if let Some(answer) = answer.filter(|_| answers && !is_declined) {
            (self.kept, self.kept_by) = (Some(answer), reply.step);
        }
        self.tally.bad_turns = if reply.calls.is_empty() { 0 } else { self.tally.bad_turns + 1 };
        self.reply = Some(Box::new(Replied { purpose, reply: reply.clone() }));
    }

    /// What is said before a step becomes part of the dialogue.
    pub(crate) fn tell(&mut self, purpose: &Purpose) {
        let told: Vec<Said> = notes::before(self, purpose).map(Said::Note).collect();
        self.dialogue.extend(told);
        self.control.messages.clear();
        self.checks.told();
        self.alerts.iter_mut().for_each(|it| it.is_told = true);
    }

    fn tool_returned(&mut self, event: &Event) {
        let Event::ToolReturned { step, call, ok, result, ms, documents, files } = event else {
            return;
        };
        self.steps = self.steps.max(*step);
        self.touched(files);
        self.tool_spent(*step, *ms, documents);
        if !self.asks_back(*step, call, result) {
            self.brings(*step, call);
            self.returned(call, *ok, result);
        }
    }

    fn returned(&mut self, call: &str, ok: bool, result: &Value) {
        let listing =
            self.tools.iter().position(|it| it.call.id == call && it.call.tool == Work::LIST);
        if let Some(at) = listing {
            let server = self.tools.remove(at).server.unwrap_or_default();
            return self.shelf.put(&server, ok, result);
        }
        if let Some(server) = listing::refused(self, call) {
            return self.shelf.put(server, ok, result);
        }
        let looked =
            self.tools.iter().position(|it| it.call.id == call && it.call.tool == Work::LOOK);
        if let Some(at) = looked {
            self.tools.remove(at);
            self.recalled = Some(result.clone());
            return;
        }
        let is_bad_summary = !ok && result.get("field").is_some();
        let was_performed = self.tools.iter().any(|it| it.call.id == call);
        self.tally.bad_summaries += u32::from(is_bad_summary);
        // What may not be done was asked for as it should be.
        let is_forbidden = result.get("forbidden").is_some();
        if ok || is_bad_summary || is_forbidden || was_performed {
            self.tally.bad_turns = 0;
        }
        self.count(call, ok, result);
        let source = self.source_of(call, result);
        self.approvals.retain(|it| it.act.call != call);
        self.asked_back.remove(call);
        self.calls.retain(|it| it.id != call);
        self.tools.retain(|it| it.call.id != call);
        for child in &mut self.children {
            if child.handoff.call.as_deref() == Some(call) {
                child.settled = true;
            }
        }
        // Results stand right behind the message that asked for them, before what was said since,
        // and in the order of its calls: what the model reads does not hang on who was faster.
        let last = self.dialogue.iter().rposition(|it| !matches!(it, Said::Note(_)));
        let mut at = last.map_or(0, |it| it + 1);
        let place = self.place_of(call);
        while at > 0
            && let Said::Tool { call: before, .. } = &self.dialogue[at - 1]
            && self.place_of(before) > place
        {
            at -= 1;
        }
        let (call, result) = (call.to_string(), result.clone());
        self.dialogue.insert(at, Said::Tool { call, result, source });
    }

    /// Where a call stands in the reply that made it.
    pub(crate) fn place_of(&self, call: &str) -> Option<usize> {
        self.reply.as_ref()?.reply.calls.iter().position(|it| it.id == call)
    }

    fn failed(&mut self, failure: &Failure) {
        if self.judge_failed(failure) {
            return;
        }
        let lost = failure.code == FailureCode::InDoubt;
        // Cancelled: its process was asked to stop, which is no fault of the step.
        let cut_off = lost || failure.code == FailureCode::Cancelled;
        if let Some(tool) = self.tools.iter_mut().find(|it| it.step == failure.step) {
            tool.open = false;
            tool.lost += u32::from(lost);
            let reserved = std::mem::take(&mut tool.reserved);
            let call = tool.call.id.clone();
            self.settle(reserved, spending::of_failure(reserved, failure));
            if !cut_off {
                self.returned(&call, false, &json!({ "error": failure.message }));
            }
        }
        let Some(asking) = self.asking.as_mut().filter(|it| it.step == failure.step) else {
            return;
        };
        asking.open = false;
        let reserved = std::mem::take(&mut asking.reserved);
        if cut_off {
            asking.lost += u32::from(lost);
        } else {
            let is_limited = failure.code == FailureCode::RateLimited;
            asking.rate_limited += u32::from(is_limited);
            asking.attempts += u32::from(!is_limited);
            asking.lost = 0;
        }
        asking.failure = Some(failure.clone());
        self.settle(reserved, spending::of_failure(reserved, failure));
    }

    fn controlled(&mut self, by: &str, control: &Control) {
        match control.action {
            Action::Cancel => {
                self.control.cancelled = Some((by.to_string(), control.reason.clone()));
            }
            Action::Pause => self.control.paused = Some(by.to_string()),
            Action::Resume => self.control.paused = None,
            Action::FinishNow => self.control.finish = true,
            Action::Redirect => self.control.redirect = Some(control.value.clone()),
            Action::Message => {
                let text = control.value.as_str().unwrap_or_default().to_string();
                self.control.messages.push((by.to_string(), text));
            }
            Action::Retry => self.retried(&control.value),
            Action::SetBudget => self.set_budget(&control.value),
            Action::Drain => (),
            Action::SetPriority => {
                let value = control.value.as_u64().and_then(|it| u16::try_from(it).ok());
                self.started.priority = value.unwrap_or(self.started.priority);
                self.started.points.given = true;
                self.started.points.fit = 0;
            }
        }
    }
}
