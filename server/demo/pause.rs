//! Act: a provider answers 429 and is given the pause it asks for.

use callboard_trace::{FailureCode, State};
use serde_json::json;

use super::broken::Broken;
use super::facts;
use super::play::Play;

/// A provider asks for a pause.
pub(crate) async fn pause(play: &mut Play) -> Result<(), Broken> {
    let task = "Describe a container for the program";
    let view = play.client.finish("devops", json!({"task": task, "wait_s": 20})).await?;
    let records = play.house.journal(&view.run).await?;
    let failures = facts::failures(&records);
    for failure in &failures {
        play.show.quote(&format!("step {}: {}", failure.step, failure.message))?;
    }
    play.show.quote(&facts::told(&view))?;
    let limited = failures.iter().find(|it| it.code == FailureCode::RateLimited);
    let retry_at = limited.and_then(|it| it.retry_at);
    let times: Vec<i64> = facts::asked(&records, &view.run).iter().map(|it| it.1).collect();
    let pause = times.last().zip(times.first()).map_or(0, |(last, first)| last - first);
    let waited = retry_at.is_some_and(|at| times.len() == 2 && times[1] >= at);
    play.show.claim(
        waited && view.state == State::Completed,
        &format!("429 met; the step waited {:.1} s as told and then went through", seconds(pause)),
    )
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1_000_000.0
}
