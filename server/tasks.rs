//! A run as a task of the Tasks extension: its name is the task's, and its journal the task's state.

use callboard_trace::{RunView, State, progress_line};
use chrono::{DateTime, SecondsFormat};
use rmcp::model::{CreateTaskResult, DetailedTask, JsonObject, Task, TaskPayload, TaskStatus};

use crate::questions;

/// How often a client should ask about a young task, and about an old one, milliseconds.
const POLL_MS: (u64, u64) = (1_000, 5_000);
/// A task that is older is asked about less often, seconds.
const YOUNG_S: f64 = 60.0;

/// When a run was taken in and when its last record was written, microseconds since 1970.
pub(crate) type Times = (i64, i64);

/// The handle of a run that goes on. Runs are kept, so it has no end of its own.
pub(crate) fn created(view: &RunView, times: Times) -> CreateTaskResult {
    CreateTaskResult::new(task(view, times))
}

/// How a run stands; `result` is what its call would have been answered, once it is over. A client
/// that cannot ask its user is not told to: its model answers by `team_answer`.
pub(crate) fn detailed(
    view: &RunView,
    times: Times,
    asks: bool,
    result: impl FnOnce() -> JsonObject,
) -> DetailedTask {
    let payload = match view.state {
        State::Queued | State::Working => TaskPayload::Working,
        State::InputRequired | State::Halted if asks && !view.questions.is_empty() => {
            TaskPayload::InputRequired { input_requests: questions::requests(view) }
        }
        State::InputRequired | State::Halted => TaskPayload::Working,
        // A run that failed is an answer too; a task fails only where there is none.
        State::Completed | State::Partial | State::Failed => {
            TaskPayload::Completed { result: result() }
        }
        State::Cancelled => TaskPayload::Cancelled,
    };
    DetailedTask::new(task(view, times), payload)
}

fn task(view: &RunView, (created, changed): Times) -> Task {
    let status = match view.state {
        State::Queued | State::Working | State::InputRequired | State::Halted => {
            TaskStatus::Working
        }
        State::Completed | State::Partial | State::Failed => TaskStatus::Completed,
        State::Cancelled => TaskStatus::Cancelled,
    };
    let poll = if view.elapsed_s < YOUNG_S { POLL_MS.0 } else { POLL_MS.1 };
    Task::new(view.run.as_str(), status, written(created), written(changed))
        .with_status_message(progress_line(view))
        .with_poll_interval_ms(poll)
}

/// As RFC 3339 writes it.
fn written(micros: i64) -> String {
    let at = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(state: &str, asks: bool) -> Value {
        let view = json!({"run": "r_a", "state": state, "agent": "coder", "cost": {"tokens": 0},
            "handoffs": 0, "elapsed_s": 1.0,
            "questions": [{"id": "q_1", "kind": "text", "prompt": "how many?"}]});
        let view: RunView = serde_json::from_value(view).expect("a view");
        let result = || JsonObject::from_iter([("content".to_owned(), json!([]))]);
        json!(detailed(&view, (1_700_000_000_000_000, 1_700_000_001_500_000), asks, result))
    }

    #[test]
    fn a_task_is_what_its_run_is() {
        let working = seen("working", true);
        assert_eq!(working["taskId"], "r_a");
        assert_eq!(working["createdAt"], "2023-11-14T22:13:20.000Z");
        assert_eq!(working["lastUpdatedAt"], "2023-11-14T22:13:21.500Z");
        assert_eq!((&working["ttlMs"], &working["pollIntervalMs"]), (&Value::Null, &json!(1_000)));
        let status = |state: &str, asks| seen(state, asks)["status"].clone();
        for (state, asks, expected) in [
            ("queued", true, "working"),
            ("working", false, "working"),
            ("input_required", true, "input_required"),
            ("halted", true, "input_required"),
            ("input_required", false, "working"),
            ("completed", true, "completed"),
            ("partial", true, "completed"),
            ("failed", false, "completed"),
            ("cancelled", true, "cancelled"),
        ] {
            assert_eq!(status(state, asks), expected, "{state}");
        }
        assert_eq!(seen("failed", true)["result"], json!({"content": []}));
        assert!(seen("halted", true)["inputRequests"]["q_1"].is_object());
    }
}
