//! What a call wants to do to the world, as permissions look at it.

use callboard_config::Act;
use callboard_config::permit::{Deed, Object};
use callboard_trace::Call;
use serde_json::Value;

use super::command_line;
use crate::Run;

/// The arguments that name a file or folder. A call that gives several may mean either.
const PATHS: [&str; 3] = ["file_path", "path", "notebook_path"];

/// The class of act of a call; `None` for what touches nothing outside the run's own task.
pub(crate) fn act_of(run: &Run, call: &Call) -> Option<Act> {
    if let Some(card) = run.shelf.card(&call.tool) {
        return Some(if card.reads { Act::Read } else { Act::External });
    }
    match call.tool.as_str() {
        "Read" | "Grep" | "Glob" | "LS" => Some(Act::Read),
        "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => Some(Act::Write),
        "Bash" => Some(Act::Run),
        "WebFetch" | "WebSearch" => Some(Act::Fetch),
        _ => None,
    }
}

/// What a call wants to do; `None` as for [`act_of`].
pub(crate) fn deed_of(run: &Run, call: &Call) -> Option<Deed> {
    let act = act_of(run, call)?;
    let given = call.arguments.as_ref().ok();
    let text = |key: &str| given.and_then(|it| it.get(key)).and_then(Value::as_str);
    let object = match call.tool.as_str() {
        _ if run.shelf.card(&call.tool).is_some() => Object::Any,
        "Bash" => Object::Commands(text("command").and_then(|it| command_line::words(it).ok())),
        "WebFetch" => Object::Host(text("url").and_then(host)),
        "Grep" => Object::Below(path(given)),
        "Read" | "Glob" | "LS" | "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => {
            Object::Path(path(given))
        }
        _ => Object::Any,
    };
    Some(Deed { act, tool: call.tool.clone(), object })
}

/// Whether a deed may do harm outside, or carry something there, once somebody else has put words
/// into the run.
pub(crate) fn is_risky(deed: &Deed) -> bool {
    match deed.act {
        Act::Run | Act::External | Act::Fetch => true,
        Act::Read | Act::Write => false,
    }
}

/// The path that a call names, or the root where it names none.
fn path(given: Option<&Value>) -> Option<String> {
    let mut named = PATHS.iter().filter_map(|key| given?.get(key));
    match (named.next(), named.next()) {
        (None, _) => given.map(|_| String::new()),
        (Some(path), None) => path.as_str().map(str::to_owned),
        (Some(_), Some(_)) => None,
    }
}

/// The host of an address that every reader of addresses takes for the same.
fn host(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let is_plain = |it: char| it.is_ascii_alphanumeric() || ".-_".contains(it);
    uri.scheme()?;
    uri.host().filter(|it| it.chars().all(is_plain)).map(str::to_owned)
}
