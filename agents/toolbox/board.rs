//! Tools that look at the rest of the task: the scheduler lends the eyes.

use std::pin::Pin;

use callboard_trace::{RunId, Taint, Work};
use serde_json::{Value, json};

use super::used::Used;
use crate::answer;

/// Bytes of an extract that `read` shows at once: about 2,000 tokens.
const EXTRACT: usize = 8_000;

/// What a run may see of its task's other runs. The scheduler implements it on the journal.
pub trait Board: Send + Sync {
    /// The whole text behind `a_…` or `r_…` and the tool that brought content of others into it, if
    /// it belongs to the same root as the asking run; else a sentence for the model.
    fn read<'a>(
        &'a self,
        asking: &'a RunId,
        uri: &'a str,
    ) -> Answer<'a, Result<(String, Option<String>), String>>;

    /// What is remembered that concerns the asking run, as its call of [`Work::LOOK`] wants it: lists
    /// `session`, `related` and `own` of `{agent, task, result, at, taint}`, and `memory` of `{key, body,
    /// by, at, taint}`; [`Taint::MARK`] where content of others is in any of it.
    fn recall<'a>(
        &'a self,
        asking: &'a RunId,
        wanted: &'a Value,
    ) -> Answer<'a, Result<Value, String>>;

    /// One line a run of the asking run's tree.
    fn status<'a>(&'a self, asking: &'a RunId) -> Answer<'a, Result<Value, String>>;
}

/// An answer that has to be waited for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Looks at the rest of the task.
///
/// # Errors
/// A sentence for the model.
pub(super) async fn look(
    board: &dyn Board,
    run: &RunId,
    tool: &str,
    arguments: &Value,
) -> Result<Used, String> {
    if tool == "team_status" {
        return Ok(Used { result: board.status(run).await?, ..Used::default() });
    }
    if tool == Work::LOOK {
        return Ok(Used { result: board.recall(run, arguments).await?, ..Used::default() });
    }
    let uri = arguments.get("uri").and_then(Value::as_str).unwrap_or_default();
    let offset = arguments.get("offset").and_then(Value::as_u64).unwrap_or_default();
    let (text, taint) = board.read(run, uri).await?;
    let mut result = page(&text, usize::try_from(offset).unwrap_or(usize::MAX));
    let documents = vec![answer::artifact_id(&result)];
    if let Some(by) = taint {
        result[Taint::MARK] = json!(by);
    }
    Ok(Used { result, documents, ..Used::default() })
}

/// One page of a text, cut between characters.
fn page(text: &str, offset: usize) -> Value {
    let start = text.floor_char_boundary(offset.min(text.len()));
    let end = text.floor_char_boundary((start + EXTRACT).min(text.len()));
    let mut page = json!({"bytes": text.len(), "text": &text[start..end]});
    if end < text.len() {
        page["next_offset"] = json!(end);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_comes_in_pages_that_lose_nothing() {
        let text = "äöü€".repeat(3_000);
        let (mut whole, mut offset) = (String::new(), 0);
        loop {
            let page = page(&text, offset);
            whole.push_str(page["text"].as_str().unwrap());
            let Some(next) = page["next_offset"].as_u64() else { break };
            offset = usize::try_from(next).unwrap();
        }
        assert_eq!(whole, text);
        assert_eq!(page("short", 99)["text"], "");
    }
}
