//! All runs of one root, folded: who did what, at what cost, and how it stands.

use std::collections::{BTreeMap, BTreeSet};

use callboard_config::{AgentName, Mode};

use crate::artifact::{Artifact, Made, key_of};
use crate::rank::FALLBACK;
use crate::story::{line, short, tag};
use crate::todo;
use crate::used::{Used, cost, notices};
use crate::{
    Action, EndState, Event, Finished, Handoff, Question, Queued, Record, RunId, RunView, State,
    StepBegun, Taint, Work,
};

/// Artifacts that a view lists.
const ARTIFACTS_MAX: usize = 20;

/// A root and everything under it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Every run by name.
    pub runs: BTreeMap<RunId, Branch>,
    /// What was left to be read, in the order it was made.
    made: Vec<Made>,
}

/// One run of a tree.
#[derive(Clone, Debug, Default)]
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
    /// What it waits for, by the last failure or the last gate.
    pub waits: Option<String>,
    /// Until when, if that is known; microseconds since 1970.
    pub waits_until: Option<i64>,
    /// Its open questions.
    pub questions: Vec<Question>,
    /// How far it is with its own list: `2 of 5: writing the tests`.
    pub todo: Option<String>,
    /// What it cost, and how far its budgets are used.
    pub used: Used,
    /// What content of others reached it.
    pub taint: Taint,
    /// Its answer is of its caller's own schema: all of it is shown.
    pub is_shaped: bool,
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
        self.made.extend(record.made().map(|it| it.0));
        if let Event::RunStarted(started) = &record.event {
            let branch = Branch {
                agent: started.agent.name.clone(),
                parent: started.parent.clone(),
                task: started.task.clone(),
                began: record.at,
                used: Used::begun(started),
                taint: Taint::of(started),
                is_shaped: started.output_schema.is_some(),
                ..Branch::default()
            };
            self.runs.insert(record.run.clone(), branch);
        } else if let Some(branch) = self.runs.get_mut(&record.run) {
            branch.apply(record);
        }
    }

    /// How one run of the tree stands, its children included. `None` if it is not in the tree.
    pub fn view(&self, run: &RunId, now: i64) -> Option<RunView> {
        let branch = self.runs.get(run)?;
        let is_open = branch.end.is_none();
        let below = self.below(run);
        // A person who is asked has the work, whoever waits for the answer.
        let asks = below.iter().find(|it| is_open && !it.questions.is_empty());
        let at_work = asks.copied().unwrap_or_else(|| self.at_work(branch));
        let handoffs = below.iter().map(|it| it.handoffs.len()).sum::<usize>();
        let questions = below.iter().filter(|_| is_open).flat_map(|it| it.questions.clone());
        let questions: Vec<Question> = questions.map(|it| it.at(now)).collect();
        let held = self.held(branch, &below);
        let state = branch.state(questions.first(), held.is_some());
        let queue = held.filter(|_| state == State::Queued).map(|waiting_for| {
            let until = at_work.waits_until.filter(|it| *it > now && branch.paused.is_none());
            Queued { pos: None, waiting_for, eta_s: until.map(|it| seconds(it - now)) }
        });
        let until = branch.ended.unwrap_or(now.max(branch.began));
        let mut view = RunView {
            run: run.clone(),
            state,
            stop: branch.end.as_ref().map(|it| it.stop),
            agent: at_work.agent.clone(),
            result: None,
            answer: None,
            confidence: None,
            step: at_work.step.clone().filter(|_| is_open),
            todo: at_work.todo.clone().or_else(|| branch.todo.clone()).filter(|_| is_open),
            queue,
            questions,
            missing: Vec::new(),
            recommendations: Vec::new(),
            error: None,
            degraded: branch.handoffs.iter().any(|it| it.reason == FALLBACK),
            cost: cost(below.iter().map(|it| (&it.used, it.tokens, it.replies))),
            artifacts: self.artifacts(run, branch),
            handoffs: u32::try_from(handoffs).unwrap_or(u32::MAX),
            elapsed_s: seconds(until.saturating_sub(branch.began)),
            next: None,
            notices: notices(below.iter().map(|it| (&it.agent, &it.used)), !is_open),
        };
        if let Some(end) = &branch.end {
            view.finish(end);
            if branch.is_shaped {
                view.shape(end);
            }
        }
        Some(view)
    }

    /// What was left to be read below the run, without its own answer, which the view shows: the
    /// last ones, and where all are listed. Numbers count every body once, in the order of making.
    fn artifacts(&self, run: &RunId, branch: &Branch) -> Vec<Artifact> {
        if self.made.is_empty() {
            return Vec::new();
        }
        let own = branch.end.as_ref().and_then(|it| it.answer.as_ref()).map(key_of);
        let names = self.names_below(run);
        let mut known = BTreeSet::new();
        let below = self.made.iter().filter(|it| names.contains(&it.run) && known.insert(it.key));
        let numbered = below.enumerate().filter(|(_, it)| Some(it.key) != own);
        let list = format!("team://runs/{run}/artifacts");
        let mut all: Vec<Artifact> = numbered
            .map(|(at, it)| Artifact {
                uri: format!("{list}/{}", at + 1),
                name: line(&it.name),
                bytes: it.bytes,
            })
            .collect();
        let n_spare = all.len().saturating_sub(ARTIFACTS_MAX);
        if n_spare > 0 {
            let bytes = all.iter().map(|it| it.bytes).sum();
            let name = format!("all {} of them", all.len());
            all.drain(..n_spare);
            all.push(Artifact { uri: list, name, bytes });
        }
        all
    }

    /// The run that has the work, or that finished it: down the transfers whose end decides.
    fn at_work<'a>(&'a self, run: &'a Branch) -> &'a Branch {
        let mut branch = run;
        // A transfer each, so that a journal that names a run twice cannot hold us here.
        for _ in 0..self.runs.len() {
            let decides = |child: &Branch| match (&branch.end, &child.end) {
                (None, None) => true,
                (None, Some(end)) => end.state != EndState::Failed,
                (Some(own), end) => end.as_ref() == Some(own),
            };
            let transfers = branch.handoffs.iter().rev().filter(|it| it.mode == Mode::Transfer);
            let next = transfers.filter_map(|it| self.runs.get(&it.run)).find(|it| decides(it));
            match next {
                Some(next) => branch = next,
                None => break,
            }
        }
        branch
    }

    /// Why nobody is at work for an open run: what holds up the first of those that wait for no
    /// other run. `None` if one of them is at work.
    fn held(&self, branch: &Branch, below: &[&Branch]) -> Option<String> {
        let is_open = |it: &Branch| it.end.is_none();
        let hands = below.iter().filter(|it| {
            let mut children = it.handoffs.iter().filter_map(|to| self.runs.get(&to.run));
            is_open(it) && !children.any(is_open)
        });
        let held: Option<Vec<String>> = hands.map(|it| it.held()).collect();
        let paused = branch.paused.as_ref().and(branch.held());
        paused.or_else(|| held?.into_iter().next())
    }

    /// The names of the run and of all its descendants.
    pub fn names_below(&self, run: &RunId) -> BTreeSet<RunId> {
        let mut names = BTreeSet::from([run.clone()]);
        for branch in self.below(run) {
            names.extend(branch.handoffs.iter().map(|it| it.run.clone()));
        }
        names
    }

    /// The run and all its descendants, each once.
    pub fn below(&self, run: &RunId) -> Vec<&Branch> {
        let mut seen = BTreeSet::from([run]);
        let mut found: Vec<&Branch> = self.runs.get(run).into_iter().collect();
        let mut at = 0;
        while let Some(branch) = found.get(at).copied() {
            let names = branch.handoffs.iter().map(|it| &it.run).filter(|it| seen.insert(it));
            found.extend(names.filter_map(|it| self.runs.get(it)));
            at += 1;
        }
        found
    }
}

