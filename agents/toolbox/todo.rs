//! `TodoWrite`: a run's own list of what is to be done, which others see it by.

use std::sync::LazyLock;

use callboard_trace::{Call, Event};
use serde_json::json;

use super::card::Card;
use crate::{Step, answer};

/// What the model is told of it.
pub(super) static TODO_WRITE: LazyLock<Card> = LazyLock::new(|| {
    let todo = json!({
        "type": "object",
        "properties": {
            "content": {"type": "string", "minLength": 1, "maxLength": 500},
            "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
            "activeForm": {"type": "string", "maxLength": 500},
        },
        "required": ["content", "status"],
    });
    Card::new(
        "TodoWrite",
        "Keep the list of what is to be done, whole each time. Others see by it how far you are.",
        json!({"todos": {"type": "array", "items": todo, "maxItems": 100}}),
        &["todos"],
    )
});

/// Writes the list down.
pub(crate) fn todo(call: &Call, taint: Option<&str>) -> Step {
    let given = call.arguments.clone().unwrap_or_default();
    let value = given.get("todos").cloned().unwrap_or_else(|| json!([]));
    let all = value.as_array().map_or(&[][..], Vec::as_slice);
    let done = all.iter().filter(|it| it["status"] == "completed").count();
    let result = json!(format!("{done} of {} done", all.len()));
    let (noted, _) = answer::noted(Event::TODO, "list", value, taint.map(str::to_owned));
    Step::Answer { call: call.id.clone(), ok: true, result, also: vec![noted] }
}
