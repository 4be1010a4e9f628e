//! The prompt `new_agent`: how to write the file of another agent that fits this team.

use std::collections::BTreeSet;

use callboard_config::{Kind, Team};
use serde_json::json;

use crate::effective::model;
use crate::prompt::{Argument, line};

/// Its name.
pub(crate) const NAME: &str = "new_agent";
/// What it takes.
pub(crate) const ARGUMENTS: [Argument; 1] =
    [Argument { name: "goal", description: "what the agent is to do", required: true }];

/// What the client's model is told.
pub(crate) fn told(team: &Team, goal: &str) -> String {
    let agents: Vec<String> = team.agents.values().map(|it| line(it, "")).collect();
    let models: BTreeSet<String> =
        team.agents.values().flat_map(|it| &it.models).map(model).collect();
    let servers: BTreeSet<&str> = team.servers.values().map(|it| it.name.as_str()).collect();
    let listed = |some: Vec<&str>, none: &str| match some.is_empty() {
        true => none.to_owned(),
        false => some.join(", "),
    };
    let entry = &team.entry;
    format!(
        "Write one agent file for the team \"{name}\". The new agent is to do this:\n{goal}\n\n\
         These agents are there already, and their names are taken:\n{agents}\n\
         If one of them covers the goal, say so and propose a change of its file instead.\n\n\
         The file is Markdown, `agents/<name>.md` in the team's folder: front matter between two \
         lines of `---`, below it the instructions, which are the agent's system prompt. All keys \
         but `description` may be left out:\n\
         - name: 2 to 32 small letters, digits or `_`; the file's name if it is left out.\n\
         - description: at most 300 characters; what it does and when to use it. Callers and other \
         agents choose by it.\n\
         - kind: `human` if a person does the work; then `choices` may list the answers.\n\
         - model: left out, the team's default. In use here: {models}.\n\
         - tools, disallowedTools: names or globs; left out, all the team allows.\n\
         - mcpServers: left out, all of the team's: {servers}.\n\
         - permissions: read, write, run, fetch, external, each allow, ask or deny; at most the \
         team's: {ceiling}.\n\
         - capabilities: short words for what it is good at.\n\
         - handoffs: whom it passes work to, a list of names or of {{to, when, triggers, mode}}; \
         `mode: delegate` gets the answer back. handoffs_from: who passes work to it, without a \
         change of their files.\n\
         - maxTurns: 1 to 200, here {turns} unless it says otherwise. class: critical, high, \
         quality, normal, low or background. publish: false hides it from callers.\n\
         - output: {{properties: …}}, fields of its answer beside `summary` and `confidence`.\n\
         team://schema/agent says it all; team://agents/{entry} shows an agent of this team.\n\n\
         For instance:\n{example}\n\
         The instructions say in the second person what the agent is, how it works, what it must \
         not do, and when it is done or passes the work on. They do not repeat what the front \
         matter says. A saved file is served within a second; what is wrong with it stands in \
         team://board under `problems`.\n",
        name = team.name,
        agents = agents.join("\n"),
        models = listed(models.iter().map(String::as_str).collect(), "none"),
        servers = listed(servers.into_iter().collect(), "it has none"),
        ceiling = json!(team.permissions),
        turns = team.limits.turns,
        example = example(team),
    )
}

/// A file as it could lie beside the others.
fn example(team: &Team) -> String {
    let name = ["auditor", "checker", "second_reader"]
        .into_iter()
        .find(|name| team.agents.keys().all(|it| it.as_str() != *name))
        .unwrap_or("another");
    let worker = team.agents.values().find(|it| it.kind == Kind::Model && it.name != team.entry);
    let worker = worker.map_or(&team.entry, |it| &it.name);
    format!(
        "---\nname: {name}\ndescription: Checks finished work against its task. Use it before \
         anything is delivered.\ncapabilities: [audit, verify]\nhandoffs_from: [{entry}]\n\
         handoffs:\n  - to: {worker}\n    when: the work has to be done again\n\
         permissions: {{write: deny, run: deny}}\nmaxTurns: 8\n---\n\
         You check work that others have finished. Read the task first, then the work. Name each \
         point that the task asks for and the work lacks, with the place. Do not mend anything \
         yourself: pass it to {worker} with the list. If nothing is missing, say so and end.\n",
        entry = team.entry,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolset::tests::a_team;

    #[test]
    fn it_speaks_of_this_team() {
        let told = told(&a_team(&["coder", "auditor"]), "translate what the coder writes");
        insta::assert_snapshot!("new_agent", told);
    }
}
