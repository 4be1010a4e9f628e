//! The keys of an authorization server: fetched when they are needed, and kept for a while.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use reqwest::Url;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::claims::Denied;

/// Keys are taken as they are for this long.
const FRESH: Duration = Duration::from_secs(3_600);
/// And for this long while they cannot be fetched anew.
const USABLE: Duration = Duration::from_secs(24 * 3_600);
/// Between two fetches because of a key that is not there, or after one that failed.
const PAUSE: Duration = Duration::from_secs(30);
/// After one that failed, while there are no keys at all.
const RETRY: Duration = Duration::from_secs(5);
/// For one request, and for all that lead to the keys.
const REQUEST: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);
const BYTES_MAX: usize = 256 * 1024;
const KEYS_MAX: usize = 100;

/// The keys as they were fetched last.
pub(super) struct Keys {
    source: Arc<Source>,
    held: RwLock<Arc<Held>>,
    flight: Mutex<Flight>,
}

#[derive(Default)]
struct Held {
    keys: Vec<Key>,
    fetched: Option<Instant>,
}

struct Key {
    id: Option<String>,
    algorithm: Option<KeyAlgorithm>,
    key: DecodingKey,
}

/// At most one fetch, which goes on when the call that began it is dropped.
#[derive(Default)]
struct Flight {
    fetch: JoinSet<(Instant, Result<Vec<Key>, String>)>,
    /// When a key that is not there was looked for.
    looked: Option<Instant>,
    failed: Option<(Instant, String)>,
}

impl Keys {
    pub(super) fn new(issuer: &str, jwks: Option<&str>) -> Keys {
        let source = Arc::new(Source::new(issuer, jwks));
        Keys { source, held: RwLock::default(), flight: Mutex::default() }
    }

    /// The key of this name, for this kind of signature.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
    ) -> Result<DecodingKey, Denied> {
        let held = self.held();
        let known = held.key(id, algorithm).filter(|_| held.is_within(USABLE, now));
        if let Some(key) = known.filter(|_| held.is_within(FRESH, now)) {
            return Ok(key.clone());
        }
        let flight = match (known, self.flight.try_lock()) {
            (_, Ok(flight)) => flight,
            // Another call is fetching; what is there still serves.
            (Some(key), Err(_)) => return Ok(key.clone()),
            (None, Err(_)) => self.flight.lock().await,
        };
        let told = self.refresh(flight, id, algorithm, now).await;
        let held = self.held();
        let known = held.key(id, algorithm).filter(|_| held.is_within(USABLE, now));
        match (known, told) {
            (Some(key), _) => Ok(key.clone()),
            (None, Ok(())) => Err(Denied::BadToken("no key that its issuer publishes fits it")),
            (None, Err(why)) => Err(Denied::Unavailable(why)),
        }
    }

    /// Fetches the keys, unless that was done or tried just now.
    async fn refresh(
        &self,
        mut flight: tokio::sync::MutexGuard<'_, Flight>,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
    ) -> Result<(), String> {
        if flight.fetch.is_empty() {
            let held = self.held();
            let is_fresh = held.is_within(FRESH, now);
            if is_fresh && held.key(id, algorithm).is_some() {
                return Ok(());
            }
            let pause = if held.fetched.is_some() { PAUSE } else { RETRY };
            if let Some((_, why)) = flight.failed.as_ref().filter(|it| now < it.0 + pause) {
                return Err(why.clone());
            }
            if is_fresh && flight.looked.is_some_and(|it| now < it + PAUSE) {
                return Ok(());
            }
            if is_fresh {
                flight.looked = Some(now);
            }
            let source = Arc::clone(&self.source);
            flight.fetch.spawn(async move { (now, source.fetch().await) });
        }
        let landed = flight.fetch.join_next().await.and_then(Result::ok);
        let (begun, fetched) = landed.unwrap_or_else(|| (now, Err("the fetch broke off".into())));
        match fetched {
            Ok(keys) => {
                let held = Arc::new(Held { keys, fetched: Some(begun) });
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
                flight.failed = None;
                Ok(())
            }
            Err(why) => {
                tracing::warn!(%why, "the issuer's keys cannot be fetched");
                flight.failed = Some((begun, why.clone()));
                Err(why)
            }
        }
    }

    fn held(&self) -> Arc<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Held {
    fn is_within(&self, age: Duration, now: Instant) -> bool {
        self.fetched.is_some_and(|it| now.saturating_duration_since(it) < age)
    }

    /// A token that names no key can only mean the one that there is.
    fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |it: &&Key| {
            it.key.family() == algorithm.family()
                && it.algorithm.is_none_or(|it| it == KeyAlgorithm::from(algorithm))
                && (id.is_none() || it.id.as_deref() == id)
        };
        let mut fitting = self.keys.iter().filter(fits);
        let first = fitting.next()?;
        (id.is_some() || fitting.next().is_none()).then_some(&first.key)
    }
}

