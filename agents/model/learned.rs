//! What a provider's headers tell of its limits: how much, in what time, what is left, until when.

use chrono::DateTime;
use http::HeaderMap;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Requests, whatever they hold.
    Requests,
    /// Tokens of prompts and replies.
    Tokens,
}

/// One limit as a provider told it. It says at least how much it is, or how much of it is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// What is counted.
    pub what: Counted,
    /// How much, above 0.
    pub limit: Option<f64>,
    /// In so many seconds, where that was told.
    pub window_s: Option<f64>,
    /// What is left of it.
    pub remaining: Option<f64>,
    /// Seconds, from the first byte of the answer, until all of it is there again.
    pub reset_s: Option<f64>,
    /// The header that told it.
    pub header: String,
}

/// Families of three headers: `*` is `limit`, `remaining` and `reset`. The window is what their
/// names or their providers' documentation say.
const FAMILIES: &[(&str, Counted, Option<f64>)] = &[
    ("x-ratelimit-*-requests", Counted::Requests, None),
    ("x-ratelimit-*-tokens", Counted::Tokens, None),
    ("x-ratelimit-*-requests-minute", Counted::Requests, Some(60.0)),
    ("x-ratelimit-*-tokens-minute", Counted::Tokens, Some(60.0)),
    ("x-ratelimit-*-requests-day", Counted::Requests, Some(86_400.0)),
    ("x-ratelimit-*-tokens-day", Counted::Tokens, Some(86_400.0)),
    ("anthropic-ratelimit-requests-*", Counted::Requests, Some(60.0)),
    ("anthropic-ratelimit-tokens-*", Counted::Tokens, Some(60.0)),
    ("anthropic-ratelimit-input-tokens-*", Counted::Tokens, Some(60.0)),
    ("anthropic-ratelimit-output-tokens-*", Counted::Tokens, Some(60.0)),
    ("ratelimit-*", Counted::Requests, None),
    ("x-ratelimit-*", Counted::Requests, None),
];

/// The structured fields: what is left, and what the limits are.
const LEFT: &str = "ratelimit";
const POLICY: &str = "ratelimit-policy";
/// Items read of one structured field.
const ITEMS_MAX: usize = 8;
/// Bytes of a header that is read at all.
const BYTES_MAX: usize = 1_024;
/// Numbers above it are garbage.
const MOST: f64 = 1e15;
/// Above it a reset is no time from now but one since 1970, in seconds or in milliseconds.
const EPOCH_S: f64 = 1e9;
const EPOCH_MS: f64 = 1e11;
/// A longer reset than a leap year is garbage.
const RESET_MOST_S: f64 = 366.0 * 86_400.0;

/// All limits that the headers tell. `now` is in microseconds since 1970; as for `Retry-After`, the
/// server's own clock goes first.
pub(crate) fn learned(headers: &HeaderMap, now: i64) -> Vec<Learned> {
    if !headers.keys().any(|it| it.as_str().contains("ratelimit")) {
        return Vec::new();
    }
    let date = headers.get("date").and_then(|it| it.to_str().ok());
    let date = date.and_then(|it| httpdate::parse_http_date(it.trim()).ok());
    let server = date.and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
    let now = server.map_or(now as f64 / 1e6, |it| it.as_secs_f64());
    let told = Told { headers, now };
    let families =
        FAMILIES.iter().filter_map(|(name, what, window)| told.family(name, *what, *window));
    families.chain(told.structured()).collect()
}

struct Told<'a> {
    headers: &'a HeaderMap,
    /// Seconds since 1970.
    now: f64,
}

