//! What may be written in a blank of a template or of a prompt, by what is written there so far.

use std::collections::HashMap;

use callboard_config::AgentName;
use callboard_scheduler::{Desk, Refusal, RefusalCode};
use callboard_trace::{Caller, RunId};

use crate::check::Result;
use crate::listing::Listing;
use crate::nearest::{did_you_mean, quoted};
use crate::resource::count_artifacts;

/// Most values that are proposed at once.
const VALUES_MAX: usize = 100;

/// One blank, and what is known beside it.
#[derive(Clone, Debug)]
pub struct Blank {
    /// What the blank belongs to.
    pub of: Subject,
    /// The name of the variable or argument.
    pub name: String,
    /// What is written so far.
    pub value: String,
    /// What the other blanks hold.
    pub others: HashMap<String, String>,
}

/// What has blanks.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A template, by its uri.
    Template(String),
    /// A prompt, by its name.
    Prompt(String),
}

/// What fills a blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    Agents,
    Schemas,
    Runs,
    Artifacts,
    Free,
}

impl Blank {
    /// What may stand there: at most 100 values, and how many there are, if they could be counted.
    ///
    /// # Errors
    /// `invalid_input` with the names there are; `engine_unavailable`.
    pub async fn values(
        &self,
        desk: &Desk,
        caller: &Caller,
    ) -> Result<(Vec<String>, Option<usize>)> {
        let team = desk.team();
        let agents = || team.agents.keys().map(AgentName::to_string);
        let mut may_be_more = false;
        let all: Vec<String> = match self.filling(&Listing::of(&team))? {
            Filling::Agents => agents().collect(),
            Filling::Schemas => {
                let own = agents().filter(|it| it != "team" && it != "agent");
                ["team", "agent"].map(str::to_owned).into_iter().chain(own).collect()
            }
            Filling::Runs => {
                let (runs, is_full) = desk.recent(&self.value, caller).await?;
                may_be_more = is_full;
                runs.into_iter().map(|it| it.to_string()).collect()
            }
            Filling::Artifacts => match self.others.get("id") {
                Some(run) => {
                    let run = RunId::from_text(run.as_str());
                    (1..=count_artifacts(desk, &run, caller).await?)
                        .map(|it| it.to_string())
                        .collect()
                }
                None => Vec::new(),
            },
            Filling::Free => Vec::new(),
        };
        let begins = |it: &String| it.starts_with(self.value.trim());
        let mut fit: Vec<String> = all.into_iter().filter(begins).collect();
        let n_all = fit.len();
        fit.truncate(VALUES_MAX);
        Ok((fit, (!may_be_more).then_some(n_all)))
    }

    fn filling(&self, listing: &Listing) -> Result<Filling> {
        let (what, of, known, names) = match &self.of {
            Subject::Template(uri) => {
                let all: Vec<&str> = listing.templates.iter().map(|it| it.uri.as_str()).collect();
                ("template", uri, all, variables(uri))
            }
            Subject::Prompt(name) => {
                let all = listing.prompts.iter().map(|it| it.name).collect();
                let prompt = listing.prompts.iter().find(|it| it.name == name);
                let names = prompt.into_iter().flat_map(|it| it.arguments).map(|it| it.name);
                ("prompt", name, all, names.collect())
            }
        };
        if !known.contains(&of.as_str()) {
            let near = did_you_mean(of, known.into_iter(), "there are");
            return Err(wrong(format!("there is no {what} {}{near}", quoted(of))));
        }
        if !names.contains(&self.name.as_str()) {
            let near = did_you_mean(&self.name, names.iter().copied(), "there are");
            return Err(wrong(format!("{} is no blank of {of}{near}", quoted(&self.name))));
        }
        Ok(match (self.name.as_str(), of.contains("schema/")) {
            ("name", true) => Filling::Schemas,
            ("name", false) => Filling::Agents,
            ("id" | "run", _) => Filling::Runs,
            ("n", _) => Filling::Artifacts,
            _ => Filling::Free,
        })
    }
}

/// The names between braces.
fn variables(template: &str) -> Vec<&str> {
    template.split('{').skip(1).filter_map(|it| it.split('}').next()).collect()
}

fn wrong(message: String) -> Refusal {
    Refusal::new(RefusalCode::InvalidInput, message, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolset::tests::a_team;

    fn filling(of: Subject, name: &str) -> Result<Filling, String> {
        let blank =
            Blank { of, name: name.to_owned(), value: String::new(), others: HashMap::new() };
        blank.filling(&Listing::of(&a_team(&["coder"]))).map_err(|it| it.message)
    }

    #[test]
    fn every_blank_has_its_filling() {
        let template = |uri: &str, name: &str| filling(Subject::Template(uri.to_owned()), name);
        let prompt = |of: &str, name: &str| filling(Subject::Prompt(of.to_owned()), name);
        assert_eq!(template("team://agents/{name}", "name"), Ok(Filling::Agents));
        assert_eq!(template("team://schema/{name}", "name"), Ok(Filling::Schemas));
        assert_eq!(template("team://runs/{id}/cost", "id"), Ok(Filling::Runs));
        assert_eq!(template("team://runs/{id}/artifacts/{n}", "n"), Ok(Filling::Artifacts));
        assert_eq!(prompt("postmortem", "run"), Ok(Filling::Runs));
        assert_eq!(prompt("delegate", "goal"), Ok(Filling::Free));
        let told = prompt("postmortm", "run").expect_err("no prompt");
        assert_eq!(told, "there is no prompt \"postmortm\"; did you mean \"postmortem\"?");
        let told = prompt("delegate", "gaol").expect_err("no argument");
        assert_eq!(told, "\"gaol\" is no blank of delegate; did you mean \"goal\"?");
        let told = template("team://board", "x").expect_err("no template");
        assert!(told.contains("team://runs/{id}/why"), "{told}");
    }
}
