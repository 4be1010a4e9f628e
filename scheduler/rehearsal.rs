//! Playbooks of the rehearsal model, read before anybody waits for them.

use callboard_agents::model::Playbook;
use callboard_config::{Problem, ProviderKind, Team};

/// What is wrong with the playbooks of a team, each problem with its line.
pub fn playbook_problems(team: &Team) -> Vec<Problem> {
    let playbooks = team.providers.values().filter_map(|provider| match &provider.kind {
        ProviderKind::Rehearsal { playbook } => playbook.as_ref(),
        ProviderKind::OpenAi(_) => None,
    });
    playbooks
        .filter_map(|(path, text)| Playbook::parse(path, text).err())
        .flat_map(|problems| problems.0)
        .collect()
}