impl Told<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let lines = self.headers.get_all(name).iter().filter_map(|it| it.to_str().ok());
        let text = lines.collect::<Vec<_>>().join(", ");
        (!text.is_empty() && text.len() <= BYTES_MAX).then_some(text)
    }

    fn family(&self, pattern: &str, what: Counted, window_s: Option<f64>) -> Option<Learned> {
        let name = |it: &str| pattern.replace('*', it);
        let told = self.text(&name("limit"));
        let limit = told.as_deref().and_then(first);
        let remaining = self.text(&name("remaining")).as_deref().and_then(first);
        let window_s = window_s.or_else(|| window(&told?, limit?)).or_else(|| {
            let is_standard = pattern.starts_with(LEFT);
            window(&self.text(POLICY).filter(|_| is_standard)?, limit?)
        });
        let reset_s = self.text(&name("reset")).and_then(|it| self.reset(&it));
        let header = name(if limit.is_some() { "limit" } else { "remaining" });
        usable(Learned { what, limit, window_s, remaining, reset_s, header })
    }

    /// `RateLimit-Policy: "a";q=100;w=60` and `RateLimit: "a";r=50;t=30`, or their older forms
    /// `100;w=60` and `limit=100, remaining=50, reset=5`.
    fn structured(&self) -> Vec<Learned> {
        let (left, policy) = (self.text(LEFT).unwrap_or_default(), self.text(POLICY));
        let policy = policy.unwrap_or_default();
        let (left, policies) = (items(&left), items(&policy));
        let alone = left.iter().filter(|it| policies.iter().all(|policy| policy.name != it.name));
        let named = policies
            .iter()
            .map(|policy| (Some(policy), left.iter().find(|it| it.name == policy.name)));
        let named = named.chain(alone.map(|it| (None, Some(it))));
        let older = self.older(&left, &policy);
        older
            .into_iter()
            .chain(named.filter_map(|(policy, left)| self.item(policy, left)))
            .collect()
    }

    fn item(&self, policy: Option<&Item<'_>>, left: Option<&Item<'_>>) -> Option<Learned> {
        let name = policy.or(left)?.name;
        let unit = policy.and_then(|it| it.text("qu"));
        let what = match unit.map(|it| it.trim_matches('"')) {
            Some("tokens") => Counted::Tokens,
            None if name.contains("token") => Counted::Tokens,
            None | Some("requests") => Counted::Requests,
            Some(_) => return None,
        };
        usable(Learned {
            what,
            limit: policy.and_then(|it| it.number("q").or_else(|| number(it.name))),
            window_s: policy.and_then(|it| it.number("w")),
            remaining: left.and_then(|it| it.number("r")),
            reset_s: left.and_then(|it| self.reset(it.text("t")?)),
            header: if policy.is_some() { POLICY } else { LEFT }.to_owned(),
        })
    }

    fn older(&self, left: &[Item<'_>], policy: &str) -> Option<Learned> {
        let of = |name: &str| {
            let mut pairs = left.iter().filter_map(|it| it.name.split_once('='));
            pairs.find(|it| it.0.trim() == name).map(|it| it.1)
        };
        let limit = of("limit").and_then(number);
        usable(Learned {
            what: Counted::Requests,
            limit,
            window_s: limit.and_then(|it| window(policy, it)),
            remaining: of("remaining").and_then(number),
            reset_s: of("reset").and_then(|it| self.reset(it)),
            header: LEFT.to_owned(),
        })
    }

    /// Seconds until then: bare, with units, since 1970, or a time as RFC 3339 has it.
    fn reset(&self, text: &str) -> Option<f64> {
        let text = text.trim();
        let seconds = match number(text) {
            Some(it) if it > EPOCH_MS => it / 1e3 - self.now,
            Some(it) if it > EPOCH_S => it - self.now,
            Some(it) => it,
            None => span(text).or_else(|| {
                let at = DateTime::parse_from_rfc3339(text).ok()?;
                Some(at.timestamp_millis() as f64 / 1e3 - self.now)
            })?,
        };
        Some(seconds.max(0.0)).filter(|it| *it <= RESET_MOST_S)
    }
}

/// A limit of 0 means that there is none, or none that is known.
fn usable(it: Learned) -> Option<Learned> {
    let says = it.limit.is_some() || it.remaining.is_some();
    let window_s = it.window_s.filter(|it| *it > 0.0);
    (says && it.limit != Some(0.0)).then_some(Learned { window_s, ..it })
}

/// An item of a structured field's list.
struct Item<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Item<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|it| it.0 == key).map(|it| it.1)
    }

    fn number(&self, key: &str) -> Option<f64> {
        number(self.text(key)?)
    }
}

fn items(text: &str) -> Vec<Item<'_>> {
    let item = |text| {
        let mut parts = parts(text, ';');
        let name = parts.next().unwrap_or_default();
        let pairs = parts.filter_map(|it| it.split_once('='));
        Item { name, parameters: pairs.map(|(key, it)| (key.trim(), it.trim())).collect() }
    };
    parts(text, ',').filter(|it| !it.is_empty()).take(ITEMS_MAX).map(item).collect()
}

/// The pieces between the marks that stand outside quotes.
fn parts(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let is_mark = move |it: char| {
        quoted ^= it == '"';
        it == mark && !quoted
    };
    text.split(is_mark).map(str::trim)
}

/// The window of the policy with that limit: `100;w=60`.
fn window(text: &str, limit: f64) -> Option<f64> {
    items(text).iter().filter(|it| number(it.name) == Some(limit)).find_map(|it| it.number("w"))
}

fn first(text: &str) -> Option<f64> {
    number(text.split([',', ';']).next()?)
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    text.parse().ok().filter(|it| digits && *it <= MOST)
}

/// `6m0s`, `17ms`: numbers, each with its unit.
fn span(text: &str) -> Option<f64> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let (amount, more) =
            rest.split_at(rest.find(|it: char| !it.is_ascii_digit() && it != '.')?);
        let (unit, more) =
            more.split_at(more.find(|it: char| it.is_ascii_digit()).unwrap_or(more.len()));
        seconds += number(amount)? * in_seconds(unit.trim())?;
        rest = more;
    }
    (!text.is_empty()).then_some(seconds)
}

fn in_seconds(unit: &str) -> Option<f64> {
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let longer = [("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];
    units.iter().chain(&longer).find(|it| it.0 == unit).map(|it| it.1)
}

#[cfg(test)]
mod tests;
