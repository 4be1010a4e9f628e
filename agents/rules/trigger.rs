//! Handoffs that words ask for: a trigger in the root task or in the answer's `do_next`.

use callboard_config::{Edge, Mode};
use callboard_trace::{ArtifactRef, Event, MadeBy, Purpose, Summary};
use serde_json::Value;

use crate::answer::noted;
use crate::loops::Blown;
use crate::rules::handoff::{composed, summary_problem};
use crate::rules::loops::ANSWER_OF;
use crate::rules::{answer, asking, budget, loops};
use crate::{Draft, Run, Step, words};

/// Times the model is asked for a summary before the engine writes it.
const SUMMARIES_MAX: u32 = 2;

/// Rule: an agent that has its answer and handed nothing on is asked for a summary, if one of
/// its triggers stands in the root task or in what it says is to be done next.
pub(crate) fn fires(run: &Run) -> Option<Step> {
    let fuses = run.started.fuses;
    let nothing_handed_on = run.children.is_empty() && run.started.triggers && !run.control.finish;
    let may_hop = run.started.hops < fuses.hops && fuses.fan_out > 0;
    let answer = answer::given(run).filter(|_| nothing_handed_on && may_hop)?;
    let next = answer.get("do_next").and_then(Value::as_str).unwrap_or_default();
    let (trigger, edge) = match_of(run, next)?;
    if let Some(lap) = loops::lap(run, &edge.to) {
        return Some(goes_round(run, &lap));
    }
    if run.lands() && !budget::is_its_own(run) {
        return Some(Step::End(budget::stopped(run)));
    }
    if run.is_human() || run.lands() {
        // A person is not asked for a summary of a few words, nor a model that has no turn left.
        return Some(handed_on(run, edge, trigger, composed(run), MadeBy::Engine));
    }
    let (to, trigger) = (edge.to.clone(), trigger.to_string());
    Some(asking::fresh(run, Purpose::Summarise { to, trigger }))
}

/// Rule: with the summary, or without one after two tries, the work is handed on.
pub(crate) fn has_its_summary(run: &Run) -> Option<Step> {
    let replied = run.reply.as_ref()?;
    let Purpose::Summarise { to, trigger } = &replied.purpose else { return None };
    let edge = run.started.agent.handoffs.iter().find(|it| it.to == *to)?;
    let given = in_text(&replied.reply.text).filter(|it| summary_problem(it).is_none());
    let (summary, made_by) = match given {
        Some(summary) => (summary, MadeBy::Model),
        None if run.tally.summaries < SUMMARIES_MAX && !run.lands() => {
            return Some(asking::fresh(run, replied.purpose.clone()));
        }
        None => (composed(run), MadeBy::Engine),
    };
    Some(handed_on(run, edge, trigger, summary, made_by))
}

/// There is no model to be told: it is written down, and the run ends with what it has.
fn goes_round(run: &Run, lap: &Blown) -> Step {
    let is_told = run.loops.blown.as_ref().is_some_and(|it| it.chain == lap.chain);
    if is_told { loops::stopped(run, lap) } else { Step::Record(loops::event(lap)) }
}

fn handed_on(run: &Run, edge: &Edge, trigger: &str, summary: Summary, made_by: MadeBy) -> Step {
    let (artifacts, also) = with_its_answer(run);
    Step::HandOff(Draft {
        artifacts,
        reason: format!("trigger:{trigger}"),
        made_by,
        mark: loops::mark(run),
        also,
        ..Draft::plain(edge.to.clone(), task(run, edge, &summary), Mode::Transfer, summary)
    })
}

/// What crosses: the notes, and the answer that the summary is about, kept as a note too.
fn with_its_answer(run: &Run) -> (Vec<ArtifactRef>, Vec<Event>) {
    let mut artifacts = run.artifacts.clone();
    let Some(answer) = &run.kept else { return (artifacts, Vec::new()) };
    let key = format!("{ANSWER_OF} {}", run.name());
    let taint = run.tainted.by().map(str::to_owned);
    let (event, artifact) = noted("notes", &key, answer.clone(), taint);
    artifacts.push(ArtifactRef { why: "the whole answer so far".into(), ..artifact });
    (artifacts, vec![event])
}

/// The edge whose trigger fires, and the word: most overlap with the target's capabilities wins,
/// then the first listed.
fn match_of<'a>(run: &'a Run, next: &str) -> Option<(&'a str, &'a Edge)> {
    let next = words::stems(next);
    let root = words::stems(&run.started.root_task);
    let mut best: Option<(usize, &str, &Edge)> = None;
    for edge in run.started.agent.handoffs.iter().filter(|it| it.mode == Mode::Transfer) {
        for trigger in edge.triggers.iter().filter(|it| *it != "any") {
            let phrase = words::stems(trigger);
            let by_root = may_fire_by_root(run, edge) && words::contains(&root, &phrase);
            if !by_root && !words::contains(&next, &phrase) {
                continue;
            }
            let wanted = [phrase.as_slice(), next.as_slice()].concat();
            let overlap = words::overlap(&edge.capabilities, &wanted);
            if best.is_none_or(|it| overlap > it.0) {
                best = Some((overlap, trigger, edge));
            }
        }
    }
    best.map(|(_, trigger, edge)| (trigger, edge))
}

/// The root's words fire once per pair of agents, and not inside delegated work or the step of a
/// plan: there somebody else holds the plan.
fn may_fire_by_root(run: &Run, edge: &Edge) -> bool {
    let pair = |it: &[callboard_config::AgentName]| it[0] == *run.name() && it[1] == edge.to;
    run.started.depth == 0 && !run.started.is_step() && !run.started.path.windows(2).any(pair)
}

fn task(run: &Run, edge: &Edge, summary: &Summary) -> String {
    let task = match &edge.task {
        Some(template) => template.replace("{{task}}", &run.started.task),
        None => summary.do_next.clone(),
    };
    words::cut(&task, 7_999)
}

/// A summary that came as text: an object with the contract's fields.
fn in_text(text: &str) -> Option<Summary> {
    let from_brace = &text[text.find('{')?..];
    let mut values = serde_json::Deserializer::from_str(from_brace).into_iter::<Value>();
    let value = values.next()?.ok()?;
    let value = value.get("summary").filter(|it| it.is_object()).cloned().unwrap_or(value);
    serde_json::from_value(value).ok()
}
