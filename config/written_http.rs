//! `http` in `team.yaml`: tokens, the authorization server, hosts and origins, as they are written.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};

use crate::fields::Fields;
use crate::http::{Http, OAuth, Scope, Token};
use crate::nearest::did_you_mean;
use crate::place::{At, Sink};
use crate::secret::{self, Outside};
use crate::units::OneOf;
use crate::written_server::allowed;
use crate::yaml::{Node, Value};

/// Fewer characters than this can be guessed.
const TOKEN_MIN: usize = 16;
/// The caller of stdio and of the command line.
const LOCAL: &str = "local";
const SCOPES: [&str; 3] = ["read", "run", "admin"];

/// Who may reach the team over HTTP. Default: everybody on this machine, and nobody else.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "http", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `read` reads, for the schema")]
pub(crate) struct WrittenHttp {
    /// Tokens that are known beforehand, each with the caller's name.
    tokens: Option<Vec<WrittenToken>>,
    /// An authorization server whose tokens are taken.
    oauth: Option<WrittenOAuth>,
    /// Names of this server beside those of loopback, without a port.
    allowed_hosts: Option<OneOf<Vec<String>, String>>,
    /// Origins of pages that may call, such as `https://app.example.com`. Default: none.
    allowed_origins: Option<OneOf<Vec<String>, String>>,
}

/// A token that is known beforehand.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "token", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `read` reads, for the schema")]
struct WrittenToken {
    /// Who brings it: what their runs are filed under.
    name: String,
    /// Where the token is: `env:NAME` or `file:PATH`; at least 16 characters.
    token: String,
    /// How far it reaches; `run` includes `read`, and `admin` includes `run`.
    scopes: OneOf<Vec<Scope>, String>,
}

/// An authorization server.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "oauth", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `read` reads, for the schema")]
struct WrittenOAuth {
    /// The `iss` of its tokens, letter by letter.
    issuer: String,
    /// The public address of this server, which its tokens must name in `aud`.
    audience: String,
    /// Where its keys are. Default: where its metadata says.
    jwks: Option<String>,
    /// How it calls our scopes. Default: `callboard:read` and so on.
    scopes: Option<BTreeMap<Scope, String>>,
}

/// Reads the keys; whatever is wrong is in `sink` and counts as not written.
pub(crate) fn read(node: &Node, outside: &Outside<'_>, sink: &Sink) -> Http {
    let fields = Fields::open(node, "http", sink);
    let of = |key: &str, check: fn(&str) -> Result<String, &'static str>| {
        let texts = fields.texts(key).unwrap_or_default();
        texts.iter().filter_map(|it| checked(it, &fields.name(key), check, sink)).collect()
    };
    let http = Http {
        tokens: fields.node("tokens").map(|it| tokens(it, outside, &fields)).unwrap_or_default(),
        oauth: fields.node("oauth").and_then(|it| oauth(it, sink)),
        allowed_hosts: of("allowed_hosts", host),
        allowed_origins: of("allowed_origins", origin),
    };
    fields.close();
    http
}

fn checked(
    text: &At<String>,
    key: &str,
    check: fn(&str) -> Result<String, &'static str>,
    sink: &Sink,
) -> Option<String> {
    let help = |help: &str| {
        let said = format!("\"{}\" cannot stand in `{key}`", text.value);
        sink.push(text.place.error(said, help));
    };
    check(&text.value).map_err(help).ok()
}

fn tokens(node: &Node, outside: &Outside<'_>, http: &Fields<'_>) -> Vec<Token> {
    let items: &[Node] = match &node.value {
        Value::List(items) => items,
        Value::Null
        | Value::Flag(_)
        | Value::Whole(_)
        | Value::Real(_)
        | Value::Text(_)
        | Value::Map(_) => &[],
    };
    if items.is_empty() {
        let help = "write `- { name: ci, token: env:CI_TOKEN, scopes: [run] }`";
        http.wrong(node, "tokens", "must be a list with at least one token", help);
    }
    let mut tokens: Vec<Token> = vec![];
    for item in items {
        let Some(token) = token(item, outside, http.sink) else { continue };
        let value = |it: &Token| it.secret.as_ref().map(|it| it.expose_secret().to_owned());
        let same = tokens.iter().find(|it| value(it).is_some() && value(it) == value(&token));
        if let Some(first) = same {
            let said = format!("the tokens of \"{}\" and \"{}\" are one", first.name, token.name);
            http.sink.push(item.place.error(said, "give each caller a token of their own"));
        }
        tokens.push(token);
    }
    tokens
}

fn token(node: &Node, outside: &Outside<'_>, sink: &Sink) -> Option<Token> {
    let fields = Fields::open(node, "http.tokens", sink);
    let (name, written) = (fields.text("name"), fields.text("token"));
    let scopes = fields.texts("scopes");
    for (key, is_there, help) in [
        ("name", name.is_some(), "write `name: ci`, or who else brings it"),
        ("token", written.is_some(), "write `token: env:NAME` or `token: file:PATH`"),
        ("scopes", scopes.is_some(), "write `scopes: [read, run]`"),
    ] {
        if !is_there && fields.node(key).is_none() {
            sink.push(node.place.error(format!("a token in `http.tokens` has no `{key}`"), help));
        }
    }
    fields.close();
    let (name, written, scopes) = (name?, written?, scopes?);
    let name = At { value: checked(&name, "http.tokens.name", caller, sink)?, ..name };
    let key = format!("http.tokens.{}", name.value);
    let secret = secret::resolve(&written, &key, outside, sink);
    if secret.as_ref().is_some_and(|it| !is_strong(it)) {
        let said = format!("`{key}` is too short, or has a blank in it");
        let help = format!("make one of at least {TOKEN_MIN} characters nobody can guess");
        sink.push(written.place.error(said, help));
    }
    if scopes.is_empty() {
        let said = format!("`{key}` has no scope");
        sink.push(name.place.error(said, "write `scopes: [read, run]`"));
    }
    let scopes: Vec<Scope> = scopes.iter().filter_map(|it| scope(it, &key, sink)).collect();
    Some(Token { name: name.value, secret, scope: scopes.into_iter().max()? })
}

