//! `doctor`: what this machine, the team's files, its database and its endpoints can do for the agents,
//! tried and told.

use callboard_config::database::Database;
use callboard_config::{Problems, ProviderKind, Team};
use callboard_scheduler::World;
use serde_json::{Value, json};

use super::args::DoctorArgs;
use super::fault::{BAD_CALL, FAILED, Fault, Result};
use super::say::Say;
use super::{place, problems, validate};
use crate::paint::clean;
use crate::veil;

/// Tells what is enforced around programs, what of the team's files has no counterpart here, how its
/// database is, and if asked for what endpoints can do.
pub(crate) async fn doctor(args: &DoctorArgs, say: Say) -> Result<u8> {
    let sandbox = callboard_sandbox::enforced();
    let files = files(args)?;
    let (team, found) = match &files {
        Some((team, found)) => (team.as_ref(), Some(found)),
        None => (None, None),
    };
    if !args.json {
        say.data(&match &sandbox {
            Ok(what) => format!("sandbox: {what}"),
            Err(why) => {
                format!(
                    "sandbox: none, so Bash and tool servers with `sandbox` refuse to run: {why}"
                )
            }
        })?;
        say.data(&told(team, found, say))?;
    }
    let checkup = match database(args, team)? {
        Some(database) => {
            veil::learn(&Team { database: database.clone(), ..Team::nobody(vec![]) });
            Some(World::real().checkup(place::data(&args.place)?, database.as_ref()).await)
        }
        None => None,
    };
    let mut store = json!(checkup);
    veil::over_all(&mut store);
    if !args.json {
        say.data(&match &checkup {
            Some(_) => checked(&store, say),
            None => "store: not looked at; the team's files do not say where it is".to_owned(),
        })?;
    }
    let surveys = match (team, &args.probe) {
        (Some(team), Some(named)) => {
            check(team, named.as_deref())?;
            veil::learn(team);
            World::real().survey(team, named.as_deref()).await
        }
        (Some(_) | None, Some(_) | None) => vec![],
    };
    let endpoints: Vec<Value> = surveys.iter().map(|it| json!(it)).collect();
    if args.json {
        let files = found.map(|found| validate::as_json(team, found));
        let (enforced, said) = (sandbox.is_ok(), sandbox.unwrap_or_else(|why| why.to_string()));
        let sandbox = json!({"enforced": enforced, "said": said});
        let told = json!({"sandbox": sandbox, "files": files, "store": store,
            "endpoints": endpoints});
        say.data(&told.to_string())?;
    } else {
        for endpoint in &endpoints {
            say.data(&table(endpoint, say))?;
        }
    }
    let is_broken = found.is_some_and(|it| problems::any_error(&it.0));
    Ok(match is_broken {
        true => BAD_CALL,
        false if surveys.iter().any(|it| !it.answers) => FAILED,
        false if checkup.is_some_and(|it| it.is_broken()) => FAILED,
        false => 0,
    })
}

/// The team, if its files hold, and what is to be told of them; nothing if there is no team here and
/// none was asked for.
fn files(args: &DoctorArgs) -> Result<Option<(Option<Team>, Problems)>> {
    let is_wanted = args.place.team.is_some() || args.probe.is_some();
    let folder = match place::team_folder(args.place.team.as_deref()) {
        Ok(folder) => folder,
        Err(fault) if is_wanted => return Err(fault),
        Err(_) => return Ok(None),
    };
    let data = place::data(&args.place)?;
    Ok(Some(validate::look(&folder, &data, args.place.team.is_some())))
}

/// Where the team's journal is, in a database or else in a file; nothing where a team's file was to say
/// it and does not: that stands among its problems.
fn database(args: &DoctorArgs, team: Option<&Team>) -> Result<Option<Option<Database>>> {
    match (place::database(&args.place), team) {
        (Err(_), None) if args.place.store.is_none() => Ok(None),
        (found, _) => found.map(Some),
    }
}

/// What was found where runs are kept, one line each.
fn checked(store: &Value, say: Say) -> String {
    let text = |it: &Value| clean(it.as_str().unwrap_or_default());
    let mut lines = vec![format!("store: {}", text(&store["address"]))];
    for it in store["found"].as_array().into_iter().flatten() {
        let word = match it["grade"].as_str() {
            Some("ok") => say.out_paint.green("ok     "),
            Some("warning") => say.out_paint.yellow("warning"),
            Some(_) | None => say.out_paint.red("error  "),
        };
        lines.push(format!("  {:<22}{word}  {}", text(&it["what"]), text(&it["said"])));
        if it["help"].is_string() {
            lines.push(format!("    help: {}", text(&it["help"])));
        }
    }
    lines.join("\n")
}

/// The team's files and its endpoints, in words.
fn told(team: Option<&Team>, found: Option<&Problems>, say: Say) -> String {
    let Some(found) = found else {
        return "files: there is no team here; write one with `callboard init`".to_owned();
    };
    let shown = || problems::shown(found, say.out_terminal, say.out_paint.is_on());
    let problems = if found.0.is_empty() { "nothing to tell".to_owned() } else { shown() };
    let Some(team) = team else { return format!("files: the team does not start\n{problems}") };
    let is_endpoint = |it: &&callboard_config::Provider| matches!(it.kind, ProviderKind::OpenAi(_));
    let names: Vec<&str> =
        team.providers.values().filter(is_endpoint).map(|it| it.name.as_str()).collect();
    let endpoints = match names.is_empty() {
        true => "none: the team rehearses".to_owned(),
        false => format!("{}; `--probe` asks them what they can do", names.join(", ")),
    };
    let count = team.agents.len();
    format!("files: team {}, agents: {count}\n{problems}\nendpoints: {endpoints}", team.name)
}

/// A provider that is named must be there.
fn check(team: &Team, named: Option<&str>) -> Result<()> {
    match named.filter(|it| !team.providers.contains_key(*it)) {
        None => Ok(()),
        Some(name) => {
            let names: Vec<&str> = team.providers.keys().map(String::as_str).collect();
            let help = format!("the providers are {}", names.join(", "));
            Err(Fault::call(format!("provider \"{name}\" is not in this team"), help))
        }
    }
}

/// One endpoint as a table.
fn table(survey: &Value, say: Say) -> String {
    let text = |it: &Value| clean(it.as_str().unwrap_or_default());
    let mut lines = vec![format!(
        "endpoint {}, model {}: {} request{}, {} tokens",
        text(&survey["provider"]),
        Some(text(&survey["model"])).filter(|it| !it.is_empty()).unwrap_or("none".to_owned()),
        survey["requests"],
        if survey["requests"] == 1 { "" } else { "s" },
        survey["tokens"],
    )];
    for it in survey["found"].as_array().into_iter().flatten() {
        let word = match it["works"].as_bool() {
            Some(true) => say.out_paint.green("yes"),
            Some(false) => say.out_paint.red("no "),
            None => say.out_paint.dim("-  "),
        };
        lines.push(format!("  {:<22}{word}  {}", text(&it["what"]), text(&it["said"])));
    }
    lines.join("\n")
}
