//! What was typed, exactly as it was typed.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::memory::MemoryArgs;
use super::on_run::{
    AnswerArgs, ControlArgs, HANDOFFS_EXAMPLES, REPLAY_EXAMPLES, ReadArgs, RunArgs, StatusArgs,
    TRACE_EXAMPLES, Which,
};
use super::place::Where;
use super::store::StoreArgs;

/// A team of specialist agents behind one MCP server, and on this command line.
#[derive(Debug, Parser)]
#[command(name = "callboard", version, disable_help_subcommand = true, after_help = CODES)]
pub(crate) struct Typed {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Tell people less: only errors on stderr
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Tell people more: what the engine does, on stderr
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

const CODES: &str = "\
First steps:
  callboard demo                 see it work, without a key
  callboard init                 write the team's files here
  callboard run coder \"...\"      give an agent a task

Exit codes of run, status and answer: 0 completed or open, 1 failed, 2 bad call, 10 partial,
11 input required or halted, 12 budget, 13 cancelled, 14 deadline.
Colours only on terminals, and never with NO_COLOR set.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the shipped team's files, to be edited
    Init(InitArgs),
    /// Check a team's files and tell every problem at once
    Validate(ValidateArgs),
    /// Serve the team to MCP clients: stdin and stdout, and HTTP
    Serve(ServeArgs),
    /// Run agents here without serving anybody
    Work(WorkArgs),
    /// Give an agent a task and wait for the result
    Run(RunArgs),
    /// Show the team's board, or one run
    Status(StatusArgs),
    /// Tell a run's story, one line a record
    #[command(after_help = TRACE_EXAMPLES)]
    Trace(Which),
    /// Show who handed what to whom in a run
    #[command(after_help = HANDOFFS_EXAMPLES)]
    Handoffs(Which),
    /// Answer what a run asks
    Answer(AnswerArgs),
    /// Cancel, pause or otherwise act on a run
    Control(ControlArgs),
    /// Read an artifact or another resource, whole or in part
    Read(ReadArgs),
    /// Take an ended run again from its record, as a test
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Which),
    /// Show, search and change what the workspace remembers
    Memory(MemoryArgs),
    /// Move all that is kept to another database
    Store(StoreArgs),
    /// Show what tool servers would run, and agree to it
    Trust(TrustArgs),
    /// Try what this machine can do for the agents
    Doctor(DoctorArgs),
    /// See it work in half a minute: no key, no network
    Demo(DemoArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print the JSON Schema of a file you write
    Schema(SchemaArgs),
    /// Print the man page
    #[command(hide = true, after_help = MAN_EXAMPLES)]
    Man,
    /// Start a tool server and end all of it with this process
    #[command(hide = true)]
    Keep(KeepArgs),
}

/// `init`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard init                here
  callboard init ~/teams/dev    in a folder of its own")]
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
#[command(after_help = "\
Examples:
  callboard validate
  callboard validate ~/teams/dev --json
Exit codes: 0 no errors (warnings are shown), 2 errors.")]
pub(crate) struct ValidateArgs {
    /// The team's folder [default: as serve]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// The same, as other commands have it
    #[arg(long, value_name = "DIR", conflicts_with = "folder")]
    pub(crate) team: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// `serve`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard serve --team ~/teams/dev        an MCP client starts this itself
  callboard serve --http 127.0.0.1:8484     clients reach http://127.0.0.1:8484/mcp
`callboard init` prints what to tell a client. With --http the process serves until it is asked to
stop; a client on stdin and stdout is served beside it if there is one.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) place: Where,
    /// Serve over HTTP too, at /mcp of this address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) http: Option<SocketAddr>,
    /// Serve /sse as well, the transport of 2024-11-05
    #[arg(long, requires = "http")]
    pub(crate) sse: bool,
    /// Take calls, and leave the work to other processes on the same data
    #[arg(long)]
    pub(crate) no_work: bool,
    /// Run no more than so many runs at once here, of the seats that all processes share
    #[arg(long, value_name = "N", conflicts_with = "no_work")]
    pub(crate) at_once: Option<NonZeroU32>,
    /// When the client goes, leave what is open to the next process instead of finishing it
    #[arg(long)]
    pub(crate) no_finish: bool,
    /// When it is to end, let calls and steps under way take so many seconds
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = grace())]
    pub(crate) grace: u64,
}

/// At most an hour: who waits longer wants it to go on.
fn grace() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(..=3_600)
}

/// An address to listen on; of a port alone, the one that only this machine reaches.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').or_else(|| text.strip_prefix("localhost:")).unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let help = "write an address and a port, such as 127.0.0.1:8484, or a port alone";
    text.parse().map_err(|_| help.to_owned())
}

/// `work`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard work                 as long as it is not asked to stop
  callboard work --until-idle    until everything is done, then it ends