fn is_strong(secret: &SecretString) -> bool {
    let secret = secret.expose_secret();
    secret.len() >= TOKEN_MIN && secret.bytes().all(|it| it.is_ascii_graphic())
}

fn scope(text: &At<String>, key: &str, sink: &Sink) -> Option<Scope> {
    let found = Scope::ALL.into_iter().find(|it| it.as_str() == text.value);
    if found.is_none() {
        let near = did_you_mean(&text.value, SCOPES);
        let said = format!("`{key}`: there is no scope \"{}\"{near}", text.value);
        sink.push(text.place.error(said, format!("write one of {}", SCOPES.join(", "))));
    }
    found
}

/// Who brings a token; never a name that comes in by another way.
fn caller(name: &str) -> Result<String, &'static str> {
    let letters = |it: u8| it.is_ascii_alphanumeric() || b"._@-".contains(&it);
    if name.eq_ignore_ascii_case(LOCAL) {
        return Err("that is who calls over stdio and the command line: take another name");
    }
    if name.len() > 64 || !name.bytes().all(letters) {
        return Err("write up to 64 letters, digits, `.`, `_`, `@` or `-`");
    }
    Ok(name.to_owned())
}

fn oauth(node: &Node, sink: &Sink) -> Option<OAuth> {
    let fields = Fields::open(node, "http.oauth", sink);
    let (issuer, audience) = (address(&fields, "issuer"), address(&fields, "audience"));
    let jwks = address(&fields, "jwks");
    for key in ["issuer", "audience"] {
        if fields.node(key).is_none() {
            let said = format!("`http.oauth` has no `{key}`");
            sink.push(node.place.error(said, format!("write `{key}: https://...`")));
        }
    }
    let named = fields.node("scopes").map(|it| names(it, sink)).unwrap_or_default();
    fields.close();
    let default = Scope::ALL.map(|it| (it, format!("callboard:{}", it.as_str())));
    let scopes = default.into_iter().chain(named).collect();
    Some(OAuth { issuer: issuer?, audience: audience?, jwks, scopes })
}

/// An address that may be asked, without what stands behind its path.
fn address(fields: &Fields<'_>, key: &str) -> Option<String> {
    let text = fields.text(key)?;
    let is_whole = key == "jwks" || !text.value.contains(['?', '#']);
    if is_whole && allowed(&text.value).is_ok() {
        return Some(text.value);
    }
    let said =
        format!("`{}` must be an https address, or an http one on this machine", fields.name(key));
    fields.sink.push(text.place.error(said, "write it as \"https://login.example.com\""));
    None
}

fn names(node: &Node, sink: &Sink) -> Vec<(Scope, String)> {
    let fields = Fields::open(node, "http.oauth.scopes", sink);
    let mut names: Vec<(Scope, String)> = vec![];
    for scope in Scope::ALL {
        let Some(name) = fields.text(scope.as_str()) else { continue };
        let is_token = |it: u8| it.is_ascii_graphic() && it != b'"' && it != b'\\';
        if !name.value.bytes().all(is_token) || names.iter().any(|it| it.1 == name.value) {
            let said = format!("`{}` cannot be \"{}\"", fields.name(scope.as_str()), name.value);
            sink.push(name.place.error(said, "write one word, another one for each scope"));
        }
        names.push((scope, name.value));
    }
    fields.close();
    names
}

/// A name or address without a port, in small letters.
fn host(text: &str) -> Result<String, &'static str> {
    if is_host(&text.to_ascii_lowercase()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("write a name such as `callboard.example.com`: no scheme, no port, no `*`")
}

fn is_host(text: &str) -> bool {
    if let Some(inside) = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return inside.parse::<Ipv6Addr>().is_ok();
    }
    let letters = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    let is_label = |it: &str| (1..=63).contains(&it.len()) && it.bytes().all(letters);
    text.len() <= 253 && text.split('.').all(is_label)
}

/// What a browser sends as `Origin`.
fn origin(text: &str) -> Result<String, &'static str> {
    const HELP: &str = "write it as a browser sends it: `https://app.example.com`, no path, no `*`";
    let (scheme, rest) = text.split_once("://").ok_or(HELP)?;
    let letters = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"+.-".contains(&it);
    // Colons inside brackets belong to the address.
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (rest, None),
    };
    let usual = match scheme {
        "https" => "443",
        "http" => "80",
        _ => "",
    };
    let is_port = |it: &str| {
        it != usual
            && it.starts_with(|it: char| ('1'..='9').contains(&it))
            && it.parse::<u16>().is_ok()
    };
    let is_origin = scheme.starts_with(|it: char| it.is_ascii_lowercase())
        && scheme.bytes().all(letters)
        && is_host(name)
        && port.is_none_or(is_port);
    if is_origin { Ok(text.to_owned()) } else { Err(HELP) }
}
