//! `replay`: an ended run taken again from its record, as a test.

use callboard_scheduler::{Desk, Node, Replayed};

use super::fault::{FAILED, Fault, Result};
use super::on_run::Which;
use super::place;
use super::say::Say;
use super::status::named;
use crate::paint::clean;

/// Plays it on a store that goes with this process; with `--team`, by the definitions there.
pub(crate) async fn replay(args: &Which, say: Say) -> Result<u8> {
    let folder = tempfile::tempdir().map_err(|error| {
        Fault::broken(format!("no folder for the replay: {error}"), "set TMPDIR to one with room")
    })?;
    let look = async |node: &mut Node| play(&node.desk(), args, folder.path()).await;
    let replayed = place::looking(&args.place, look).await?;
    let text = match args.json {
        true => serde_json::to_string(&replayed).unwrap_or_default(),
        false => told(&replayed),
    };
    say.data(&text)?;
    Ok(if replayed.same { 0 } else { FAILED })
}

async fn play(desk: &Desk, args: &Which, data: &std::path::Path) -> Result<Replayed> {
    let caller = place::caller();
    let run = named(desk, &args.run, &caller).await?;
    let today = args.place.team.is_some();
    Ok(desk.replay(&run, &caller, today, data).await?)
}

fn told(replayed: &Replayed) -> String {
    let Replayed { run, answered, was, .. } = replayed;
    let mut lines = vec![format!("{run}: {answered} steps answered from its record")];
    lines.extend(replayed.notes.iter().cloned());
    match &replayed.departure {
        None => lines.push(format!("the same way to the same end: {was}")),
        Some(parts) => {
            let line = |it: &Option<String>| clean(it.as_deref().unwrap_or("nothing more"));
            let now = replayed.now.as_deref().unwrap_or("not over");
            lines.push("another way from here:".to_owned());
            lines.push(format!("  was: {}", line(&parts.was)));
            lines.push(format!("  now: {}", line(&parts.now)));
            lines.push(format!("end: was {was}, now {now}"));
        }
    }
    lines.join("\n")
}
