//! Three agents that mend a repository: who they are, and what their models say.

use serde_json::json;

use super::endpoint::{Act, Ask, Endpoint};
use super::project::Project;
use super::stage::Stage;

/// The first mending, which the reviewer sends back, and the second.
pub(crate) const FIRST: &str = "name=${1-world}";
pub(crate) const SECOND: &str = "name=${1:-world}";
/// A test, and the one that comes behind it: made twice, it would stand there twice.
const TEST: &str = "is \"hello, world\" \"$(sh greet.sh)\"";
pub(crate) const NEW_TEST: &str = "is \"hello, world\" \"$(sh greet.sh \"\")\"";
/// What is said where no command runs.
pub(crate) const NOT_RUN: &str = "no command runs here, so nothing would tell whether it is mended";

/// What a reviewer wants before it has seen enough.
const BACK: &str = "An empty name greets nobody";
/// What the coder says when it comes again.
const AGAIN: &str = "Look once more";

const RESEARCHER: &str = "description: Finds out what is wrong.\ntools: Read, Grep, Glob, LS\n\
     grants: team\nhandoffs: [coder]\n";
const CODER: &str = "description: Changes code and runs its tests.\n\
     tools: Read, Grep, Edit, Write, Bash\npermissions: {write: allow, run: allow}\n\
     handoffs: [reviewer]\n";
const REVIEWER: &str = "description: Reads what changed.\ntools: Read, Bash\n\
     permissions: {allow: [\"Bash(git diff:*)\"]}\ngrants: team\nhandoffs: [coder]\n";

/// The team, in a folder of its own, and the repository that it sees.
pub(crate) fn team(endpoint: &Endpoint) -> (Stage, Project) {
    let stage = Stage::at(&endpoint.base_url(), "entry: researcher\nroots: [../project]\n");
    std::fs::remove_dir_all(stage.team().join("agents")).expect("others' agents");
    for (name, fields) in [("researcher", RESEARCHER), ("coder", CODER), ("reviewer", REVIEWER)] {
        let text = format!("---\nname: {name}\n{fields}---\nYou are the {name}.\n");
        stage.write(&format!("agents/{name}.md"), &text);
    }
    let project = Project::new(stage.team().with_file_name("project"));
    (stage, project)
}

/// What the three say. It hangs on the prompt alone, so that a prompt that comes again after a
/// crash is answered as before.
pub(crate) fn script(ask: &Ask) -> Act {
    let (system, task) = (ask.system(), ask.user());
    if system.contains("You are the researcher") {
        return researcher(ask.turn());
    }
    if system.contains("You are the coder") {
        if ask.last().contains("not run: ") {
            return Act::answer(&json!({"summary": NOT_RUN, "confidence": 0.2}));
        }
        return if task.contains(BACK) { second(ask.turn()) } else { first(ask.turn()) };
    }
    reviewer(ask.turn(), task.contains(AGAIN))
}

fn researcher(turn: usize) -> Act {
    match turn {
        1 => Act::call("Glob", json!({"pattern": "**/*"})),
        2 => Act::call("Grep", json!({"pattern": "name", "output_mode": "content"})),
        3 => read("greet.sh"),
        4 => read("tests/run.sh"),
        _ => hand(
            "coder",
            "Without a name greet.sh greets nobody: mend it and run tests/run.sh",
            "greet.sh takes $1 as it comes, and tests/run.sh shows it",
        ),
    }
}

fn first(turn: usize) -> Act {
    match turn {
        1 => read("greet.sh"),
        2 => tests(),
        3 => edit("greet.sh", "name=$1", FIRST),
        4 => Act::call("Write", json!({"file_path": "CHANGES", "content": "Greets the world.\n"})),
        5 => bash("cat ../of_others; echo x > ../of_others"),
        6 => tests(),
        _ => hand("reviewer", "Read the diff", "all tests pass now, see git diff"),
    }
}

fn second(turn: usize) -> Act {
    match turn {
        1 => read("greet.sh"),
        2 => read("tests/run.sh"),
        3 => edit("greet.sh", FIRST, SECOND),
        4 => edit("tests/run.sh", TEST, &format!("{TEST}\n{NEW_TEST}")),
        5 => tests(),
        _ => hand("reviewer", AGAIN, "an empty name is tested too, and all tests pass"),
    }
}

fn reviewer(turn: usize, again: bool) -> Act {
    match (turn, again) {
        (1, _) => bash("git diff"),
        (_, false) => hand("coder", BACK, "write `:-` instead of `-`, and a test for it"),
        (_, true) => Act::answer(&json!({"summary": "approved", "confidence": 0.9})),
    }
}

fn read(path: &str) -> Act {
    Act::call("Read", json!({"file_path": path}))
}

fn edit(path: &str, old: &str, new: &str) -> Act {
    Act::call("Edit", json!({"file_path": path, "old_string": old, "new_string": new}))
}

fn bash(command: &str) -> Act {
    Act::call("Bash", json!({"command": command}))
}

fn tests() -> Act {
    bash("sh tests/run.sh")
}

fn hand(to: &str, task: &str, must_know: &str) -> Act {
    let summary = json!({"did": "looked at the files of the repository and its tests",
        "must_know": must_know, "do_next": task});
    Act::call("handoff", json!({"to": to, "task": task, "summary": summary}))
}
