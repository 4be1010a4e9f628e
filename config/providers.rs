//! Model endpoints: what is written of a provider becomes an address that can be used.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::place::{At, Place, Sink};
use crate::provider::{Endpoint, Provider, ProviderKind};
use crate::secret::{self, Outside};
use crate::written_team::{Api, Kind, TokensField, WrittenProvider};

/// Where requests go when nothing is written.
const OPENAI: &str = "https://api.openai.com/v1";

/// All providers by name. Without any written: one named `default`, from the environment.
pub(crate) fn build(
    written: &[WrittenProvider],
    team_file: &Place,
    outside: &Outside<'_>,
    sink: &Sink,
) -> BTreeMap<String, Provider> {
    if written.is_empty() {
        let provider = from_environment(team_file, outside, sink);
        return BTreeMap::from([(provider.name.clone(), provider)]);
    }
    let built =
        written.iter().filter_map(|it| Some((it.name.value.clone(), one(it, outside, sink)?)));
    built.collect()
}

fn from_environment(team_file: &Place, outside: &Outside<'_>, sink: &Sink) -> Provider {
    let value = |name: &str| (outside.env)(name).filter(|it| !it.trim().is_empty());
    let (url, key) = (value("OPENAI_BASE_URL"), value("OPENAI_API_KEY"));
    if url.is_none() && key.is_none() {
        sink.push(team_file.warning(
            "no model endpoint is set: neither OPENAI_API_KEY nor OPENAI_BASE_URL has a value",
            "set one of them, or write `providers: {local: {base_url: \"http://localhost:11434/v1\"}}` \
             and `models: {default: local/NAME}`",
        ));
    }
    let variable = Place::whole("OPENAI_BASE_URL".as_ref(), false);
    let base_url = url.and_then(|it| {
        address(&At { place: variable, value: it.trim().to_owned() }, "OPENAI_BASE_URL", sink)
    });
    let variable = Place::whole("OPENAI_API_KEY".as_ref(), false);
    let api_key = key.and_then(|it| secret::checked(&it, "OPENAI_API_KEY", &variable, sink));
    let mut endpoint = endpoint(base_url.unwrap_or_else(|| OPENAI.to_owned()));
    endpoint.api_key = api_key;
    endpoint.key_source = Some("env:OPENAI_API_KEY".to_owned());
    Provider::new("default", ProviderKind::OpenAi(endpoint))
}

fn one(written: &WrittenProvider, outside: &Outside<'_>, sink: &Sink) -> Option<Provider> {
    let kind = match written.kind {
        Kind::Openai => ProviderKind::OpenAi(openai(written, outside, sink)?),
        Kind::Rehearsal => rehearsal(written, outside, sink)?,
    };
    Some(Provider {
        concurrency: written.concurrency,
        requests_per_min: written.requests_per_min.as_ref().map(|it| it.value),
        tokens_per_min: written.tokens_per_min.as_ref().map(|it| it.value),
        breaker: written.breaker,
        ..Provider::new(&written.name.value, kind)
    })
}

fn rehearsal(
    written: &WrittenProvider,
    outside: &Outside<'_>,
    sink: &Sink,
) -> Option<ProviderKind> {
    let name = &written.name.value;
    for (key, found) in [("base_url", &written.base_url), ("api_key", &written.api_key)] {
        if let Some(found) = found {
            let said = format!("`providers.{name}.{key}` does not fit `kind: rehearsal`");
            sink.push(found.place.error(said, "the rehearsal model works offline: remove it"));
        }
    }
    let Some(playbook) = &written.playbook else {
        return Some(ProviderKind::Rehearsal { playbook: None });
    };
    let path = outside.path(&playbook.value);
    match (outside.read)(&path) {
        Ok(text) => Some(ProviderKind::Rehearsal { playbook: Some((path, text)) }),
        Err(error) => {
            let said = format!("`providers.{name}.playbook`: {}: {error}", path.display());
            sink.push(playbook.place.error(said, "the path starts at the folder of this file"));
            None
        }
    }
}

