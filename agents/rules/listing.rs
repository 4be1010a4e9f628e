//! What tools there are: every tool server of the agent is asked before its model is.

use callboard_trace::{Call, Work};
use serde_json::json;

use crate::{Run, Step};

/// Rule: before the first turn the agent's tool servers tell what they have, side by side. Their
/// answers are part of the run; one that does not answer is told to the model, and gone without.
pub(crate) fn is_due(run: &Run) -> Option<Step> {
    if run.reply.is_some() || run.asking.is_some() || run.control.finish || run.lands() {
        return None;
    }
    let is_asked = |key: &String| run.tools.iter().any(|it| it.server.as_ref() == Some(key));
    let mut servers = run.started.agent.servers.iter();
    let server = servers.find(|it| !run.shelf.knows(it) && !is_asked(it))?;
    let call = call(server);
    let (step, server) = (run.steps + 1, Some(server.clone()));
    Some(Step::Call { step, attempt: 1, call, repeatable: true, server })
}

/// What stands before the server in the id of such a call.
const ID: &str = "list:";

/// The call that asks a server for its tools.
pub(crate) fn call(server: &str) -> Call {
    Call { id: format!("{ID}{server}"), tool: Work::LIST.into(), arguments: Ok(json!({})) }
}

/// The server that a call asked which was not even begun, if it is one of the run's own.
pub(crate) fn refused<'a>(run: &Run, call: &'a str) -> Option<&'a str> {
    let is_of_the_model = run.calls.iter().any(|it| it.id == call);
    let server = call.strip_prefix(ID).filter(|_| !is_of_the_model)?;
    run.started.agent.servers.iter().any(|it| it == server).then_some(server)
}
