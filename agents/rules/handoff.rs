//! Handoffs that the model asks for: may it, is the summary whole, does the receiver agree.

use callboard_config::{AgentName, Edge, Mode};
use callboard_trace::{
    ArtifactRef, Call, Event, FailureCode, Finished, MadeBy, Purpose, Stop, Summary, Trouble,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rules::calls::is_passed_on;
use crate::rules::{growth, loops};
use crate::run::Declined;
use crate::toolbox::{self, Kind};
use crate::{Draft, Run, Step, words};

/// Invalid summaries that are sent back before the engine writes one itself.
const SUMMARIES_MAX: u32 = 2;
/// Characters of a whole summary.
const SUMMARY: std::ops::RangeInclusive<usize> = 40..=6_000;

/// Rule: a receiver may decline, as its first act.
pub(crate) fn is_refused(run: &Run) -> Option<Step> {
    let declined = declined(run)?;
    let trouble = Trouble::of(
        FailureCode::Refused,
        format!("{} declined: {}", run.name(), declined.reason),
        declined.better.map_or_else(
            || "give it to another agent, or do it yourself".into(),
            |it| format!("{it} may be better suited"),
        ),
    );
    Some(Step::End(Finished::failed(Stop::Refused, trouble)))
}

/// Rule: a first act that is no refusal accepts the handoff.
pub(crate) fn is_accepted(run: &Run) -> Option<Step> {
    let handoff = run.started.handoff.as_ref().filter(|it| it.step.is_none())?;
    let acted = run.reply.is_some() && !run.accepted;
    acted.then(|| Step::Record(Event::HandoffAccepted { handoff: handoff.id.clone() }))
}

/// Rule: delegated work starts at once, several pieces side by side.
pub(crate) fn is_delegated(run: &Run) -> Option<Step> {
    asked(run, Kind::Delegate, Mode::Delegate)
}

/// Rule: a transfer comes after everything else the turn asked for.
pub(crate) fn is_transferred(run: &Run) -> Option<Step> {
    asked(run, Kind::HandOff, Mode::Transfer)
}

/// Why the receiver declines, if its first act says so.
pub fn declined(run: &Run) -> Option<Declined> {
    let is_handed = run.started.handoff.is_some() && !run.started.is_step();
    let is_first = run.turns == 1 && !run.accepted && is_handed;
    let reply = run.reply.as_ref().filter(|_| is_first)?;
    let call = reply.reply.calls.first()?;
    if toolbox::kind(&call.tool) != Some(Kind::Refuse) {
        return None;
    }
    let given = call.arguments.as_ref().ok()?;
    let reason = given.get("reason")?.as_str()?.trim();
    let better = given.get("better").and_then(Value::as_str).and_then(AgentName::parse);
    Some(Declined { reason: words::cut(reason, 500), better })
}

/// The summary the engine writes when the model gives none that is whole.
pub(crate) fn composed(run: &Run) -> Summary {
    let said = run.kept.as_ref().and_then(|it| it.get("summary")).and_then(Value::as_str);
    let notes: Vec<&str> = run.artifacts.iter().map(|it| it.name.as_str()).collect();
    let did = match (said, run.reply.as_ref().map(|it| it.reply.text.trim())) {
        (Some(said), _) => words::cut(said, 2_000),
        (None, Some(text)) if !text.is_empty() => words::cut(text, 2_000),
        (None, _) => format!("{} took {} turns and gave no account", run.name(), run.turns),
    };
    let must_know = if notes.is_empty() {
        format!("the task was: {}", words::cut(&run.started.task, 1_000))
    } else {
        format!("noted so far: {}", words::cut(&notes.join(", "), 1_000))
    };
    let do_next = format!("go on with: {}", words::cut(&run.started.task, 1_000));
    Summary { did, must_know, open_questions: Vec::new(), do_next }
}

/// What the model did give, with the engine's words where it gave none.
fn completed(given: Summary, own: Summary) -> Summary {
    let or = |given: String, own: String| if given.trim().is_empty() { own } else { given };
    let must_know = if given.must_know.trim().is_empty() {
        own.must_know
    } else {
        format!("{}; {}", words::cut(&given.must_know, 2_000), own.must_know)
    };
    Summary {
        did: words::cut(&or(given.did, own.did), 2_000),
        must_know,
        open_questions: given.open_questions.into_iter().take(10).collect(),
        do_next: words::cut(&or(given.do_next, own.do_next), 2_000),
    }
}

/// What is wrong with a summary: the field and what it needs.
pub(crate) fn summary_problem(summary: &Summary) -> Option<(&'static str, String)> {
    let fields =
        [("did", &summary.did), ("must_know", &summary.must_know), ("do_next", &summary.do_next)];
    if let Some((name, _)) = fields.iter().find(|(_, text)| text.trim().is_empty()) {
        return Some((name, "must not be empty".into()));
    }
    if summary.open_questions.len() > 10 {
        return Some(("open_questions", "holds at most 10".into()));
    }
    let questions: usize = summary.open_questions.iter().map(|it| it.chars().count()).sum();
    let length = questions + fields.iter().map(|(_, text)| text.chars().count()).sum::<usize>();
    (!SUMMARY.contains(&length)).then(|| {
        let (least, most) = (SUMMARY.start(), SUMMARY.end());
        ("summary", format!("is {length} characters long; it takes {least} to {most}"))
    })
}

/// What the model gives. Read leniently: what is missing is asked for again by name.
#[derive(Deserialize)]
struct Given {
    to: String,
    task: String,
    #[serde(default)]
    summary: Value,
    #[serde(default)]
    artifacts: Vec<GivenArtifact>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct GivenArtifact {
    id: String,
    #[serde(default)]
    why: String,
}

fn asked(run: &Run, kind: Kind, mode: Mode) -> Option<Step> {
    let wanted = |it: &&Call| toolbox::kind(&it.tool) == Some(kind) && !is_passed_on(run, it);
    let call = run.calls.iter().find(wanted)?;
    let given = call.arguments.as_ref().ok().cloned().unwrap_or_default();
    let given: Given = match serde_json::from_value(given) {
        Ok(given) => given,
        Err(error) => return Some(refused(call, None, &error.to_string()).step()),
    };
    Some(draft(run, call, given, mode).map_or_else(Rejected::step, Step::HandOff))
}

fn draft(run: &Run, call: &Call, given: Given, mode: Mode) -> Result<Draft, Rejected> {
    let edge = edge(run, call, &given.to)?;
    fuse(run, call, mode)?;
    circle(run, call, &edge.to)?;
    let (summary, made_by) = summary(run, call, &given.summary)?;
    let artifacts = artifacts(run, call, &given.artifacts)?;
    if given.task.trim().is_empty() || given.task.chars().count() > 8_000 {
        return Err(refused(call, None, "`task` takes 1 to 8,000 characters"));
    }
    let why = words::cut(&given.reason, 300);
    let reason = match run.reply.as_ref().map(|it| &it.purpose) {
        Some(Purpose::Summarise { trigger, .. }) => format!("trigger:{trigger}"),
        _ if why.is_empty() => "model".to_string(),
        _ => format!("model: {why}"),
    };
    Ok(Draft {
        call: Some(call.id.clone()),
        artifacts,
        reason,
        made_by,
        mark: loops::mark(run),
        ..Draft::plain(edge.to.clone(), given.task, mode, summary)
    })
}

fn edge<'a>(run: &'a Run, call: &Call, to: &str) -> Result<&'a Edge, Rejected> {
    let edges = &run.started.agent.handoffs;
    let plain = |it: &str| it.trim().to_lowercase().replace([' ', '-'], "_");
    let own = edges.iter().find(|it| it.to.as_str() == to.trim());
    own.or_else(|| edges.iter().find(|it| plain(it.to.as_str()) == plain(to))).ok_or_else(|| {
        let allowed: Vec<&str> = edges.iter().map(|it| it.to.as_str()).collect();
        let error =
            format!("{} may not hand off to \"{to}\"; allowed: {}", run.name(), allowed.join(", "));
        refused(call, None, &error)
    })
}

