//! Why a command could not be done, and the exit code of that.

use std::io;
use std::process::ExitCode;

use callboard_config::Problems;
use callboard_scheduler::{Refusal, RefusalCode, StartError};

/// What a command did, or why not.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// What stopped a command.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It was called wrongly.
    Call {
        /// A lower-case fragment that names the thing.
        message: String,
        /// The way out.
        help: String,
    },
    /// The team's files do not hold.
    Problems(Problems),
    /// The desk refused.
    Refused(Refusal),
    /// The journal cannot be opened.
    Start(StartError),
    /// The machine did not do its part.
    Broken {
        /// A lower-case fragment that names the thing.
        message: String,
        /// The way out.
        help: String,
    },
    /// Nobody reads stdout any more, as after `| head`: no fault of anybody.
    Unread,
}

/// A command could not be done.
pub(crate) const FAILED: u8 = 1;
/// A command was called wrongly.
pub(crate) const BAD_CALL: u8 = 2;

impl Fault {
    /// A wrong call and the way out.
    pub(crate) fn call(message: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault::Call { message: message.into(), help: help.into() }
    }

    /// Something of the machine that failed, and the way out.
    pub(crate) fn broken(message: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault::Broken { message: message.into(), help: help.into() }
    }

    /// The exit code of the process.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Fault::Call { .. } | Fault::Problems(_) => BAD_CALL,
            Fault::Refused(refusal) => refused(refusal.code),
            Fault::Start(_) | Fault::Broken { .. } => FAILED,
            Fault::Unread => 0,
        })
    }
}

fn refused(code: RefusalCode) -> u8 {
    match code {
        RefusalCode::InvalidInput
        | RefusalCode::UnknownAgent
        | RefusalCode::NotFound
        | RefusalCode::Conflict
        | RefusalCode::NotAllowed => BAD_CALL,
        RefusalCode::OverCapacity | RefusalCode::EngineUnavailable | RefusalCode::Internal => {
            FAILED
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Call { message, help } | Fault::Broken { message, help } => {
                write!(f, "{message}")?;
                if help.is_empty() { Ok(()) } else { write!(f, "\n  help: {help}") }
            }
            Fault::Problems(problems) => write!(f, "{problems}"),
            Fault::Refused(refusal) => write!(f, "{}", in_our_words(&refusal.to_string())),
            Fault::Start(error) => write!(f, "{error}"),
            Fault::Unread => Ok(()),
        }
    }
}

/// A refusal names the tools as clients call them; here they are verbs.
fn in_our_words(text: &str) -> String {
    let verbs = ["status", "answer", "control", "read", "run"];
    verbs.iter().fold(text.to_owned(), |text, verb| {
        text.replace(&format!("`team_{verb}`"), &format!("`callboard {verb}`"))
    })
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Refused(refusal)
    }
}

impl From<io::Error> for Fault {
    /// Of writing to stdout: the only place where a bare `?` meets an IO error here.
    fn from(error: io::Error) -> Fault {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Fault::Unread;
        }
        Fault::broken(format!("stdout cannot be written: {error}"), "")
    }
}
