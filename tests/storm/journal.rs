//! What the journal says after a storm, and what it must never say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use callboard_trace::{EndState, Event, FailureCode, Record, RunId, StepBegun, Work};
use sha2::{Digest, Sha256};

use crate::endpoint::Request;

/// One step of one run: its begins, what was said of them, its outcome.
#[derive(Default)]
struct Step {
    begun: Vec<StepBegun>,
    failed: Vec<FailureCode>,
    reruns: usize,
    /// Whether it brought an outcome, and whether that is a good one.
    outcome: Option<bool>,
}

/// All steps of all runs, folded by hand: nothing here knows how the product folds them.
#[derive(Default)]
pub(crate) struct Journal {
    steps: BTreeMap<(RunId, u32), Step>,
    started: BTreeSet<RunId>,
    ended: BTreeMap<RunId, Vec<EndState>>,
    roots: BTreeMap<RunId, String>,
    /// Steps of plans that were begun.
    declared: BTreeSet<(RunId, String)>,
    questions: usize,
}

impl Journal {
    /// Fails on the first record that takes a finished step again or begins one in progress anew.
    pub(crate) fn read(records: &[Record]) -> Journal {
        let mut all = Journal::default();
        for record in records {
            all.take(record);
        }
        all
    }

    fn take(&mut self, record: &Record) {
        let run = &record.run;
        let place = format!("{run}, record {}: {:?}", record.seq, record.event);
        match &record.event {
            Event::TaskAccepted(task) => {
                let before =
                    self.roots.insert(run.clone(), format!("{} {}", task.text, task.context));
                assert_eq!(before, None, "accepted twice: {place}");
            }
            Event::RunStarted(_) => assert!(self.started.insert(run.clone()), "{place}"),
            Event::RunEnded(end) => self.ended.entry(run.clone()).or_default().push(end.state),
            Event::QuestionAsked { .. } => self.questions += 1,
            Event::HandedOff(handoff) => {
                let step = handoff.step.iter().map(|it| (run.clone(), it.clone()));
                step.for_each(|it| assert!(self.declared.insert(it), "begun twice: {place}"));
            }
            Event::StepBegun(begun) => {
                let step = self.step(run, begun.step);
                assert_eq!(step.outcome, None, "a finished step is taken again: {place}");
                assert_eq!(step.begun.len(), step.failed.len(), "repeated without a word: {place}");
                step.begun.push(begun.clone());
            }
            Event::StepFailed(failure) => {
                let step = self.step(run, failure.step);
                assert_eq!(step.outcome, None, "it was finished: {place}");
                step.failed.push(failure.code);
            }
            Event::StepDecided { step, decision } => {
                self.step(run, *step).reruns += usize::from(decision == "rerun");
            }
            Event::ModelReplied(reply) => self.finish(run, reply.step, true, &place),
            Event::ToolReturned { step, ok, .. } => self.finish(run, *step, *ok, &place),
            _ => (),
        }
    }

    fn step(&mut self, run: &RunId, step: u32) -> &mut Step {
        self.steps.entry((run.clone(), step)).or_default()
    }

    fn finish(&mut self, run: &RunId, step: u32, ok: bool, place: &str) {
        let before = self.step(run, step).outcome.replace(ok);
        assert_eq!(before, None, "a second outcome: {place}");
    }

    /// Every run that was told of or began came to one good end.
    pub(crate) fn all_ended_well(&self, told: &[RunId]) {
        for run in told {
            assert!(self.roots.contains_key(run), "{run} was told of and is not in the journal");
        }
        let tasks: BTreeSet<&String> = self.roots.values().collect();
        assert_eq!(tasks.len(), self.roots.len(), "a task was taken in twice");
        for run in &self.started {
            let ends = self.ended.get(run).map_or(&[][..], Vec::as_slice);
            assert_eq!(ends, [EndState::Completed], "the ends of {run}");
        }
        for ((run, step), it) in &self.steps {
            let is_open = it.outcome.is_none() && it.begun.len() > it.failed.len();
            assert!(!is_open, "step {step} of {run} is in progress for ever");
        }
    }

    /// The endpoint was never asked for what the journal does not say was begun: a step that was
    /// asked twice is in it twice.
    pub(crate) fn nothing_was_asked_behind_it(&self, requests: &[Request]) {
        let name = |run: &RunId, step: u32| {
            let span = Sha256::digest(format!("{run}/{step}"));
            span[..8].iter().map(|it| format!("{it:02x}")).collect::<String>()
        };
        let mut asked: HashMap<String, usize> = HashMap::new();
        for request in requests {
            let trace = request.headers["traceparent"].to_str().expect("a text");
            *asked.entry(trace.split('-').nth(2).expect("a span").to_owned()).or_default() += 1;
        }
        for ((run, step), it) in &self.steps {
            let n_asked = asked.remove(&name(run, *step)).unwrap_or_default();
            let n_begun = it.models();
            assert!(n_asked <= n_begun, "step {step} of {run}: asked {n_asked}, begun {n_begun}");
        }
        assert!(asked.is_empty(), "asked, and no journal knows of it: {asked:?}");
    }

    /// The tool server was never called for what the journal does not say was begun; a call that
    /// may not be repeated was so only at a person's word; what is said to be done was done.
    pub(crate) fn no_call_was_repeated_without_a_word(&self, seen: &[String]) {
        let mut n_seen: HashMap<&str, usize> = HashMap::new();
        seen.iter().for_each(|it| *n_seen.entry(it).or_default() += 1);
        for ((run, step), it) in &self.steps {
            let Some((mark, repeatable)) = it.mark() else { continue };
            let place = format!("step {step} of {run}, {mark}");
            let (n_seen, n_begun) = (n_seen.remove(mark).unwrap_or_default(), it.begun.len());
            assert!(n_seen <= n_begun, "{place}: called {n_seen} times, begun {n_begun}");
            assert!(repeatable || n_begun <= 1 + it.reruns, "{place}: repeated without a word");
            assert!(it.outcome != Some(true) || n_seen > 0, "{place}: done, and never called");
        }
        assert!(n_seen.is_empty(), "called, and no journal knows of it: {n_seen:?}");
    }

    /// The storm in figures.
    pub(crate) fn told(&self) -> String {
        let steps = || self.steps.values();
        let failed = |code| steps().flat_map(|it| &it.failed).filter(|it| **it == code).count();
        format!(
            "{} roots, {} runs, {} steps begun, {} finished, {} in doubt, {} asked of a person, \
             {} calls done again at a word",
            self.roots.len(),
            self.started.len(),
            steps().map(|it| it.begun.len()).sum::<usize>(),
            steps().filter(|it| it.outcome.is_some() && !it.begun.is_empty()).count(),
            failed(FailureCode::InDoubt),
            self.questions,
            steps().filter(|it| it.mark().is_some()).map(|it| it.reruns).sum::<usize>(),
        )
    }

    pub(crate) fn roots(&self) -> impl Iterator<Item = &RunId> {
        self.roots.keys()
    }
}

impl Step {
    fn models(&self) -> usize {
        self.begun.iter().filter(|it| matches!(it.work, Work::Model { .. })).count()
    }

    /// The mark of a call of the tool server, and whether it may be repeated.
    fn mark(&self) -> Option<(&str, bool)> {
        let Work::Tool { arguments, repeatable, server: Some(_), .. } = &self.begun.first()?.work
        else {
            return None;
        };
        Some((arguments["mark"].as_str()?, *repeatable))
    }
}
