//! Who may come in: until tokens are read, whoever is on this machine.
use crate::who::Principal;
use callboard_config::Team;
use callboard_config::http::Scope;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
#[derive(Default)]
pub(crate) struct Access;
impl Access {
    pub(crate) fn is_open(team: &Team) -> bool {
        team.http.tokens.is_empty() && team.http.oauth.is_none()
    }
    pub(crate) async fn admit(
        &self,
        _team: &Team,
        _headers: &HeaderMap,
    ) -> Result<Principal, Denied> {
        Ok(Principal::local())
    }
    pub(crate) fn metadata(&self, _team: &Team, _base: &str) -> Option<Value> {
        None
    }
}
#[derive(Debug)]
pub(crate) enum Denied {
    Scope(Scope),
}
impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
impl Denied {
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::FORBIDDEN
    }
    pub(crate) fn challenge(&self, _m: Option<&str>) -> String {
        "Bearer".to_owned()
    }
}
