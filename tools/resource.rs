//! What a uri leads to: one place for the tool, for resources and for the command line.

use std::collections::HashSet;
use std::fmt::Write;

use callboard_config::{AgentName, Team, schema};
use callboard_scheduler::{Desk, Refusal, RefusalCode};
use callboard_trace::{Caller, Record, RunId};
use serde_json::{Value, json};

use crate::card::card;
use crate::check::Result;
use crate::effective::effective;
use crate::excerpt::{Excerpt, Found};
use crate::nearest::{did_you_mean, quoted};
use crate::status::{of_run, of_team};
use crate::uri::Uri;

/// Entries of a list that is read whole.
const ENTRIES: u32 = 2_000;
/// Records that are looked through for an artifact by its own name alone.
const LOOKED_THROUGH: usize = 50_000;

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// `team://…`, or the bare name of a run or of an artifact.
    pub uri: String,
    /// The first byte.
    pub offset: usize,
    /// The most bytes of the page.
    pub most: usize,
    /// Only lines that match this pattern, each with its number.
    pub grep: Option<String>,
}

/// A page of what is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpted {
    /// Its uri, also where a bare name was asked for.
    pub uri: String,
    /// `application/json`, `application/jsonl` or `text/plain`.
    pub mime: &'static str,
    /// The page.
    pub text: String,
    /// Bytes of the whole, or of all lines that match.
    pub bytes: usize,
    /// Where the next page begins, if there is one.
    pub next_offset: Option<usize>,
    /// How many lines match, if lines were looked for.
    pub matches: Option<usize>,
    /// Whether nothing changes it but another reading of the team's files.
    pub is_still: bool,
}

/// Reads a page of anything that has a uri.
///
/// # Errors
/// `not_found` with the nearest uris, for what belongs to somebody else too; `invalid_input` for a
/// pattern that is none; `engine_unavailable`.
pub async fn read(desk: &Desk, reading: &Reading, caller: &Caller) -> Result<Excerpted> {
    let uri = parsed(&reading.uri)?;
    let mut page = Excerpt::new(reading.offset, reading.most, reading.grep.as_deref())
        .map_err(|told| refused_pattern(&told))?;
    let mime = write(desk, &uri, caller, &mut page).await?;
    let Found { text, bytes, next, matches } = page.end();
    let is_still = uri.is_still();
    let uri = uri.to_string();
    Ok(Excerpted { uri, mime, text, bytes, next_offset: next, matches, is_still })
}

/// What a text leads to.
pub(crate) fn parsed(uri: &str) -> Result<Uri> {
    Uri::parse(uri).ok_or_else(|| nothing(uri))
}

/// What the team's files alone say, and what kind of text it is; `None` if runs say it too.
pub(crate) fn of_files(team: &Team, uri: &Uri) -> Option<Result<(String, &'static str)>> {
    let shown = |it: Value| (format!("{it:#}"), "application/json");
    match uri {
        Uri::Team("config") => Some(Ok(shown(effective(team)))),
        Uri::Agent(name) => Some(card(team, name).map(shown)),
        Uri::Schema(name) => Some(schema_of(team, name).map(|it| (it, "application/schema+json"))),
        Uri::Team(_)
        | Uri::Report(_)
        | Uri::Run(_)
        | Uri::Part(..)
        | Uri::Artifact(..)
        | Uri::Named(_) => None,
    }
}

/// Writes the whole text into the page, piece by piece; answers what kind of text it is.
async fn write(
    desk: &Desk,
    uri: &Uri,
    caller: &Caller,
    page: &mut Excerpt,
) -> Result<&'static str> {
    if let Some(said) = of_files(&desk.team(), uri) {
        let (text, mime) = said?;
        page.push(&text);
        return Ok(mime);
    }
    let whole = match uri {
        Uri::Team(side) => of_team(desk, side, caller).await?,
        Uri::Report(by) => json!(desk.report(by, caller).await?),
        Uri::Run(run) => json!(desk.view(run, caller).await?),
        Uri::Part(run, "trace") => {
            desk.walk(run, caller, |it| {
                page.push(&serde_json::to_string(&desk.told(it)).unwrap_or_default());
                page.push("\n");
                true
            })
            .await?;
            return Ok("application/jsonl");
        }
        Uri::Part(run, "artifacts") => return artifacts(desk, run, caller, page).await,
        Uri::Part(run, part) => of_run(desk, run, caller, part, (0, ENTRIES)).await?,
        Uri::Artifact(run, number) => return artifact(desk, run, *number, caller, page).await,
        Uri::Named(name) => return named(desk, name, caller, page).await,
        Uri::Agent(_) | Uri::Schema(_) => return Err(nothing(&uri.to_string())),
    };
    page.push(&format!("{whole:#}"));
    Ok("application/json")
}

