//! What a token says of its caller, or why the caller is not let in.

use std::collections::BTreeMap;

use callboard_config::http::Scope;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::who::Principal;

/// Characters of a subject that is kept with its runs.
const SUBJECT_MAX: usize = 200;

/// Why a caller is not let in. Never holds a token, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Nothing was brought that could be looked at.
    NoToken,
    /// What was brought is not taken.
    BadToken(&'static str),
    /// The keys that would tell cannot be had at the moment.
    Unavailable(String),
    /// Known, but may not go as far as this.
    Scope(Scope),
}

impl Denied {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Denied::NoToken | Denied::BadToken(_) => StatusCode::UNAUTHORIZED,
            Denied::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Denied::Scope(_) => StatusCode::FORBIDDEN,
        }
    }
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Denied::NoToken => f.write_str("send `Authorization: Bearer TOKEN`"),
            Denied::BadToken(why) => write!(f, "the token is not taken: {why}"),
            // Where the keys are looked for is for the log.
            Denied::Unavailable(_) => f.write_str("no token can be checked now; try again soon"),
            Denied::Scope(needed) => write!(f, "this takes the scope `{}`", needed.as_str()),
        }
    }
}

/// What is read of a token whose signature is good.
#[derive(Deserialize)]
pub(super) struct Claims {
    /// One issuer: a list of them is refused.
    pub(super) iss: String,
    sub: String,
    scope: Option<Value>,
    scp: Option<Value>,
}

impl Claims {
    /// Who it speaks of, with the widest of our scopes that it names.
    pub(super) fn principal(&self, names: &BTreeMap<Scope, String>) -> Result<Principal, Denied> {
        let is_visible = self.sub.bytes().all(|it| it.is_ascii_graphic());
        if self.sub.is_empty() || self.sub.len() > SUBJECT_MAX || !is_visible {
            return Err(Denied::BadToken("its subject is not 1 to 200 visible characters"));
        }
        let granted: Vec<&str> =
            [&self.scope, &self.scp].into_iter().flatten().flat_map(words).collect();
        let widest = names.iter().rev().find(|it| granted.contains(&it.1.as_str()));
        let scope = *widest.ok_or(Denied::Scope(Scope::Read))?.0;
        Ok(Principal { name: format!("oauth:{}", self.sub), scope })
    }
}

/// Scopes come as one text with blanks, or as a list of texts.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![],
    }
}
