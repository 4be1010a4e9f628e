//! What becomes of a run whose work was passed on.

use callboard_config::{AgentName, Mode};
use callboard_trace::rank::FALLBACK;
use callboard_trace::{EndState, Event, FailureCode, Finished, Missing, Stop, Taint, Trouble};
use serde_json::{Value, json};

use crate::rules::loops;
use crate::run::Child;
use crate::{Draft, Run, Step, words};

/// Steps of a plan that came to nothing, of which the model is told why.
const TOLD_MISSING: usize = 5;
/// Failed handoffs of which the source's model is told before others decide.
const TOLD_MAX: u32 = 2;

/// Rule: after a transfer the receiver's end is this run's end; a failed one goes its stages.
pub(crate) fn decides(run: &Run) -> Option<Step> {
    let child = run.transferred()?;
    let Some(end) = &child.end else {
        return Some(Step::Wait(Some(run.started.deadline)));
    };
    if end.state != EndState::Failed || child.handoff.reason == FALLBACK {
        return Some(Step::End(end.clone()));
    }
    Some(failed(run, child, end))
}

/// Rule: an answered delegate's result is told to the model.
pub(crate) fn has_answered(run: &Run) -> Option<Step> {
    let child = run
        .children
        .iter()
        .find(|it| !it.settled && it.handoff.mode == Mode::Delegate && it.end.is_some())?;
    let end = child.end.as_ref()?;
    Some(Step::Answer {
        call: child.handoff.call.clone()?,
        ok: end.state != EndState::Failed,
        result: told(child, end),
        also: Vec::new(),
    })
}

/// Rule: an open delegate's answer is waited for.
pub(crate) fn is_asked(run: &Run) -> Option<Step> {
    let open = run.children.iter().any(|it| !it.settled && it.handoff.mode == Mode::Delegate);
    open.then_some(Step::Wait(Some(run.started.deadline)))
}

fn told(child: &Child, end: &Finished) -> Value {
    let mut result = json!({
        "agent": child.handoff.target, "run": child.handoff.run, "state": end.state,
    });
    if let Some(answer) = &end.answer {
        result["answer"] = answer.clone();
    }
    if let Some(by) = &child.taint {
        result[Taint::MARK] = json!(by);
    }
    if end.answer.as_ref().is_some_and(|it| it.get("results").is_some()) && !end.missing.is_empty()
    {
        // Of a plan: what it lacks, and why.
        result["missing"] = json!(end.missing.iter().take(TOLD_MISSING).collect::<Vec<_>>());
    }
    if !child.noted.is_empty() {
        result["noted"] = json!(child.noted);
    }
    if let Some(refused) = &child.refused {
        result["refused"] = json!(refused.reason);
        result["better"] = json!(refused.better);
    } else if let Some(error) = &end.error {
        result["error"] = json!(error.message);
    }
    result
}

/// The four stages: tell the model, the best other receiver, the entry agent, give up.
fn failed(run: &Run, child: &Child, end: &Finished) -> Step {
    let why = child.refused.as_ref().map_or_else(
        || format!("{} failed: {}", child.handoff.target, end.summary()),
        |it| format!("{} declined: {}", child.handoff.target, it.reason),
    );
    if let Some(call) = child.handoff.call.clone().filter(|_| run.tally.failed_handoffs < TOLD_MAX)
    {
        let allowed: Vec<&AgentName> = run.started.agent.handoffs.iter().map(|it| &it.to).collect();
        let mut result = told(child, end);
        result["error"] = json!(why);
        result["allowed"] = json!(allowed);
        result["hint"] = json!("hand it to another allowed agent, or finish the task yourself");
        return Step::Answer { call, ok: false, result, also: vec![stage(child, 1, &why)] };
    }
    let (task, summary) = (&child.handoff.task, &child.handoff.summary);
    match another(run, child) {
        Some((number, to)) => Step::HandOff(Draft {
            artifacts: child.handoff.artifacts.clone(),
            reason: format!("reroute: {why}"),
            mark: loops::mark(run),
            also: vec![stage(child, number, &why)],
            ..Draft::plain(to, task.clone(), Mode::Transfer, summary.clone())
        }),
        None => give_up(run, child, why),
    }
}

fn stage(child: &Child, stage: u8, why: &str) -> Event {
    Event::HandoffFailed {
        handoff: child.handoff.id.clone(),
        to: child.handoff.target.clone(),
        stage,
        reason: why.to_string(),
    }
}

/// Who else may take it: the allowed agent that fits the task best, or else the entry agent.
fn another(run: &Run, child: &Child) -> Option<(u8, AgentName)> {
    let tried = |name: &AgentName| {
        name == run.name()
            || run.children.iter().any(|it| it.handoff.target == *name)
            || loops::lap(run, name).is_some()
    };
    if run.children.len() >= run.started.fuses.fan_out as usize {
        return None;
    }
    let wanted = words::stems(&child.handoff.task);
    let better = child.refused.as_ref().and_then(|it| it.better.clone());
    let fit = run
        .started
        .agent
        .handoffs
        .iter()
        .filter(|it| !tried(&it.to))
        .map(|it| {
            let named = usize::from(better.as_ref() == Some(&it.to)) * 100;
            (named + words::overlap(&it.capabilities, &wanted), &it.to)
        })
        .rev()
        .max_by_key(|it| it.0);
    if let Some((_, to)) = fit {
        return Some((2, to.clone()));
    }
    let entry = &run.started.entry;
    (!tried(entry) && !run.started.path.contains(entry)).then(|| (3, entry.clone()))
}

fn give_up(run: &Run, child: &Child, why: String) -> Step {
    let target = child.handoff.target.clone();
    let trouble = Trouble {
        code: FailureCode::HandoffFailed,
        message: why.clone(),
        retryable: true,
        hint: "summary and notes are in the trace; call another agent with them".into(),
    };
    Step::End(Finished {
        missing: vec![Missing {
            agent: target.clone(),
            error: why.clone(),
            impact: format!("nobody did: {}", words::cut(&child.handoff.task, 200)),
        }],
        recommendations: vec![format!(
            "let a person look at it, or allow {} to hand off to an agent that can take over from {target}",
            run.name()
        )],
        ..run.stopped(Stop::Error, trouble)
    })
}
