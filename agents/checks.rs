//! What is known of a run's checks: what each came to, and what judges are asked.

use callboard_trace::{Failure, Spend};
use serde_json::Value;

/// What the task and all that came with it is called by checks.
pub(crate) const INPUT: &str = "input";
/// How it begins what an answer, and a handoff that no call asks for, is called by checks.
pub(crate) const ANSWER: &str = "answer";
pub(crate) const HANDOFF: &str = "handoff";
/// The check that every answer passes.
pub(crate) const SECRETS: &str = "secrets";

/// What was checked in a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    /// Every word on a subject, in order.
    pub(crate) made: Vec<Made>,
    /// Questions to judges that are not acted on.
    pub(crate) judging: Vec<Judging>,
    /// Results of tools that came since the last reply.
    pub(crate) brought: Vec<Brought>,
    /// What is told before the next turn.
    pub(crate) note: Option<String>,
    /// What was noted of tests.
    pub(crate) tests: Vec<(String, Value)>,
}

/// One word of a check on a subject.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Made {
    pub(crate) check: String,
    pub(crate) subject: String,
    pub(crate) verdict: String,
    pub(crate) reasons: Vec<String>,
}

/// A question to a judge.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judging {
    pub(crate) step: u32,
    pub(crate) check: String,
    pub(crate) subject: String,
    /// Which model of the judge's chain.
    pub(crate) model: usize,
    /// Attempts begun, on any model, and those on this one that counted.
    pub(crate) begun: u32,
    pub(crate) attempts: u32,
    /// Times its process went away in a row.
    pub(crate) lost: u32,
    pub(crate) open: bool,
    pub(crate) reserved: Spend,
    pub(crate) failure: Option<Failure>,
    /// What it said.
    pub(crate) text: Option<String>,
}

/// What a tool brought.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Brought {
    pub(crate) subject: String,
    pub(crate) call: String,
    pub(crate) tool: String,
}

impl Checks {
    /// The last word of a check on a subject.
    pub(crate) fn verdict(&self, check: &str, subject: &str) -> Option<&Made> {
        self.made.iter().rev().find(|it| it.check == check && it.subject == subject)
    }

    /// How often a check sent an answer back.
    pub(crate) fn retries(&self, check: &str) -> usize {
        self.made.iter().filter(|it| it.check == check && it.verdict == "retry").count()
    }

    /// What was asked of a judge.
    pub(crate) fn judging(&self, check: &str, subject: &str) -> Option<&Judging> {
        self.judging.iter().find(|it| it.check == check && it.subject == subject)
    }

    /// What is told before the next turn.
    pub(crate) fn note(&self) -> Option<String> {
        self.note.clone()
    }

    /// What spoke against something is looked at again.
    pub(crate) fn again(&mut self) {
        self.made.retain(|it| ["pass", "flag", "redact"].contains(&&*it.verdict));
        self.judging.retain(|it| it.open);
    }

    /// It was told.
    pub(crate) fn told(&mut self) {
        self.note = None;
    }
}
