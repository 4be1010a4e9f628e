//! Where something was written, and the place where problems gather until all are known.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::problem::{Problem, Severity};

/// One file that is being read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// As it is shown in problems.
    pub(crate) path: PathBuf,
    /// Whether an unknown key is an error: so in `team.yaml`, not in agent files.
    pub(crate) strict: bool,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: Arc<Source>,
    /// 1-based; 0 if the whole file is meant.
    pub(crate) line: usize,
}

impl Place {
    /// The whole of a file.
    pub(crate) fn whole(path: &Path, strict: bool) -> Place {
        Place { source: Arc::new(Source { path: path.to_path_buf(), strict }), line: 0 }
    }

    /// Another line of the same file.
    pub(crate) fn at(&self, line: usize) -> Place {
        Place { source: Arc::clone(&self.source), line }
    }

    pub(crate) fn error(&self, message: impl Into<String>, help: impl Into<String>) -> Problem {
        self.problem(Severity::Error, message.into(), help.into())
    }

    pub(crate) fn warning(&self, message: impl Into<String>, help: impl Into<String>) -> Problem {
        self.problem(Severity::Warning, message.into(), help.into())
    }

    /// An error in a strict file, else a warning.
    pub(crate) fn by_its_file(&self, message: impl Into<String>, help: &str) -> Problem {
        let strict = self.source.strict;
        let severity = if strict { Severity::Error } else { Severity::Warning };
        self.problem(severity, message.into(), help.to_owned())
    }

    fn problem(&self, severity: Severity, message: String, help: String) -> Problem {
        let help = (!help.is_empty()).then_some(help);
        Problem { file: self.source.path.clone(), line: self.line, message, help, severity }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) place: Place,
    pub(crate) value: T,
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Gathers problems: readers go on after one, so that an owner sees all at once.
#[derive(Debug, Default)]
pub(crate) struct Sink(RefCell<Vec<Problem>>);

impl Sink {
    pub(crate) fn push(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    /// Problems so far.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.0.borrow().iter().any(|it| it.severity == Severity::Error)
    }

    /// Takes over what another sink gathered.
    pub(crate) fn absorb(&self, other: Sink) {
        self.0.borrow_mut().extend(other.0.into_inner());
    }

    /// All problems, by file and line; a problem told twice is told once.
    pub(crate) fn sorted(self) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        all.dedup();
        all
    }
}
