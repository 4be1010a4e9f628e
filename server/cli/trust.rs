//! `trust`: what the tool servers of a team's files would run, and the owner's word that they may.

use std::io::{self, BufRead, IsTerminal};

use callboard_config::servers::{Reach, ToolServer, Trust};
use callboard_config::{Problem, Severity, SourceFile};

use super::args::TrustArgs;
use super::fault::{BAD_CALL, Fault};
use super::place;
use super::say::Say;

/// Shows every tool server that nobody agreed to yet, and records the files that name them.
pub(crate) fn trust(args: &TrustArgs, say: Say) -> Result<u8, Fault> {
    let folder = place::team_folder(args.folder.as_deref())?;
    let data = place::data_folder(args.data.as_deref())?;
    let mut team = callboard_config::load_here(&folder).map_err(Fault::Problems)?;
    let mut trust = Trust::read(&data, false);
    team.trust(&trust);
    // A file that cannot be read names nothing to agree to, and that is no agreement.
    let of_servers = |it: &&Problem| it.file.ends_with(".mcp.json");
    for problem in team.problems.iter().filter(of_servers) {
        say.complain(&problem.to_string());
    }
    let is_error = |it: &Problem| it.severity == Severity::Error;
    if team.untrusted.is_empty() && team.problems.iter().filter(of_servers).any(is_error) {
        say.complain("nothing was recorded");
        return Ok(BAD_CALL);
    }
    if team.untrusted.is_empty() {
        let count = team.servers.len();
        say.tell(&format!("nothing to agree to: {count} tool servers, all of them recorded"));
        return Ok(0);
    }
    for server in &team.untrusted {
        say.data(&shown(server))?;
    }
    if !args.yes && !is_agreed(say) {
        let typed = args.folder.as_ref().map(|it| place::quoted(&it.display().to_string()));
        let folder = typed.map_or(String::new(), |it| format!(" {it}"));
        say.complain(&format!(
            "nothing was recorded; `callboard trust{folder} --yes` agrees without a question"
        ));
        return Ok(BAD_CALL);
    }
    let mut files: Vec<SourceFile> = team.untrusted.iter().map(|it| it.source.clone()).collect();
    files.dedup();
    trust.record(files.into_iter()).map_err(|error| {
        let data = data.display();
        Fault::broken(format!("what was agreed cannot be kept in {data}: {error}"), "")
    })?;
    say.tell("recorded; a file that changes has to be agreed to again");
    Ok(0)
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
    say.complain("may they run? type yes:");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == "yes"
}
