//! What the engine and callers say to the model between its turns.

use callboard_trace::Purpose;

use crate::{Run, words};

/// What the engine says before a step of that purpose; nothing before an ordinary turn.
fn note(run: &Run, purpose: &Purpose) -> Option<String> {
    match purpose {
        Purpose::Turn | Purpose::Judge { .. } => None,
        Purpose::Finalise => Some(
            "This is your last turn, without tools. Give the best answer you can with what you \
             have, in the required form; say what is missing."
                .into(),
        ),
        Purpose::Repair { problem } => {
            let form = match run.started.output_schema {
                Some(_) => "one JSON value of the schema",
                None => "one JSON object",
            };
            Some(format!(
                "Your answer could not be accepted: {problem}. Send the whole answer again as \
                 {form}, and nothing else."
            ))
        }
        Purpose::Summarise { to, trigger } => Some(format!(
            "The task goes on with {to} (\"{trigger}\" was asked for). Write the summary of the \
             handoff as one JSON object and nothing else: {{\"did\": what was done, \
             \"must_know\": the one thing {to} has to know, \"open_questions\": [..], \
             \"do_next\": what {to} is to do first}}. It takes 40 to 6,000 characters in all; {to} \
             sees nothing else of your work."
        )),
    }
}

/// Everything that is said before a step of that purpose: what callers wrote, how the budget
/// stands, then what the engine wants.
pub(crate) fn before<'a>(
    run: &'a Run,
    purpose: &Purpose,
) -> impl Iterator<Item = String> + use<'a> {
    let messages = run.control.messages.iter().map(|(by, text)| message(by, text));
    messages.chain(run.untold_alerts()).chain(run.checks.note()).chain(note(run, purpose))
}

/// Quotes a message of somebody outside.
fn message(by: &str, text: &str) -> String {
    format!("Message from {by}: {}", words::cut(text, 8_000))
}
