//! Act: the serving process is killed in the middle of a run, and another one goes on.

use std::time::Duration;

use callboard_trace::{Record, RunId, State};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::broken::Broken;
use super::client::{Client, view};
use super::facts;
use super::play::Play;

/// How much of the long run is done when its process is killed.
const DONE_AT_KILL: usize = 3;
const LONG_RUN_STEPS: usize = 7;

/// The process dies in the middle, and another one goes on.
pub(crate) async fn crash(play: &mut Play) -> Result<(), Broken> {
    let task = "Tidy the settings module in six parts";
    let started = play.client.call("refactorer", json!({"task": task, "wait_s": 0})).await?;
    let run = view(started)?.run;
    steps_done(play, &run).await?;
    let process = play.client.process();
    play.client.kill().await?;
    let before = play.house.journal(&run).await?;
    let kept = facts::answered(&before, &run).len();
    play.show
        .quote(&format!("kill -9 {process}: {kept} of {LONG_RUN_STEPS} model replies on disk"))?;
    play.show.claim((DONE_AT_KILL..LONG_RUN_STEPS).contains(&kept), "it died in the middle")?;
    play.client = Client::start(&play.house).await?;
    let begun = Instant::now();
    let status = json!({"run": run, "wait_s": 20});
    let view = play.client.finish("team_status", status).await?;
    play.show.quote(&format!("process {} goes on with {run}", play.client.process()))?;
    play.show.quote(&facts::told(&view))?;
    let after = play.house.journal(&run).await?;
    play.show.claim(
        view.state == State::Completed,
        &format!(
            "the run completed {:.1} s after the new process came",
            begun.elapsed().as_secs_f64()
        ),
    )?;
    play.show.claim(
        after.starts_with(&before),
        &format!("all {} records from before the crash are there, unchanged", before.len()),
    )?;
    not_repeated(play, &run, &before, &after)
}

fn not_repeated(
    play: &Play,
    run: &RunId,
    before: &[Record],
    after: &[Record],
) -> Result<(), Broken> {
    let finished: Vec<u32> = facts::answered(before, run).iter().map(|it| it.0).collect();
    let asked = facts::asked(after, run);
    let calls = |step: u32| asked.iter().filter(|(it, _)| it.step == step).count();
    let repeated = finished.iter().filter(|it| calls(**it) != 1).count();
    let all = facts::answered(after, run);
    let again = asked.len().saturating_sub(all.len());
    play.show.claim(
        repeated == 0 && all.len() == LONG_RUN_STEPS && again <= 1,
        &format!(
            "no finished step was repeated: {} model calls for {} replies; {}",
            asked.len(),
            all.len(),
            match again {
                0 => "none was under way at the crash",
                _ => "the one under way at the crash was asked again",
            }
        ),
    )
}

async fn steps_done(play: &mut Play, run: &RunId) -> Result<(), Broken> {
    for _ in 0..200 {
        let seen =
            play.client.call("team_status", json!({"run": run, "view": "steps", "limit": 200}));
        let seen = seen.await?;
        let steps = seen.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_done = |it: &&Value| {
            let asks =
                it.get("what").and_then(Value::as_str).is_some_and(|it| it.starts_with("model"));
            asks && it.get("state").and_then(Value::as_str) == Some("done")
        };
        if steps.iter().filter(is_done).count() >= DONE_AT_KILL {
            // Into the middle of the next model call.
            sleep(Duration::from_millis(150)).await;
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(Broken::said("the long run makes no progress"))
}
