//! Where a database is: a URL as every PostgreSQL client takes it, without its password in any text.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::StoreError;
use crate::error::Result;

/// How long one host may take to answer, unless the URL says otherwise.
const CONNECT: Duration = Duration::from_secs(2);
/// What was sent and not confirmed for so long ends the connection.
const SILENT: Duration = Duration::from_secs(10);

/// Where a database is, and how it is trusted. Shown without its password.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    pub(super) trust: Trust,
    shown: String,
}

/// Whether the server has to prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It need not: `sslmode` below `verify-ca`.
    Anybody,
    /// By a certificate the system trusts, or one that this file holds.
    Proved(Option<PathBuf>),
}

impl Address {
    /// Reads `postgres://user:password@host:port,host:port/database?…`, with the parameters of libpq:
    /// `sslmode` (`disable`, `prefer`, `require`, `verify-full`), `sslrootcert`, `connect_timeout`,
    /// `target_session_attrs`, `application_name`, … Unless it says otherwise only a host that takes
    /// writes will do.
    pub fn parse(url: &str) -> Result<Address> {
        let url = url.trim();
        let is_url = ["postgres://", "postgresql://"].iter().any(|it| url.starts_with(it));
        if !is_url {
            return Err(wrong("begins with postgres://"));
        }
        let (rest, words) = ours(url);
        let mut config: Config = rest.parse().map_err(|it| wrong(&told(&it)))?;
        let trust = trust(&mut config, &words)?;
        if config.get_hosts().is_empty() {
            return Err(wrong("names a host: postgres://user@host/database"));
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(wrong("names a database: postgres://user@host/database"));
        }
        if !rest.contains("target_session_attrs=") {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_application_name().is_none() {
            config.application_name("callboard");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        config.tcp_user_timeout(SILENT).keepalives_idle(SILENT);
        let shown = shown(&config);
        Ok(Address { config, trust, shown })
    }

    /// Its hosts, as `name:port`.
    pub fn hosts(&self) -> Vec<String> {
        hosts(&self.config)
    }

    /// How to connect to each of its hosts alone, in their order.
    pub(super) fn each(&self) -> Vec<Config> {
        (0..self.config.get_hosts().len()).map(|at| alone(&self.config, at)).collect()
    }

    /// What must be shown nowhere.
    pub fn password(&self) -> Option<String> {
        let password = self.config.get_password()?;
        Some(String::from_utf8_lossy(password).into_owned())
    }

    /// Whether whoever listens on the way can read along or answer instead of the server: no TLS is
    /// asked for, or no proof.
    pub fn is_open(&self) -> bool {
        self.trust == Trust::Anybody && !self.config.get_hosts().iter().all(is_here)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Takes the parameters out of a URL that the library does not know all values of.
fn ours(url: &str) -> (String, Vec<(String, String)>) {
    let Some((before, query)) = url.split_once('?') else { return (url.to_owned(), Vec::new()) };
    let is_ours = |it: &&str| it.starts_with("sslmode=") || it.starts_with("sslrootcert=");
    let (ours, theirs): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_ours);
    let pair = |it: &str| {
        let (name, value) = it.split_once('=').unwrap_or((it, ""));
        (name.to_owned(), value.replace("%2F", "/").replace("%2f", "/"))
    };
    let rest = match theirs.is_empty() {
        true => before.to_owned(),
        false => format!("{before}?{}", theirs.join("&")),
    };
    (rest, ours.into_iter().map(pair).collect())
}

fn trust(config: &mut Config, words: &[(String, String)]) -> Result<Trust> {
    let word = |name: &str| words.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    let root = word("sslrootcert").filter(|it| *it != "system").map(PathBuf::from);
    let (mode, trust) = match word("sslmode") {
        Some("disable") => (SslMode::Disable, Trust::Anybody),
        None if root.is_some() => (SslMode::Require, Trust::Proved(root)),
        None | Some("prefer" | "allow") => (SslMode::Prefer, Trust::Anybody),
        Some("require") if root.is_none() => (SslMode::Require, Trust::Anybody),
        // The name is compared as well where only the certificate would have to be.
        Some("require" | "verify-ca" | "verify-full") => (SslMode::Require, Trust::Proved(root)),
        Some(other) => {
            let ways = "disable, prefer, require, verify-ca or verify-full";
            return Err(wrong(&format!("has an sslmode of {ways}, not {other:?}")));
        }
    };
    config.ssl_mode(mode);
    Ok(trust)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// All that is written, for one of the hosts.
fn alone(all: &Config, at: usize) -> Config {
    let mut one = Config::new();
    one.ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .channel_binding(all.get_channel_binding())
        .target_session_attrs(all.get_target_session_attrs())
        .keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle());
    all.get_keepalives_interval().map(|it| one.keepalives_interval(it));
    all.get_keepalives_retries().map(|it| one.keepalives_retries(it));
    all.get_connect_timeout().map(|it| one.connect_timeout(*it));
    all.get_tcp_user_timeout().map(|it| one.tcp_user_timeout(*it));
    all.get_user().map(|it| one.user(it));
    all.get_password().map(|it| one.password(it));
    all.get_dbname().map(|it| one.dbname(it));
    all.get_options().map(|it| one.options(it));
    all.get_application_name().map(|it| one.application_name(it));
    match &all.get_hosts()[at] {
        Host::Tcp(name) => one.host(name),
        #[cfg(unix)]
        Host::Unix(path) => one.host_path(path),
    };
    all.get_hostaddrs().get(at).map(|it| one.hostaddr(*it));
    let ports = all.get_ports();
    ports.get(at).or(ports.first()).map(|it| one.port(*it));
    one
}

fn hosts(config: &Config) -> Vec<String> {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let host = |(at, host): (usize, &Host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(at)),
        #[cfg(unix)]
        Host::Unix(path) => format!("{}:{}", path.display(), port(at)),
    };
    config.get_hosts().iter().enumerate().map(host).collect()
}

fn shown(config: &Config) -> String {
    let user = config.get_user().map_or_else(String::new, |it| format!("{it}@"));
    let database = config.get_dbname().unwrap_or_default();
    format!("postgres://{user}{}/{database}", hosts(config).join(","))
}

/// Never the URL itself: it may hold the password.
fn wrong(what: &str) -> StoreError {
    StoreError::Db(format!("the address of a PostgreSQL store {what}"))
}

fn told(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error);
    format!("cannot be read: {}", source.map_or_else(|| error.to_string(), ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_shown_without_its_password() {
        let url = "postgres://me:s3cret%2F@a:1,b:2/agents?sslmode=verify-full&sslrootcert=/ca.pem";
        let address = Address::parse(url).unwrap();
        assert_eq!(address.to_string(), "postgres://me@a:1,b:2/agents");
        assert_eq!(format!("{address:?}"), "postgres://me@a:1,b:2/agents");
        assert_eq!(address.hosts(), ["a:1", "b:2"]);
        assert_eq!(address.password().as_deref(), Some("s3cret/"));
        assert_eq!(address.trust, Trust::Proved(Some("/ca.pem".into())));
        assert!(!address.is_open());
        assert_eq!(address.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        // With one host each is all that is written.
        for url in ["postgres://me:s3cret@a:1/agents", "postgres://me@%2Ftmp/agents?options=-c%20x"]
        {
            let address = Address::parse(url).unwrap();
            assert!(address.each() == [address.config.clone()], "{url}");
        }
        let each = address.each();
        assert_eq!(
            (each[1].get_hosts(), each[1].get_ports()),
            (&[Host::Tcp("b".into())][..], &[2][..])
        );
    }

    #[test]
    fn how_far_a_server_is_trusted() {
        for (words, mode, is_open) in [
            ("", SslMode::Prefer, true),
            ("?sslmode=disable", SslMode::Disable, true),
            ("?sslmode=require", SslMode::Require, true),
            ("?sslmode=verify-full", SslMode::Require, false),
            ("?sslrootcert=/ca.pem&connect_timeout=3", SslMode::Require, false),
        ] {
            let address = Address::parse(&format!("postgres://me@far/agents{words}")).unwrap();
            assert_eq!(address.config.get_ssl_mode(), mode, "{words}");
            assert_eq!(address.is_open(), is_open, "{words}");
        }
        assert!(!Address::parse("postgres://me@127.0.0.1/agents").unwrap().is_open());
    }

    #[test]
    fn what_is_wrong_is_said_and_no_password() {
        for (url, said) in [
            ("mysql://me:s3cret@a/b", "begins with postgres://"),
            ("postgres://me:s3cret@/b", "names a host"),
            ("postgres://me:s3cret@a", "names a database"),
            ("postgres://me:s3cret@a:no/b", "cannot be read"),
            ("postgres://me:s3cret@a/b?speed=9", "unknown option `speed`"),
            ("postgres://me:s3cret@a/b?sslmode=hope", "not \"hope\""),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("s3cret"), "{url}: {error}");
        }
    }
}
