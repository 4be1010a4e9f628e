//! What a team knows and nobody is to read.

use secrecy::ExposeSecret;

use crate::Team;
use crate::database::Database;
use crate::provider::ProviderKind;

impl Team {
    /// Every value that must never reach a record or a log.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        for provider in self.providers.values() {
            if let ProviderKind::OpenAi(endpoint) = &provider.kind {
                let key = endpoint.api_key.iter();
                let all = key.chain(endpoint.headers.values());
                secrets.extend(all.map(|it| it.expose_secret().to_string()));
            }
        }
        let of_servers = self.servers.values().flat_map(|it| &it.secrets);
        secrets.extend(of_servers.map(|it| it.expose_secret().to_string()));
        secrets.extend(self.bash.secrets.iter().map(|it| it.expose_secret().to_string()));
        let of_callers = self.http.tokens.iter().filter_map(|it| it.secret.as_ref());
        secrets.extend(of_callers.map(|it| it.expose_secret().to_string()));
        secrets.extend(self.database.iter().flat_map(Database::secrets));
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Scope, Token};

    #[test]
    fn a_callers_token_is_a_secret_and_what_a_shell_is_given() {
        let mut team = Team::nobody(vec![]);
        team.bash.secrets.push("shell-token-0123".into());
        for (name, secret) in [("ci", Some("ci-token-0123456789".into())), ("ops", None)] {
            team.http.tokens.push(Token { name: name.into(), secret, scope: Scope::Run });
        }
        assert_eq!(team.secrets(), ["shell-token-0123", "ci-token-0123456789"]);
    }
}
