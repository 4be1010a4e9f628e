//! A model endpoint as the owner described it: address, key source, headers, quirks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::policy::Breaker;

/// One model endpoint.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its key in `providers`.
    pub name: String,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// Steps in progress at once; `None` = unlimited.
    pub concurrency: Option<u32>,
    /// Requests in a minute; `None` = as many as it turns out to take.
    pub requests_per_min: Option<u64>,
    /// Tokens in a minute, in and out.
    pub tokens_per_min: Option<u64>,
    /// When each of its models is left alone.
    pub breaker: Breaker,
}

impl Provider {
    /// One without limits of its own.
    pub fn new(name: &str, kind: ProviderKind) -> Provider {
        Provider {
            name: name.to_owned(),
            kind,
            concurrency: None,
            requests_per_min: None,
            tokens_per_min: None,
            breaker: Breaker::default(),
        }
    }
}

impl ProviderKind {
    /// Whether it works on this machine, where nobody sends a bill.
    pub(crate) fn is_local(&self) -> bool {
        let ProviderKind::OpenAi(endpoint) = self else { return true };
        let rest = endpoint.base_url.split_once("://").map_or("", |it| it.1);
        let host = rest.split('/').next().unwrap_or_default();
        let name = match host.strip_prefix('[') {
            Some(inner) => inner.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
        is_loopback || name.eq_ignore_ascii_case("localhost")
    }
}

/// How a provider is spoken to.
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// Any OpenAI-compatible endpoint.
    OpenAi(Endpoint),
    /// The built-in rehearsal model: deterministic, offline, answers by a playbook.
    Rehearsal {
        /// The text of the playbook file (YAML) and its path; `None` = the built-in manners.
        playbook: Option<(PathBuf, String)>,
    },
}

/// The address and manners of an OpenAI-compatible endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Without a trailing slash, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// Absent for local servers.
    pub api_key: Option<SecretString>,
    /// Where the key was said to be, such as `env:OPENAI_API_KEY`: named in errors instead of the key.
    pub key_source: Option<String>,
    /// Sent with every request.
    pub headers: BTreeMap<String, SecretString>,
    /// Seconds to connect, 10.
    pub connect_s: u64,
    /// Seconds without a byte, 60.
    pub idle_s: u64,
    /// Seconds for a whole attempt, 600.
    pub total_s: u64,
    /// Whether replies are streamed.
    pub stream: bool,
    /// `max_tokens` or `max_completion_tokens`.
    pub max_tokens_field: String,
    /// Whether models are asked over chat completions, or else over responses. `None` = over chat
    /// until the endpoint says that it serves none.
    pub chat: Option<bool>,
}
