//! What is checked at a run's borders, and what follows from it.

use callboard_config::guards::{Border, Guard, Kind};
use callboard_trace::{
    Call, EndState, Event, FailureCode, Finished, Missing, Purpose, Stop, Trouble,
};
use serde_json::{Value, json};

use crate::checks::{HANDOFF, INPUT, Made, SECRETS};
use crate::heard::CHECK;
use crate::leave::{asked_by_check, hash};
use crate::rules::rejected::forbid;
use crate::rules::verdict::{said, word};
use crate::rules::{answer, asking, calls, judge, leave, outside};
use crate::run::Word;
use crate::toolbox::{self, Kind as Tool};
use crate::{Run, Step, guard, prompt, words};

/// What comes of the checks of a subject.
enum Look<'a> {
    /// One of them has something to do.
    Step(Box<Step>),
    /// A judge or a person is waited for.
    Waits,
    /// It goes on.
    Passed,
    /// It does not, by the word of this check.
    Failed(&'a Guard, &'a Made),
}

/// Rule: what comes in is checked before any model is asked.
pub(crate) fn input(run: &Run) -> Option<Step> {
    if run.reply.is_some() || run.asking.is_some() || run.plan.is_some() {
        return None;
    }
    match look(run, (Border::Input, ""), INPUT, &|| prompt::given(run)) {
        Look::Step(step) => Some(*step),
        Look::Waits => Some(wait(run)),
        Look::Passed => None,
        Look::Failed(guard, made) => Some(Step::End(stopped(run, guard, made))),
    }
}

/// Rule: a call is checked before it is performed, a note before it is written, a handoff before it
/// is made.
pub(crate) fn calls(run: &Run) -> Option<Step> {
    let mut waits = false;
    for call in run.calls.iter().filter(|it| !calls::is_begun(run, it)) {
        let (on, tool) = match toolbox::kind(&call.tool) {
            Some(Tool::HandOff | Tool::Delegate | Tool::Plan) => (Border::Handoff, ""),
            Some(Tool::Refuse) => continue,
            Some(Tool::Note | Tool::Remember | Tool::Forget | Tool::AskOwner | Tool::Performed)
            | None => (Border::ToolCall, &*call.tool),
        };
        let subject = subject(run, call);
        let content = || call.arguments.clone().unwrap_or_default();
        match look(run, (on, tool), &subject, &content) {
            Look::Step(step) => return Some(*step),
            Look::Waits => waits = true,
            Look::Passed => (),
            Look::Failed(guard, made) if made.verdict == "stop" => {
                return Some(Step::End(stopped(run, guard, made)));
            }
            Look::Failed(guard, made) => {
                let why = made.reasons.join("; ");
                let said = format!("not done: guardrail `{}` does not allow it: {why}", guard.name);
                return Some(forbid(&call.id, &said));
            }
        }
    }
    waits.then(|| wait(run))
}

/// Rule: what a tool brought is checked before a model sees it.
pub(crate) fn results(run: &Run) -> Option<Step> {
    let mut waits = false;
    for brought in &run.checks.brought {
        let content = || prompt::result_of(run, &brought.call);
        match look(run, (Border::ToolResult, &brought.tool), &brought.subject, &content) {
            Look::Step(step) => return Some(*step),
            Look::Waits => waits = true,
            Look::Failed(guard, made) if made.verdict == "stop" => {
                return Some(Step::End(stopped(run, guard, made)));
            }
            // Of one that is blocked the model sees that it was.
            Look::Passed | Look::Failed(..) => (),
        }
    }
    waits.then(|| wait(run))
}

/// Rule: an answer that was just given is checked.
pub(crate) fn output(run: &Run) -> Option<Step> {
    answer::given(run)?;
    checked(run)
}

/// Rule: the answer of a last turn is checked too, and not sent back.
pub(crate) fn last_output(run: &Run) -> Option<Step> {
    let replied = run.reply.as_ref().filter(|it| it.purpose == Purpose::Finalise)?;
    (run.kept_by == replied.reply.step).then(|| checked(run)).flatten()
}

