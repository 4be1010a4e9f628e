//! `work`: agents are run here, and nobody is served.

use std::path::Path;
use std::time::Duration;

use callboard_scheduler::Desk;
use tokio::time::Instant;

use super::args::WorkArgs;
use super::fault::{Fault, Result};
use super::place;
use super::problems;
use super::say::Say;
use crate::detached;
use crate::ending::asked_to_stop;

/// Between two looks at what is left to do.
const LOOK: Duration = Duration::from_millis(500);
/// How long nothing may be left to do: a client that comes back finds its worker still there.
const IDLE: Duration = Duration::from_secs(2);

/// Why it ended.
enum Over {
    Idle,
    Gone,
    Asked,
}

/// Works until it is asked to stop, until its data folder is gone, or until nothing is left to do.
pub(crate) async fn work(args: &WorkArgs, say: Say) -> Result<u8> {
    let data = place::data(&args.place)?;
    let mut alone = args.alone.then(|| detached::alone(&data));
    if matches!(alone, Some(None)) {
        say.tell("ended: another worker is on this data");
        return Ok(0);
    }
    let node = place::watching(&args.place, true).await?;
    args.at_once.into_iter().for_each(|it| node.at_once(it));
    let desk = node.desk();
    let team = desk.team();
    problems::tell(&team, say);
    let folder = data.display();
    let shown = team.database.as_ref().map_or_else(|| folder.to_string(), ToString::to_string);
    say.tell(&format!("working for team {} on {shown}; Ctrl-C ends it", team.name));
    let over = loop {
        let over = tokio::select! {
            () = asked_to_stop() => Over::Asked,
            over = done(&desk, &data, args.until_idle) => over,
        };
        // Whoever came meanwhile saw that we are here and went: so the last look is after that.
        if alone.take().is_none() || !matches!(over, Over::Idle) {
            break over;
        }
        let is_at_rest = desk.is_at_rest().await.unwrap_or(true);
        alone = Some(detached::alone(&data)).filter(|it| !is_at_rest && it.is_some());
        if alone.is_none() {
            break over;
        }
    };
    if matches!(over, Over::Asked) {
        place::drain(&node, Duration::from_secs(args.grace), say).await;
    }
    place::leave(node, say).await;
    match over {
        Over::Idle => say.tell("ended: nothing is left to do"),
        Over::Asked => say.tell("ended: asked to stop; what was under way is in the journal"),
        Over::Gone if args.until_idle => say.tell(&format!("ended: {folder} is gone")),
        Over::Gone => {
            let help = match team.database {
                None => "whoever removed it removed the journal; start again to begin a new one",
                Some(_) => "the journal is not in it; start again to make a new one",
            };
            return Err(Fault::broken(format!("{folder} is gone"), help));
        }
    }
    Ok(0)
}

async fn done(desk: &Desk, data: &Path, until_idle: bool) -> Over {
    let mut since: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        detached::trim(data);
        if !data.exists() {
            return Over::Gone;
        }
        if until_idle && desk.is_at_rest().await.unwrap_or(false) {
            if since.get_or_insert_with(Instant::now).elapsed() >= IDLE {
                return Over::Idle;
            }
        } else {
            since = None;
        }
    }
}
