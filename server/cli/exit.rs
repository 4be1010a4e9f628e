//! What a run's state means for a shell.

use callboard_trace::{RunView, State, Stop};

/// The exit code of a run: 0 completed, 1 failed, 10 partial, 11 input required or halted,
/// 12 budget, 13 cancelled, 14 deadline. An open run gives 0.
pub(crate) fn code(view: &RunView) -> u8 {
    match (view.state, view.stop) {
        (State::Queued | State::Working | State::Completed, _) => 0,
        (State::InputRequired | State::Halted, _) => 11,
        (State::Cancelled, _) => 13,
        (State::Partial | State::Failed, Some(Stop::Budget)) => 12,
        (State::Partial | State::Failed, Some(Stop::Deadline)) => 14,
        (State::Partial, _) => 10,
        (State::Failed, _) => 1,
    }
}

/// Left with Ctrl-C: 128 and the number of the signal, as shells expect.
pub(crate) const LEFT: u8 = 130;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(state: &str, stop: Option<&str>) -> u8 {
        let view = json!({
            "run": "r_a", "state": state, "stop": stop, "agent": "coder",
            "cost": {"tokens": 0}, "handoffs": 0, "elapsed_s": 1.0
        });
        code(&serde_json::from_value(view).expect("a view"))
    }

    #[test]
    fn every_end_has_its_code() {
        let cases = [
            ("completed", Some("done"), 0),
            ("working", None, 0),
            ("queued", None, 0),
            ("failed", Some("error"), 1),
            ("failed", Some("refused"), 1),
            ("partial", Some("turns"), 10),
            ("input_required", None, 11),
            ("halted", None, 11),
            ("partial", Some("budget"), 12),
            ("failed", Some("budget"), 12),
            ("cancelled", Some("cancelled"), 13),
            ("failed", Some("deadline"), 14),
            ("partial", Some("deadline"), 14),
        ];
        for (state, stop, code) in cases {
            assert_eq!(ended(state, stop), code, "{state} {stop:?}");
        }
    }
}
