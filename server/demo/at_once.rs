//! Act: a graph of tasks in one call; what needs nothing runs at the same time.

use callboard_trace::{Record, RunId, State};
use serde_json::json;

use super::broken::Broken;
use super::facts;
use super::play::Play;

/// Four tasks for four agents, each of which thinks as long as the playbook says.
const AT_ONCE: [(&str, &str); 4] = [
    ("researcher", "List three queue libraries and how they differ"),
    ("optimizer", "Find what makes the start-up slow"),
    ("security_auditor", "Look for unsafe input in the upload form"),
    ("technical_writer", "Explain the release steps on one page"),
];
/// Who gets what the four found.
const AFTER: (&str, &str) = ("product_owner", "Say which of these comes first, and why");

/// A graph of five tasks: four side by side, and one that needs them all.
pub(crate) async fn graph(play: &mut Play) -> Result<(), Broken> {
    let four = AT_ONCE.iter().map(|(to, task)| json!({"id": to, "to": to, "task": task}));
    let ids: Vec<&str> = AT_ONCE.iter().map(|it| it.0).collect();
    let last = json!({"id": "choose", "to": AFTER.0, "task": AFTER.1, "after": ids});
    let tasks: Vec<_> = four.chain([last]).collect();
    let view = play.client.finish("team_run", json!({"tasks": tasks, "wait_s": 30})).await?;
    play.show.quote(&facts::told(&view))?;
    play.show.claim(view.state == State::Completed, "one call, five tasks, all ended well")?;
    let records = play.house.journal(&view.run).await?;
    let run_of = |step: &str| {
        let began = facts::handoffs(&records).into_iter();
        began.filter(|it| it.step.as_deref() == Some(step)).map(|it| it.run.clone()).next()
    };
    let runs: Vec<RunId> = ids.iter().filter_map(|it| run_of(it)).collect();
    let (begun, done) = spans(&records, &runs);
    let at_once = done.len() == AT_ONCE.len() && begun.iter().max() < done.iter().min();
    play.show.claim(at_once, "four of them thought at the same time")?;
    let last = run_of("choose").into_iter().collect::<Vec<_>>();
    let after = spans(&records, &last).0;
    let waited = after.first().zip(done.iter().max()).is_some_and(|(it, all)| it >= all);
    play.show.claim(waited, "the fifth began when the last of the four had answered")
}

/// When each run first asked its model, and when it first got an answer.
fn spans(records: &[Record], runs: &[RunId]) -> (Vec<i64>, Vec<i64>) {
    let asked = runs.iter().filter_map(|it| facts::asked(records, it).first().map(|it| it.1));
    let done = runs.iter().filter_map(|it| facts::answered(records, it).first().map(|it| it.1));
    (asked.collect(), done.collect())
}
