//! Tool calls of the last reply: refused, answered at once, or performed.

use callboard_trace::Call;
use serde_json::Value;

use crate::rules::rejected::reject;
use crate::run::Child;
use crate::shelf::WAY_OUT;
use crate::toolbox::{self, Kind};
use crate::{Run, Step, answer, leave, weight};

/// What a refusal is told that is not the first act.
const LATE: &str = "a handoff can be refused only as the first act: do the work, or hand it on";

/// Rule: who was asked to finish passes nothing on any more.
pub(crate) fn are_passed_on_no_more(run: &Run) -> Option<Step> {
    let passes = |it: &&Call| {
        matches!(toolbox::kind(&it.tool), Some(Kind::HandOff | Kind::Delegate | Kind::Plan))
            && !is_passed_on(run, it)
    };
    let call = run.calls.iter().find(passes).filter(|_| run.control.finish)?;
    Some(reject(&call.id, "asked to finish now: nothing is passed on any more"))
}

/// Rule: an unknown tool or arguments off its schema are told to the model, and nothing is done.
pub(crate) fn cannot_be_read(run: &Run) -> Option<Step> {
    let open = run.calls.iter().filter(|it| !is_begun(run, it));
    open.filter_map(|call| Some(reject(&call.id, &problem(run, call)?))).next()
}

/// Rule: everything else is performed, side by side.
pub(crate) fn are_performed(run: &Run) -> Option<Step> {
    let lost = run.tools.iter().find(|it| !it.open);
    if let Some(tool) = lost {
        let (step, attempt) = (tool.step, tool.lost + 1);
        let (call, repeatable) = (tool.call.clone(), tool.repeatable);
        let server = tool.server.clone();
        return Some(Step::Call { step, attempt, call, repeatable, server });
    }
    let may_begin =
        |it: &&Call| is_performed(run, it) && !is_begun(run, it) && leave::is_given(run, it);
    let call = run.calls.iter().find(may_begin)?.clone();
    let card = run.shelf.card(&call.tool);
    let repeatable = card.map_or_else(|| toolbox::is_repeatable(&call.tool), |it| it.repeatable);
    let (step, server) = (run.steps + 1, card.map(|it| it.server.clone()));
    Some(Step::Call { step, attempt: 1, call, repeatable, server })
}

/// Rule: performed calls are waited for.
pub(crate) fn are_at_it(run: &Run) -> Option<Step> {
    (!run.tools.is_empty()).then_some(Step::Wait(Some(run.started.deadline)))
}

/// Whether a call is done by something outside the run.
pub(super) fn is_performed(run: &Run, call: &Call) -> bool {
    toolbox::kind(&call.tool) == Some(Kind::Performed) || run.shelf.card(&call.tool).is_some()
}

/// Whether the call is under way: begun as a step, at rest until its tool was answered, or passed on
/// to a child.
pub(super) fn is_begun(run: &Run, call: &Call) -> bool {
    run.asked_back.contains_key(&call.id)
        || run.tools.iter().any(|it| it.call.id == call.id)
        || is_passed_on(run, call)
}

/// Whether a child works on the call. An earlier turn's child does not count: many models name
/// the calls of each turn alike.
pub(super) fn is_passed_on(run: &Run, call: &Call) -> bool {
    let passed = |it: &Child| !it.settled && it.handoff.call.as_deref() == Some(call.id.as_str());
    run.children.iter().any(passed)
}

fn problem(run: &Run, call: &Call) -> Option<String> {
    if let Some(card) = run.shelf.card(&call.tool) {
        let given = call.arguments.as_ref();
        if given.is_ok_and(|it| weight::is_endless(&card.schema, it)) {
            return Some(
                "the arguments are nested too deeply for this tool: give less at once".into(),
            );
        }
        return misfit(call, &card.schema);
    }
    if run.shelf.is_changed(&call.tool) {
        return Some(format!("the tool `{}` was changed by its server: {WAY_OUT}", call.tool));
    }
    let tools = toolbox::tools_of(run);
    let kind = toolbox::kind(&call.tool);
    if kind == Some(Kind::Refuse) && run.started.handoff.is_some() {
        return Some(LATE.into());
    }
    let is_it = |it: &toolbox::Tool| match kind {
        Some(Kind::Delegate) => toolbox::kind(&it.name) == kind,
        Some(
            Kind::HandOff
            | Kind::Refuse
            | Kind::Note
            | Kind::Remember
            | Kind::Forget
            | Kind::AskOwner
            | Kind::Plan
            | Kind::Performed,
        )
        | None => it.name == call.tool,
    };
    let Some(tool) = tools.iter().find(|it| is_it(it)) else {
        let known: Vec<&str> = tools.iter().map(|it| &*it.name).collect();
        return Some(format!("there is no tool `{}`; there are: {}", call.tool, known.join(", ")));
    };
    misfit(call, &tool.least())
}

/// What keeps a call's arguments from meeting a schema.
fn misfit(call: &Call, schema: &Value) -> Option<String> {
    match &call.arguments {
        Err(text) => {
            Some(format!("the arguments are no JSON object: {}", crate::words::cut(text, 200)))
        }
        Ok(arguments) => answer::problem(arguments, schema)
            .map(|it| it.replacen("the answer", "the arguments", 1)),
    }
}
