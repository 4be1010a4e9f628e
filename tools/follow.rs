//! Waiting for a run, within the caller's patience, and the handle when it takes longer.

use callboard_scheduler::{Desk, Refusal};
use callboard_trace::{Caller, RunId, RunView, State};
use serde_json::{Map, Value, json};

use crate::call::Patience;
use crate::check::Result;

/// Longest wait that a handle proposes, seconds: news should not come later than that.
const PROPOSED_S: u64 = 240;
/// Bytes of a view beside its result: with `limits.result_bytes` and a few notices, 2,000 tokens.
const AROUND_BYTES: usize = 1_400;

/// Waits for news of a run and shows it; in time, whatever the run does.
pub(crate) async fn follow(
    desk: &Desk,
    run: &RunId,
    caller: &Caller,
    wait_s: Option<u64>,
    patience: &Patience,
) -> Result<RunView> {
    patience.hears(desk.listen(run, caller, false));
    let how_long = patience.how_long(wait_s);
    let mut view = if how_long.is_zero() {
        desk.view(run, caller).await?
    } else {
        tokio::select! {
            view = desk.wait(run, caller, how_long) => view?,
            () = patience.left.cancelled() => desk.view(run, caller).await?,
        }
    };
    tell_next(&mut view, patience);
    Ok(view)
}

/// Names the call to make next, where the run is open and nothing better is said.
pub(crate) fn tell_next(view: &mut RunView, patience: &Patience) {
    if view.next.is_none() {
        view.next = next(view, patience);
    }
}

/// A run that was started and cannot be shown now: its name must not be lost.
pub(crate) fn started(run: &RunId, refusal: Refusal) -> Refusal {
    let hint = format!("{run} was started and goes on; ask for it with {}", ask(run, 0));
    Refusal { hint, ..refusal }
}

/// A view as the body of a result, cut to what a client's context has room for.
pub(crate) fn body(desk: &Desk, view: &RunView) -> Map<String, Value> {
    let most = desk.team().limits.result_bytes + AROUND_BYTES;
    match serde_json::to_value(view.within(most)) {
        Ok(Value::Object(body)) => body,
        Ok(_) | Err(_) => Map::from_iter([("run".to_owned(), json!(view.run))]),
    }
}

/// A whole number that a checked argument holds, also where it was written as `5.0`.
pub(crate) fn whole(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    let rounded = || value.as_f64().filter(|it| *it >= 0.0 && *it < 9e15).map(|it| it as u64);
    value.as_u64().or_else(rounded)
}

fn next(view: &RunView, patience: &Patience) -> Option<String> {
    match view.state {
        State::Queued | State::Working => {
            Some(ask(&view.run, patience.most.as_secs().clamp(1, PROPOSED_S)))
        }
        State::InputRequired | State::Halted => {
            let first = view.questions.first()?;
            let options = first.options.join(" | ");
            let answer = if options.is_empty() { "ANSWER" } else { &options };
            let answers = Map::from_iter([(first.id.clone(), json!(answer))]);
            Some(format!("team_answer {}", json!({"run": view.run, "answers": answers})))
        }
        State::Completed | State::Partial | State::Failed | State::Cancelled => None,
    }
}

fn ask(run: &RunId, wait_s: u64) -> String {
    format!("team_status {}", json!({"run": run, "wait_s": wait_s}))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;

    fn patience(usual: u64, most: u64) -> Patience {
        let seconds = Duration::from_secs;
        let (usual, most) = (seconds(usual), seconds(most));
        Patience::new(usual, most, CancellationToken::new()).0
    }

    #[test]
    fn nobody_waits_longer_than_the_client_does() {
        let cases = [(None, 40, 45, 40), (None, 40, 20, 20), (Some(0), 40, 45, 0)];
        let more = [(Some(5), 40, 45, 5), (Some(3_600), 40, 45, 45), (Some(100), 40, 270, 100)];
        for (asked, usual, most, waits) in cases.into_iter().chain(more) {
            let found = patience(usual, most).how_long(asked);
            assert_eq!(found, Duration::from_secs(waits), "{asked:?} {usual} {most}");
        }
    }

    #[test]
    fn an_open_run_names_the_call_to_make_next() {
        let view = |state: &str| {
            let view = json!({"run": "r_a", "state": state, "agent": "coder", "cost": {"tokens": 0},
                "handoffs": 0, "elapsed_s": 1.0});
            serde_json::from_value::<RunView>(view).expect("a view")
        };
        let patient = patience(40, 40);
        let named = next(&view("working"), &patient);
        assert_eq!(named.as_deref(), Some(r#"team_status {"run":"r_a","wait_s":40}"#));
        assert_eq!(next(&view("completed"), &patient), None);
        let named = next(&view("queued"), &patience(40, 3_600));
        assert_eq!(named.as_deref(), Some(r#"team_status {"run":"r_a","wait_s":240}"#));
    }

    #[test]
    fn a_number_may_be_written_with_a_point() {
        assert_eq!(whole(Some(&json!(5.0))), Some(5));
        assert_eq!(whole(Some(&json!(7))), Some(7));
        assert_eq!(whole(None), None);
    }
}
