//! Tools that an agent file names and this product does not have, or cannot use here.

use crate::hands;
use crate::pattern;
use crate::place::{At, Sink};
use crate::select::{is_flat, server_in};

/// What other products call `ask_owner`, in small letters and without their set.
const ALSO: [&str; 4] = ["askuserquestion", "askquestions", "ask_user", "question"];

/// Tells tools that other programs bring along and this one does not have; and those that have
/// nothing to see here.
pub(crate) fn tell_absent_tools(tools: &[At<String>], has_roots: bool, sink: &Sink) {
    let is_there = |it: &&At<String>| {
        let name = it.value.as_str();
        name == "*"
            || is_of_team(name)
            || !hands::meant(name).is_empty()
            || is_flat(name)
            || name.starts_with("mcp__")
            || server_in(name).is_some()
    };
    let is_blind = |it: &&At<String>| {
        let meant = hands::meant(&it.value);
        !meant.is_empty() && meant.iter().all(|it| hands::lacks_roots(it, has_roots))
    };
    if let Some(first) = tools.iter().find(|it| is_there(it) && is_blind(it)) {
        let said = format!("`{}` sees no folder: the team has no `roots`", first.value);
        sink.push(first.place.warning(said, "write `roots: [FOLDER]` in team.yaml"));
    }
    let absent: Vec<&At<String>> = tools.iter().filter(|it| !is_there(it)).collect();
    let Some(first) = absent.first() else { return };
    let names: Vec<String> = absent.iter().map(|it| format!("`{}`", it.value)).collect();
    let said = format!("tools that are not there in this version: {}", names.join(", "));
    let help = "the agent works without them; what it needs to see goes into `task` and `context`";
    sink.push(first.place.warning(said, help));
}

/// Names that take nothing away, and patterns that never fit.
pub(crate) fn tell_odd_tools(tools: &[At<String>], taken_away: &[At<String>], sink: &Sink) {
    for text in taken_away {
        if let Some(near) = hands::misspelt(&text.value) {
            let said = format!("`disallowedTools` names `{}`, which is no tool{near}", text.value);
            sink.push(text.place.warning(said, "nothing is taken away by it"));
        }
    }
    let named = tools.iter().map(|it| ("tools", it));
    let taken_away = taken_away.iter().map(|it| ("disallowedTools", it));
    for (key, text) in named.chain(taken_away) {
        let is_known = hands::TOOLS.iter().any(|it| text.value.split('(').next() == Some(it.0));
        let problem = text.value.contains('(').then(|| pattern::problem(&text.value)).flatten();
        if let Some((said, help)) = problem.filter(|_| is_known) {
            sink.push(text.place.warning(format!("`{}` in `{key}`: {said}", text.value), help));
        }
    }
}

/// Whether it is one that every agent has, with or without arguments: `Agent(worker)`.
fn is_of_team(written: &str) -> bool {
    let name = written.split('(').next().unwrap_or_default().trim();
    let small = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    hands::INSIDE.contains(&name) || hands::delegates(written) || ALSO.contains(&small.as_str())
}

/// What opencode calls `server_tool`, as Gemini CLI does; `None` if it is no such name.
pub(crate) fn of_server(name: &str) -> Option<String> {
    let is_it = name.contains('_')
        && !name.starts_with("mcp_")
        && !is_of_team(name)
        && hands::meant(name).is_empty();
    is_it.then(|| format!("mcp_{name}"))
}
