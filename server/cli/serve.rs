//! `serve`: the team behind an MCP server on stdin and stdout.

use std::io::{self, IsTerminal};

use super::args::ServeArgs;
use super::fault::Fault;
use super::place;
use super::problems;
use super::say::Say;
use crate::serve::Stdio;

/// Serves until the client leaves or the process is asked to stop.
pub(crate) async fn serve(args: &ServeArgs, say: Say) -> Result<u8, Fault> {
    if io::stdin().is_terminal() {
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
    problems::tell(&node.desk().team(), say);
    stdio.serve(node).await;
    Ok(0)
}
