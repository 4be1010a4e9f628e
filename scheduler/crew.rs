//! The team that is served, where it can be replaced, and what is told of it.

use std::sync::Arc;

use callboard_agents::Hands;
use callboard_config::{ExposeSecret, ProviderKind, Team};
use callboard_trace::Event;
use tokio::sync::watch;

/// The team as it was read last, and the hands made for it.
pub(crate) struct Crew(watch::Sender<(Arc<Team>, Hands)>);

impl Crew {
    pub(crate) fn new(team: Arc<Team>, hands: Hands) -> Crew {
        Crew(watch::Sender::new((team, hands)))
    }

    /// The team that new runs begin with.
    pub(crate) fn team(&self) -> Arc<Team> {
        self.0.borrow().0.clone()
    }

    /// What its agents reach the world with.
    pub(crate) fn hands(&self) -> Hands {
        self.0.borrow().1.clone()
    }

    /// Puts another team in its place; runs under way keep what they recorded.
    pub(crate) fn replace(&self, team: Arc<Team>, hands: Hands) {
        self.0.send_replace((team, hands));
    }

    pub(crate) fn reloads(&self) -> Reloads {
        Reloads(self.0.subscribe())
    }
}

/// Hears of every team that takes the place of another.
pub struct Reloads(watch::Receiver<(Arc<Team>, Hands)>);

impl Reloads {
    /// Resolves when the team was replaced since the last call, or since this was made.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The house is gone, and so will be whoever waits here.
            std::future::pending::<()>().await;
        }
    }
}

/// Every value that must never reach a record.
pub(crate) fn secrets(team: &Team) -> Vec<String> {
    let mut secrets = Vec::new();
    for provider in team.providers.values() {
        if let ProviderKind::OpenAi(endpoint) = &provider.kind {
            let key = endpoint.api_key.iter();
            let all = key.chain(endpoint.headers.values());
            secrets.extend(all.map(|it| it.expose_secret().to_string()));
        }
    }
    let of_servers = team.servers.values().flat_map(|it| &it.secrets);
    secrets.extend(of_servers.map(|it| it.expose_secret().to_string()));
    let of_callers = team.http.tokens.iter().filter_map(|it| it.secret.as_ref());
    secrets.extend(of_callers.map(|it| it.expose_secret().to_string()));
    secrets
}

/// That this team is the one that new runs begin with.
pub(crate) fn loaded(team: &Team) -> Event {
    Event::TeamLoaded {
        files: team.files.clone(),
        agents: team.agents.keys().cloned().collect(),
        problems: team.problems.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use callboard_config::http::{Scope, Token};

    use super::*;

    #[test]
    fn a_callers_token_is_a_secret() {
        let mut team = Team::nobody(vec![]);
        for (name, secret) in [("ci", Some("ci-token-0123456789".into())), ("ops", None)] {
            team.http.tokens.push(Token { name: name.into(), secret, scope: Scope::Run });
        }
        assert_eq!(secrets(&team), ["ci-token-0123456789"]);
    }
}
