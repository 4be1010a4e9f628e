//! What can be read and asked for by name, as lists: they follow from the team alone, so that no
//! call changes them. Runs are many and come and go; they are reached by templates.

use callboard_config::Team;

use crate::prompt::Prompt;
use crate::prompts::prompts;
use crate::uri::{SCHEME, Uri};

/// Everything a team offers beside its tools, each list in an order of its own that never varies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What is always there to read.
    pub resources: Vec<Listed>,
    /// What there is to read of which there is one for each agent or run.
    pub templates: Vec<Listed>,
    /// What a client's user may start from.
    pub prompts: Vec<Prompt>,
}

/// One thing that can be read, or the template of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `team://…`, with variables in braces where it is a template.
    pub uri: String,
    /// Short, and no other in its list is called so.
    pub name: String,
    /// What it says.
    pub description: String,
    /// What kind of text it is.
    pub mime: &'static str,
}

const JSON: &str = "application/json";
const LINES: &str = "application/jsonl";
const SCHEMA: &str = "application/schema+json";

/// The sides of the team.
const SIDES: [(&str, &str); 5] = [
    ("board", "The team at a glance: what ended unread, agents, queue, your recent runs."),
    ("agents", "Every agent: what it does, to whom it hands off, whether it is at work."),
    ("runs", "Your recent runs, newest first."),
    ("queue", "How much waits, and how many seats are taken."),
    ("config", "The team as it is served: models, handoffs, tool servers, limits; no secrets."),
];

/// Uri, name, kind and description of every template.
const TEMPLATES: [(&str, &str, &str, &str); 10] = [
    ("agents/{name}", "agent", JSON, "An agent's card: models, tools, permissions, handoffs."),
    ("schema/{name}", "schema", SCHEMA, "Of `team` and `agent` files, or of an agent's answer."),
    ("runs/{id}", "run", JSON, "A run: its state, and its result once it is over."),
    ("runs/{id}/trace", "run_trace", LINES, "Every record of a run's tree, oldest first."),
    ("runs/{id}/steps", "run_steps", JSON, "What each step of a run did, and how it went."),
    ("runs/{id}/handoffs", "run_handoffs", JSON, "Who passed what to whom, and what came of it."),
    ("runs/{id}/cost", "run_cost", JSON, "What a run used, agent by agent."),
    ("runs/{id}/why", "run_why", JSON, "Why a run stands where it does."),
    ("runs/{id}/artifacts", "run_artifacts", LINES, "What a run's tree left, a line each."),
    ("runs/{id}/artifacts/{n}", "run_artifact", "text/plain", "One of them whole, from 1."),
];

impl Listing {
    /// What this team offers.
    pub fn of(team: &Team) -> Listing {
        let templates = TEMPLATES.iter().map(|(path, name, mime, description)| Listed {
            uri: format!("{SCHEME}{path}"),
            name: (*name).to_owned(),
            description: (*description).to_owned(),
            mime,
        });
        let prompts = prompts(team);
        Listing { resources: resources(team), templates: templates.collect(), prompts }
    }
}

fn resources(team: &Team) -> Vec<Listed> {
    let listed = |uri: &Uri, description: String, mime: &'static str| {
        let uri = uri.to_string();
        Listed { name: uri[SCHEME.len()..].to_owned(), uri, description, mime }
    };
    let schema = |name: &str, what: String| listed(&Uri::Schema(name.to_owned()), what, SCHEMA);
    let mut all: Vec<Listed> = SIDES
        .iter()
        .map(|(side, what)| listed(&Uri::Team(side), (*what).to_owned(), JSON))
        .collect();
    let report = |by, what: &str| listed(&Uri::Report(by), what.to_owned(), JSON);
    all.push(report(
        "arm",
        "Your ended runs that nobody was named for: the team against one agent.",
    ));
    all.push(report("agent", "Your ended runs by the agent they began with: success, time, cost."));
    for agent in team.agents.values() {
        all.push(listed(&Uri::Agent(agent.name.to_string()), agent.description.clone(), JSON));
    }
    let files = [("team", "`team.yaml`"), ("agent", "the front matter of an agent's file")];
    all.extend(files.map(|(name, what)| schema(name, format!("The JSON Schema of {what}."))));
    // An agent called like one of these has a card, and no uri for its answer.
    let others = team.agents.keys().filter(|it| files.iter().all(|file| file.0 != it.as_str()));
    all.extend(others.map(|it| schema(it.as_str(), format!("The JSON Schema of {it}'s answer."))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::of_files;
    use crate::toolset::tests::a_team;
    use crate::uri::{PARTS, TEAM};

    #[test]
    fn the_lists_read_as_written() {
        let listing = Listing::of(&a_team(&["coder", "agent"]));
        let all = listing.resources.iter().chain(&listing.templates);
        let line = |it: &Listed| format!("{} {} {}", it.uri, it.mime, it.description);
        let lines: Vec<String> = all.map(line).collect();
        insta::assert_snapshot!("listing", lines.join("\n"));
    }

    #[test]
    fn every_name_stands_once_and_every_uri_leads_somewhere() {
        let team = a_team(&["coder", "reviewer", "agent", "team"]);
        let listing = Listing::of(&team);
        for list in [&listing.resources, &listing.templates] {
            for (nth, one) in list.iter().enumerate() {
                assert!(list[..nth].iter().all(|it| it.name != one.name && it.uri != one.uri));
            }
        }
        for one in &listing.resources {
            let uri = Uri::parse(&one.uri).expect("a uri");
            let said = of_files(&team, &uri).map(|it| it.expect("it is there").1);
            assert!(said.is_none_or(|it| it == one.mime), "{one:?}");
        }
        for one in &listing.templates {
            let filled = one.uri.replace("{name}", "coder").replace("{id}", "r_a");
            assert!(Uri::parse(&filled.replace("{n}", "1")).is_some(), "{one:?}");
        }
        let has = |uri: String| {
            listing.resources.iter().chain(&listing.templates).any(|it| it.uri == uri)
        };
        assert!(TEAM.iter().all(|it| has(format!("{SCHEME}{it}"))));
        assert!(PARTS.iter().all(|it| has(format!("{SCHEME}runs/{{id}}/{it}"))));
    }
}
