//! How an ended run goes on: its end is taken back, what was finished stays finished.

use std::mem;

use callboard_trace::{EndState, FailureCode, Finish, Finished, Purpose, RunId, Totals};
use serde_json::Value;

use crate::loops::Loops;
use crate::run::{Child, Controls, Replied, Run, Said, Tally};

/// What an agent is told that had its last word and is asked again.
const AGAIN: &str = "The task goes on from here: it was not done to the end. Go on with it, and send \
                     the whole answer when you are done.";

impl Run {
    /// Children whose end was not acted on, and that did not do what they were to do: a retry of
    /// this run waits for them again.
    pub fn failed_children(&self) -> impl Iterator<Item = &RunId> {
        self.children.iter().filter(|it| is_to_go_on(it)).map(|it| &it.handoff.run)
    }

    /// Fuses are whole again, the failed step is taken again, and so are the children that failed.
    /// `value` may carry the new `deadline`, microseconds since 1970.
    pub(crate) fn retried(&mut self, value: &Value) {
        self.end = None;
        // As many turns again; those it took are still counted.
        self.started.fuses.turns = self.turns.saturating_add(self.started.agent.max_turns);
        self.tally = Tally::default();
        self.loops = Loops::default();
        if self.started.parent.is_some() {
            // What it spent before was told with its first end.
            self.totals = Totals::default();
        }
        self.questions.clear();
        self.approvals.clear();
        self.checks.again();
        let messages = mem::take(&mut self.control.messages);
        self.control = Controls { messages, ..Controls::default() };
        if let Some(deadline) = value.get("deadline").and_then(Value::as_i64) {
            self.started.deadline = deadline;
        }
        for child in self.children.iter_mut().filter(|it| is_to_go_on(it)) {
            (child.end, child.refused) = (None, None);
        }
        self.recheck_alerts();
        for tool in &mut self.tools {
            tool.forgiven = tool.lost;
        }
        if let Some(asking) = &mut self.asking {
            (asking.model, asking.attempts, asking.rate_limited, asking.lost) = (0, 0, 0, 0);
            if let Some(failure) = &mut asking.failure {
                // As if its process had been asked to stop, which says nothing against the step.
                (failure.code, failure.retry_at) = (FailureCode::Cancelled, None);
            }
        }
        if self.reply.as_deref().is_some_and(was_the_last_word) {
            self.reply = None;
            self.dialogue.push(Said::Note(AGAIN.into()));
        }
    }
}

fn is_to_go_on(child: &Child) -> bool {
    let is_done = |it: &Finished| it.state == EndState::Completed;
    !child.settled && !child.end.as_ref().is_some_and(is_done)
}

/// Whether the rules would end the run on it again.
fn was_the_last_word(replied: &Replied) -> bool {
    replied.purpose == Purpose::Finalise || replied.reply.finish == Finish::ContentFilter
}