Ctrl-C, SIGTERM or SIGHUP end it: it begins nothing more, and what it holds goes on in another
process on the same data. Asked once more, it does not wait for the steps under way.")]
pub(crate) struct WorkArgs {
    /// End when no run is ready, running or waiting for a time, here or in another process
    #[arg(long)]
    pub(crate) until_idle: bool,
    /// Run no more than so many runs at once here, of the seats that all processes share
    #[arg(long, value_name = "N")]
    pub(crate) at_once: Option<NonZeroU32>,
    /// End at once if another worker with this option is on the same data
    #[arg(long, hide = true)]
    pub(crate) alone: bool,
    /// When it is to end, let steps under way take so many seconds
    #[arg(long, value_name = "S", default_value_t = 8, value_parser = grace())]
    pub(crate) grace: u64,
    #[command(flatten)]
    pub(crate) place: Where,
}

/// `trust`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard trust                    what would run, and a question
  callboard trust my-team --yes      agree without one
Programs and addresses that stand in .mcp.json, in agents of other programs, or in a team that was
not named with --team are used only after this. Exit codes: 0 agreed, 2 not agreed.")]
pub(crate) struct TrustArgs {
    /// The team's folder [default: as serve]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Agree without a question, for scripts
    #[arg(long)]
    pub(crate) yes: bool,
    /// Folder of the journal [default: $CALLBOARD_DATA, else the team's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `keep`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  callboard keep -- python3 server.py    until it ends, or stdin does; then nothing of it is left")]
pub(crate) struct KeepArgs {
    /// The sandbox it runs in, as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) jail: Option<String>,
    /// It reads nothing, and how it ended is told on stderr
    #[arg(long)]
    pub(crate) once: bool,
    /// Enter this sandbox and become the program
    #[arg(long, value_name = "JSON", conflicts_with_all = ["jail", "once"])]
    pub(crate) inside: Option<String>,
    /// The program
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: OsString,
    /// Its arguments
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// `demo`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard demo
  callboard demo --keep demo    and look at its team and its journal afterwards")]
pub(crate) struct DemoArgs {
    /// Keep the demo's team and journal in this new folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

/// `completions`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard completions bash > ~/.local/share/bash-completion/completions/callboard
  callboard completions zsh > ~/.zfunc/_callboard      (a folder in fpath)
  callboard completions fish > ~/.config/fish/completions/callboard.fish")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// `schema`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard schema > team.schema.json
  callboard schema agent
  callboard schema prices > prices.schema.json
An editor reads it where the first line of team.yaml says:
  # yaml-language-server: $schema=team.schema.json")]
pub(crate) struct SchemaArgs {
    /// Of team.yaml, of the front matter of an agent's file, or of prices.yaml
    #[arg(value_enum, default_value_t = Written::Team)]
    pub(crate) of: Written,
}

/// What an owner writes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Written {
    /// team.yaml
    Team,
    /// The front matter of an agent's file
    Agent,
    /// prices.yaml
    Prices,
}

/// `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard doctor                  the sandbox here, and what of the team's files has no use here
  callboard doctor --probe          ask every endpoint of the team what it can do; this costs tokens
  callboard doctor --probe local    ask one of them
Exit codes: 0 nothing is broken, 1 the database or an endpoint is, 2 errors in the files.")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) place: Where,
    /// Ask endpoints what they can do, in about a dozen small requests each
    #[arg(long, value_name = "PROVIDER", num_args = 0..=1)]
    pub(crate) probe: Option<Option<String>>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

const MAN_EXAMPLES: &str = "\
Example:
  callboard man > ~/.local/share/man/man1/callboard.1    then: man callboard";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Typed::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        for verb in Typed::command().get_subcommands() {
            let shown = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = verb.get_name();
            assert!(shown.contains(&format!("  callboard {name}")), "{name}: {shown}");
            assert!(verb.get_about().is_some_and(|it| it.to_string().len() < 60), "{name}");
        }
    }

    #[test]
    fn a_port_alone_is_of_this_machine() {
        for (text, expected) in [
            ("8484", "127.0.0.1:8484"),
            (":0", "127.0.0.1:0"),
            ("localhost:8484", "127.0.0.1:8484"),
            ("0.0.0.0:8484", "0.0.0.0:8484"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(address(text).map(|it| it.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "localhost", "team.example:80", "1.2.3.4", ":70000", "127.0.0.1:"] {
            assert!(address(text).is_err_and(|it| it.contains("127.0.0.1:8484")), "{text}");
        }
    }

    #[test]
    fn a_wrong_number_is_refused_at_the_border() {
        for line in [
            "callboard run coder x --priority 1001",
            "callboard run coder x --deadline 0",
            "callboard status --wait 5",
            "callboard run coder x --detach --follow",
            "callboard run coder x --detach --wait 5",
            "callboard run coder x --context a --context-file b",
            "callboard control r_a explode",
            "callboard completions tcsh",
            "callboard schema plan",
        ] {
            assert!(Typed::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
