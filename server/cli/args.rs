//! What was typed, exactly as it was typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A team of specialist agents behind one MCP server, and on this command line.
#[derive(Debug, Parser)]
#[command(name = "callboard", version, disable_help_subcommand = true, after_help = CODES)]
pub(crate) struct Typed {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Tell people less: only errors on stderr
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Tell people more: what the engine does, on stderr
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

const CODES: &str = "\
Exit codes of run and status: 0 completed, 1 failed, 2 bad call, 10 partial,
11 input required or halted, 12 budget, 13 cancelled, 14 deadline.

First steps:  callboard demo                 see it work, without a key
              callboard init                 write the team's files here
              callboard run coder \"...\"      give an agent a task";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the shipped team's files, to be edited
    Init(InitArgs),
    /// Check a team's files and tell every problem at once
    Validate(ValidateArgs),
    /// Serve the team to an MCP client on stdin and stdout
    Serve(ServeArgs),
    /// Run agents here without serving anybody
    Work(WorkArgs),
    /// Give an agent a task and wait for the result
    Run(RunArgs),
    /// Show the team's board, or one run
    Status(StatusArgs),
    /// Tell a run's story, one line a record
    Trace(TraceArgs),
    /// See it work in half a minute: no key, no network
    Demo(DemoArgs),
}

/// Where the team and its work are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Where {
    /// Folder with team.yaml or agents/ [default: here, else the user's configuration folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) team: Option<PathBuf>,
    /// Folder of the journal [default: $CALLBOARD_DATA, else the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `init`.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// Where to write them
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Put the shipped files in the place of files of the same name
    #[arg(long)]
    pub(crate) force: bool,
}

/// `validate`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 no errors (warnings are shown), 2 errors.")]
pub(crate) struct ValidateArgs {
    /// The team's folder [default: as serve]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// `serve`.
#[derive(Args, Debug)]
#[command(
    after_help = "An MCP client starts this itself; `callboard init` prints what to tell it."
)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) place: Where,
    /// Take calls, and leave the work to other processes on the same data
    #[arg(long)]
    pub(crate) no_work: bool,
}

/// `work`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard work                 as long as it is not asked to stop
  callboard work --until-idle    until everything is done, then it ends
Ctrl-C, SIGTERM or SIGHUP end it; what it held goes on in another process on the same data.")]
pub(crate) struct WorkArgs {
    /// End when no run is ready, running or waiting for a time, here or in another process
    #[arg(long)]
    pub(crate) until_idle: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}

/// `run`.
#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// Who gets the task
    #[arg(value_name = "AGENT")]
    pub(crate) agent: String,
    /// What to do; `-` reads it from stdin
    #[arg(value_name = "TASK|-")]
    pub(crate) task: Option<String>,
    /// What else there is to know
    #[arg(long, value_name = "TEXT")]
    pub(crate) context: Option<String>,
    /// 0 to 1000; higher goes first [default: the agent's class]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) priority: Option<u16>,
    /// The same key joins the run it started, for 24 hours
    #[arg(long, value_name = "K")]
    pub(crate) key: Option<String>,
    /// Start anew, whatever was started before
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Seconds until it is stopped [default: the team's limit]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) deadline: Option<u64>,
    /// The result as one line of JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// One line for each record on stderr, also on a terminal
    #[arg(long)]
    pub(crate) follow: bool,
    /// Accept it durably, print its name and return; another process does it
    #[arg(long, conflicts_with = "follow")]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}

const RUN_EXAMPLES: &str = "\
Examples:
  callboard run coder \"write a function that parses RFC 3339 dates\"
  git diff | callboard run reviewer - --context \"the branch fixes issue 12\"
  callboard run researcher \"compare queues\" --json | jq -r .result

Ctrl-C leaves the run: it stays in the journal and the next process on the same data resumes it.
Exit codes: 0 completed, 1 failed, 2 bad call, 10 partial, 11 input required or halted,
12 budget, 13 cancelled, 14 deadline; 130 left with Ctrl-C.";

/// `status`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard status                     the board: agents, queue, recent runs
  callboard status r_7k2m --wait 60    one run, waiting for its end
A run may be named by its first letters or as `latest`. With RUN the exit code is the run's
(see `callboard --help`), and 0 while it is open.")]
pub(crate) struct StatusArgs {
    /// One run
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// Everything that is known: whole names, answers, idle agents
    #[arg(long)]
    pub(crate) full: bool,
    /// Wait up to so many seconds for its end or its question
    #[arg(long, value_name = "S", requires = "run", value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(crate) wait: Option<u64>,
    #[command(flatten)]
    pub(crate) place: Where,
}

/// `trace`.
#[derive(Args, Debug)]
pub(crate) struct TraceArgs {
    /// The run: its name, its first letters, or `latest`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The records themselves, one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}

/// `demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Keep the demo's team and journal in this new folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Typed::command().debug_assert();
    }

    #[test]
    fn a_wrong_number_is_refused_at_the_border() {
        for line in [
            "callboard run coder x --priority 1001",
            "callboard run coder x --deadline 0",
            "callboard status --wait 5",
            "callboard run coder x --detach --follow",
        ] {
            assert!(Typed::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
