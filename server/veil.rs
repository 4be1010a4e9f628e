//! What goes to stderr, and what is told of a call or request that is refused, goes without secrets:
//! it quotes what came from outside.

use std::io::{self, Write};
use std::sync::{PoisonError, RwLock};

use callboard_config::Team;
use callboard_trace::secrets::{self, INSTEAD};
use rmcp::model::ErrorData;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

/// Shorter values are no secrets, and would be found in any text.
const LEAST: usize = 8;

/// The values this process knows to be secret.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From here on the secrets of this team are hidden.
pub(crate) fn learn(team: &Team) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.extend(team.secrets().into_iter().filter(|it| it.len() >= LEAST));
    known.sort_by_key(|it| std::cmp::Reverse(it.len()));
    known.dedup();
}

/// The text as it may be told.
pub(crate) fn over(text: &str) -> String {
    hidden(text, &KNOWN.read().unwrap_or_else(PoisonError::into_inner))
}

/// A value with all its texts as they may be told.
pub(crate) fn over_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = over(text),
        Value::Array(items) => items.iter_mut().for_each(over_all),
        Value::Object(fields) => fields.values_mut().for_each(over_all),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An error of the protocol as it may be told.
pub(crate) fn over_error(mut error: ErrorData) -> ErrorData {
    error.message = over(&error.message).into();
    error.data.iter_mut().for_each(over_all);
    error
}

/// Makes a line for each event.
pub(crate) struct Veil;

impl MakeWriter<'_> for Veil {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(Vec::new())
    }
}

/// One event, written when it is whole.
pub(crate) struct Line(Vec<u8>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = over(&String::from_utf8_lossy(&self.0));
        // Where nobody reads stderr any more there is nobody to tell either.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

fn hidden(text: &str, known: &[String]) -> String {
    let plain = known.iter().fold(text.to_owned(), |text, it| text.replace(it.as_str(), INSTEAD));
    secrets::hide(&plain).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_and_what_looks_like_one_are_hidden() {
        let known = ["hunter2-hunter2".to_owned()];
        let key = format!("sk-{}", "a1B2".repeat(8));
        let shown = hidden(&format!("said: hunter2-hunter2 and {key}\n"), &known);
        assert_eq!(shown, "said: [secret] and [secret]\n");
    }

    #[test]
    fn a_refusal_does_not_say_a_secret_again() {
        let key = format!("sk-{}", "a1B2".repeat(8));
        let told = format!("there is no run {key}");
        let data = serde_json::json!({"problems": [told, 7], "hint": {"text": key}});
        let error = over_error(ErrorData::invalid_params(told, Some(data)));
        assert_eq!(error.message, "there is no run [secret]");
        let data = serde_json::json!({"problems": ["there is no run [secret]", 7],
            "hint": {"text": "[secret]"}});
        assert_eq!(error.data, Some(data));
    }
}
