//! Who may reach the team over HTTP, and from where.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// What `http` in `team.yaml` sets; nothing written lets in everybody on this machine.
#[derive(Clone, Debug, Default)]
pub struct Http {
    /// Those who bring a token that stands here.
    pub tokens: Vec<Token>,
    /// Those who bring a token of an authorization server.
    pub oauth: Option<OAuth>,
    /// Names of this server beside those of loopback, in small letters and without a port.
    pub allowed_hosts: Vec<String>,
    /// Origins of pages that may call, each exactly as a browser sends it.
    pub allowed_origins: Vec<String>,
}

/// A token that is known beforehand.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who brings it.
    pub name: String,
    /// At least 16 characters. Without a value nobody comes in by it, and the door stays shut.
    pub secret: Option<SecretString>,
    /// How far it reaches.
    pub scope: Scope,
}

/// An authorization server whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// The `iss` of its tokens, exactly.
    pub issuer: String,
    /// The address of this server, which must be in their `aud`.
    pub audience: String,
    /// Where its keys are; `None` = where its metadata says.
    pub jwks: Option<String>,
    /// How it calls our scopes.
    pub scopes: BTreeMap<Scope, String>,
}

/// How far a caller may go; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "scope")]
pub enum Scope {
    /// Look at runs.
    Read,
    /// Start, steer and stop them.
    Run,
    /// Whatever the owner may do.
    Admin,
}

impl Scope {
    /// All of them, the narrowest first.
    pub const ALL: [Scope; 3] = [Scope::Read, Scope::Run, Scope::Admin];

    /// As it is written in `team.yaml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Run => "run",
            Scope::Admin => "admin",
        }
    }
}
