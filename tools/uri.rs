//! What can be read, by its uri.

use callboard_trace::RunId;

/// One thing that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Uri {
    /// The team at a glance, or one side of it: `board`, `agents`, `runs`, `queue`, `config`.
    Team(&'static str),
    /// Ended runs side by side: by `arm`, or by `agent`.
    Report(&'static str),
    /// An agent's card.
    Agent(String),
    /// A JSON Schema: of the files, or of an agent's answer.
    Schema(String),
    /// A run as a whole.
    Run(RunId),
    /// One side of a run: `trace`, `handoffs`, `cost`, `steps`, `why`, `artifacts`.
    Part(RunId, &'static str),
    /// A body below a run, 1-based in the order in which they were made.
    Artifact(RunId, usize),
    /// A body by its own name, `a_…`.
    Named(String),
}

/// The sides of the team.
pub(crate) const TEAM: [&str; 5] = ["board", "agents", "runs", "queue", "config"];
/// The sides of a run.
pub(crate) const PARTS: [&str; 6] = ["trace", "steps", "handoffs", "cost", "why", "artifacts"];
/// How every uri begins.
pub(crate) const SCHEME: &str = "team://";

impl Uri {
    /// Reads a uri, or the bare name of a run or of an artifact. `None` if nothing is called so.
    pub(crate) fn parse(text: &str) -> Option<Uri> {
        let text = text.trim();
        let Some(path) = text.strip_prefix(SCHEME) else {
            return match text {
                it if it.starts_with("r_") => Some(Uri::Run(RunId::from_text(it))),
                it if it.starts_with("a_") => Some(Uri::Named(it.to_owned())),
                _ => None,
            };
        };
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let of = |known: &[&'static str], name: &str| known.iter().find(|it| **it == name).copied();
        match parts.as_slice() {
            ["report" | "report?by=arm"] => Some(Uri::Report("arm")),
            ["report?by=agent"] => Some(Uri::Report("agent")),
            [side] => of(&TEAM, side).map(Uri::Team),
            [_, ""] => None,
            ["agents", name] => Some(Uri::Agent((*name).to_owned())),
            ["schema", name] => Some(Uri::Schema((*name).to_owned())),
            ["artifacts", name] => Some(Uri::Named((*name).to_owned())),
            ["runs", run] => Some(Uri::Run(RunId::from_text(*run))),
            ["runs", run, part] => of(&PARTS, part).map(|it| Uri::Part(RunId::from_text(*run), it)),
            ["runs", run, "artifacts", number] => {
                let number = number.parse().ok().filter(|it| *it > 0)?;
                Some(Uri::Artifact(RunId::from_text(*run), number))
            }
            _ => None,
        }
    }

    /// Whether nothing changes it but another reading of the team's files.
    pub(crate) fn is_still(&self) -> bool {
        match self {
            Uri::Team(side) => *side == "config",
            Uri::Agent(_) | Uri::Schema(_) | Uri::Artifact(..) | Uri::Named(_) => true,
            Uri::Run(_) | Uri::Part(..) | Uri::Report(_) => false,
        }
    }

    /// Uris that are near to one that is none: those of its run, or of the team.
    pub(crate) fn nearby(text: &str) -> Vec<String> {
        let mut parts = text.trim().strip_prefix(SCHEME).unwrap_or_default().split('/');
        if let (Some("runs"), Some(run), Some(_)) = (parts.next(), parts.next(), parts.next()) {
            let run: String = run.chars().take(64).collect();
            return PARTS.iter().map(|it| format!("{SCHEME}runs/{run}/{it}")).collect();
        }
        let more =
            ["report?by=arm", "report?by=agent", "agents/{name}", "runs/{id}", "schema/{name}"];
        TEAM.iter().chain(&more).map(|it| format!("{SCHEME}{it}")).collect()
    }
}

impl std::fmt::Display for Uri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Uri::Team(side) => write!(f, "{SCHEME}{side}"),
            Uri::Report(by) => write!(f, "{SCHEME}report?by={by}"),
            Uri::Agent(name) => write!(f, "{SCHEME}agents/{name}"),
            Uri::Schema(name) => write!(f, "{SCHEME}schema/{name}"),
            Uri::Run(run) => write!(f, "{SCHEME}runs/{run}"),
            Uri::Part(run, part) => write!(f, "{SCHEME}runs/{run}/{part}"),
            Uri::Artifact(run, number) => write!(f, "{SCHEME}runs/{run}/artifacts/{number}"),
            Uri::Named(name) => write!(f, "{SCHEME}artifacts/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_read_and_written_back() {
        for text in [
            "team://board",
            "team://agents",
            "team://runs",
            "team://queue",
            "team://config",
            "team://report?by=arm",
            "team://report?by=agent",
            "team://agents/coder",
            "team://schema/team",
            "team://runs/r_a",
            "team://runs/r_a/trace",
            "team://runs/r_a/steps",
            "team://runs/r_a/handoffs",
            "team://runs/r_a/cost",
            "team://runs/r_a/why",
            "team://runs/r_a/artifacts",
            "team://runs/r_a/artifacts/12",
            "team://artifacts/a_b",
        ] {
            let read = Uri::parse(text).unwrap_or_else(|| Uri::Named(format!("no {text}")));
            assert_eq!(read.to_string(), text);
            assert_eq!(Uri::parse(&format!(" {text}/\n")), Some(read));
        }
        let bare = |it: &str| Uri::parse(it).map(|it| it.to_string());
        assert_eq!(bare("team://report").as_deref(), Some("team://report?by=arm"));
        assert_eq!(bare("r_a").as_deref(), Some("team://runs/r_a"));
        assert_eq!(bare("a_b").as_deref(), Some("team://artifacts/a_b"));
    }

    #[test]
    fn what_is_no_uri_is_told_what_is_near() {
        for text in [
            "",
            "team://",
            "board",
            "http://board",
            "team://bord",
            "team://report?by=moon",
            "team://agents/",
            "team://runs//trace/x",
            "team://runs/r_a/trce",
            "team://runs/r_a/artifacts/0",
            "team://runs/r_a/artifacts/-1",
            "team://runs/r_a/artifacts/99999999999999999999999",
            "team://runs/r_a/artifacts/1/2",
            "team://board/x/y",
        ] {
            let read = Uri::parse(text);
            assert!(matches!(read, None | Some(Uri::Team("agents"))), "{text}: {read:?}");
        }
        let near = Uri::nearby("team://runs/r_a/trce");
        assert!(near.contains(&"team://runs/r_a/trace".to_owned()), "{near:?}");
        assert!(Uri::nearby("team://bord").contains(&"team://board".to_owned()));
        assert!(Uri::nearby(&"x".repeat(1 << 20)).iter().all(|it| it.len() < 100));
    }
}
