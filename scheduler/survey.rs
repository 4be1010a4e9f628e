//! What the endpoint of a provider can do: asked for people who set a team up, by no run.

use callboard_agents::model::{Subjects, Survey, survey};
use callboard_config::{Model, ProviderKind, Team};

use crate::world::World;

impl World {
    /// Asks the endpoint of each provider what it can do, by the models that the team has of it: those
    /// of its entry first. With a name only that one; none if the team has no such provider.
    pub async fn survey(&self, team: &Team, named: Option<&str>) -> Vec<Survey> {
        let providers = team.providers.values();
        let wanted = providers.filter(|it| match (named, &it.kind) {
            (Some(name), _) => it.name == name,
            (None, ProviderKind::OpenAi(_)) => true,
            (None, ProviderKind::Rehearsal { .. }) => false,
        });
        let mut all = Vec::new();
        for provider in wanted {
            let is_its = |it: &&Model| it.provider == provider.name;
            let first = team.agents.get(&team.entry);
            let agents = first.into_iter().chain(team.agents.values());
            let model = agents.flat_map(|it| &it.models).chain(&team.small).find(is_its);
            let embed = team.embed.as_ref().filter(is_its);
            let subjects = Subjects {
                model: model.map(|it| it.model.as_str()),
                embed: embed.map(|it| it.model.as_str()),
            };
            all.push(survey(provider, subjects, &team.limits, self.now.clone()).await);
        }
        all
    }
}
