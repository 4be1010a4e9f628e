//! `validate`: every problem of a team's files at once.

use std::path::Path;

use callboard_config::servers::Trust;
use callboard_config::{Problem, Problems, Severity, Team, permit};
use serde_json::{Value, json};

use super::args::ValidateArgs;
use super::fault::{BAD_CALL, Result};
use super::place;
use super::problems;
use super::say::Say;

/// Loads the team and tells what is wrong with it; errors give the code of a bad call.
pub(crate) fn validate(args: &ValidateArgs, say: Say) -> Result<u8> {
    let named = args.folder.as_deref().or(args.team.as_deref());
    let folder = place::team_folder(named)?;
    let data = place::data_folder(None, Some(&folder))?;
    let (team, found) = look(&folder, &data, named.is_some());
    if args.json {
        say.data(&as_json(team.as_ref(), &found).to_string())?;
    } else {
        if !found.0.is_empty() {
            say.complain(&problems::shown(&found, say.terminal, say.paint.is_on()));
        }
        if let Some(team) = &team {
            say.data(&summary(team))?;
            for (from, to, lost) in permit::disarmed(team) {
                let (from, to, lost) = (&from.name, &to.name, lost.join(", "));
                say.tell(&format!("note: what {from} hands to {to} is done without: {lost}"));
            }
        }
    }
    Ok(if problems::any_error(&found.0) { BAD_CALL } else { 0 })
}

/// The team in a folder, if it starts, and all that is to be told of its files.
pub(super) fn look(folder: &Path, data: &Path, named: bool) -> (Option<Team>, Problems) {
    match callboard_config::load_here(folder) {
        Ok(mut team) => {
            team.trust(&Trust::read(data, named));
            let mut found = Problems(team.problems.clone());
            found.0.extend(callboard_scheduler::playbook_problems(&team));
            (Some(team), found)
        }
        Err(found) => (None, found),
    }
}

fn summary(team: &Team) -> String {
    let names: Vec<&str> = team.agents.keys().map(|it| it.as_str()).collect();
    let count = match names.len() {
        1 => "1 agent".to_owned(),
        count => format!("{count} agents"),
    };
    format!("team {}: {count}, entry {}: {}", team.name, team.entry, names.join(", "))
}

/// The same for programs.
pub(super) fn as_json(team: Option<&Team>, found: &Problems) -> Value {
    json!({
        "ok": !problems::any_error(&found.0),
        "team": team.map(|it| &it.name),
        "entry": team.map(|it| &it.entry),
        "agents": team.map(|it| it.agents.keys().collect::<Vec<_>>()).unwrap_or_default(),
        "problems": found.0.iter().map(problem).collect::<Vec<_>>(),
        "disarmed": team.map(disarmed).unwrap_or_default(),
    })
}

/// Handoffs whose receiver may do less than its own file allows, because who hands on may not.
fn disarmed(team: &Team) -> Vec<Value> {
    let edges = permit::disarmed(team).into_iter();
    edges
        .map(|(from, to, lost)| json!({"from": from.name, "to": to.name, "without": lost}))
        .collect()
}

fn problem(it: &Problem) -> Value {
    let severity = match it.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "file": it.file, "line": (it.line > 0).then_some(it.line), "severity": severity,
        "message": it.message, "help": it.help,
    })
}
