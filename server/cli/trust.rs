//! `trust`: what the tool servers of a team's files would run, and the owner's word that they may.

use std::io::{self, BufRead, IsTerminal};

use callboard_config::servers::{Change, Definition, Reach, ToolServer, Trust};
use callboard_config::{Problem, Severity, SourceFile, Team};

use super::args::TrustArgs;
use super::fault::{BAD_CALL, Fault, Result};
use super::place;
use super::say::Say;

/// The parts of a tool's definition, in the order they are shown.
const PARTS: [&str; 4] = ["description", "inputSchema", "outputSchema", "annotations"];

/// Shows every tool server that nobody agreed to yet and every tool that is not what was agreed to,
/// and records the files that name the servers, and the tools as they are now.
pub(crate) fn trust(args: &TrustArgs, say: Say) -> Result<u8> {
    let folder = place::team_folder(args.folder.as_deref())?;
    let data = place::data_folder(args.data.as_deref(), Some(&folder))?;
    let mut team = callboard_config::load_here(&folder).map_err(Fault::Problems)?;
    let mut trust = Trust::read(&data, false);
    team.trust(&trust);
    // A file that cannot be read names nothing to agree to, and that is no agreement.
    let of_servers = |it: &&Problem| it.file.ends_with(".mcp.json");
    for problem in team.problems.iter().filter(of_servers) {
        say.complain(&problem.to_string());
    }
    let is_error = |it: &Problem| it.severity == Severity::Error;
    let changed = changed(&team, &trust);
    let has_nothing = team.untrusted.is_empty() && changed.is_empty();
    if has_nothing && team.problems.iter().filter(of_servers).any(is_error) {
        say.complain("nothing was recorded");
        return Ok(BAD_CALL);
    }
    if has_nothing {
        let count = team.servers.len();
        say.tell(&format!("nothing to agree to: {count} tool servers, all of them recorded"));
        return Ok(0);
    }
    for server in &team.untrusted {
        say.data(&shown(server))?;
    }
    for (server, changes) in &changed {
        say.data(&format!("tool server {}: these tools are not what was agreed to", server.name))?;
        for change in changes {
            say.data(&other(change))?;
        }
    }
    if !args.yes && !is_agreed(say) {
        let typed = args.folder.as_ref().map(|it| place::quoted(&it.display().to_string()));
        let folder = typed.map_or(String::new(), |it| format!(" {it}"));
        say.complain(&format!(
            "nothing was recorded; `callboard trust{folder} --yes` agrees without a question"
        ));
        return Ok(BAD_CALL);
    }
    record(&team, &mut trust, &changed).map_err(|error| {
        let data = data.display();
        Fault::broken(format!("what was agreed cannot be kept in {data}: {error}"), "")
    })?;
    say.tell("recorded; a file or a tool that changes has to be agreed to again");
    Ok(0)
}

/// The servers that changed or added tools since they were agreed to.
fn changed<'a>(team: &'a Team, trust: &Trust) -> Vec<(&'a ToolServer, Vec<Change>)> {
    let all = team.servers.values().chain(&team.untrusted);
    all.map(|it| (it, trust.pins().changes(&it.key))).filter(|it| !it.1.is_empty()).collect()
}

fn record(
    team: &Team,
    trust: &mut Trust,
    changed: &[(&ToolServer, Vec<Change>)],
) -> io::Result<()> {
    let mut files: Vec<SourceFile> = team.untrusted.iter().map(|it| it.source.clone()).collect();
    files.dedup();
    trust.record(files.into_iter())?;
    changed.iter().try_for_each(|(server, changes)| trust.pins().agree(&server.key, changes))
}

/// What is other in a tool: `-` as it was agreed to, `+` as it is now.
fn other(change: &Change) -> String {
    let word = if change.before.is_some() { "changed" } else { "new" };
    let mut text = format!("  {word} tool {}", visible(&change.tool));
    let part = |it: Option<&Definition>, name: &str| -> Option<String> {
        let part = it?.told.as_ref()?.get(name).filter(|it| !it.is_null())?;
        Some(part.as_str().map_or_else(|| part.to_string(), str::to_owned))
    };
    let before = change.before.as_ref();
    for name in PARTS {
        let (old, new) = (part(before, name), part(Some(&change.now), name));
        if old == new {
            continue;
        }
        text.push_str(&format!("\n    {name}"));
        for (sign, told) in [('-', old), ('+', new)] {
            let told = told.map(|it| format!("\n      {sign} {}", visible(&it)));
            text.push_str(&told.unwrap_or_default());
        }
    }
    let is_long = |it: Option<&Definition>| it.is_some_and(|it| it.told.is_none());
    if is_long(before) || is_long(Some(&change.now)) {
        text.push_str("\n    a part of it is too long to be kept: look at the server itself");
    }
    text.push_str(&format!("\n    sha256 {}", change.now.sha256));
    text
}

/// A text in which nothing hides and nothing acts on a terminal.
fn visible(text: &str) -> String {
    let named = |it: char| match it {
        '"' | '\'' | '\\' => it.to_string(),
        it => it.escape_debug().to_string(),
    };
    text.chars().map(named).collect()
}

/// One server: who names it, what it runs or asks, and which variables or headers it is given.
fn shown(server: &ToolServer) -> String {
    let (what, given) = match &server.reach {
        Reach::Program { command, env, cwd, .. } => {
            let names: Vec<&str> = env.keys().map(String::as_str).collect();
            let place = format!("  program {command:?}\n  folder {cwd:?}");
            (format!("runs {}\n{place}", server.shown), ("variables", names))
        }
        Reach::Http { headers, private, .. } => {
            let names: Vec<&str> = headers.keys().map(String::as_str).collect();
            let place = if *private { ", also in a private network" } else { "" };
            (format!("asks {}{place}", server.shown), ("headers", names))
        }
    };
    let mut text = format!(
        "tool server {}\n  file {}:{}\n  sha256 {}\n  {what}",
        server.name,
        server.source.path.display(),
        server.line,
        server.source.hash
    );
    if !given.1.is_empty() {
        text.push_str(&format!("\n  {} {}", given.0, given.1.join(", ")));
    }
    let agents: Vec<&str> = server.users.iter().map(|it| it.as_str()).collect();
    text.push_str(&format!("\n  for {}", agents.join(", ")));
    text
}

fn is_agreed(say: Say) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    say.complain("may they run and be used like this? type yes:");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == "yes"
}
