//! What the agents of a team reach the world with, made of what its owner wrote.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use callboard_agents::concepts::Lexicon;
use callboard_agents::model::Models;
use callboard_agents::{Hands, ToolServers};
use callboard_config::Team;
use callboard_store::Store;

use crate::World;
use crate::sight::Sight;

/// Opens nothing yet; what was learnt by older hands is learnt again.
pub(crate) fn hands(
    team: &Team,
    data: &Path,
    store: &Store,
    keeper: Option<PathBuf>,
    world: &World,
) -> Hands {
    let chance = world.clone();
    let models = Models::new(&team.providers, &team.limits, world.now.clone());
    let servers = ToolServers::new(team, keeper, Arc::new(move || chance.below(u64::MAX)));
    with(team, data, store, models, servers)
}

/// Hands that reach these models and tool servers.
pub(crate) fn with(
    team: &Team,
    data: &Path,
    store: &Store,
    models: Models,
    servers: ToolServers,
) -> Hands {
    let sight = Sight(store.clone(), Lexicon::new(&team.ranking.synonyms));
    Hands::of(team, data, models, Arc::new(sight), servers)
}
