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
    /// The agent (or the one handoff it stands in) is left out; in `team.yaml` nothing starts.
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

/// All problems of one load, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for problem in &self.0 {
            let mark = match problem.severity {
                Severity::Error => "",
                Severity::Warning => "warning: ",
            };
            writeln!(f, "{mark}{problem}")?;
        }
        let errors = self.0.iter().filter(|it| it.severity == Severity::Error).count();
        let warnings = self.0.len() - errors;
        write!(f, "{}, {}", counted(errors, "error"), counted(warnings, "warning"))
    }
}

impl std::error::Error for Problems {}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
