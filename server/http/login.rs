//! The language of the tests of the door: a login server that is played here, its keys and tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callboard_config::Team;
use callboard_config::http::{Http, OAuth, Scope, Token};
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use jsonwebtoken::get_current_timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::access::{Access, Gate};
use super::claims::Denied;
use crate::who::Principal;

pub(crate) const AUDIENCE: &str = "https://callboard.example.com/mcp";
pub(crate) const JWKS: &str = "/jwks.json";
pub(crate) const SECRET: &str = "ci-token-0123456789";

/// What the login server says at one path.
pub(crate) enum Answer {
    Json(Value),
    Status(u16),
    Moved(String),
    Huge,
}

/// A login server on loopback, which counts what is fetched.
pub(crate) struct Login {
    pub(crate) address: String,
    script: Arc<Mutex<Script>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Script {
    answers: BTreeMap<String, Answer>,
    fetched: Vec<String>,
}

impl Login {
    pub(crate) async fn start() -> Login {
        let script = Arc::new(Mutex::new(Script::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(script.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Login { address, script, _serving: serving }
    }

    pub(crate) fn says(&self, path: &str, answer: Answer) {
        self.script.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    pub(crate) fn publishes(&self, keys: &[&Signer]) {
        let keys: Vec<Value> = keys.iter().map(|it| it.jwk()).collect();
        self.says(JWKS, Answer::Json(json!({ "keys": keys })));
    }

    pub(crate) fn fetched(&self) -> usize {
        self.script.lock().unwrap().fetched.len()
    }

    /// The door of a team that takes this server's tokens.
    pub(crate) fn door(&self) -> Arc<Access> {
        door(Http { oauth: Some(self.oauth(Some(JWKS))), ..Http::default() })
    }

    pub(crate) fn oauth(&self, jwks: Option<&str>) -> OAuth {
        let names = Scope::ALL.map(|it| (it, format!("callboard:{}", it.as_str())));
        OAuth {
            issuer: self.address.clone(),
            audience: AUDIENCE.to_owned(),
            jwks: jwks.map(|it| format!("{}{it}", self.address)),
            scopes: names.into_iter().collect(),
        }
    }

    /// What a good token says.
    pub(crate) fn claims(&self) -> Value {
        let now = get_current_timestamp();
        json!({"iss": self.address, "aud": AUDIENCE, "sub": "ada", "exp": now + 300,
               "nbf": now - 5, "scope": "openid callboard:read callboard:run"})
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let mut script = script.lock().unwrap();
    let path = request.uri().path().to_owned();
    script.fetched.push(path.clone());
    match script.answers.get(&path) {
        Some(Answer::Json(value)) => axum::Json(value).into_response(),
        Some(Answer::Status(status)) => StatusCode::from_u16(*status).unwrap().into_response(),
        Some(Answer::Moved(to)) => (StatusCode::FOUND, [(LOCATION, to.clone())]).into_response(),
        Some(Answer::Huge) => axum::Json(json!({"keys": ["x".repeat(300_000)]})).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A key of the login server.
pub(crate) struct Signer {
    id: &'static str,
    pub(crate) pair: EcdsaKeyPair,
}

impl Signer {
    pub(crate) fn new(id: &'static str) -> Signer {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Signer { id, pair }
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id,
               "x": coded(&point[1..33]), "y": coded(&point[33..])})
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        jwt(&json!({"alg": "ES256", "kid": self.id}), claims, |it| self.sign(it))
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec()
    }
}

pub(crate) fn coded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn jwt(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |it: &Value| coded(it.to_string().as_bytes());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = coded(&sign(text.as_bytes()));
    format!("{text}.{signature}")
}

pub(crate) fn team(http: Http) -> Arc<Team> {
    Arc::new(Team { http, ..Team::nobody(vec![]) })
}

pub(crate) fn door(http: Http) -> Arc<Access> {
    let team = team(http);
    Gate::new(team.clone()).now(&team)
}

pub(crate) fn known() -> Http {
    let token = |name: &str, secret: Option<&str>, scope| Token {
        name: name.into(),
        secret: secret.map(Into::into),
        scope,
    };
    let ops = token("ops", Some("ops-token-0123456789"), Scope::Admin);
    let tokens = vec![token("ci", Some(SECRET), Scope::Run), token("off", None, Scope::Admin), ops];
    Http { tokens, ..Http::default() }
}

pub(crate) fn headers(values: &[&str]) -> HeaderMap {
    let value = |it: &&str| (AUTHORIZATION, HeaderValue::from_str(it).unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in values.iter().map(value) {
        headers.append(name, value);
    }
    headers
}

pub(crate) async fn bring(door: &Access, token: &str) -> Result<Principal, Denied> {
    door.admit(&headers(&[&format!("Bearer {token}")])).await
}

pub(crate) async fn bring_at(door: &Access, token: &str, at: Instant) -> Result<Principal, Denied> {
    door.admit_at(&headers(&[&format!("Bearer {token}")]), at).await
}

pub(crate) fn ada(scope: Scope) -> Result<Principal, Denied> {
    Ok(Principal { name: "oauth:ada".into(), scope })
}

pub(crate) fn bad(why: &'static str) -> Result<Principal, Denied> {
    Err(Denied::BadToken(why))
}

pub(crate) const NO_KEY: &str = "no key that its issuer publishes fits it";
