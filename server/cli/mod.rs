//! The command line: what was typed becomes calls of the desk, and answers become text and codes.

mod answer;
mod args;
mod ask;
mod control;
mod doctor;
mod exit;
mod fault;
mod follow;
mod graph;
mod handoffs;
mod init;
mod memory;
mod on_run;
mod place;
mod print;
mod problems;
mod read;
mod replay;
mod run;
mod say;
mod screen;
mod serve;
mod status;
mod store;
mod trace;
mod tree;
mod trust;
mod validate;
mod view;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use self::args::{Command, DemoArgs, KeepArgs, Typed};
use self::fault::Fault;
use self::say::Say;
use crate::demo::Broken;
use crate::ending::asked_to_stop;
#[cfg(unix)]
use crate::keep::Kept;

/// Does what the command line says and answers with the code of the process.
pub fn main() -> ExitCode {
    let typed = match Typed::try_parse() {
        Ok(typed) => typed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { fault::BAD_CALL } else { 0 });
        }
    };
    let say = Say::new(typed.quiet, typed.verbose);
    log(say);
    match obey(typed.command.as_ref(), say) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            complain(&fault, say);
            fault.code()
        }
    }
}

fn obey(command: Option<&Command>, say: Say) -> Result<u8, Fault> {
    let Some(command) = command else { return print::first_steps(say) };
    // A keeper becomes the program that it keeps, which is not ours to shut.
    #[cfg(unix)]
    if !matches!(command, Command::Keep(_)) {
        crate::private::shut();
    }
    match command {
        Command::Init(args) => init::init(args, say),
        Command::Validate(args) => validate::validate(args, say),
        Command::Serve(args) => wait_for(serve::serve(args, say)),
        Command::Work(args) => wait_for(work::work(args, say)),
        Command::Run(args) => wait_for(run::run(args, say)),
        Command::Status(args) => wait_for(status::status(args, say)),
        Command::Trace(args) => wait_for(trace::trace(args, say)),
        Command::Handoffs(args) => wait_for(handoffs::handoffs(args, say)),
        Command::Answer(args) => wait_for(answer::answer(args, say)),
        Command::Control(args) => wait_for(control::control(args, say)),
        Command::Read(args) => wait_for(read::read(args, say)),
        Command::Replay(args) => wait_for(replay::replay(args, say)),
        Command::Memory(args) => wait_for(memory::memory(args, say)),
        Command::Store(args) => wait_for(store::store(args, say)),
        Command::Trust(args) => trust::trust(args, say),
        Command::Doctor(args) => wait_for(doctor::doctor(args, say)),
        Command::Keep(args) => keep(args),
        Command::Demo(args) => wait_for(demo(args, say)),
        Command::Completions(args) => print::completions(args, say),
        Command::Schema(args) => print::schema(args, say),
        Command::Man => print::man(say),
    }
}

#[cfg(unix)]
fn keep(args: &KeepArgs) -> Result<u8, Fault> {
    let KeepArgs { program, arguments, once, .. } = args;
    if let Some(jail) = &args.inside {
        let Err(error) = crate::pen::inside(jail, program, arguments);
        return Err(Fault::broken(error, ""));
    }
    let jail = args.jail.as_deref().map(serde_json::from_str).transpose();
    let jail = jail.map_err(|it| Fault::call(format!("`--jail` is no sandbox: {it}"), ""))?;
    crate::keep::keep(&Kept { program, arguments, jail, once: *once }).map_err(|error| {
        Fault::broken(format!("{} cannot be started: {error}", program.display()), "")
    })
}

#[cfg(not(unix))]
fn keep(args: &KeepArgs) -> Result<u8, Fault> {
    let program = args.program.display();
    Err(Fault::call(format!("{program} cannot be kept on this system"), ""))
}

async fn demo(args: &DemoArgs, say: Say) -> Result<u8, Fault> {
    let stage = crate::demo::Stage { keep: args.keep.clone(), paint: say.out_paint };
    let played = tokio::select! {
        played = crate::demo::play(&stage) => played,
        // Its server and its folder go with it.
        () = asked_to_stop() => return Ok(exit::LEFT),
    };
    match played {
        Ok(()) => Ok(0),
        Err(Broken::Unread) => Err(Fault::Unread),
        Err(Broken::Said { message, help }) => Err(Fault::broken(message, help)),
    }
}

fn wait_for(work: impl Future<Output = Result<u8, Fault>>) -> Result<u8, Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::broken(format!("no threads to work with: {error}"), ""))?;
    let done = runtime.block_on(work);
    // What still waits on the outside is in the journal and need not hold the process up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

fn complain(fault: &Fault, say: Say) {
    let text = match fault {
        Fault::Unread => return,
        Fault::Problems(problems) => problems::shown(problems, say.terminal, say.paint.is_on()),
        Fault::Call { .. } | Fault::Refused(_) | Fault::Start(_) | Fault::Broken { .. } => {
            format!("{} {fault}", say.paint.red("error:"))
        }
    };
    say.complain(&crate::veil::over(&text));
}

/// The engine's own words go to stderr; `CALLBOARD_LOG` says which, as in `callboard=debug`.
fn log(say: Say) {
    let asked = callboard_config::environment("CALLBOARD_LOG").filter(|it| !it.is_empty());
    let level = match (say.quiet, say.verbose) {
        (true, _) => "error",
        (_, true) => "warn,callboard=debug,callboard_scheduler=debug,callboard_agents=debug",
        (false, false) => "warn",
    };
    let mut filter = EnvFilter::try_new(asked.as_deref().unwrap_or(level))
        .unwrap_or_else(|_| EnvFilter::new(level));
    // At lower levels these libraries write whole requests and replies; and what a client that left
    // did not read is no news to anybody.
    let protocol = if say.verbose { "rmcp=warn" } else { "rmcp=off" };
    for floor in [protocol, "async_openai=off", "tokio_postgres=off"] {
        filter = floor.parse().map_or(filter.clone(), |it| filter.clone().add_directive(it));
    }
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(crate::veil::Veil)
        .with_ansi(say.paint.is_on())
        // Its own complaint would be a panic where nobody reads stderr any more.
        .log_internal_errors(false)
        .try_init();
}
