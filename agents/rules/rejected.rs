//! What the model is told of a call that is not done.

use serde_json::json;

use crate::Step;

/// The answer to a call that is not done, with the reason.
pub(super) fn reject(call: &str, error: &str) -> Step {
    let result = json!({ "error": error });
    Step::Answer { call: call.to_string(), ok: false, result, also: Vec::new() }
}

/// The answer to a call that is well made and must not be done: no fault of the model.
pub(super) fn forbid(call: &str, error: &str) -> Step {
    let result = json!({ "error": error, "forbidden": true });
    Step::Answer { call: call.to_string(), ok: false, result, also: Vec::new() }
}
