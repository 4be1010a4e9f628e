//! `serve`: the team behind an MCP server on stdin and stdout.

use std::io::{self, IsTerminal};

use super::args::ServeArgs;
use super::fault::Fault;
use super::place;
use super::problems;
use super::say::Say;
use crate::detached;
use crate::serve::Stdio;

/// Serves until the client leaves or the process is asked to stop.
pub(crate) async fn serve(args: &ServeArgs, say: Say) -> Result<u8, Fault> {
    let is_person = io::stdin().is_terminal();
    if is_person {
        say.tell(
            "this speaks MCP on stdin and stdout and waits for a client; Ctrl-C ends it\n\
             a client starts it by itself: `callboard init` prints what to tell it",
        );
    }
    let stdio = Stdio::take().map_err(|error| {
        Fault::broken(
            format!("stdin and stdout cannot be taken: {error}"),
            "an MCP client starts this and holds both; leave them open",
        )
    })?;
    let node = place::watching(&args.place, !args.no_work).await?;
    let team = node.desk().team();
    problems::tell(&team, say);
    let finishes = team.finishes && !(args.no_finish || args.no_work || is_person);
    if stdio.serve(node).await && finishes {
        let named = args.place.team.as_deref();
        if let Err(error) = detached::work_on(named, &place::data(&args.place)?) {
            tracing::warn!(%error, "nobody goes on with what is open; the next process will");
        }
    }
    Ok(0)
}
