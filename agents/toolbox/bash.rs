//! The tool Bash: one command in the sandbox, to its end, its deadline or too much of anything.

use std::sync::LazyLock;
use std::time::Duration;

use callboard_sandbox::Ended;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::timeout;

use super::card::{Card, is_set, number, text};
use super::ground::Ground;
use super::shell::TIMEOUT_MAX;
use super::tape::Tape;
use super::used::Used;
use crate::answer;

/// Bytes of a command: the system takes no longer argument.
const COMMAND_MAX: usize = 100_000;
/// How long a keeper may take to end everything and say so.
const GONE: Duration = Duration::from_secs(6);
/// Files that are named of those that were put back.
const UNDONE: usize = 20;
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// What the model is told of it.
pub(super) static BASH: LazyLock<Card> = LazyLock::new(|| {
    let properties = json!({
        "command": {"type": "string", "minLength": 1, "maxLength": COMMAND_MAX},
        "description": {"type": "string", "description": "What it does, in a few words."},
        "timeout": {
            "type": "integer",
            "minimum": 1,
            "maximum": u64::try_from(TIMEOUT_MAX.as_millis()).unwrap_or(u64::MAX),
            "description": "Milliseconds.",
        },
        "run_in_background": {"type": "boolean", "description": "Not possible here."},
    });
    Card::new("Bash", ABOUT, properties, &["command"])
});

const ABOUT: &str = "Run a command with bash, in the first folder you may see, inside a sandbox: it \
    reads the system's programs and your folders, writes your folders and $TMPDIR, and has no \
    network unless the team allows it. Each call begins anew in that folder, with no input; what \
    still runs when the command ends is stopped. Both outputs come together.";

/// How long a call of it may take in all, what comes after the command among it; `None` for another
/// tool.
pub(crate) fn patience(ground: &Ground, tool: &str, arguments: &Value) -> Option<Duration> {
    (tool == BASH.name).then(|| command_time(ground, arguments) + 2 * GONE)
}

fn command_time(ground: &Ground, arguments: &Value) -> Duration {
    ground.shell.patience(number(arguments, "timeout"))
}

/// Why a command was stopped.
enum Stop {
    Time(Duration),
    Output(u64),
}

/// Runs one command. Dropping this ends it, and all that it started.
///
/// # Errors
/// A sentence for the model: it was refused or stopped.
pub(super) async fn bash(ground: &Ground, arguments: &Value) -> Result<Used, String> {
    let command = text(arguments, "command");
    if is_set(arguments, "run_in_background") {
        return Err(
            "commands run to their end: leave `run_in_background` out, or let the command \
            itself start and stop what it needs"
                .to_owned(),
        );
    }
    if command.contains('\0') || command.len() > COMMAND_MAX {
        let said = "a command has no NUL and at most 100000 bytes; write a longer one into a file";
        return Err(said.to_owned());
    }
    let mut keeper = ground.shell.start(command)?;
    let mut tape = Tape::new(ground.limits.tool_output_bytes, ground.limits.tool_kept_bytes);
    let most = u64::from(ground.limits.command_output_mib) << 20;
    let (ended, undone, stop) =
        follow(&mut keeper, &mut tape, command_time(ground, arguments), most).await?;
    let (mut said, whole) = tape.played(|it| answer::artifact_id(&json!(it)));
    for told in how(&ended, stop.as_ref(), ground).into_iter().chain(put_back(&undone)) {
        let line = if said.is_empty() || said.ends_with('\n') { "" } else { "\n" };
        said = format!("{said}{line}{told}");
    }
    let ended_by_itself = stop.is_none() && matches!(ended, Ended::Code(_) | Ended::Signal(_));
    match ended_by_itself {
        true => {
            Ok(Used { result: json!(said), whole: whole.map(|it| json!(it)), ..Used::default() })
        }
        false => Err(said),
    }
}

/// Records what is said until everything has ended, or has to.
async fn follow(
    keeper: &mut Child,
    tape: &mut Tape,
    time: Duration,
    most: u64,
) -> Result<(Ended, Vec<String>, Option<Stop>), String> {
    let pipes = (keeper.stdin.take(), keeper.stdout.take(), keeper.stderr.take());
    let (Some(input), Some(mut output), Some(mut report)) = pipes else {
        return Err("it was started without its pipes".to_owned());
    };
    let mut said = Vec::new();
    let running = async {
        match record(&mut output, tape, most).await {
            true => report.read_to_end(&mut said).await.map(|_| None).unwrap_or_default(),
            false => Some(Stop::Output(most)),
        }
    };
    let stop = timeout(time, running).await.unwrap_or(Some(Stop::Time(time)));
    // The end of its input has the keeper end everything.
    drop((input, output));
    let _ = timeout(GONE, report.read_to_end(&mut said)).await;
    let _ = timeout(GONE, keeper.wait()).await;
    let mut lines = said.split(|it| *it == b'\n');
    let ended = serde_json::from_slice(lines.next().unwrap_or_default()).map_err(|_| {
        let said = String::from_utf8_lossy(&said);
        format!("what became of it is not known: {}", crate::words::cut(said.trim(), 300))
    })?;
    let undone = lines.next().and_then(|it| serde_json::from_slice(it).ok()).unwrap_or_default();
    Ok((ended, undone, stop))
}

/// Whether the output came to its end before it was too much.
async fn record(output: &mut (impl AsyncRead + Unpin), tape: &mut Tape, most: u64) -> bool {
    let mut piece = vec![0; PIECE];
    while let Ok(n @ 1..) = output.read(&mut piece).await {
        tape.add(&piece[..n]);
        if tape.total() as u64 > most {
            return false;
        }
    }
    true
}

/// What is told of files that were put back.
fn put_back(undone: &[String]) -> Option<String> {
    let (first, rest) = (undone.get(..UNDONE).unwrap_or(undone), undone.len().max(UNDONE) - UNDONE);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let names = crate::words::shown(&first.join(", "));
    (!undone.is_empty()).then(|| {
        tracing::warn!(files = ?first, "a command changed what decides over programs or agents");
        format!("[put back as it was: {names}{more}; it decides what programs or agents do]")
    })
}

/// What is told of the end; nothing where all went well and something was said.
fn how(ended: &Ended, stop: Option<&Stop>, ground: &Ground) -> Option<String> {
    let limits = &ground.limits;
    let text = match (ended, stop) {
        (Ended::Refused(why), _) => format!("not run: {why}"),
        (_, Some(Stop::Time(time))) => {
            format!("[stopped after {} s; `timeout` takes up to 600000 ms]", time.as_secs_f64())
        }
        (_, Some(Stop::Output(most))) => {
            format!("[stopped: it wrote more than {} MiB; redirect it into a file]", most >> 20)
        }
        (Ended::Code(0), None) => return None,
        (Ended::Code(code), None) => match ground.shell.guarded_root() {
            Some(root) => format!(
                "[exit code {code}; directly in {} commands make nothing but folders: it holds \
                 files of the team]",
                root.display()
            ),
            None => format!("[exit code {code}]"),
        },
        (Ended::Signal(signal), None) => {
            let why = match signal {
                24 => ": its processor time was used up".to_owned(),
                25 => format!(": it wrote a file of more than {} MiB", limits.program_file_mib),
                _ => String::new(),
            };
            format!("[ended by signal {signal}{why}]")
        }
        (Ended::Crowd, None) => {
            format!("[stopped: more than {} processes]", limits.program_processes)
        }
        (Ended::Unwanted, None) => "[stopped]".to_owned(),
    };
    Some(text)
}
