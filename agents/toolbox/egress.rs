//! The way out to the network: which addresses may be asked, looked at when a connection is made
//! and at every redirect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use callboard_config::hands::Fetch;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

/// Redirects of one page.
const REDIRECTS: usize = 5;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// What is asked for, the most wanted first.
const ACCEPT: &str =
    "text/html,application/xhtml+xml,application/json;q=0.9,text/*;q=0.8,*/*;q=0.1";

/// The way out by the rules of one owner. Clones share its connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Egress {
    rules: Arc<Fetch>,
    client: Arc<OnceLock<Result<Client, String>>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where it came from in the end.
    pub(crate) url: String,
    /// Its content type, in small letters.
    pub(crate) kind: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether there was more.
    pub(crate) is_cut: bool,
}

impl Egress {
    pub(crate) fn new(rules: Fetch) -> Egress {
        Egress { rules: Arc::new(rules), client: Arc::default() }
    }

    /// Fetches a page, at most so many bytes of it in so much time.
    ///
    /// # Errors
    /// A sentence for the model.
    pub(crate) async fn get(&self, url: &str, most: usize, time: Duration) -> Result<Page, String> {
        let mut asked = Url::parse(url).map_err(|it| format!("`{url}` is no address: {it}"))?;
        if asked.scheme() == "http" && !is_local_name(asked.host_str().unwrap_or_default()) {
            // Cannot fail between these two; where nobody answers, that is told.
            let _ = asked.set_scheme("https");
        }
        admits(&self.rules, &asked, None)?;
        let client = self.client.get_or_init(|| client(&self.rules)).as_ref();
        let client = client.map_err(Clone::clone)?;
        let sent = client.get(asked.clone()).header("accept", ACCEPT).timeout(time).send().await;
        let mut answer = sent.map_err(|it| told(&asked, &it))?;
        if !answer.status().is_success() {
            // Where it was passed on to is not said: others write that.
            return Err(format!("{asked} answered {}", answer.status()));
        }
        let kind = answer.headers().get("content-type").and_then(|it| it.to_str().ok());
        let kind = kind.unwrap_or_default().to_lowercase();
        let (url, mut bytes) = (answer.url().to_string(), Vec::new());
        while let Some(more) = answer.chunk().await.map_err(|it| told(&asked, &it))? {
            let room = most - bytes.len();
            bytes.extend_from_slice(&more[..more.len().min(room)]);
            if more.len() > room {
                return Ok(Page { url, kind, bytes, is_cut: true });
            }
        }
        Ok(Page { url, kind, bytes, is_cut: false })
    }
}

/// A client that reaches what the rules allow and nothing else. It takes no proxy, which would look
/// names up by itself, and sends nothing of one host to another.
///
/// # Errors
/// Where this machine cannot speak TLS.
pub(crate) fn client(rules: &Fetch) -> Result<Client, String> {
    let (redirects, may) = (rules.clone(), May::of(rules));
    let policy = Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS {
            return attempt.error(format!("it was passed on more than {REDIRECTS} times"));
        }
        match admits(&redirects, attempt.url(), attempt.previous().last()) {
            Ok(()) => attempt.follow(),
            Err(why) => attempt.error(why),
        }
    });
    within(may, policy)
}

/// A client for the one address that an owner wrote. It follows no redirect: headers go to the
/// address they were written for. This machine is asked where the address says so, and a `private`
/// network where the owner does.
///
/// # Errors
/// Where the address may not be asked.
pub(crate) fn client_to(url: &str, private: bool) -> Result<Client, String> {
    let asked = Url::parse(url).map_err(|it| format!("its address is none: {it}"))?;
    let host = asked.host_str().unwrap_or_default().trim_matches(['[', ']']);
    // Spelled in a way that only a program reads, it is none that an owner agreed to.
    let may = May { loopback: is_local_name(host) && url.contains(host), private };
    if let Ok(address) = host.parse::<IpAddr>() {
        may_be_asked(host, address, may)?;
    }
    within(may, Policy::none())
}

/// It takes no proxy, which would look names up by itself.
fn within(may: May, policy: Policy) -> Result<Client, String> {
    Client::builder()
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT)
        .redirect(policy)
        .retry(reqwest::retry::never())
        .dns_resolver(Filter { may })
        .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|it| it.to_string())
}

/// What may be asked besides the public network.
#[derive(Clone, Copy)]
struct May {
    /// This machine, by a name that says so.
    loopback: bool,
    /// Networks of one owner.
    private: bool,
}

impl May {
    fn of(rules: &Fetch) -> May {
        May { loopback: rules.loopback, private: false }
    }
}

