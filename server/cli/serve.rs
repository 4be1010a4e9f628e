//! `serve`: the team behind an MCP server on stdin and stdout.

use super::args::ServeArgs;
use super::fault::Fault;
use super::place;
use crate::serve::Stdio;

/// Serves until the client leaves or the process is asked to stop.
pub(crate) async fn serve(args: &ServeArgs) -> Result<u8, Fault> {
    let stdio = Stdio::take().map_err(|error| {
        Fault::broken(
            format!("stdin and stdout cannot be taken: {error}"),
            "an MCP client starts this and holds both; leave them open",
        )
    })?;
    let node = place::node(&args.place, !args.no_work).await?;
    stdio.serve(node).await;
    Ok(0)
}
