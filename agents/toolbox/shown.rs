//! A tool's output as it is kept and as a model is shown it.

use callboard_trace::{Event, Taint};
use serde_json::{Value, json};

use crate::answer;

/// A text cut to what a model is shown; with the whole, as it is kept, where it was cut. `bytes` is
/// its size before anything of it was left out.
pub(crate) fn cut(text: String, bytes: usize, shown: usize) -> (String, Option<Value>) {
    let end = text.floor_char_boundary(shown.min(text.len()));
    if end == text.len() {
        return (text, None);
    }
    let mut head = text[..end].to_owned();
    let bytes = bytes.max(text.len());
    let whole = json!(text);
    let id = answer::artifact_id(&whole);
    head.push_str(&format!("\n[cut: {end} of {bytes} bytes; `read` {id} from offset {end}]"));
    (head, Some(whole))
}

/// The record of a whole output, which a call of that tool left to be read.
pub(crate) fn left(tool: &str, server: Option<&str>, call: &str, whole: Value) -> Event {
    let taint = Taint::brings(tool, server).then(|| tool.to_owned());
    answer::noted("notes", &format!("{tool} ({call})"), whole, taint).0
}