/// Whether a count forbids another child.
pub(super) fn fuse(run: &Run, call: &Call, mode: Mode) -> Result<(), Rejected> {
    let fuses = run.started.fuses;
    let children = run.children.len() as u64;
    let (name, value, limit) = match mode {
        Mode::Delegate => ("depth", u64::from(run.started.depth) + 1, u64::from(fuses.depth)),
        Mode::Transfer => ("hops", u64::from(run.started.hops) + 1, u64::from(fuses.hops)),
    };
    let blown = if value > limit {
        Some((name, value, limit))
    } else if children >= u64::from(fuses.fan_out) {
        Some(("fan_out", children + 1, u64::from(fuses.fan_out)))
    } else {
        None
    };
    let Some((fuse, value, limit)) = blown else { return Ok(()) };
    let chain = run.started.path.clone();
    let error = growth::refusal(fuse, limit, &chain);
    let also = vec![Event::FuseBlown { fuse: fuse.into(), value, limit, chain }];
    Err(Rejected { also, ..refused(call, None, &error) })
}

/// Whether the work would go round.
fn circle(run: &Run, call: &Call, to: &AgentName) -> Result<(), Rejected> {
    let Some(lap) = loops::lap(run, to) else { return Ok(()) };
    let error = format!(
        "{}; {to} gets no more work from this run: finish the task yourself with what you have",
        loops::said(&lap)
    );
    Err(Rejected { also: vec![loops::event(&lap)], ..refused(call, None, &error) })
}