/// Whether an address may be asked at all, coming from another or not.
fn admits(rules: &Fetch, url: &Url, from: Option<&Url>) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = is_local_name(host);
    let shown = crate::words::cut(url.as_str(), 300);
    if host.is_empty() || !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{shown} names no host, or a user: write the plain address"));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_local && rules.loopback => {}
        scheme => return Err(format!("{shown}: `{scheme}` is not fetched, only https is")),
    }
    let is_from_local = from.is_none_or(|it| is_local_name(it.host_str().unwrap_or_default()));
    if is_local && !is_from_local {
        return Err(format!("{shown} is this machine, and another host led there"));
    }
    if let Some(hosts) = &rules.hosts
        && !hosts.iter().any(|it| is_host(it, host, url.port()))
    {
        let hosts = hosts.join(", ");
        return Err(format!("{host} is not among the hosts that may be fetched: {hosts}"));
    }
    match host.parse::<IpAddr>() {
        Ok(address) => may_be_asked(host, address, May::of(rules)),
        Err(_) => Ok(()),
    }
}

/// Whether a host is the one that is written: `docs.rs`, `*.example.org`, `localhost:3000`.
fn is_host(written: &str, host: &str, port: Option<u16>) -> bool {
    let with_port = port.map(|it| format!("{host}:{it}"));
    let is_it = |it: &str| match written.strip_prefix("*.") {
        Some(above) => it.strip_suffix(above).is_some_and(|it| it.ends_with('.')),
        None => it == written,
    };
    is_it(host) || with_port.is_some_and(|it| is_it(&it))
}

/// Whether a name or literal is this machine by its spelling.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// Looks names up, and keeps every connection from addresses that nobody may be led to.
struct Filter {
    may: May,
}

impl Resolve for Filter {
    fn resolve(&self, name: Name) -> Resolving {
        let (name, may) = (name.as_str().to_owned(), self.may);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found = filtered(&name, found.collect(), may)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a name, if all of them may be asked: one that is not shows what the name is for.
fn filtered(name: &str, found: Vec<SocketAddr>, may: May) -> Result<Vec<SocketAddr>, String> {
    let may = May { loopback: may.loopback && is_local_name(name), ..may };
    for address in &found {
        may_be_asked(name, address.ip(), may)?;
    }
    Ok(found)
}

fn may_be_asked(host: &str, address: IpAddr, may: May) -> Result<(), String> {
    let address = address.to_canonical();
    if is_public(address)
        || (may.loopback && address.is_loopback())
        || (may.private && is_private(address))
    {
        return Ok(());
    }
    let ours = if is_private(address) { " (`private: true` is for networks of yours)" } else { "" };
    Err(format!("{host} is {address}, which is no public address: it is not asked{ours}"))
}

/// Whether an address belongs to a network of one owner, and is none of a metadata service.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            let is_shared = (it.to_bits() >> 22) == 0b01_1001_0001;
            (it.is_private() || is_shared) && it != Ipv4Addr::new(100, 100, 100, 200)
        }
        IpAddr::V6(it) => {
            it.is_unique_local() && it != Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

/// Whether an address belongs to the public network.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_public_v4(it),
        IpAddr::V6(it) => is_public_v6(it),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    let is_special = match (a, b, c) {
        // This network, private, this machine, multicast and reserved.
        (0 | 10 | 127 | 224.., ..) => true,
        // Shared by providers; link-local with the metadata services; private.
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Protocols, documentation, relays, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            true
        }
        // The metadata service of one provider has a public address.
        (168, 63, 129) => d == 16,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, .., y, z] = address.segments();
    let inner = {
        let [w, x] = y.to_be_bytes();
        let [y, z] = z.to_be_bytes();
        Ipv4Addr::new(w, x, y, z)
    };
    if address.to_ipv4_mapped().is_some() {
        return is_public_v4(inner);
    }
    // What translates to the older network is as public as what it translates to.
    if (a, b) == (0x64, 0xff9b) && address.segments()[2..6] == [0; 4] {
        return is_public_v4(inner);
    }
    let is_global = (0x2000..0x4000).contains(&a);
    // Protocols with Teredo, documentation twice, 6to4.
    let is_special = a == 0x2001 && b < 0x200
        || (a, b) == (0x2001, 0xdb8)
        || a == 0x3fff && b < 0x1000
        || a == 0x2002;
    is_global && !is_special
}

/// What went wrong on the way, without what only the library says of itself.
fn told(url: &Url, error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let why = if error.is_timeout() { "it took too long".to_owned() } else { last.to_string() };
    format!(
        "{} cannot be fetched: {}",
        crate::words::cut(url.as_str(), 300),
        crate::words::cut(&why, 300)
    )
}

#[cfg(test)]
mod tests;
