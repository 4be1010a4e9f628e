//! One thing wrong with what the owner wrote: where, what, and what to write instead.

use std::path::PathBuf;

/// A problem in one file. Rendered as `file:line: message` with a help line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file it stands in.
    pub file: PathBuf,
    /// 1-based; 0 if the whole file is meant.
    pub line: usize,
    /// A lower-case fragment that names the thing.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Whether it stops the agent (or the start) or is only told.
    pub severity: Severity,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The agent is left out; in `team.yaml` nothing starts.
    Error,
    /// Told, and nothing else changes.
    Warning,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}
