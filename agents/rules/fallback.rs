//! When a team failed at what nobody was named for: the entry agent tries once more, alone.

use callboard_config::Mode;
use callboard_trace::rank::FALLBACK;
use callboard_trace::{EndState, Event, Finished, MadeBy, Stop};

use crate::rules::handoff::composed;
use crate::rules::loops;
use crate::{Draft, Run, Step, words};

/// Characters of what went wrong.
const WHY: usize = 500;

/// A failed end of a team's way becomes a handoff to the entry agent, once.
pub(crate) fn instead(run: &Run, step: Step) -> Step {
    let Step::End(end) = &step else { return step };
    if !run.falls_back || !is_failure(end) || run.now >= run.started.deadline {
        return step;
    }
    if run.control.finish || run.children.iter().any(|it| it.handoff.reason == FALLBACK) {
        return step;
    }
    let why = words::cut(end.summary(), WHY);
    let also = run.transferred().map(|it| Event::HandoffFailed {
        handoff: it.handoff.id.clone(),
        to: it.handoff.target.clone(),
        stage: 4,
        reason: why.clone(),
    });
    let mut summary = composed(run);
    summary.must_know = format!("the team failed at it: {why}; {}", summary.must_know);
    Step::HandOff(Draft {
        id: None,
        to: run.started.entry.clone(),
        call: None,
        task: run.started.task.clone(),
        mode: Mode::Transfer,
        summary,
        artifacts: run.artifacts.clone(),
        reason: FALLBACK.into(),
        made_by: MadeBy::Engine,
        mark: loops::mark(run),
        also: also.into_iter().collect(),
        plan: None,
        leads: Vec::new(),
    })
}

/// Whether the team came to nothing, and not because somebody or a limit wanted it to end.
fn is_failure(end: &Finished) -> bool {
    let went_wrong = match end.stop {
        Stop::Error | Stop::Loop | Stop::Turns | Stop::Breaker => true,
        Stop::Done
        | Stop::Budget
        | Stop::Deadline
        | Stop::Guardrail
        | Stop::Cancelled
        | Stop::Refused => false,
    };
    end.state == EndState::Failed && went_wrong
}
