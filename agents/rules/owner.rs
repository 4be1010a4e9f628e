//! What an agent asks the owner: the run waits, and the answer is the result of its call.

use callboard_trace::{Call, Event};
use serde_json::{Value, json};

use crate::rules::rejected::reject;
use crate::toolbox::{self, Kind};
use crate::{Run, Step};

/// What stands before the place of the call in the name of a question.
const MARK: &str = "_own";

/// Rule: a question to the owner is put, and its answer told, one after the other.
pub(crate) fn is_asked(run: &Run) -> Option<Step> {
    let is_it = |it: &&Call| toolbox::kind(&it.tool) == Some(Kind::AskOwner);
    let call = run.calls.iter().find(is_it)?;
    let question = name(run, call);
    if let Some(answer) = run.heard.get(&question) {
        let result = json!({ "answer": answer });
        return Some(Step::Answer { call: call.id.clone(), ok: true, result, also: Vec::new() });
    }
    if run.control.finish {
        return Some(reject(&call.id, "asked to finish now: nobody is asked any more"));
    }
    let given = call.arguments.clone().unwrap_or_default();
    let options = given.get("options").and_then(Value::as_array).into_iter().flatten();
    let options: Vec<String> = options.filter_map(Value::as_str).map(String::from).collect();
    let form = if options.is_empty() { "text" } else { "choice" }.to_string();
    let asked = given.get("question").and_then(Value::as_str).unwrap_or_default();
    let prompt = format!("{} asks: {asked}", run.name());
    Some(Step::Record(Event::QuestionAsked { question, form, prompt, options, act: None }))
}

/// Whether it is a question that an agent put to the owner.
pub(super) fn is_own(question: &str) -> bool {
    question.rsplit_once(MARK).is_some_and(|it| it.1.bytes().all(|it| it.is_ascii_digit()))
}

/// The name of a call's question: the turn, and the place of the call in it.
fn name(run: &Run, call: &Call) -> String {
    let calls = run.reply.iter().flat_map(|it| &it.reply.calls);
    let at = calls.into_iter().position(|it| it.id == call.id).unwrap_or_default();
    let run_name = run.id.as_str().trim_start_matches("r_");
    format!("q_{run_name}_{}{MARK}{at}", run.turns)
}
