//! Tool calls of the last reply: refused, answered at once, or performed.

use callboard_trace::{Call, Event};
use serde_json::{Value, json};

use crate::rules::limits::reject;
use crate::toolbox::{self, Kind};
use crate::{Run, Step, answer};

/// Bytes of one note.
const NOTE_MAX: usize = 64 << 10;

/// Rule: an unknown tool or arguments off its schema are told to the model, and nothing is done.
pub(crate) fn cannot_be_read(run: &Run) -> Option<Step> {
    let open = run.calls.iter().filter(|it| !is_begun(run, it));
    open.filter_map(|call| Some(reject(&call.id, &problem(run, call)?))).next()
}

/// Rule: a note is written down at once; a refusal that comes late is none.
pub(crate) fn are_notes(run: &Run) -> Option<Step> {
    run.calls.iter().find_map(|call| match toolbox::kind(&call.tool)? {
        Kind::Note => Some(note(call)),
        Kind::Refuse => Some(reject(
            &call.id,
            "a handoff can be refused only as the first act: do the work, or hand it on",
        )),
        Kind::HandOff | Kind::Delegate | Kind::Performed => None,
    })
}

/// Rule: everything else is performed, side by side.
pub(crate) fn are_performed(run: &Run) -> Option<Step> {
    let lost = run.tools.iter().find(|it| !it.open);
    if let Some(tool) = lost {
        let (step, attempt) = (tool.step, tool.lost + 1);
        let (call, repeatable) = (tool.call.clone(), tool.repeatable);
        return Some(Step::Call { step, attempt, call, repeatable });
    }
    let call = run
        .calls
        .iter()
        .find(|it| toolbox::kind(&it.tool) == Some(Kind::Performed) && !is_begun(run, it))?;
    Some(Step::Call { step: run.steps + 1, attempt: 1, call: call.clone(), repeatable: true })
}

/// Rule: performed calls are waited for.
pub(crate) fn are_at_it(run: &Run) -> Option<Step> {
    (!run.tools.is_empty()).then_some(Step::Wait(Some(run.started.deadline)))
}

/// Whether the call is under way: begun as a step, or passed on to a child.
fn is_begun(run: &Run, call: &Call) -> bool {
    run.tools.iter().any(|it| it.call.id == call.id)
        || run.children.iter().any(|it| it.handoff.call.as_deref() == Some(call.id.as_str()))
}

fn problem(run: &Run, call: &Call) -> Option<String> {
    let tools = toolbox::tools_of(run);
    let Some(tool) = tools.iter().find(|it| it.name == call.tool) else {
        let known: Vec<&str> = tools.iter().map(|it| it.name).collect();
        return Some(format!("there is no tool `{}`; there are: {}", call.tool, known.join(", ")));
    };
    match &call.arguments {
        Err(text) => {
            Some(format!("the arguments are no JSON object: {}", crate::words::cut(text, 200)))
        }
        Ok(arguments) => answer::problem(arguments, &tool.schema)
            .map(|it| it.replace("the answer", "the arguments")),
    }
}

fn note(call: &Call) -> Step {
    let given = call.arguments.clone().unwrap_or_default();
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let value = given.get("value").cloned().unwrap_or_else(|| json!(text("text")));
    let bytes = value.to_string().len();
    if bytes > NOTE_MAX {
        return reject(
            &call.id,
            &format!("a note holds at most {NOTE_MAX} bytes, this has {bytes}"),
        );
    }
    let artifact = answer::artifact_id(&value);
    let confidence = given.get("confidence").and_then(Value::as_f64);
    let noted = Event::Noted {
        slot: text("slot"),
        key: text("key"),
        value,
        artifact: artifact.clone(),
        confidence,
    };
    let result = json!({ "noted": true, "artifact": artifact });
    Step::Answer { call: call.id.clone(), ok: true, result, also: vec![noted] }
}
