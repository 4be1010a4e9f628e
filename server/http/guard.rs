//! Who may come near: the names under which this server is asked for, and the pages that may ask.
//! A page in a browser can send a request anywhere; it cannot choose these two headers.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, header};

/// Letters of a header that are shown to whoever sent it.
const SHOWN: usize = 100;

/// The names of this server and the pages that may call it, beside those of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// The address we listen on. Who asks for a number asks for no name that could be led elsewhere.
    own: IpAddr,
}

impl Guard {
    /// Lets these in, and whoever asks for this machine by its own names.
    pub(crate) fn new(hosts: &[String], origins: &[String], own: IpAddr) -> Guard {
        let lower = |all: &[String]| all.iter().map(|it| it.to_ascii_lowercase()).collect();
        Guard { hosts: lower(hosts), origins: lower(origins), own }
    }

    /// What is wrong with a request; `None` if it may pass.
    pub(crate) fn objects(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        if !self.host(uri, headers).unwrap_or(false) {
            let host = shown(headers.get(header::HOST));
            return Some(format!(
                "the Host header {host} is no name of this server; a name of its own is written \
                 into `allowed_hosts` of `http` in team.yaml"
            ));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => None,
            (Some(origin), None) if origin.to_str().is_ok_and(|it| self.origin(it)) => None,
            (Some(origin), _) => Some(format!(
                "the Origin {} may not call this server; a page that may is written into \
                 `allowed_origins` of `http` in team.yaml",
                shown(Some(origin))
            )),
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
        let is_ours =
            self.is_ours(&name) || self.hosts.iter().any(|it| *it == name || *it == whole);
        Some(is_plain(&authority) && is_ours)
    }

    /// Of this machine: its loopback names, and the very address we listen on.
    fn is_ours(&self, name: &str) -> bool {
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let is_own = |it: IpAddr| {
            if self.own.is_unspecified() { !it.is_unspecified() } else { it == self.own }
        };
        is_loopback(name) || literal.is_some_and(is_own)
    }

    fn origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self.origins.contains(&origin) {
            return true;
        }
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let authority = rest.and_then(|it| Authority::try_from(it).ok());
        authority.is_some_and(|it| is_plain(&it) && is_loopback(it.host()))
    }
}

/// A header as far as it can be shown.
fn shown(value: Option<&HeaderValue>) -> String {
    let text = value.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
    let short: String = text.unwrap_or_default().chars().take(SHOWN).collect();
    format!("\"{}\"", short.escape_debug())
}

/// Whether nothing stands around the host but a port: the parser lets words follow a bracket.
fn is_plain(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host());
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix(':').is_some_and(|it| it.parse::<u16>().is_ok())
    })
}

fn is_loopback(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
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
            "[::1]evil.example:80",
            "[::1]evil.example",
            "local host",
            "\u{e9}",
        ] {
            assert!(!passes(&[("host", host)]), "{host}");
        }
        assert!(!passes(&[]), "no host at all");
        assert!(!passes(&[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn where_everybody_can_come_every_number_is_ours_and_no_name() {
        let guard = Guard::new(&[], &[], IpAddr::from([0, 0, 0, 0]));
        let told = |host: &'static str| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            guard.objects(&Uri::from_static("/mcp"), &headers)
        };
        assert_eq!(told("10.0.0.7:80"), None);
        let told = told("vm").expect("no name");
        assert!(told.contains("\"vm\"") && told.contains("allowed_hosts"), "{told}");
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
            "http://[::1]evil.example:80",
            "http://localhost/path",
            "localhost",
        ] {
            assert!(!from(origin), "{origin}");
        }
        let twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "null")];
        assert!(!passes(&twice));
    }
}
