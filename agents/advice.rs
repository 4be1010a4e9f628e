//! What to do about a run that is not whole, by what kept it from it.

use callboard_trace::{FailureCode, Trouble};

/// What to do about it, where that follows from the cause.
pub(crate) fn advice(trouble: &Trouble) -> Option<String> {
    let hint = &trouble.hint;
    let with = |text: &str| {
        Some(if hint.is_empty() { text.to_string() } else { format!("{text}: {hint}") })
    };
    match trouble.code {
        FailureCode::Timeout => with("retry with a longer limit"),
        FailureCode::BreakerOpen => with("retry when the breaker has had its time"),
        FailureCode::Budget | FailureCode::Deadline => {
            Some(hint.clone()).filter(|it| !it.is_empty())
        }
        FailureCode::Refused | FailureCode::CheckBlocked | FailureCode::InDoubt => {
            with("have a person decide")
        }
        FailureCode::ModelUnavailable
        | FailureCode::RateLimited
        | FailureCode::Unauthorized
        | FailureCode::BadReply
        | FailureCode::BadRequest
        | FailureCode::ContextOverflow
        | FailureCode::ToolFailed
        | FailureCode::ToolUnavailable
        | FailureCode::HandoffFailed
        | FailureCode::Loop
        | FailureCode::Fuse
        | FailureCode::Cancelled
        | FailureCode::Internal => None,
    }
}
