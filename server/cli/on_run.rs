//! What was typed after the verbs that start a run, look at one or act on one.

use std::path::PathBuf;

use clap::Args;

use super::place::Where;

/// Most seconds that a command waits.
const WAIT_MAX: u64 = 3_600;

/// `run`.
#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// Who gets the task
    #[arg(value_name = "AGENT", required_unless_present = "tasks")]
    pub(crate) agent: Option<String>,
    /// What to do; `-` reads it from stdin
    #[arg(value_name = "TASK|-")]
    pub(crate) task: Option<String>,
    /// A JSON list of tasks that run side by side, each `after` those it needs; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["agent", "task"])]
    pub(crate) tasks: Option<PathBuf>,
    /// What else there is to know
    #[arg(long, value_name = "TEXT")]
    pub(crate) context: Option<String>,
    /// A file that holds what else there is to know
    #[arg(long, value_name = "FILE", conflicts_with = "context")]
    pub(crate) context_file: Option<PathBuf>,
    /// 0 to 1000; higher goes first [default: the agent's class]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) priority: Option<u16>,
    /// What it may spend with all its runs, such as tokens=10000,usd=0.5; also minutes, seconds,
    /// model_calls, tool_calls and documents [default: the team's limits, and never more]
    #[arg(long, value_name = "LIMITS")]
    pub(crate) budget: Option<String>,
    /// A JSON Schema that the answer has to meet; the answer is printed as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "tasks")]
    pub(crate) schema: Option<PathBuf>,
    /// The same key joins the run it started, for 24 hours
    #[arg(long, value_name = "K")]
    pub(crate) key: Option<String>,
    /// The conversation it belongs to: it is shown what its last tasks came to
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,
    /// Start anew, whatever was started before
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Seconds until it is stopped [default: the team's limit]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) deadline: Option<u64>,
    /// Wait at most so many seconds, then leave it to other processes [default: until its end]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(0..))]
    pub(crate) wait: Option<u64>,
    /// The result as one line of JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// One line for each record on stderr, also on a terminal
    #[arg(long)]
    pub(crate) follow: bool,
    /// Accept it durably, print its name and return; another process does it
    #[arg(long, conflicts_with_all = ["follow", "wait"])]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}

const RUN_EXAMPLES: &str = "\
Examples:
  callboard run coder \"write a function that parses RFC 3339 dates\"
  git diff | callboard run reviewer - --context \"the branch fixes issue 12\"
  callboard run researcher \"compare queues\" --json | jq -r .result
  callboard run coder \"tidy up\" --budget tokens=20000,usd=0.5
  callboard run --tasks graph.json --follow

Ctrl-C leaves the run: it stays in the journal and goes on when a process works on the same data
(`callboard work`, a server); a second Ctrl-C does not wait for the leases to be given back.
Exit codes: 0 completed, or still open after --wait; 1 failed, 2 bad call, 10 partial,
11 input required or halted, 12 budget, 13 cancelled, 14 deadline; 130 left with Ctrl-C.";

/// One run.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// The run: its name, its first letters, or `latest`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// As JSON on stdout, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}

pub(crate) const TRACE_EXAMPLES: &str = "\
Examples:
  callboard trace latest
  callboard trace r_7k2m --json | jq -r .kind";

pub(crate) const REPLAY_EXAMPLES: &str = "\
Examples:
  callboard replay latest               would this program take it the same way?
  callboard replay r_7k2m --team .      would the definitions in this folder?
Everything under the run is taken again too. Nobody is asked: what models, tools and people said is
in the record. Exit codes: 0 the same way to the same end, 1 another one, 2 bad call.";

pub(crate) const HANDOFFS_EXAMPLES: &str = "\
Examples:
  callboard handoffs latest
  callboard handoffs r_7k2m --json | jq .summary";

/// One run, or one agent.
#[derive(Args, Debug)]
pub(crate) struct Acted {
    /// The run: its name, its first letters, or `latest`; or an agent, to pause or drain it
    #[arg(value_name = "RUN|AGENT")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) place: Where,
}

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
    #[arg(long, value_name = "S", requires = "run",
        value_parser = clap::value_parser!(u64).range(0..=WAIT_MAX))]
    pub(crate) wait: Option<u64>,
    #[command(flatten)]
    pub(crate) place: Where,
}

/// `answer`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard answer latest                     asks you, one question after the other
  callboard answer r_7k2m rerun               where one question is open
  callboard answer r_7k2m q_7k2m_3=skip --wait 60
The exit code is the run's (see `callboard --help`), and 0 while it is open.")]
pub(crate) struct AnswerArgs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Answers; the question may be left out where only one is open
    #[arg(value_name = "QUESTION=VALUE")]
    pub(crate) answers: Vec<String>,
    /// Wait up to so many seconds for the end or the next question
    #[arg(long, value_name = "S", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=WAIT_MAX))]
    pub(crate) wait: u64,
}

/// `control`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard control latest cancel --reason \"wrong branch\"
  callboard control r_7k2m set_priority 900
  callboard control r_7k2m set_budget tokens=100000,usd=none
  callboard control r_7k2m message \"the tests live in tests/, not in src/\"
  callboard control r_7k2m finish_now
  callboard control all cancel         every open task of yours
  callboard control coder drain        an agent: pause, resume or drain
Runs under it are meant too. A run that ended can only be retried, with a new budget if need be.")]
pub(crate) struct ControlArgs {
    #[command(flatten)]
    pub(crate) which: Acted,
    /// What to do
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(callboard_tools::ACTIONS))]
    pub(crate) action: String,
    /// The new priority (0 to 1000), the text of the message, or limits as of `run --budget`
    #[arg(value_name = "VALUE")]
    pub(crate) value: Option<String>,
    /// Why, at most 500 characters; it is recorded
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The run as one line of JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// `read`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  callboard read a_hxa2ofxs33kkoxqy7dtjplusu5
  callboard read team://runs/r_7k2m/trace --grep handed")]
pub(crate) struct ReadArgs {
    /// What a result, or `callboard handoffs`, named
    #[arg(value_name = "URI")]
    pub(crate) uri: String,
    /// Begin here, as the page before said
    #[arg(long, value_name = "N")]
    pub(crate) offset: Option<u64>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    pub(crate) grep: Option<String>,
    /// The page as one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}
