//! All runs of one root, folded: who did what, at what cost, and how it stands.

use std::collections::{BTreeMap, BTreeSet};

use callboard_config::AgentName;

use crate::{
    Action, Cost, Event, Finished, Handoff, Question, Queued, Record, RunId, RunView, State,
    StepBegun, Trouble, Work, short,
};

/// A root and everything under it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Every run by name.
    pub runs: BTreeMap<RunId, Branch>,
}

/// One run of a tree.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Whose run.
    pub agent: AgentName,
    /// Who handed it over.
    pub parent: Option<RunId>,
    /// Its task.
    pub task: String,
    /// When it began, microseconds since 1970.
    pub began: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Its end.
    pub end: Option<Finished>,
    /// Its last step, such as `3: asks rehearsal/rehearsal`.
    pub step: Option<String>,
    /// Steps begun.
    pub steps: u32,
    /// Model replies.
    pub replies: u32,
    /// Tokens in and out.
    pub tokens: u64,
    /// What it handed on.
    pub handoffs: Vec<Handoff>,
    /// Who paused it.
    pub paused: Option<String>,
    /// What it waits for, by the last failure.
    pub waits: Option<String>,
    /// Its open questions.
    pub questions: Vec<Question>,
}

impl Tree {
    /// Folds records of one root, oldest first.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Tree {
        let mut tree = Tree::default();
        for record in records {
            tree.apply(record);
        }
        tree
    }

    /// Takes in one more record.
    pub fn apply(&mut self, record: &Record) {
        if let Event::RunStarted(started) = &record.event {
            let branch = Branch {
                agent: started.agent.name.clone(),
                parent: started.parent.clone(),
                task: started.task.clone(),
                began: record.at,
                ended: None,
                end: None,
                step: None,
                steps: 0,
                replies: 0,
                tokens: 0,
                handoffs: Vec::new(),
                paused: None,
                waits: None,
                questions: Vec::new(),
            };
            self.runs.insert(record.run.clone(), branch);
        } else if let Some(branch) = self.runs.get_mut(&record.run) {
            branch.apply(record);
        }
    }

    /// How one run of the tree stands, its children included. `None` if it is not in the tree.
    pub fn view(&self, run: &RunId, now: i64) -> Option<RunView> {
        let branch = self.runs.get(run)?;
        let at_work = self.at_work(run);
        let below: Vec<&Branch> = self.below(run);
        let tokens = below.iter().map(|it| it.tokens).sum();
        let handoffs = below.iter().map(|it| it.handoffs.len()).sum::<usize>();
        let until = branch.ended.unwrap_or(now.max(branch.began));
        let mut view = RunView {
            run: run.clone(),
            state: self.state(run),
            stop: branch.end.as_ref().map(|it| it.stop),
            agent: at_work.map_or_else(|| branch.agent.clone(), |it| it.agent.clone()),
            result: None,
            answer: None,
            confidence: None,
            step: at_work.filter(|_| branch.end.is_none()).and_then(|it| it.step.clone()),
            queue: None,
            questions: below.iter().flat_map(|it| it.questions.clone()).collect(),
            missing: Vec::new(),
            recommendations: Vec::new(),
            error: None,
            cost: Cost { usd: None, tokens },
            handoffs: u32::try_from(handoffs).unwrap_or(u32::MAX),
            elapsed_s: seconds(until - branch.began),
            next: None,
            notices: Vec::new(),
        };
        match &branch.end {
            Some(end) => finish(&mut view, end),
            None => view.queue = self.waits(run),
        }
        Some(view)
    }

    /// The run that has the work now: down the last open or deciding transfer.
    fn at_work(&self, run: &RunId) -> Option<&Branch> {
        let mut branch = self.runs.get(run)?;
        loop {
            let last = branch.handoffs.iter().rev().find(|it| {
                let is_transfer = it.mode == callboard_config::Mode::Transfer;
                let end = self.runs.get(&it.run).and_then(|it| it.end.as_ref());
                is_transfer
                    && (end.is_none() || (branch.end.is_some() && end == branch.end.as_ref()))
            });
            match last.and_then(|it| self.runs.get(&it.run)) {
                Some(next) => branch = next,
                None => return Some(branch),
            }
        }
    }

    fn state(&self, run: &RunId) -> State {
        let Some(branch) = self.runs.get(run) else { return State::Queued };
        if let Some(end) = &branch.end {
            return match end.state {
                crate::EndState::Completed => State::Completed,
                crate::EndState::Partial => State::Partial,
                crate::EndState::Failed => State::Failed,
                crate::EndState::Cancelled => State::Cancelled,
            };
        }
        let below = self.below(run);
        let open = |it: &&&Branch| it.end.is_none();
        if let Some(asks) = below.iter().filter(open).find_map(|it| it.questions.first()) {
            return if asks.kind == "rerun" { State::Halted } else { State::InputRequired };
        }
        let paused = branch.paused.is_some();
        let begun = below.iter().filter(open).any(|it| it.steps > 0 && it.waits.is_none());
        if begun && !paused { State::Working } else { State::Queued }
    }

    fn waits(&self, run: &RunId) -> Option<Queued> {
        let open: Vec<&Branch> =
            self.below(run).into_iter().filter(|it| it.end.is_none()).collect();
        let paused = open.iter().find_map(|it| it.paused.as_ref());
        let waits = paused.map(|it| format!("paused by {it}"));
        let waits = waits.or_else(|| open.iter().find_map(|it| it.waits.clone()));
        let seat = || open.iter().all(|it| it.steps == 0).then(|| "a seat".to_string());
        waits.or_else(seat).map(|waiting_for| Queued { pos: None, waiting_for })
    }

    /// The names of the run and of all its descendants.
    pub fn names_below(&self, run: &RunId) -> BTreeSet<RunId> {
        let mut names = BTreeSet::from([run.clone()]);
        for branch in self.below(run) {
            names.extend(branch.handoffs.iter().map(|it| it.run.clone()));
        }
        names
    }

    /// The run and all its descendants.
    pub fn below(&self, run: &RunId) -> Vec<&Branch> {
        let Some(branch) = self.runs.get(run) else { return Vec::new() };
        let mut found = vec![branch];
        let mut at = 0;
        while let Some(branch) = found.get(at).copied() {
            found.extend(branch.handoffs.iter().filter_map(|it| self.runs.get(&it.run)));
            at += 1;
        }
        found
    }
}

