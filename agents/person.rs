//! A person as an agent: the model step is a question, and what is answered is the reply.

use callboard_trace::{Call, Event, Finish, ModelReplied, Purpose, Usage};
use serde_json::{Map, Value, json};

use crate::run::Said;
use crate::{Run, Step, answer, notes, prompt, words};

/// Characters of what a person is shown of the task and all that came with it.
const SHOWN: usize = 6_000;
/// Characters of a summary; a longer answer is kept whole beside it.
const SUMMARY: usize = 2_000;
/// How an answer begins that is none.
const REFUSE: &str = "refuse:";
/// What every answer holds; a person's word alone gives it.
const BASE: [&str; 2] = ["summary", "confidence"];

/// The question that stands in the place of a model step.
pub(crate) fn question(run: &Run, purpose: &Purpose) -> Step {
    let name = run.id.as_str().trim_start_matches("r_");
    let options = run.started.agent.choices.clone();
    let form = if options.is_empty() { "text" } else { "choice" };
    Step::Record(Event::QuestionAsked {
        question: format!("q_{name}_ask{}", run.turns + 1),
        form: form.to_string(),
        prompt: asked(run, purpose),
        options,
        act: None,
    })
}

/// What a person answered, as the reply to the step. Declining what was handed over is the
/// receiver's first act, and any other declining ends the run.
pub(crate) fn reply(run: &Run, answer: &str) -> ModelReplied {
    let refusal = declines(answer);
    let is_handed = run.started.handoff.is_some() && !run.started.is_step();
    let sends_back = is_handed && !run.accepted;
    let refuse = |reason| Call {
        id: "refuse".into(),
        tool: "refuse_handoff".into(),
        arguments: Ok(json!({ "reason": reason })),
    };
    ModelReplied {
        step: run.steps,
        reply: json!({"role": "assistant", "content": answer}),
        text: refusal.unwrap_or(answer).to_string(),
        calls: refusal.filter(|_| sends_back).map(refuse).into_iter().collect(),
        finish: if refusal.is_some() { Finish::ContentFilter } else { Finish::Stop },
        usage: Usage::default(),
        model: "person".into(),
        first_token_ms: 0,
        ms: 0,
        asked_again: 0,
        micro_usd: None,
    }
}

/// Why a person declines, if that is what the answer says.
pub fn declines(answer: &str) -> Option<&str> {
    let answer = answer.trim();
    let (head, reason) = answer.split_at_checked(REFUSE.len())?;
    head.eq_ignore_ascii_case(REFUSE).then(|| reason.trim()).filter(|it| !it.is_empty())
}

/// A JSON object as it is, any other text as the summary; a person who does not say how sure
/// they are is sure. `None` if there is nothing.
pub(crate) fn said(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let given = serde_json::from_str(text).ok().filter(answer::is_kept);
    let mut fields = given.and_then(|it| it.as_object().cloned()).unwrap_or_else(|| plain(text));
    fields.entry("confidence").or_insert(json!(1.0));
    Some(Value::Object(fields))
}

fn plain(text: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("summary".into(), json!(words::cut(text, SUMMARY - 1)));
    if text.chars().count() >= SUMMARY {
        fields.insert("text".into(), json!(text));
    }
    fields
}

fn asked(run: &Run, purpose: &Purpose) -> String {
    let agent = &run.started.agent;
    let mut text = String::new();
    if let Purpose::Repair { problem } = purpose {
        text.push_str(&format!("The answer was not accepted: {problem}.\n\n"));
    }
    text.push_str(agent.instructions.trim());
    text.push_str("\n\n");
    text.push_str(&words::cut(&prompt::opening(run), SHOWN));
    let said = run.dialogue.iter().filter_map(|it| match it {
        Said::Note(text) => Some(text.clone()),
        Said::Model(_) | Said::Tool { .. } => None,
    });
    for note in said.chain(notes::before(run, &Purpose::Turn)) {
        text.push_str(&format!("\n\n{note}"));
    }
    let required = agent.output.get("required").and_then(Value::as_array);
    let required: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let how = if let Some(schema) = &run.started.output_schema {
        format!("Answer with one JSON value of this schema: {schema}")
    } else if !agent.choices.is_empty() {
        "Answer with one of the options".to_string()
    } else if required.iter().all(|it| BASE.contains(it)) {
        "Answer with a text, or with one JSON object".to_string()
    } else {
        format!("Answer with one JSON object that has {}", required.join(", "))
    };
    text.push_str(&format!("\n\n{how}; `{REFUSE} REASON` declines."));
    text
}
