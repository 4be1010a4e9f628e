//! Act: several agents work at the same time.

use callboard_trace::State;
use serde_json::json;
use tokio::time::Instant;

use super::broken::Broken;
use super::client::view;
use super::facts;
use super::play::Play;

/// Four tasks for four agents, each of which thinks as long as the playbook says.
const AT_ONCE: [(&str, &str); 4] = [
    ("researcher", "List three queue libraries and how they differ"),
    ("optimizer", "Find what makes the start-up slow"),
    ("security_auditor", "Look for unsafe input in the upload form"),
    ("technical_writer", "Explain the release steps on one page"),
];
const THOUGHT_S: f64 = 1.5;

/// Several agents at once.
pub(crate) async fn parallel(play: &mut Play) -> Result<(), Broken> {
    let calls = AT_ONCE.iter().map(|(agent, task)| (*agent, json!({"task": task, "wait_s": 20})));
    let begun = Instant::now();
    let results = play.client.call_all(calls.collect()).await?;
    let took = begun.elapsed().as_secs_f64();
    let mut spans = Vec::new();
    for result in results {
        let view = view(result)?;
        play.show.quote(&facts::told(&view))?;
        play.show.claim(view.state == State::Completed, &format!("{} completed", view.agent))?;
        let records = play.house.journal(&view.run).await?;
        let asked = facts::asked(&records, &view.run).first().map(|it| it.1);
        let answered = facts::answered(&records, &view.run).first().map(|it| it.1);
        spans.extend(asked.zip(answered));
    }
    let last_begun = spans.iter().map(|it| it.0).max();
    let first_done = spans.iter().map(|it| it.1).min();
    let one_by_one = THOUGHT_S * AT_ONCE.len() as f64;
    let at_once = spans.len() == AT_ONCE.len() && last_begun < first_done;
    play.show.claim(
        at_once && took < one_by_one,
        &format!("all four thought at the same time: {took:.1} s, one by one {one_by_one:.1} s"),
    )
}
