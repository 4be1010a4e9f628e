//! Acts: work passes from agent to agent, with a reason and a summary each time.

use callboard_trace::{Handoff, State};
use serde_json::json;

use super::broken::Broken;
use super::facts;
use super::play::Play;

/// One task wanders from agent to agent.
pub(crate) async fn chain(play: &mut Play) -> Result<(), Broken> {
    let task = "Research async patterns, implement an example, test it";
    play.show.quote(&format!("researcher: {task}"))?;
    let view = play.client.finish("researcher", json!({"task": task, "wait_s": 20})).await?;
    let records = play.house.journal(&view.run).await?;
    let handoffs = facts::handoffs(&records);
    for handoff in &handoffs {
        passed(play, handoff)?;
    }
    play.show.quote(&facts::told(&view))?;
    let way: Vec<(&str, &str)> =
        handoffs.iter().map(|it| (it.source.as_str(), it.target.as_str())).collect();
    let planned = way == [("researcher", "coder"), ("coder", "tester")];
    play.show.claim(
        planned && facts::accepted(&records) == 2 && view.handoffs == 2,
        "two handoffs, researcher → coder → tester, both accepted",
    )?;
    let whole = handoffs.iter().all(|it| {
        !it.summary.did.is_empty()
            && !it.summary.must_know.is_empty()
            && !it.summary.do_next.is_empty()
    });
    play.show.claim(whole, "each carries what was done, what to know and what to do next")?;
    play.show.claim(
        view.state == State::Completed && view.agent.as_str() == "tester",
        "the caller who asked the researcher got the tester's answer, under the same run",
    )?;
    play.story = Some(view.run);
    Ok(())
}

/// Work goes back and forth until the reviewer agrees.
pub(crate) async fn review(play: &mut Play) -> Result<(), Broken> {
    let task = "Have a date parser written, and reviewed until the reviewer agrees";
    play.show.quote(&format!("coordinator: {task}"))?;
    let view = play.client.finish("coordinator", json!({"task": task, "wait_s": 20})).await?;
    let records = play.house.journal(&view.run).await?;
    let handoffs = facts::handoffs(&records);
    for handoff in &handoffs {
        passed(play, handoff)?;
    }
    play.show.quote(&facts::told(&view))?;
    let asked: Vec<&str> = handoffs.iter().map(|it| it.target.as_str()).collect();
    let verdicts: Vec<&str> =
        facts::answers(&records, "verdict").into_iter().map(|it| it.1).collect();
    play.show.claim(
        asked == ["coder", "reviewer", "coder", "reviewer"],
        "delegated in turn: coder, reviewer, coder, reviewer",
    )?;
    play.show.claim(
        verdicts == ["changes", "approve"] && view.state == State::Completed,
        "the first verdict was `changes`, the second `approve`",
    )
}

fn passed(play: &Play, handoff: &Handoff) -> Result<(), Broken> {
    let Handoff { source, target, reason, summary, .. } = handoff;
    play.show.quote(&format!("{source} → {target}  ({reason})"))?;
    play.show.detail(&format!("must know: {}", summary.must_know))?;
    play.show.detail(&format!("do next:   {}", summary.do_next))
}