/// Every artifact below a run, a line each.
async fn artifacts(
    desk: &Desk,
    run: &RunId,
    caller: &Caller,
    page: &mut Excerpt,
) -> Result<&'static str> {
    let mut known = HashSet::new();
    let walk = |record: &Record| {
        let Some((made, _)) = record.made().filter(|it| known.insert(it.0.key)) else {
            return true;
        };
        let uri = Uri::Artifact(run.clone(), known.len()).to_string();
        let line = json!({"uri": uri, "name": made.name, "bytes": made.bytes, "run": made.run});
        page.push(&format!("{line}\n"));
        true
    };
    desk.walk(run, caller, walk).await?;
    Ok("application/jsonl")
}

/// How many artifacts there are below a run.
pub(crate) async fn count_artifacts(desk: &Desk, run: &RunId, caller: &Caller) -> Result<usize> {
    let mut known = HashSet::new();
    let walk = |record: &Record| {
        known.extend(record.made().map(|it| it.0.key));
        true
    };
    desk.walk(run, caller, walk).await?;
    Ok(known.len())
}

async fn artifact(
    desk: &Desk,
    run: &RunId,
    number: usize,
    caller: &Caller,
    page: &mut Excerpt,
) -> Result<&'static str> {
    let (mut known, mut found) = (HashSet::new(), None);
    let walk = |record: &Record| {
        let is_new = record.made().is_some_and(|it| known.insert(it.0.key));
        found = desk.told(record).made().filter(|_| is_new && known.len() == number);
        found.is_none()
    };
    desk.walk(run, caller, walk).await?;
    let Some((_, text)) = found else {
        let near = match known.len() {
            0 => format!("{run} has left none yet; team://runs/{run} shows it"),
            n_all => format!("there are team://runs/{run}/artifacts/1..{n_all}"),
        };
        return Err(not_found(&format!("there is no artifact {number} of {run}"), &near));
    };
    page.push(&text);
    Ok("text/plain")
}

/// An artifact by its own name, in the caller's recent runs.
async fn named(
    desk: &Desk,
    name: &str,
    caller: &Caller,
    page: &mut Excerpt,
) -> Result<&'static str> {
    let mut n_left = LOOKED_THROUGH;
    for line in desk.board(caller).await?.runs {
        let mut found = None;
        let walk = |record: &Record| {
            n_left = n_left.saturating_sub(1);
            found = desk.told(record).made().filter(|it| it.0.id.as_deref() == Some(name));
            found.is_none() && n_left > 0
        };
        desk.walk(&line.run, caller, walk).await?;
        if let Some((_, text)) = found {
            page.push(&text);
            return Ok("text/plain");
        }
    }
    let hint = "an older one is read as team://runs/{id}/artifacts/{n}; team://runs lists the runs";
    Err(not_found(&format!("no recent run of yours left {}", quoted(name)), hint))
}

fn schema_of(team: &Team, name: &str) -> Result<String> {
    let of_agent = AgentName::parse(name).and_then(|it| team.agents.get(&it));
    match (name, of_agent) {
        ("team", _) => Ok(schema::team()),
        ("agent", _) => Ok(schema::agent()),
        (_, Some(agent)) => Ok(format!("{:#}\n", agent.output)),
        (_, None) => {
            let names =
                ["team", "agent"].into_iter().chain(team.agents.keys().map(AgentName::as_str));
            let near = did_you_mean(name, names, "there are");
            let hint = "`team` and `agent` are of the files, the others of the agents' answers";
            Err(not_found(&format!("there is no schema {}{near}", quoted(name)), hint))
        }
    }
}

fn nothing(uri: &str) -> Refusal {
    let near = Uri::nearby(uri);
    let mut message = format!("nothing is called {}", quoted(uri));
    // The end of the message, never an error of writing into a text.
    let _ = write!(
        message,
        "{}",
        did_you_mean(uri.trim(), near.iter().map(String::as_str), "there are")
    );
    not_found(&message, "team://board and team://runs lead to everything else")
}

fn not_found(message: &str, hint: &str) -> Refusal {
    Refusal::new(RefusalCode::NotFound, message, hint)
}

fn refused_pattern(told: &str) -> Refusal {
    let hint = "write a regular expression without look-around and back references";
    let message = format!("the pattern cannot be used: {told}");
    Refusal::new(RefusalCode::InvalidInput, message, hint)
}
