//! What did not happen as the demo said it would.

use std::io;

/// Why the demo ends early.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Nobody reads stdout any more.
    Unread,
    /// Something did not happen as said.
    Said {
        /// A lower-case fragment that names it.
        message: String,
        /// Where to look.
        help: String,
    },
}

impl Broken {
    /// Something did not happen as said.
    pub(crate) fn said(message: impl Into<String>) -> Broken {
        Broken::Said { message: message.into(), help: String::new() }
    }

    /// The machine did not let us.
    pub(crate) fn machine(what: &str, error: &io::Error) -> Broken {
        Broken::said(format!("{what}: {error}"))
    }
}

impl From<io::Error> for Broken {
    /// Of writing to stdout.
    fn from(error: io::Error) -> Broken {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Broken::Unread;
        }
        Broken::machine("stdout cannot be written", &error)
    }
}
