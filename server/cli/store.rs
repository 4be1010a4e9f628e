//! `store`: all that is kept is moved to another database.

use std::path::PathBuf;
use std::time::Duration;

use callboard_config::Team;
use callboard_config::database::Database;
use callboard_config::load::database_named;
use callboard_scheduler::World;
use clap::{Args, Subcommand};
use tokio::time::Instant;

use super::exit;
use super::fault::{Fault, Result};
use super::place::{self, Where};
use super::say::Say;
use super::screen::Screen;
use crate::ending::asked_to_stop;
use crate::veil;

/// Between two pictures of how far it is.
const DRAWN: Duration = Duration::from_millis(100);
/// Signs of the bar.
const BAR: u64 = 30;

/// `store`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard store move --to env:CALLBOARD_STORE     from the data folder to PostgreSQL
  callboard store move --from env:CALLBOARD_STORE --to ~/callboard    and into a file again")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    act: Act,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
enum Act {
    /// Copy it to another database and check the copy; nothing works on the old one then
    Move(MoveArgs),
}

/// `store move`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard store move --to env:CALLBOARD_STORE     from the data folder to PostgreSQL
  callboard store move --from env:CALLBOARD_STORE --to ~/callboard    and into a file again
A store is env:NAME, file:PATH or an address without a password for PostgreSQL, or a folder for a file
in it. Stop every process on the old one first. Whatever ends this command, the same one goes on where
it stopped; until it is through nothing can use the new store.")]
struct MoveArgs {
    /// Where to: an empty database, or a folder
    #[arg(long, value_name = "STORE")]
    to: String,
    /// Where from [default: `store` of team.yaml, else the data folder]
    #[arg(long, value_name = "STORE")]
    from: Option<String>,
    /// Folder with team.yaml [default: here, else the user's own folder]
    #[arg(long, value_name = "DIR")]
    team: Option<PathBuf>,
    /// Data folder [default: $CALLBOARD_DATA, else the team's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A data folder, and the database if the folder does not hold the store.
type Kept = (PathBuf, Option<Database>);

/// Does it.
pub(crate) async fn store(args: &StoreArgs, say: Say) -> Result<u8> {
    let Act::Move(args) = &args.act;
    let (from, to) = (source(args)?, named("--to", &args.to, args)?);
    for database in [&from.1, &to.1].into_iter().flatten() {
        veil::learn(&Team { database: Some(database.clone()), ..Team::nobody(vec![]) });
    }
    let (begun, old, is_server) = (Instant::now(), from.clone(), to.1.is_some());
    let mut bar = Bar { say, screen: Screen::default(), drawn: begun, act: "" };
    let world = World::real();
    let moving =
        async { world.move_store(from, to, &mut |it| bar.tell(it.act, it.done, it.of)).await };
    let moved = tokio::select! {
        moved = moving => moved,
        () = asked_to_stop() => {
            say.complain("stopped; the same command goes on, and nothing uses the new store before");
            return Ok(exit::LEFT);
        }
    };
    let moved = moved.map_err(|it| Fault::broken(it.to_string(), ""))?;
    let (runs, records, blobs) = (moved.runs, moved.records, moved.blobs);
    say.data(&format!(
        "moved and checked: {runs} runs, {records} records, {blobs} long texts, in {:.1} s",
        begun.elapsed().as_secs_f64()
    ))?;
    say.tell(&next(&args.to, is_server, &old, moved.is_closed));
    Ok(0)
}

fn source(args: &MoveArgs) -> Result<Kept> {
    if let Some(from) = &args.from {
        return named("--from", from, args);
    }
    let place = here(args);
    if !place::is_said(&place)? {
        place::team_folder(place.team.as_deref())?;
    }
    Ok((place::data(&place)?, place::database(&place)?))
}

fn here(args: &MoveArgs) -> Where {
    Where { team: args.team.clone(), data: args.data.clone(), store: None }
}

fn named(option: &str, text: &str, args: &MoveArgs) -> Result<Kept> {
    if place::is_folder(text) {
        return Ok((PathBuf::from(text), None));
    }
    let database = database_named(option, text).map_err(Fault::Problems)?;
    Ok((place::data(&here(args))?, Some(database)))
}

/// What is left to do.
fn next(to: &str, is_server: bool, (folder, database): &Kept, is_closed: bool) -> String {
    let new = match is_server {
        true => format!("write `store: {to}` in team.yaml to use the new store"),
        false => format!("take `store` out of team.yaml and use `--data {}`", place::quoted(to)),
    };
    let old = match database {
        Some(it) => format!("{it}, or drop that database"),
        None => format!("or delete {}", folder.join(format!("{}*", place::STORE)).display()),
    };
    let state = match is_closed {
        true => "nothing works on the old one any more; keep",
        false => "whoever works on the old one does its open runs a second time; keep off",
    };
    format!("{new}; {state} {old} when you will")
}

/// How far it is, on one line of a terminal; elsewhere a line for each thing that begins.
struct Bar {
    say: Say,
    screen: Screen,
    drawn: Instant,
    act: &'static str,
}

impl Bar {
    fn tell(&mut self, act: &'static str, done: u64, of: u64) {
        let is_new = self.act != act;
        self.act = act;
        if self.say.quiet || !is_new && done < of && self.drawn.elapsed() < DRAWN {
            return;
        }
        self.drawn = Instant::now();
        if self.say.terminal {
            self.screen.draw(&[line(act, done, of)]);
        } else if is_new {
            self.say.complain(&format!("{of} to be {act}"));
        }
    }
}

fn line(act: &str, done: u64, of: u64) -> String {
    let part = |of_what: u64| (done * of_what).checked_div(of).unwrap_or(of_what).min(of_what);
    let (full, percent) = (part(BAR), part(100));
    let bar: String = (0..BAR).map(|it| if it < full { '#' } else { '.' }).collect();
    format!("{act:<9} {bar} {percent:>3} %  {done} of {of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        assert_eq!(line("copied", 1, 2), "copied    ###############...............  50 %  1 of 2");
        assert_eq!(
            line("verified", 9, 3),
            "verified  ############################## 100 %  9 of 3"
        );
        assert!(line("compared", 0, 0).contains(" 100 %  0 of 0"));
    }
}