/// A handoff that no call asks for is checked like one that a model asked for.
pub(crate) fn passes(run: &Run, step: Step) -> Step {
    let Step::HandOff(draft) = &step else { return step };
    if draft.plan.is_some() || draft.call.is_some() {
        return step;
    }
    let content = || json!({"to": draft.to, "task": draft.task, "summary": draft.summary});
    let subject = format!("{HANDOFF}/{}", run.children.len());
    match look(run, (Border::Handoff, ""), &subject, &content) {
        Look::Step(step) => *step,
        Look::Waits => wait(run),
        Look::Passed => step,
        Look::Failed(guard, made) => Step::End(stopped(run, guard, made)),
    }
}

fn checked(run: &Run) -> Option<Step> {
    let kept = run.kept.as_ref()?;
    let subject = run.kept_as();
    match look(run, (Border::Output, ""), &subject, &|| kept.clone()) {
        Look::Step(step) => return Some(*step),
        Look::Waits => return Some(wait(run)),
        Look::Failed(guard, made) => {
            return Some(match made.verdict.as_str() {
                "retry" => asking::a_turn(run),
                _ => Step::End(kept_back(run, guard, made)),
            });
        }
        Look::Passed => (),
    }
    let is_known = run.checks.verdict(SECRETS, &subject).is_some();
    (!is_known && guard::tells_secrets(kept)).then(|| {
        let reasons = vec!["it held a secret, which was taken out".to_owned()];
        let (check, place) = (SECRETS.to_owned(), Border::Output.as_str().to_owned());
        let verdict = "redact".to_owned();
        Step::Record(Event::Checked {
            check,
            place,
            verdict,
            reasons,
            round: 1,
            subject,
            score: None,
        })
    })
}

/// What a call is called by checks. Many models name the calls of each turn alike.
fn subject(run: &Run, call: &Call) -> String {
    let step = run.reply.as_ref().map_or(0, |it| it.reply.step);
    format!("call/{step}/{}", call.id)
}

/// Looks at a subject with every check that is about it: those without a model first, then judges
/// side by side, then persons.
fn look<'a>(
    run: &'a Run,
    (on, tool): (Border, &str),
    subject: &str,
    content: &dyn Fn() -> Value,
) -> Look<'a> {
    let mut failed = None;
    let mut waits = false;
    for guard in run.guards(on, tool) {
        let Some(made) = run.checks.verdict(&guard.name, subject) else {
            let is_judge = matches!(guard.kind, Kind::Judge { .. });
            let is_asked = run.checks.judging(&guard.name, subject).is_some();
            let step = if is_judge && (is_asked || failed.is_none()) {
                judge::step(run, guard, subject, content)
            } else if guard.kind == Kind::Approval && failed.is_none() {
                asks(run, guard, subject, &content(), &[])
            } else if is_judge || guard.kind == Kind::Approval {
                // There is no need to ask anybody about what goes no further.
                continue;
            } else {
                let reasons =
                    guard::faults(&guard.kind, &read(guard, content()), &run.failing_tests());
                Some(word(run, guard, subject, reasons, None))
            };
            match step {
                Some(step) => return Look::Step(Box::new(step)),
                None => waits = true,
            }
            continue;
        };
        match made.verdict.as_str() {
            "ask" => match asks(run, guard, subject, &content(), &made.reasons) {
                Some(step) => return Look::Step(Box::new(step)),
                None => waits = true,
            },
            "block" | "stop" | "retry" => {
                let is_worse = |it: &(&Guard, &Made)| rank(made) > rank(it.1);
                if failed.as_ref().is_none_or(is_worse) {
                    failed = Some((guard, made));
                }
            }
            _ => (),
        }
    }
    match (waits, failed) {
        (true, _) => Look::Waits,
        (false, Some((guard, made))) => Look::Failed(guard, made),
        (false, None) => Look::Passed,
    }
}

/// The content as a check reads it: a schema of the input is about a task that is JSON.
fn read(guard: &Guard, content: Value) -> Value {
    let is_task = guard.on == Border::Input && matches!(guard.kind, Kind::Schema { .. });
    let task = content.get("task").and_then(Value::as_str).filter(|_| is_task);
    match task {
        Some(task) => serde_json::from_str(task).unwrap_or_else(|_| json!(task)),
        None => content,
    }
}

