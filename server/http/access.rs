//! The door of the HTTP side: each request shows who calls, or is told what to bring.

use std::sync::{Arc, PoisonError, RwLock};

use callboard_config::Team;
use callboard_config::http::Scope;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::Value;
use tokio::time::Instant;

use super::claims::Denied;
use super::oauth::Issuer;
use super::tokens::Tokens;
use crate::who::Principal;

/// Bytes of a token that is looked at.
const TOKEN_MAX: usize = 8 * 1024;

/// The door of the team as it is now.
pub(crate) struct Gate(RwLock<Arc<Access>>);

impl Gate {
    pub(crate) fn new(team: Arc<Team>) -> Gate {
        Gate(RwLock::new(Arc::new(Access::of(team, None))))
    }

    /// What lets in from now on: made anew if the team was replaced, with the keys that are there.
    pub(crate) fn now(&self, team: &Arc<Team>) -> Arc<Access> {
        let access = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if Arc::ptr_eq(&access.team, team) {
            return access;
        }
        let fresh = Arc::new(Access::of(Arc::clone(team), access.issuer.clone()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        fresh
    }
}

/// Who may come in, by one reading of the team.
pub(crate) struct Access {
    team: Arc<Team>,
    tokens: Tokens,
    issuer: Option<Arc<Issuer>>,
}

impl Access {
    fn of(team: Arc<Team>, issuer: Option<Arc<Issuer>>) -> Access {
        let set = team.http.oauth.as_ref();
        let issuer = set.map(|set| {
            let same = issuer.filter(|it| it.is_of(set));
            same.unwrap_or_else(|| Arc::new(Issuer::new(set)))
        });
        Access { tokens: Tokens::of(&team.http.tokens), issuer, team }
    }

    /// Whether nobody has to bring anything. A token whose value is missing shuts the door too.
    pub(crate) fn is_open(team: &Team) -> bool {
        team.http.tokens.is_empty() && team.http.oauth.is_none()
    }

    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// Who sends these headers.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<Principal, Denied> {
        self.admit_at(headers, Instant::now()).await
    }

    pub(super) async fn admit_at(
        &self,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Principal, Denied> {
        if Access::is_open(&self.team) {
            return Ok(Principal::local());
        }
        let token = bearer(headers)?;
        match (self.tokens.find(token), &self.issuer) {
            (Some(principal), _) => Ok(principal),
            (None, Some(issuer)) => issuer.admit(token, now).await,
            (None, None) => Err(Denied::BadToken("it is not known here")),
        }
    }

    /// What tells clients where to get a token (RFC 9728); nothing without an authorization server.
    pub(crate) fn metadata(&self) -> Option<Value> {
        self.issuer.as_ref().map(|it| it.metadata())
    }

    /// The value of `WWW-Authenticate`; nothing where another token would not help.
    pub(crate) fn challenge(&self, denied: &Denied) -> Option<String> {
        let (needed, error) = match denied {
            Denied::NoToken => (Scope::Run, None),
            Denied::BadToken(_) => (Scope::Run, Some("invalid_token")),
            Denied::Scope(needed) => (*needed, Some("insufficient_scope")),
            Denied::Unavailable(_) => return None,
        };
        let mut parts = vec![];
        if let Some(error) = error {
            parts.push(format!("error=\"{error}\", error_description=\"{}\"", said(denied)));
        }
        if let Some(issuer) = &self.issuer {
            parts.push(format!("resource_metadata=\"{}\"", issuer.metadata_url()));
            parts.push(format!("scope=\"{}\"", issuer.set().scopes[&needed]));
        }
        Some(format!("Bearer {}", parts.join(", ")).trim_end().to_owned())
    }
}

/// A text that fits between quotes.
fn said(denied: &Denied) -> String {
    denied.to_string().replace(['"', '\\', '`'], "")
}

/// The one token in the one place where it may stand.
fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = sent.next() else { return Err(Denied::NoToken) };
    if sent.next().is_some() {
        return Err(Denied::BadToken("there is more than one Authorization header"));
    }
    let text = value.to_str().map_err(|_| Denied::BadToken("it has a letter that no token has"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denied::NoToken);
    }
    let token = token.trim_matches(' ');
    if token.is_empty() || !token.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(Denied::BadToken("it is empty, or has a blank in it"));
    }
    if token.len() > TOKEN_MAX {
        return Err(Denied::BadToken("it is longer than 8 KiB"));
    }
    Ok(token)
}
