//! When a team failed at what nobody was named for: the entry agent tries once more, alone.

use callboard_config::{AgentName, Mode};
use callboard_trace::rank::FALLBACK;
use callboard_trace::{EndState, Event, Finished, Stop};

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
    let known = format!("the team failed at it: {why}");
    let whole = whole(run, run.started.entry.clone(), &known);
    Step::HandOff(Draft { reason: FALLBACK.into(), also: also.into_iter().collect(), ..whole })
}

/// All of the run's work for another agent, since its own is left alone.
pub fn instead_of(run: &Run, to: AgentName, why: &str) -> Draft {
    Draft { reason: format!("reroute: {why}"), ..whole(run, to, why) }
}

/// The whole task for another agent, with what it has to know besides.
fn whole(run: &Run, to: AgentName, known: &str) -> Draft {
    let mut summary = composed(run);
    summary.must_know = format!("{known}; {}", summary.must_know);
    Draft {
        artifacts: run.artifacts.clone(),
        mark: loops::mark(run),
        ..Draft::plain(to, run.started.task.clone(), Mode::Transfer, summary)
    }
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