/// Where the keys come from.
struct Source {
    issuer: String,
    jwks: Option<String>,
    http: Result<reqwest::Client, String>,
}

impl Source {
    fn new(issuer: &str, jwks: Option<&str>) -> Source {
        let builder = reqwest::Client::builder()
            .timeout(REQUEST)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")));
        // Only this machine is spoken to without encryption, and no proxy stands before it.
        let is_here = [Some(issuer), jwks].iter().flatten().any(|it| it.starts_with("http://"));
        let builder = if is_here { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|it| it.to_string());
        Source { issuer: issuer.to_owned(), jwks: jwks.map(str::to_owned), http }
    }

    async fn fetch(self: Arc<Self>) -> Result<Vec<Key>, String> {
        let whole = async {
            let url = match &self.jwks {
                Some(url) => url.clone(),
                None => self.discover().await?,
            };
            keys(&self.get(&url).await?).map_err(|it| format!("{url} {it}"))
        };
        let late = || Err(format!("{} took too long to show its keys", self.issuer));
        timeout(WHOLE, whole).await.unwrap_or_else(|_| late())
    }

    /// Where the issuer's metadata says that its keys are (RFC 8414, or OpenID Connect).
    async fn discover(&self) -> Result<String, String> {
        let inside = |name| well_known(&self.issuer, name);
        let behind = self.issuer.trim_end_matches('/');
        let behind = format!("{behind}/.well-known/openid-configuration");
        let mut told = String::new();
        for url in [inside("oauth-authorization-server"), inside("openid-configuration"), behind] {
            let found = self.get(&url).await.and_then(|it| self.named_by(&it, &url));
            match found {
                Ok(jwks) => return Ok(jwks),
                Err(why) => told = why,
            }
        }
        Err(told)
    }

    fn named_by(&self, metadata: &Value, url: &str) -> Result<String, String> {
        if metadata["issuer"] != self.issuer.as_str() {
            return Err(format!("{url} speaks of another issuer"));
        }
        let jwks = metadata["jwks_uri"].as_str().unwrap_or_default();
        // Nobody elsewhere may point at this machine.
        let may_be_here = self.issuer.starts_with("http://");
        let is_safe = |it: &Url| it.scheme() == "https" || (may_be_here && is_here(it));
        let is_safe = Url::parse(jwks).is_ok_and(|it| is_safe(&it));
        if is_safe { Ok(jwks.to_owned()) } else { Err(format!("{url} names no safe `jwks_uri`")) }
    }

    /// A JSON document, of which no more is read than a key set may have.
    async fn get(&self, url: &str) -> Result<Value, String> {
        let told = |it: reqwest::Error| format!("{url} cannot be read: {}", it.without_url());
        let request = self.http.as_ref().map_err(Clone::clone)?.get(url);
        let mut response = request.send().await.map_err(told)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("{url} answers {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(more) = response.chunk().await.map_err(told)? {
            if body.len() + more.len() > BYTES_MAX {
                return Err(format!("{url} is larger than {BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&more);
        }
        serde_json::from_slice(&body).map_err(|_| format!("{url} is no JSON"))
    }
}

/// The public keys of a set that signatures are checked with.
fn keys(set: &Value) -> Result<Vec<Key>, String> {
    let all = set["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.len() > KEYS_MAX {
        return Err(format!("has more than {KEYS_MAX} keys"));
    }
    let keys: Vec<Key> = all.iter().filter_map(key).collect();
    if keys.is_empty() { Err("has no key that can be used".into()) } else { Ok(keys) }
}

fn key(value: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let is_for_signing = |it: &PublicKeyUse| *it == PublicKeyUse::Signature;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let is_public = key.family() != AlgorithmFamily::Hmac;
    let is_ours = is_public && jwk.common.public_key_use.as_ref().is_none_or(is_for_signing);
    let (id, algorithm) = (jwk.common.key_id, jwk.common.key_algorithm);
    is_ours.then_some(Key { id, algorithm, key })
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// The address of a document about another address: its name goes before the path.
pub(super) fn well_known(url: &str, name: &str) -> String {
    let url = url.trim_end_matches('/');
    let host = url.find("://").map_or(0, |it| it + 3);
    let path = url[host..].find('/').map_or(url.len(), |it| host + it);
    format!("{}/.well-known/{name}{}", &url[..path], &url[path..])
}
