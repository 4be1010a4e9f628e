//! Acts: the team as a client sees it, its story, and the client's end.

use std::time::Duration;

use serde_json::{Value, json};

use super::broken::Broken;
use super::play::Play;

/// The team as a client sees it.
pub(crate) async fn tools(play: &mut Play) -> Result<(), Broken> {
    let listed = play.client.ask("tools/list", json!({})).await?;
    let tools = listed.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<&str> = tools.iter().filter_map(|it| it.get("name")?.as_str()).collect();
    let bytes = Value::from(tools.clone()).to_string().len();
    play.show.quote(&format!("tools/list: {} tools, about {} tokens", names.len(), bytes / 4))?;
    for line in names.chunks(8) {
        play.show.detail(&line.join(" "))?;
    }
    let agents = play.house.agents()?;
    let verbs = ["team_status", "team_handoff", "team_answer", "team_control"];
    let all = agents.iter().map(String::as_str).chain(verbs).all(|it| names.contains(&it));
    play.show.claim(
        all,
        &format!(
            "each of the {} agents is a tool, and so are status, handoff, answer, control",
            agents.len()
        ),
    )
}

/// The story of the chain, as the journal has it.
pub(crate) async fn story(play: &mut Play) -> Result<(), Broken> {
    let Some(run) = play.story.clone() else { return Err(Broken::said("there is no story")) };
    let asked = json!({"run": run, "view": "trace", "limit": 200});
    let seen = play.client.call("team_status", asked).await?;
    let lines = seen.get("trace").and_then(Value::as_array).cloned().unwrap_or_default();
    for line in lines.iter().filter_map(Value::as_str) {
        play.show.quote(line)?;
    }
    let records = play.house.journal(&run).await?;
    play.show.claim(
        !records.is_empty() && lines.len() == records.len(),
        &format!(
            "{} records, one line each; status, cost and this story are folds of them",
            records.len()
        ),
    )
}

/// The client leaves.
pub(crate) async fn leave(play: &mut Play) -> Result<(), Broken> {
    let took = play.client.leave().await?;
    let text = format!("the server's input ended, and it left in {:.2} s", took.as_secs_f64());
    play.show.claim(took < Duration::from_secs(2), &text)
}
