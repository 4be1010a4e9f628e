//! Tokens of an authorization server: each is checked here, by the keys that the server publishes.

use callboard_config::http::OAuth;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::claims::{Claims, Denied};
use super::jwks::{Keys, well_known};
use crate::who::Principal;

/// Signatures that only the holder of a private key can make: never `none`, never a shared secret.
const ALLOWED: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// Seconds that two clocks may differ by.
const LEEWAY_S: u64 = 60;

/// One authorization server and its keys.
pub(super) struct Issuer {
    set: OAuth,
    keys: Keys,
}

impl Issuer {
    pub(super) fn new(set: &OAuth) -> Issuer {
        Issuer { set: set.clone(), keys: Keys::new(&set.issuer, set.jwks.as_deref()) }
    }

    /// Whether it is still what the owner wrote.
    pub(super) fn is_of(&self, set: &OAuth) -> bool {
        self.set == *set
    }

    pub(super) fn set(&self) -> &OAuth {
        &self.set
    }

    /// Who brings this token.
    pub(super) async fn admit(&self, token: &str, now: Instant) -> Result<Principal, Denied> {
        let unread = "it is neither known here nor a signed JWT of the issuer";
        let header = decode_header(token).map_err(|_| Denied::BadToken(unread))?;
        if !ALLOWED.contains(&header.alg) {
            return Err(Denied::BadToken("it is signed in a way that is not taken"));
        }
        if header.crit.is_some() {
            return Err(Denied::BadToken("it asks for an extension that is not known here"));
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg, now).await?;
        let checked = decode::<Claims>(token, &key, &self.validation(header.alg));
        let claims = checked.map_err(|it| Denied::BadToken(reason(&it)))?.claims;
        if claims.iss != self.set.issuer {
            return Err(Denied::BadToken("it is of another issuer"));
        }
        claims.principal(&self.set.scopes)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.set.audience]);
        validation.set_issuer(&[&self.set.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation
    }

    /// What tells clients where to get a token (RFC 9728).
    pub(super) fn metadata(&self) -> Value {
        let scopes: Vec<&String> = self.set.scopes.values().collect();
        json!({
            "resource": self.set.audience,
            "authorization_servers": [self.set.issuer],
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
        })
    }

    /// Where clients find that.
    pub(super) fn metadata_url(&self) -> String {
        well_known(&self.set.audience, "oauth-protected-resource")
    }
}

/// What is said of a token that failed; the library's own words may quote it.
fn reason(error: &Error) -> &'static str {
    let kind = error.kind();
    if matches!(kind, ErrorKind::ExpiredSignature) {
        "it has expired"
    } else if matches!(kind, ErrorKind::ImmatureSignature) {
        "it is not valid yet"
    } else if matches!(kind, ErrorKind::InvalidAudience) {
        "it is for another audience"
    } else if matches!(kind, ErrorKind::InvalidIssuer) {
        "it is of another issuer"
    } else if matches!(kind, ErrorKind::InvalidSignature) {
        "its signature is wrong"
    } else {
        "a claim of it is missing or wrong"
    }
}
