//! Problems of the team's files, shown: with the line itself on a terminal, plain elsewhere.

use std::fmt;
use std::path::Path;

use callboard_config::{Problem, Problems, Severity, Team};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
    SourceSpan,
};

use super::say::Say;

/// A file larger than this is named and not quoted.
const QUOTED_BYTES: u64 = 1 << 20;

/// Words of a line that may hold a secret, which is then not quoted.
const DELICATE: [&str; 5] = ["key", "token", "secret", "password", "authorization"];

/// All problems as text.
pub(crate) fn shown(problems: &Problems, terminal: bool, colour: bool) -> String {
    if !terminal {
        return problems.to_string();
    }
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(0).with_links(false);
    let mut text = String::new();
    for problem in &problems.0 {
        if handler.render_report(&mut text, &Quoted::new(problem)).is_err() {
            text.push_str(&problem.to_string());
        }
        text.push('\n');
    }
    let whole = problems.to_string();
    text.push_str(whole.lines().last().unwrap_or_default());
    text
}

/// Tells whoever starts the work what is wrong with the team it starts with.
pub(crate) fn tell(team: &Team, say: Say) {
    if !team.problems.is_empty() {
        let problems = Problems(team.problems.clone());
        say.tell(&shown(&problems, say.terminal, say.paint.is_on()));
    }
}

/// Whether any of them is more than a warning.
pub(crate) fn any_error(problems: &[Problem]) -> bool {
    problems.iter().any(|it| it.severity == Severity::Error)
}

/// A problem together with the line it stands in.
#[derive(Debug)]
struct Quoted {
    problem: Problem,
    source: Option<NamedSource<String>>,
    span: Option<SourceSpan>,
}

impl Quoted {
    fn new(problem: &Problem) -> Quoted {
        let text = read(&problem.file).filter(|_| problem.line > 0);
        let span = text.as_deref().and_then(|it| line(it, problem.line));
        let name = problem.file.display().to_string();
        let source = span.and(text).map(|it| NamedSource::new(name, it));
        Quoted { problem: problem.clone(), source, span }
    }
}

fn read(file: &Path) -> Option<String> {
    let small = std::fs::metadata(file).is_ok_and(|it| it.len() <= QUOTED_BYTES);
    small.then(|| std::fs::read_to_string(file).ok()).flatten()
}

/// The bytes of a line without the blanks around it; nothing if it may hold a secret.
fn line(text: &str, number: usize) -> Option<SourceSpan> {
    let mut start = 0;
    for (at, line) in text.split_inclusive('\n').enumerate() {
        if at + 1 == number {
            let lower = line.to_lowercase();
            let trimmed = line.trim();
            let is_delicate = DELICATE.iter().any(|it| lower.contains(it))
                || lower.contains("://") && lower.contains('@');
            let open = !trimmed.is_empty() && !is_delicate;
            let blanks = line.len() - line.trim_start().len();
            return open.then(|| SourceSpan::new((start + blanks).into(), trimmed.len()));
        }
        start += line.len();
    }
    None
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { file, line, message, .. } = &self.problem;
        match (&self.source, line) {
            (Some(_), _) => f.write_str(message),
            (None, 0) => write!(f, "{}: {message}", file.display()),
            (None, line) => write!(f, "{}:{line}: {message}", file.display()),
        }
    }
}

impl std::error::Error for Quoted {}

impl Diagnostic for Quoted {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|it| Box::new(it) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|it| it as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_quoted() {
        let text = "a: 1\n  api_key: sk-123\n  b: 2\nstore: postgres://ann:hunter22@db/x\n";
        assert_eq!(line(text, 2), None);
        assert_eq!(line(text, 4), None);
        let span = line(text, 3).expect("an open line");
        assert_eq!(&text[span.offset()..span.offset() + span.len()], "b: 2");
        assert_eq!(line(text, 9), None);
    }

    #[test]
    fn a_terminal_sees_the_line_and_a_pipe_sees_file_and_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("team.yaml");
        std::fs::write(&file, "team: x\nlimits: many\n").expect("a file");
        let problem = Problem {
            file: file.clone(),
            line: 2,
            message: "`limits` must be a map".into(),
            help: Some("write `limits: {concurrent: 5}`".into()),
            severity: Severity::Error,
        };
        let problems = Problems(vec![problem]);
        let plain = shown(&problems, false, false);
        assert!(plain.starts_with(&format!("{}:2: `limits` must be a map", file.display())));
        let fancy = shown(&problems, true, false);
        assert!(fancy.contains("limits: many"), "{fancy}");
        assert!(fancy.contains("help: write"), "{fancy}");
        assert!(fancy.ends_with("1 error, 0 warnings"), "{fancy}");
    }
}