impl Branch {
    /// Where the run stands, given what a person is asked below it and whether anything moves.
    fn state(&self, asks: Option<&Question>, is_held: bool) -> State {
        match (self.end.as_ref().map(|it| it.state), asks) {
            (Some(EndState::Completed), _) => State::Completed,
            (Some(EndState::Partial), _) => State::Partial,
            (Some(EndState::Failed), _) => State::Failed,
            (Some(EndState::Cancelled), _) => State::Cancelled,
            (None, Some(asks)) if asks.kind == "rerun" => State::Halted,
            (None, Some(_)) => State::InputRequired,
            (None, None) if is_held => State::Queued,
            (None, None) => State::Working,
        }
    }

    /// What the run itself waits for, if it is not at work.
    fn held(&self) -> Option<String> {
        let paused = self.paused.as_ref().map(|by| format!("paused by {by}"));
        let waits = paused.or_else(|| self.waits.clone()).map(|it| line(&it));
        waits.or_else(|| (self.steps == 0).then(|| "a seat".to_string()))
    }

    fn apply(&mut self, record: &Record) {
        self.used.apply(&record.event);
        self.taint.apply(&record.event);
        match &record.event {
            Event::StepBegun(step) => self.begun(step),
            Event::ModelReplied(reply) => {
                self.replies += 1;
                let used = reply.usage.input.saturating_add(reply.usage.output);
                self.tokens = self.tokens.saturating_add(used);
            }
            Event::StepWaiting(waiting) => {
                let eta = waiting.eta_s.map(|it| (it * 1e6) as i64);
                self.waits = Some(waiting.resource.clone());
                self.waits_until = eta.map(|it| record.at.saturating_add(it));
            }
            Event::StepFailed(failure) => {
                self.waits = failure.retry_at.map(|_| failure.message.clone());
                self.waits_until = failure.retry_at;
            }
            Event::HandedOff(handoff) => self.handoffs.push((**handoff).clone()),
            Event::Controlled(control) => self.controlled(&record.by, control.action),
            Event::QuestionAsked { .. } => self.questions.extend(Question::of(&record.event)),
            Event::Noted { slot, value, .. } => todo::take(slot, value, &mut self.todo),
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
            | Event::Routed(_)
            | Event::PlanMade { .. }
            | Event::PlanChanged { .. }
            | Event::RunStarted(_)
            | Event::RankSet(_)
            | Event::Embedded { .. }
            | Event::ToolReturned { .. }
            | Event::StepDecided { .. }
            | Event::LimitsLearned { .. }
            | Event::BreakerChanged { .. }
            | Event::HandoffAccepted { .. }
            | Event::HandoffRefused { .. }
            | Event::HandoffFailed { .. }
            | Event::ChildEnded { .. }
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
        self.waits_until = None;
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
            Action::Retry => {
                (self.end, self.ended, self.paused, self.waits) = (None, None, None, None);
            }
            Action::Cancel => {
                self.paused = None;
                self.waits = Some(format!("its end, cancelled by {by}"));
                self.waits_until = None;
            }
            Action::FinishNow
            | Action::SetPriority
            | Action::SetBudget
            | Action::Message
            | Action::Redirect
            | Action::Drain => (),
        }
    }
}

/// To the millisecond. Whole milliseconds stay exact for longer than clocks have run.
fn seconds(micros: i64) -> f64 {
    (micros.max(0) / 1_000) as f64 / 1_000.0
}

/// One line about a run, for progress notices: `r_7k2m reviewer: 3: note`.
pub fn progress_line(view: &RunView) -> String {
    let what = match (view.questions.first(), &view.queue, &view.step) {
        _ if view.state.is_over() => tag(&view.state),
        (Some(asks), _, _) => format!("asks: {}", asks.prompt),
        (None, Some(held), _) if held.waiting_for.starts_with("paused") => held.waiting_for.clone(),
        (None, Some(held), _) => format!("waiting for {}", held.waiting_for),
        (None, None, Some(step)) => step.clone(),
        (None, None, None) => "starting".into(),
    };
    line(&format!("{} {}: {what}", short(&view.run), view.agent))
}