impl Branch {
    fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::StepBegun(step) => self.begun(step),
            Event::ModelReplied(reply) => {
                self.replies += 1;
                self.tokens += reply.usage.input + reply.usage.output;
            }
            Event::StepFailed(failure) => {
                self.waits = failure.retry_at.map(|_| failure.message.clone());
            }
            Event::HandedOff(handoff) => self.handoffs.push((**handoff).clone()),
            Event::Controlled(control) => self.controlled(&record.by, control.action),
            Event::QuestionAsked { question, form, prompt, options } => {
                self.questions.push(Question {
                    id: question.clone(),
                    kind: form.clone(),
                    prompt: prompt.clone(),
                    options: options.clone(),
                });
            }
            Event::QuestionClosed { question, .. } => {
                self.questions.retain(|it| it.id != *question);
            }
            Event::RunEnded(end) => {
                self.end = Some((**end).clone());
                self.ended = Some(record.at);
                self.questions.clear();
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
            | Event::StepWaiting(_)
            | Event::ToolReturned { .. }
            | Event::StepDecided { .. }
            | Event::LimitsLearned { .. }
            | Event::BreakerChanged { .. }
            | Event::HandoffAccepted { .. }
            | Event::HandoffRefused { .. }
            | Event::HandoffFailed { .. }
            | Event::ChildEnded { .. }
            | Event::Noted { .. }
            | Event::Forgotten { .. }
            | Event::Checked { .. }
            | Event::BudgetAlerted { .. }
            | Event::BudgetSet { .. }
            | Event::FuseBlown { .. }
            | Event::Checkpointed { .. }
            | Event::Delivered { .. }
            | Event::CallerLeft { .. }
            | Event::Exported { .. }
            | Event::DayClosed { .. } => (),
        }
    }

    fn begun(&mut self, step: &StepBegun) {
        self.steps = self.steps.max(step.step);
        self.waits = None;
        let what = match &step.work {
            Work::Model { provider, model, .. } => format!("asks {provider}/{model}"),
            Work::Tool { tool, .. } => tool.clone(),
        };
        self.step = Some(format!("{}: {what}", step.step));
    }

    fn controlled(&mut self, by: &str, action: Action) {
        match action {
            Action::Pause => self.paused = Some(by.to_string()),
            Action::Resume => self.paused = None,
            Action::Cancel
            | Action::FinishNow
            | Action::Retry
            | Action::SetPriority
            | Action::Message
            | Action::Redirect => (),
        }
    }
}

fn finish(view: &mut RunView, end: &Finished) {
    view.result = Some(end.summary().to_string());
    view.confidence = end.confidence();
    view.answer = end.answer.as_ref().and_then(|it| it.as_object()).and_then(|fields| {
        let mut fields = fields.clone();
        fields.shift_remove("summary");
        fields.shift_remove("confidence");
        (!fields.is_empty()).then_some(serde_json::Value::Object(fields))
    });
    view.missing.clone_from(&end.missing);
    view.recommendations.clone_from(&end.recommendations);
    view.error.clone_from(&end.error);
}

fn seconds(micros: i64) -> f64 {
    let millis = u32::try_from(micros.max(0) / 1_000).unwrap_or(u32::MAX);
    f64::from(millis) / 1_000.0
}

/// One line about a run in progress, for progress notices: `r_7k2m reviewer: 3: note`.
pub fn progress_line(view: &RunView) -> String {
    let what = match (&view.step, &view.queue) {
        (_, Some(queued)) => format!("waiting for {}", queued.waiting_for),
        (Some(step), None) => step.clone(),
        (None, None) => "starting".into(),
    };
    format!("{} {}: {what}", short(&view.run), view.agent)
}

impl Trouble {
    /// The message with its way out.
    pub fn told(&self) -> String {
        if self.hint.is_empty() {
            self.message.clone()
        } else {
            format!("{}; {}", self.message, self.hint)
        }
    }
}
