//! The database server that runs are kept on: its address, as the owner writes it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::nearest::did_you_mean;
use crate::place::{At, Place, Sink};
use crate::problem::{Problem, Severity};
use crate::secret::{self, Outside};

/// How an address is written.
const FORM: &str = "write it as `postgres://USER@HOST:5432/DATABASE`; several hosts stand beside \
                    each other with commas";
/// The schemes it may begin with; both mean the same.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// What may stand behind `?`, and the values of those that have few.
const OPTIONS: [(&str, &[&str]); 7] = [
    ("sslmode", &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
    ("sslrootcert", &[]),
    ("channel_binding", &["disable", "prefer", "require"]),
    ("target_session_attrs", &["any", "read-write"]),
    ("connect_timeout", &[]),
    ("application_name", &[]),
    ("options", &[]),
];

/// A PostgreSQL server that keeps the runs, in the place of a file in the data folder. Shows itself
/// without its password.
#[derive(Clone, Debug)]
pub struct Database {
    /// The whole address: `postgres://user:password@host:port,host:port/name?option=value`.
    pub url: SecretString,
    /// Whether `--store` names it, and not the team's file.
    pub named: bool,
    shown: String,
}

impl Database {
    /// Every form of its password.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let url = self.url.expose_secret();
        let written = Parts::of(url).and_then(|it| it.password).unwrap_or_default();
        let mut all = vec![written.to_owned()];
        all.extend(decoded(written).filter(|it| it != written));
        all.retain(|it| !it.is_empty());
        all
    }

    /// Each of its hosts alone, whatever that one may do.
    pub fn hosts(&self) -> Vec<Database> {
        let url = self.url.expose_secret();
        let Some(parts) = Parts::of(url) else { return vec![] };
        let is_kept = |it: &&str| !it.starts_with("target_session_attrs=");
        let mut options: Vec<&str> = parts.options().filter(is_kept).collect();
        options.push("target_session_attrs=any");
        let options = options.join("&");
        let one = |host: &str| Database {
            url: format!("{}{host}/{}?{options}", parts.head, parts.name).into(),
            named: self.named,
            shown: host.to_owned(),
        };
        parts.hosts.split(',').map(one).collect()
    }

    /// Whether both are the same address, with the same password.
    pub fn is_same(&self, other: &Database) -> bool {
        self.url.expose_secret() == other.url.expose_secret()
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// What was found in an address, each as it is written.
struct Parts<'a> {
    /// All that stands before the hosts.
    head: &'a str,
    user: &'a str,
    password: Option<&'a str>,
    hosts: &'a str,
    name: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// `None` if it is no address of PostgreSQL.
    fn of(url: &'a str) -> Option<Parts<'a>> {
        let rest = SCHEMES.iter().find_map(|it| url.strip_prefix(it))?;
        // What is in a password stands before the last `@`, whatever it is.
        let (who, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let behind = rest.len();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, password) =
            who.split_once(':').map_or((who, None), |(user, it)| (user, Some(it)));
        let head = &url[..url.len() - behind];
        Some(Parts { head, user, password, hosts, name, query })
    }

    fn holds_password(&self) -> bool {
        self.password.is_some() || self.options().any(|it| it.starts_with("password="))
    }

    fn options(&self) -> impl Iterator<Item = &'a str> {
        self.query.split('&').filter(|it| !it.is_empty())
    }

    /// All that is wrong with it, each with the way out. Names no value: any may be a secret.
    fn problems(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let mut wrong = |said: &str, help: &str| all.push((said.to_owned(), help.to_owned()));
        let coded = |it: &str| decoded(it).is_some();
        if self.user.is_empty() {
            wrong("names no user", FORM);
        }
        if self.name.is_empty() || self.name.contains('/') {
            wrong("names no database", FORM);
        }
        let special = |it: char| "/?#@:%".contains(it);
        let password = self.password.unwrap_or_default();
        if !coded(self.user) || !coded(password) || password.contains(|it| special(it) && it != '%')
        {
            let help = "write each of `/ ? # @ : %` in it as `%2F %3F %23 %40 %3A %25`";
            wrong("holds a sign in its user or password that does not stand for itself", help);
        }
        if !self.hosts.split(',').all(is_host) {
            wrong("names a host that is none", FORM);
        }
        for option in self.options() {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            let Some((_, values)) = OPTIONS.iter().find(|it| it.0 == key) else {
                let keys = OPTIONS.map(|it| it.0);
                let near = did_you_mean(key, keys);
                let help = format!("what may stand behind `?`: {}", keys.join(", "));
                all.push((format!("has an option that is not known{near}"), help));
                continue;
            };
            if value.is_empty() || !values.is_empty() && !values.contains(&value) {
                let help = match values.is_empty() {
                    true => format!("write something behind `{key}=`"),
                    false => format!("write `{key}=` with one of {}", values.join(", ")),
                };
                all.push((format!("has a value of `{key}` that is none"), help));
            }
        }
        all
    }

    fn shown(&self) -> String {
        let options: Vec<&str> = self.options().collect();
        let query = if options.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("postgres://{}@{}/{}{query}", self.user, self.hosts, self.name)
    }
}

/// The database that a reference or an address stands for. Where one is named and none is found,
/// that is an error: a file must not be taken in its place.
pub(crate) fn read(written: &At<String>, outside: &Outside<'_>, sink: &Sink) -> Option<Database> {
    let place = &written.place;
    let url = url(written, "store", outside, sink)?;
    if is_address(&written.value) && Parts::of(&written.value)?.holds_password() {
        let said = "`store` holds a password itself; it belongs outside the file";
        let help = "keep the whole address where only you read it, and write `store: env:NAME` or \
                    `store: file:PATH`";
        sink.push(place.warning(said, help));
    }
    checked(url, ("store", place), false, sink)
}

/// As [`read`], of what an option such as `--store` says: a command line is no place for a password.
pub(crate) fn named(
    option: &str,
    written: &At<String>,
    outside: &Outside<'_>,
    sink: &Sink,
) -> Option<Database> {
    let place = &written.place;
    let url = url(written, option, outside, sink)?;
    if is_address(&written.value) && Parts::of(&written.value)?.holds_password() {
        let said = "holds a password, and everybody on this machine sees command lines";
        let help = format!(
            "use another password from now on; keep the whole address where only you read it, and \
             write `{option} env:NAME` or `{option} file:PATH`"
        );
        sink.push(place.error(said, help));
        return None;
    }
    checked(url, (option, place), true, sink)
}

/// The address that is written or referred to.
fn url(
    written: &At<String>,
    key: &str,
    outside: &Outside<'_>,
    sink: &Sink,
) -> Option<SecretString> {
    if is_address(&written.value) {
        return Some(written.value.as_str().into());
    }
    if secret::is_reference(&written.value) {
        let own = Sink::default();
        let found = secret::resolve(written, key, outside, &own);
        for problem in own.sorted() {
            let way_out = "keep the address there; a file is not taken in its place".to_owned();
            let help = problem.help.or(Some(way_out));
            sink.push(Problem { severity: Severity::Error, help, ..problem });
        }
        return found;
    }
    let help = "write `env:NAME`, `file:PATH` or `postgres://USER@HOST/DATABASE`; without it the \
                journal is a file in the data folder";
    sink.push(written.place.error(format!("`{key}` is no address of a PostgreSQL server"), help));
    None
}

fn checked(
    url: SecretString,
    (key, place): (&str, &Place),
    named: bool,
    sink: &Sink,
) -> Option<Database> {
    let Some(parts) = Parts::of(url.expose_secret()) else {
        let said = format!("what `{key}` refers to is no address of a PostgreSQL server");
        sink.push(place.error(said, FORM));
        return None;
    };
    let problems = parts.problems();
    for (said, help) in &problems {
        sink.push(place.error(format!("the address of `{key}` {said}"), help.as_str()));
    }
    let shown = parts.shown();
    problems.is_empty().then(|| Database { url, named, shown })
}

fn is_address(text: &str) -> bool {
    SCHEMES.iter().any(|it| text.starts_with(it))
}

/// A name or number, with or without a port; a number of IPv6 stands in brackets.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((name, "")) => (name, None),
        Some((name, port)) => (name, Some(port.strip_prefix(':').unwrap_or("no port"))),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let is_port = |it: &str| it.parse::<u16>().is_ok_and(|it| it > 0);
    !name.is_empty() && decoded(name).is_some() && port.is_none_or(is_port)
}

/// A text with what stands for other signs (`%40`) in their place; `None` if that is broken.
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let two = |it: &mut dyn Iterator<Item = u8>| {
            let mut digit = || char::from(it.next()?).to_digit(16);
            Some(digit()? * 16 + digit()?)
        };
        bytes.push(if byte == b'%' { u8::try_from(two(&mut rest)?).ok()? } else { byte });
    }
    String::from_utf8(bytes).ok()
}
