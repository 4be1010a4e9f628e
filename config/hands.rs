//! The tools that come with the product and reach the machine: what they are called, here and in
//! the files of other products, and which of them an agent has.

use std::path::PathBuf;

use crate::nearest::did_you_mean;
use crate::permission::{Act, Verdict};
use crate::place::At;
use crate::select::fits;

/// Their names, and what each does to the world.
pub const TOOLS: [(&str, Act); 9] = [
    ("Read", Act::Read),
    ("Grep", Act::Read),
    ("Glob", Act::Read),
    ("LS", Act::Read),
    ("TodoWrite", Act::Read),
    ("Write", Act::Write),
    ("Edit", Act::Write),
    ("Bash", Act::Run),
    ("WebFetch", Act::Fetch),
];
/// Those that need no folder.
const ROOTLESS: [&str; 2] = ["TodoWrite", "WebFetch"];
/// What other products call them, in small letters.
const ALSO: [(&str, &[&str]); 11] = [
    ("read read_file readfile read_many_files view", &["Read"]),
    ("grep grep_search search_file_content textsearch", &["Grep"]),
    ("glob filesearch file_search", &["Glob"]),
    ("ls list list_dir list_directory listdirectory", &["LS"]),
    ("search codebase", &["Grep", "Glob", "LS"]),
    ("write write_file create_file createfile", &["Write"]),
    ("multiedit replace edit_file editfile replace_string_in_file", &["Edit"]),
    ("edit editfiles", &["Edit", "Write"]),
    (
        "bash shell execute terminal powershell runcommands runinterminal run_in_terminal \
      run_shell_command",
        &["Bash"],
    ),
    ("web fetch webfetch web_fetch", &["WebFetch"]),
    ("todo todos todowrite write_todos manage_todo_list", &["TodoWrite"]),
];

/// What other products call asking a team mate, in small letters.
const DELEGATES: [&str; 4] = ["task", "agent", "runsubagent", "custom-agent"];

/// How far the built-in tools of a team reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The folders they see, each with its links resolved; the first is where relative paths begin.
    pub roots: Vec<PathBuf>,
    /// What no agent writes, whether it is there or not: the files and folders that the team is
    /// read from.
    pub guarded: Vec<PathBuf>,
    /// What they may fetch.
    pub fetch: Fetch,
}

/// `fetch:` of `team.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// Names of hosts, in small letters; `*.` at the beginning stands for all below. `None` = any
    /// public one.
    pub hosts: Option<Vec<String>>,
    /// Whether this machine itself may be asked, also without encryption.
    pub loopback: bool,
}

/// Whether a name, with or without arguments, is one of those that other products ask a team mate with:
/// `Task`, `Agent(worker)`, `agent/runSubagent`.
pub fn delegates(written: &str) -> bool {
    let name = written.split('(').next().unwrap_or_default().trim();
    let small = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    DELEGATES.contains(&&*small)
}

/// The built-in tools that a name or glob of an agent file means: `Bash(git:*)` means `Bash`.
pub fn meant(written: &str) -> Vec<&'static str> {
    let name = written.split('(').next().unwrap_or_default().trim();
    let own: Vec<&str> = TOOLS.iter().map(|it| it.0).filter(|it| fits(name, it)).collect();
    if !own.is_empty() {
        return own;
    }
    let small = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let known = ALSO.iter().find(|it| it.0.split_whitespace().any(|it| it == small));
    known.map_or_else(Vec::new, |it| it.1.to_vec())
}

/// Tools of the team itself, which touch nothing outside.
pub(crate) const INSIDE: [&str; 12] = [
    "handoff",
    "delegate",
    "Task",
    "Agent",
    "refuse_handoff",
    "note",
    "remember",
    "forget",
    "ask_owner",
    "plan",
    "read",
    "team_status",
];

/// The end of a message where a name is that of no tool, and near to one: `; did you mean "Bash"?`.
pub(crate) fn misspelt(written: &str) -> Option<String> {
    let name = written.split('(').next().unwrap_or_default().trim();
    let is_of_server = name.starts_with("mcp__") || name.contains(['/', '*']);
    if is_of_server || INSIDE.contains(&name) || !meant(name).is_empty() {
        return None;
    }
    let known = TOOLS.iter().map(|it| it.0).chain(INSIDE);
    Some(did_you_mean(name, known)).filter(|it| !it.is_empty())
}

/// Whether a tool needs a folder that the team does not have.
pub(crate) fn lacks_roots(tool: &str, has_roots: bool) -> bool {
    !has_roots && !ROOTLESS.contains(&tool)
}

/// The built-in tools of an agent: those that its `tools` name, and with `*` or without such a list all
/// that are allowed at once, by `most` or in part, or `also` named; none that is denied or taken away
/// as a whole.
pub(crate) fn of(
    tools: Option<&[At<String>]>,
    also: &[At<String>],
    taken_away: &[At<String>],
    most: impl Fn(&str, Act) -> Verdict,
    has_roots: bool,
) -> Vec<String> {
    let names = |all: &[At<String>]| all.iter().flat_map(|it| meant(&it.value)).collect::<Vec<_>>();
    let is_any = |it: &At<String>| it.value == "*";
    let has_all = tools.is_none_or(|it| it.iter().any(is_any));
    let chosen: Vec<At<String>> =
        tools.unwrap_or_default().iter().filter(|it| !is_any(it)).cloned().collect();
    let named = names(&chosen);
    let whole: Vec<At<String>> =
        taken_away.iter().filter(|it| !it.value.contains('(')).cloned().collect();
    let (taken_away, also) = (names(&whole), names(also));
    let is_had = |(tool, act): &&(&str, Act)| {
        let verdict = most(tool, *act);
        let is_wanted = named.contains(tool) || has_all && also.contains(tool);
        let is_named =
            is_wanted && verdict != Verdict::Deny || has_all && verdict == Verdict::Allow;
        is_named && !taken_away.contains(tool) && !lacks_roots(tool, has_roots)
    };
    TOOLS.iter().filter(is_had).map(|it| it.0.to_owned()).collect()
}
