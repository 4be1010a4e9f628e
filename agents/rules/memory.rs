//! What is remembered is looked for once, before the first turn, and stands in the run's records.

use callboard_config::Mode;
use callboard_config::memory::Access;
use callboard_trace::memory::{OUTPUTS, Provenance, Recall, Source, WORK};
use callboard_trace::{Call, EndState, Event, Finished, Work};
use serde_json::json;

use crate::{Run, Step, answer, words};

/// Characters of a task, and of what it came to, that are kept for later tasks.
const TASK: usize = 600;
const RESULT: usize = 1_200;

/// Rule: who may read memory looks for what concerns its task before its first turn.
pub(crate) fn is_due(run: &Run) -> Option<Step> {
    if run.reply.is_some() || run.asking.is_some() || run.control.finish || run.lands() {
        return None;
    }
    wanted(run).filter(|_| run.recalled.is_none())?;
    let call = call(run);
    let is_begun = run.tools.iter().any(|it| it.call.id == call.id);
    (!is_begun).then(|| {
        let (step, server) = (run.steps + 1, None);
        Step::Call { step, attempt: 1, call, repeatable: true, server }
    })
}

/// The call that looks.
pub(crate) fn call(run: &Run) -> Call {
    let wanted = wanted(run).unwrap_or_default();
    let arguments = json!({
        "session": wanted.session, "exchanges": wanted.exchanges, "workspace": wanted.workspace,
        "agent": run.name(), "task": words::cut(&run.started.task, TASK),
    });
    Call { id: Work::LOOK.into(), tool: Work::LOOK.into(), arguments: Ok(arguments) }
}

/// What the run looks for, if it looks: a conversation is shown to who is asked from outside.
fn wanted(run: &Run) -> Option<Recall> {
    let wanted = run.started.recall.clone()?;
    let is_first = run.started.parent.is_none() || run.started.is_step();
    let session = wanted.session.filter(|_| is_first && wanted.exchanges > 0);
    let is_shown = run.started.agent.memory != Access::None;
    let looks = is_shown && (session.is_some() || wanted.workspace);
    looks.then_some(Recall { session, ..wanted })
}

impl Run {
    /// What it leaves, if it ends so, for later ones: its task and what it came to. `None` where nothing
    /// is remembered, or where the end is another run's.
    pub fn came_to(&self, end: &Finished) -> Option<Event> {
        let run = self;
        let recall = run.started.recall.as_ref()?;
        let is_first = run.started.parent.is_none() || run.started.is_step();
        let is_passed_on = run.children.iter().any(|it| it.handoff.mode == Mode::Transfer);
        let is_good = matches!(end.state, EndState::Completed | EndState::Partial);
        if !is_good || (is_passed_on && !is_first) || end.summary().is_empty() {
            return None;
        }
        let value = json!({
            "task": words::cut(&run.seen_text(run.started.task.clone()), TASK),
            "result": words::cut(end.summary(), RESULT),
            "session": recall.session.as_ref().filter(|_| run.started.parent.is_none()),
        });
        let (slot, key) = match is_first {
            true => (OUTPUTS, run.id.to_string()),
            false => (WORK, run.name().to_string()),
        };
        let provenance = Provenance {
            run: run.id.clone(),
            step: run.steps,
            agent: run.name().to_string(),
            at: run.now,
            taint: run.tainted.by().is_some(),
            source: Source::Engine,
        };
        Some(Event::Noted {
            slot: slot.into(),
            key,
            artifact: answer::artifact_id(&value),
            value,
            confidence: end.confidence(),
            taint: run.tainted.by().map(str::to_owned),
            provenance: Some(Box::new(provenance)),
            tags: Vec::new(),
            expires: None,
        })
    }
}
