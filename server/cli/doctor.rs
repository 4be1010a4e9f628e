//! `doctor`: what this machine can do for the agents, tried and told.

use super::fault::Fault;
use super::say::Say;

/// Tells what is enforced around programs that agents run.
pub(crate) fn doctor(say: Say) -> Result<u8, Fault> {
    say.data(&match callboard_sandbox::enforced() {
        Ok(what) => format!("sandbox: {what}"),
        Err(why) => {
            format!("sandbox: none, so Bash and tool servers with `sandbox` refuse to run: {why}")
        }
    })?;
    Ok(0)
}