fn openai(written: &WrittenProvider, outside: &Outside<'_>, sink: &Sink) -> Option<Endpoint> {
    let path = |key: &str| format!("providers.{}.{key}", written.name.value);
    if let Some(playbook) = &written.playbook {
        let said = format!("`{}` is for `kind: rehearsal` only", path("playbook"));
        sink.push(playbook.place.error(said, ""));
    }
    let Some(base_url) = &written.base_url else {
        sink.push(written.name.place.error(
            format!("`providers.{}` has no `base_url`", written.name.value),
            format!("write `base_url: \"{OPENAI}\"` or the address of your server"),
        ));
        return None;
    };
    let mut endpoint = endpoint(address(base_url, &path("base_url"), sink)?);
    if let Some(key) = &written.api_key {
        endpoint.api_key = secret::resolve(key, &path("api_key"), outside, sink);
        endpoint.key_source = secret::is_reference(&key.value).then(|| key.value.clone());
    }
    for (name, value) in &written.headers {
        if let Some(value) = header(name, value, &path("headers"), outside, sink) {
            endpoint.headers.insert(name.clone(), value);
        }
    }
    let or = |it: &Option<At<u64>>, default| it.as_ref().map_or(default, |it| it.value);
    endpoint.connect_s = or(&written.connect_s, endpoint.connect_s);
    endpoint.idle_s = or(&written.idle_s, endpoint.idle_s);
    endpoint.total_s = or(&written.timeout_s, endpoint.total_s);
    endpoint.stream = written.stream.unwrap_or(endpoint.stream);
    endpoint.chat = match written.api {
        Api::Auto => None,
        Api::Chat => Some(true),
        Api::Responses => Some(false),
    };
    if let Some(field) = &written.max_tokens_field {
        endpoint.max_tokens_field = field_name(field.value).to_owned();
    }
    Some(endpoint)
}

fn endpoint(base_url: String) -> Endpoint {
    let newer = base_url.starts_with("https://api.openai.com/");
    let field = if newer { TokensField::MaxCompletionTokens } else { TokensField::MaxTokens };
    Endpoint {
        base_url,
        api_key: None,
        key_source: None,
        headers: BTreeMap::new(),
        connect_s: 10,
        idle_s: 60,
        total_s: 600,
        stream: true,
        max_tokens_field: field_name(field).to_owned(),
        chat: None,
    }
}

fn field_name(field: TokensField) -> &'static str {
    match field {
        TokensField::MaxTokens => "max_tokens",
        TokensField::MaxCompletionTokens => "max_completion_tokens",
    }
}

/// An address without a trailing slash; keys and passwords in it are refused.
fn address(written: &At<String>, key: &str, sink: &Sink) -> Option<String> {
    let url = written.value.trim_end_matches('/');
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.map(|it| it.split(['/', '?', '#']).next().unwrap_or_default());
    let plain = url.bytes().all(|it| (b'!'..=b'~').contains(&it));
    match host {
        Some(host) if host.contains('@') => {
            let said = format!("`{key}` holds a name or password");
            sink.push(written.place.error(said, "write it as `api_key` or in `headers`"));
            None
        }
        Some(host) if plain && !host.is_empty() && !url.contains(['?', '#']) => {
            Some(url.to_owned())
        }
        Some(_) | None => {
            let said = format!("`{key}` is no address");
            sink.push(written.place.error(said, "write it as \"http://localhost:11434/v1\""));
            None
        }
    }
}

fn header(
    name: &str,
    value: &At<String>,
    path: &str,
    outside: &Outside<'_>,
    sink: &Sink,
) -> Option<SecretString> {
    let path = format!("{path}.{name}");
    let token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    if name.is_empty() || !name.bytes().all(token) {
        sink.push(value.place.error(format!("`{path}` is no name of a header"), ""));
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let secret = ["auth", "key", "token", "secret", "cookie", "password"];
    if secret::is_reference(&value.value) || secret.iter().any(|it| lower.contains(it)) {
        return secret::resolve(value, &path, outside, sink);
    }
    secret::checked(&value.value, &path, &value.place, sink)
}
