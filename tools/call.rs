//! One call as it comes in, how long its caller waits, and what it is answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callboard_scheduler::{Desk, Listening, Refusal};
use callboard_trace::{Caller, RunId, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A call of a published tool.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The tool's name as the caller wrote it.
    pub tool: String,
    /// Its arguments, not checked yet.
    pub arguments: Map<String, Value>,
    /// The request's `_meta`.
    pub meta: Map<String, Value>,
}

/// What a call is answered: the same facts as a value and as text.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// A result, or a refusal `{code, message, retryable, hint, problems}`.
    pub body: Value,
    /// Whether the call was wrong. A run that failed is no wrong call.
    pub is_error: bool,
}

/// A tool that is not published: an error of the protocol, not a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTool(
    /// A fragment that names the tool and the ones there are.
    pub String,
);

/// How long a caller waits, when it stops, and which run it waits for.
pub struct Patience {
    /// How long a call waits that says nothing about it.
    pub usual: Duration,
    /// How long a call may wait that asks for more.
    pub most: Duration,
    /// Fires when nobody waits any more: the call then answers at once with the handle.
    pub left: CancellationToken,
    run: watch::Sender<Option<RunId>>,
    ear: Ear,
}

/// What a call listens to, shared with whoever writes its answer, or knows that it is given up.
#[derive(Clone, Default)]
pub struct Ear(Arc<Mutex<Option<Listening>>>);

/// A call whose arguments were checked, and whom to ask.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) arguments: &'a Map<String, Value>,
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    pub(crate) patience: &'a Patience,
}

impl Ear {
    /// Takes out what the call listened to. Dropping that says that the caller is gone.
    pub fn take(&self) -> Option<Listening> {
        self.inside().take()
    }

    fn inside(&self) -> MutexGuard<'_, Option<Listening>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    /// The refusal of a wrong call.
    pub fn refused(refusal: &Refusal) -> Outcome {
        let body = serde_json::to_value(refusal).unwrap_or_else(|_| json!({"code": "internal"}));
        Outcome { body, is_error: true }
    }

    /// Whether it shows the end of a run: whoever reads it has been told.
    pub fn is_end(&self) -> bool {
        let state = self.body.get("state").and_then(|it| State::deserialize(it).ok());
        !self.is_error && self.body.get("run").is_some() && state.is_some_and(State::is_over)
    }

    /// Adds notices, unless the body lists what is unread anyway.
    pub(crate) fn tell(&mut self, notices: Vec<String>) {
        let Value::Object(body) = &mut self.body else { return };
        if notices.is_empty() || body.contains_key("unread") {
            return;
        }
        let told = body.entry("notices").or_insert_with(|| json!([]));
        if let Value::Array(told) = told {
            told.extend(notices.into_iter().map(Value::from));
        }
    }

    /// The body as compact JSON in which no character hides: signs that turn the direction of
    /// writing, or are not seen at all, are escaped.
    pub fn text(&self) -> String {
        let plain = self.body.to_string();
        if !plain.chars().any(hides) {
            return plain;
        }
        let mut shown = String::with_capacity(plain.len() + 64);
        for letter in plain.chars() {
            if hides(letter) {
                let mut halves = [0; 2];
                for half in letter.encode_utf16(&mut halves) {
                    shown.push_str(&format!("\\u{half:04x}"));
                }
            } else {
                shown.push(letter);
            }
        }
        shown
    }
}

impl Patience {
    /// A patience, and where the run is named as soon as it is known.
    pub fn new(
        usual: Duration,
        most: Duration,
        left: CancellationToken,
    ) -> (Patience, watch::Receiver<Option<RunId>>) {
        let (run, named) = watch::channel(None);
        (Patience { usual, most, left, run, ear: Ear::default() }, named)
    }

    /// The same, with what the call listens to shared.
    pub fn with_ear(self, ear: Ear) -> Patience {
        Patience { ear, ..self }
    }

    /// How long a call waits that asks for so many seconds, or does not say.
    pub(crate) fn how_long(&self, wait_s: Option<u64>) -> Duration {
        wait_s.map_or(self.usual, Duration::from_secs).min(self.most)
    }

    /// Names the run that the call is about: who listens here is told of its end by no notice.
    pub(crate) fn hears(&self, listening: Listening) {
        self.run.send_replace(Some(listening.run().clone()));
        self.ear.inside().get_or_insert(listening);
    }
}

/// Control characters, direction marks, separators that break a line, and tags. Joiners stay:
/// scripts and emoji need them.
fn hides(letter: char) -> bool {
    matches!(letter,
        '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_body_and_hides_nothing() {
        let body =
            json!({"run": "r_a", "result": "up\u{202e}down \u{1f469}\u{200d}\u{1f52c} \u{e0041}é"});
        let outcome = Outcome { body: body.clone(), is_error: false };
        let text = outcome.text();
        assert!(!text.chars().any(hides), "{text}");
        assert!(
            text.contains("\\u202e") && text.contains('\u{200d}') && text.contains('é'),
            "{text}"
        );
        let read: Value = serde_json::from_str(&text).expect("still JSON");
        assert_eq!(read, body);
    }
}
