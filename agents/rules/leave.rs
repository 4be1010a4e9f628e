//! Leave: what an agent may not do is told to its model, and what a person has to allow is asked.

use callboard_config::Verdict;
use callboard_config::permit::Ruling;
use callboard_trace::{Bound, Call, Event};
use serde_json::json;

use crate::checks::{ANSWER, HANDOFF, INPUT};
use crate::heard::LEAVE;
use crate::leave::{READ, asked, digest, has_read, judged};
use crate::rules::calls::{is_begun, is_performed};
use crate::rules::outside;
use crate::rules::rejected::forbid;
use crate::run::{Approval, Word};
use crate::{Run, Step, words};

/// Characters of the arguments that a question shows at their head and at their end; what is
/// longer is read by its uri.
const HEAD: usize = 6_000;
const TAIL: usize = 1_500;
/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// Rule: a question for leave is withdrawn when the work goes elsewhere, or is to end.
pub(crate) fn is_overtaken(run: &Run) -> Option<Step> {
    let is_overtaken = |it: &&Approval| {
        let subject = it.is_check.then_some(it.act.call.as_str());
        it.word == Word::Open && is_moot(run, subject)
    };
    Some(close(run.approvals.iter().find(is_overtaken)?))
}

/// Whether nobody is asked any more about a call, or about what a check has before it. What comes in
/// and what is passed on has to pass wherever the work goes, and the last answer also where it is to
/// end.
pub(super) fn is_moot(run: &Run, subject: Option<&str>) -> bool {
    let (goes, ends) = (run.control.redirect.is_some(), run.control.finish);
    match subject.and_then(|it| it.split('/').next()) {
        Some(INPUT | HANDOFF) => false,
        Some(ANSWER) => goes || outside::was_told_something(run).is_some(),
        Some(_) | None => goes || ends,
    }
}

/// Rule: calls that may not be made are refused, and those that a person has to allow are asked
/// about, side by side.
pub(crate) fn is_wanted(run: &Run) -> Option<Step> {
    let waiting = run.calls.iter().filter(|it| is_performed(run, it) && !is_begun(run, it));
    waiting.filter_map(|it| missing(run, it)).next()
}

/// Rule: a person's word is waited for, until it is too late.
pub(crate) fn is_waited_for(run: &Run) -> Option<Step> {
    let open = run.approvals.iter().filter(|it| it.word == Word::Open);
    let first = open.map(|it| it.act.expires).min()?;
    Some(Step::Wait(Some(first.min(run.started.deadline))))
}

/// What is done about leave that a call needs and has not; nothing while it is waited for.
fn missing(run: &Run, call: &Call) -> Option<Step> {
    let ruling = judged(run, call);
    match ruling.verdict {
        Verdict::Allow => None,
        Verdict::Deny => Some(refuse(call, &format!("not allowed: {}", ruling.why))),
        Verdict::Ask => match asked(run, call) {
            None if run.control.finish => {
                Some(refuse(call, "asked to finish now: nobody is asked for leave any more"))
            }
            None => Some(ask(run, call, &ruling)),
            Some(it) => match &it.word {
                Word::Open if run.now >= it.act.expires => Some(close(it)),
                Word::Open | Word::Allowed => None,
                Word::Denied(why) if why.is_empty() => Some(refuse(call, "a person said no")),
                Word::Denied(why) => Some(refuse(call, &format!("a person said no: {why}"))),
                Word::Withdrawn => Some(refuse(call, "nobody allowed it in time")),
            },
        },
    }
}

fn refuse(call: &Call, why: &str) -> Step {
    let way_out = "do it in another way, or say in your answer what is left to be done";
    forbid(&call.id, &format!("{why}; {way_out}"))
}

pub(super) fn close(approval: &Approval) -> Step {
    let question = approval.question.clone();
    Step::Record(Event::QuestionClosed { question, answer: None })
}

fn ask(run: &Run, call: &Call, ruling: &Ruling) -> Step {
    let digest = digest(call);
    let step = run.reply.as_ref().map_or(0, |it| it.reply.step);
    let place = run.place_of(&call.id).unwrap_or_default() + 1;
    let name = run.id.as_str().trim_start_matches("r_");
    let question = format!("q_{name}_{step}_{place}_{}", &digest[..12]);
    put(run, question, prompt(run, call, ruling), (call.id.clone(), digest))
}

/// The question for leave, and until when it may be given.
pub(super) fn put(
    run: &Run,
    question: String,
    prompt: String,
    (call, digest): (String, String),
) -> Step {
    let wait = i64::try_from(run.started.approvals.expires_s).unwrap_or(i64::MAX);
    let expires = run.now.saturating_add(wait.saturating_mul(SECOND));
    Step::Record(Event::QuestionAsked {
        question,
        form: "approval".into(),
        prompt,
        options: LEAVE.map(String::from).to_vec(),
        act: Some(Bound { call, digest, expires }),
    })
}

/// What a person is to decide on: who wants what and why they are asked, with the arguments as they
/// are, and nothing in them that hides or reorders what stands there.
fn prompt(run: &Run, call: &Call, ruling: &Ruling) -> String {
    let given = call.arguments.as_ref().map_or_else(String::clone, |it| format!("{it:#}"));
    let given = cut(run, &words::shown(&given));
    let (name, tool) = (run.name(), words::shown(&call.tool));
    let care = match run.tainted.by() {
        Some(by) if !ruling.why.contains(READ) => format!("\nTake care: {}.", has_read(by)),
        Some(_) | None => String::new(),
    };
    format!(
        "{name} wants to use `{tool}`: {}.{care}\n{given}\n`allow` lets exactly this be done, once; \
         `deny: REASON` tells the agent.",
        ruling.why
    )
}

/// The head and the end of a long text, and where the whole is.
pub(super) fn cut(run: &Run, text: &str) -> String {
    let length = text.chars().count();
    if length <= HEAD + TAIL {
        return text.to_owned();
    }
    let head: String = text.chars().take(HEAD).collect();
    let tail: String = text.chars().skip(length - TAIL).collect();
    let uri = json!({"uri": format!("team://runs/{}/trace", run.id)});
    format!("{head}\n… [{length} characters in all, the whole: team_read {uri}] …\n{tail}")
}