fn summary(run: &Run, call: &Call, given: &Value) -> Result<(Summary, MadeBy), Rejected> {
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let plain = given.as_str().map(str::to_string);
    let listed = given.get("open_questions").and_then(Value::as_array);
    let questions = listed.into_iter().flatten().filter_map(Value::as_str).map(String::from);
    let summary = Summary {
        did: text("did"),
        must_know: plain.unwrap_or_else(|| text("must_know")),
        open_questions: questions.collect(),
        do_next: text("do_next"),
    };
    match summary_problem(&summary) {
        None => Ok((summary, MadeBy::Model)),
        // Under its names in other products nobody is asked for one.
        Some(_) if given.is_null() && call.tool == "Task" => {
            Ok((completed(summary, composed(run)), MadeBy::Engine))
        }
        Some(_) if run.tally.bad_summaries >= SUMMARIES_MAX => {
            Ok((completed(summary, composed(run)), MadeBy::Engine))
        }
        Some((field, problem)) => {
            let place = if field == "summary" { "summary" } else { &format!("summary.{field}") };
            Err(refused(call, Some(field), &format!("`{place}` {problem}")))
        }
    }
}

fn artifacts(
    run: &Run,
    call: &Call,
    given: &[GivenArtifact],
) -> Result<Vec<ArtifactRef>, Rejected> {
    let find = |it: &GivenArtifact| {
        let found = run.artifacts.iter().rev().find(|has| has.id == it.id).cloned();
        found.map(|has| ArtifactRef { why: words::cut(&it.why, 200), ..has }).ok_or_else(|| {
            let known: Vec<&str> = run.artifacts.iter().map(|it| it.id.as_str()).collect();
            let error = format!("no artifact `{}`; there are: {}", it.id, known.join(", "));
            refused(call, None, &error)
        })
    };
    given.iter().take(20).map(find).collect()
}

/// Why a handoff did not come about: told to the model as the call's result.
pub(super) struct Rejected {
    call: String,
    field: Option<&'static str>,
    error: String,
    also: Vec<Event>,
}

impl Rejected {
    pub(super) fn step(self) -> Step {
        let mut result = json!({ "error": self.error });
        if let Some(field) = self.field {
            result["field"] = json!(field);
        }
        Step::Answer { call: self.call, ok: false, result, also: self.also }
    }
}

pub(super) fn refused(call: &Call, field: Option<&'static str>, error: &str) -> Rejected {
    Rejected { call: call.id.clone(), field, error: error.to_string(), also: Vec::new() }
}
