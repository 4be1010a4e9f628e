//! The two ways out: data on stdout, words for people on stderr.

use std::io::{self, IsTerminal, Write};

use crate::paint::Paint;

/// How this process speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Say {
    /// People want errors only.
    pub(crate) quiet: bool,
    /// People want to see the engine.
    pub(crate) verbose: bool,
    /// Colours for stdout.
    pub(crate) out_paint: Paint,
    /// Colours for stderr.
    pub(crate) paint: Paint,
    /// Whether a person looks at stdout.
    pub(crate) out_terminal: bool,
    /// Whether stderr is a terminal that can be redrawn.
    pub(crate) terminal: bool,
    /// Letters of a line on stdout, where it is a terminal that says how wide it is.
    pub(crate) width: Option<usize>,
}

impl Say {
    /// Looks at what stdout and stderr are, and at `NO_COLOR` and `TERM`.
    pub(crate) fn new(quiet: bool, verbose: bool) -> Say {
        let said = |name: &str| callboard_config::environment(name).filter(|it| !it.is_empty());
        let dumb = said("TERM").is_some_and(|it| it == "dumb");
        let colour = said("NO_COLOR").is_none() && !dumb;
        let out_terminal = io::stdout().is_terminal();
        let err_terminal = io::stderr().is_terminal();
        Say {
            quiet,
            verbose,
            out_paint: Paint::new(colour && out_terminal),
            paint: Paint::new(colour && err_terminal),
            out_terminal,
            terminal: err_terminal && !dumb,
            width: terminal_size::terminal_size_of(io::stdout()).map(|it| usize::from(it.0.0)),
        }
    }

    /// One line of data.
    ///
    /// # Errors
    /// When nobody reads stdout any more.
    pub(crate) fn data(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// A whole file on stdout, as it is.
    ///
    /// # Errors
    /// When nobody reads stdout any more.
    pub(crate) fn file(self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Words for people, unless they asked for quiet.
    pub(crate) fn tell(self, text: &str) {
        if !self.quiet {
            self.complain(text);
        }
    }

    /// Words for people in any case. That nobody reads them is no reason to stop.
    pub(crate) fn complain(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