fn rank(made: &Made) -> usize {
    ["retry", "block", "stop"].iter().position(|it| *it == made.verdict).unwrap_or_default()
}

/// The question to a person, or what it came to; none while it is open. It is about this content and
/// nothing else.
fn asks(
    run: &Run,
    guard: &Guard,
    subject: &str,
    content: &Value,
    reasons: &[String],
) -> Option<Step> {
    let digest = hash(&format!("{} {subject} {content}", guard.name));
    let word = |verdict: &str, why: String| said(run, guard, subject, (verdict, vec![why], None));
    let Some(asked) = asked_by_check(run, &digest) else {
        return Some(if leave::is_moot(run, Some(subject)) {
            word("block", "nobody is asked for leave any more".to_owned())
        } else {
            ask(run, guard, (subject, digest), (content, reasons))
        });
    };
    let by = &asked.by;
    match &asked.word {
        Word::Open if run.now >= asked.act.expires => Some(leave::close(asked)),
        Word::Open => None,
        Word::Allowed => Some(word("pass", format!("allowed by {by}"))),
        Word::Denied(why) if why.is_empty() => Some(word("block", format!("denied by {by}"))),
        Word::Denied(why) => Some(word("block", format!("denied by {by}: {why}"))),
        Word::Withdrawn => Some(word("block", "nobody allowed it in time".to_owned())),
    }
}

/// The question itself: what is to be decided on, as it is, and what a word on it does.
fn ask(
    run: &Run,
    guard: &Guard,
    (subject, digest): (&str, String),
    (content, reasons): (&Value, &[String]),
) -> Step {
    let why = if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", words::shown(&reasons.join("; ")))
    };
    let shown = leave::cut(run, &words::shown(&content.to_string()));
    let (place, name) = (guard.on.as_str(), run.id.as_str().trim_start_matches("r_"));
    let prompt = format!(
        "guardrail `{}` asks before this {place}{why}: {shown}\n`allow` lets exactly this pass, \
         once; `deny: REASON` does not.",
        guard.name
    );
    let question = format!("q_{name}{CHECK}{}", &digest[..12]);
    leave::put(run, question, prompt, (subject.to_owned(), digest))
}

/// What is waited for ends with the first question that it is too late for, or with the run.
fn wait(run: &Run) -> Step {
    leave::is_waited_for(run).unwrap_or_else(|| outside::until_too_late(run))
}

/// The end that a check brings.
fn stopped(run: &Run, guard: &Guard, made: &Made) -> Finished {
    run.stopped(Stop::Guardrail, trouble(guard, made))
}

fn trouble(guard: &Guard, made: &Made) -> Trouble {
    let why = made.reasons.join("; ");
    Trouble::of(
        FailureCode::CheckBlocked,
        format!("guardrail `{}` stopped the {}: {why}", guard.name, guard.on.as_str()),
        format!("change what it objects to, or the guardrail `{}` itself", guard.name),
    )
}

/// An answer that did not pass: what is harmless of it, and what was withheld.
fn kept_back(run: &Run, guard: &Guard, made: &Made) -> Finished {
    let end = stopped(run, guard, made);
    let content = run.kept.as_ref();
    let others_agree = run.is_cleared(Some(&guard.name)) && made.verdict != "stop";
    let (shown, part) = content
        .filter(|_| others_agree)
        .map_or((None, "the answer".into()), |it| guard::presentable(&guard.kind, it));
    let why = format!("guardrail `{}`: {}", guard.name, made.reasons.join("; "));
    let impact = if part.is_empty() {
        "the answer lacks what the guardrail asks for".to_owned()
    } else {
        format!("withheld: {part}")
    };
    let is_shaped = run.started.output_schema.is_some();
    let answer = shown.or_else(|| (!is_shaped).then(|| guard::withheld(&why)));
    let missing = vec![Missing { agent: run.name().clone(), error: why, impact }];
    Finished { state: EndState::Partial, answer, missing, ..end }
}
