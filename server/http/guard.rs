//! Who may come near: the names under which this server is asked for, and the pages that may ask.
//! A page in a browser can send a request anywhere; it cannot choose these two headers.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderMap, Uri, header};

/// The names of this server and the pages that may call it, beside those of this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// The address we listen on, if it is one of a network: a name cannot be made to lead to it
    /// under the disguise of its number.
    own: Option<IpAddr>,
}

impl Guard {
    /// Lets these in, and whoever asks for this machine by its own names.
    pub(crate) fn new(hosts: &[String], origins: &[String], own: IpAddr) -> Guard {
        let lower = |all: &[String]| all.iter().map(|it| it.to_ascii_lowercase()).collect();
        let own = (!own.is_unspecified()).then_some(own);
        Guard { hosts: lower(hosts), origins: lower(origins), own }
    }

    /// What is wrong with a request; `None` if it may pass.
    pub(crate) fn objects(&self, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
        if !self.host(uri, headers).unwrap_or(false) {
            return Some("the Host header names another server");
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => None,
            (Some(origin), None) if origin.to_str().is_ok_and(|it| self.origin(it)) => None,
            (Some(_), _) => Some("the Origin header names a page that may not call this server"),
        }
    }

    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Option<bool> {
        let mut given = headers.get_all(header::HOST).iter();
        let host = match (given.next(), given.next()) {
            (Some(host), None) => host.to_str().ok()?.to_owned(),
            (None, None) => uri.authority()?.to_string(),
            _ => return None,
        };
        let authority = Authority::try_from(host.as_str()).ok()?;
        let (name, whole) =
            (authority.host().to_ascii_lowercase(), authority.as_str().to_ascii_lowercase());
        let port = whole.strip_prefix(&name)?;
        let is_plain = port.is_empty() || authority.port_u16().is_some();
        Some(
            is_plain
                && (self.is_ours(&name) || self.hosts.iter().any(|it| *it == name || *it == whole)),
        )
    }

    /// Of this machine: its loopback names, and the very address we listen on.
    fn is_ours(&self, name: &str) -> bool {
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        is_loopback(name) || (literal.is_some() && literal == self.own)
    }

    fn origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self.origins.contains(&origin) {
            return true;
        }
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let authority = rest.and_then(|it| Authority::try_from(it).ok());
        authority.is_some_and(|it| !it.as_str().contains('@') && is_loopback(it.host()))
    }
}

fn is_loopback(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn passes(pairs: &[(&'static str, &str)]) -> bool {
        let text = str::to_owned;
        let guard = Guard::new(
            &[text("Team.example")],
            &[text("https://app.example:8443")],
            IpAddr::from([192, 168, 1, 5]),
        );
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        guard.objects(&Uri::from_static("/mcp"), &headers).is_none()
    }

    #[test]
    fn only_known_hosts_pass() {
        for host in [
            "localhost",
            "LOCALHOST:9",
            "127.0.0.1:80",
            "[::1]:80",
            "team.example",
            "Team.Example:443",
            "192.168.1.5:7",
            "192.168.1.5",
        ] {
            assert!(passes(&[("host", host)]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "0.0.0.0",
            "127.0.0.2",
            "192.168.1.6",
            "[::ffff:127.0.0.1]",
            "localhost:x",
            "local host",
            "\u{e9}",
        ] {
            assert!(!passes(&[("host", host)]), "{host}");
        }
        assert!(!passes(&[]), "no host at all");
        assert!(!passes(&[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn only_known_pages_pass() {
        let from = |origin: &str| passes(&[("host", "localhost"), ("origin", origin)]);
        for origin in [
            "http://localhost:3000",
            "https://127.0.0.1",
            "http://[::1]:5",
            "https://app.example:8443",
        ] {
            assert!(from(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost.evil.example",
            "https://app.example",
            "http://app.example:8443",
            "file://localhost",
            "http://localhost@evil.example",
            "http://localhost/path",
            "localhost",
        ] {
            assert!(!from(origin), "{origin}");
        }
        let twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "null")];
        assert!(!passes(&twice));
    }
}
