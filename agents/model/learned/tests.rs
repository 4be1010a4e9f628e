//! Every header of a limit that is known, and what it says.

use super::*;

/// 2026-11-20 10:00:00 UTC.
const NOW: i64 = 1_795_168_800_000_000;

/// One limit a line: what, limit, window, remaining, reset.
fn told(text: &str) -> Vec<String> {
    let pairs = text.lines().filter_map(|it| it.trim().split_once(": "));
    let headers = pairs.map(|(name, it)| (name.parse().unwrap(), it.parse().unwrap()));
    let all = learned(&HeaderMap::from_iter(headers), NOW);
    let shown = |it: Option<f64>| it.map_or("-".to_owned(), |it| it.to_string());
    let line = |it: &Learned| {
        let (limit, window) = (shown(it.limit), shown(it.window_s));
        let (remaining, reset) = (shown(it.remaining), shown(it.reset_s));
        format!("{:?} {limit}/{window} {remaining} {reset} {}", it.what, it.header)
    };
    all.iter().map(line).collect()
}

#[test]
fn resets_come_as_seconds_with_units_as_times_or_not_at_all() {
    let cases = [
        ("1s", "1"),
        ("6m0s", "360"),
        ("17ms", "0.017"),
        ("1h2m3.5s", "3723.5"),
        ("2d", "172800"),
        ("250µs", "-"),
        ("250us", "0.00025"),
        ("12", "12"),
        ("0.5", "0.5"),
        ("0", "0"),
        ("1795168807", "7"),
        ("1795168807500", "7.5"),
        ("1795168000", "0"),
        ("2026-11-20T10:00:09Z", "9"),
        ("2026-11-20T11:00:09.25+01:00", "9.25"),
        ("2026-11-20T09:00:00Z", "0"),
        ("2126-11-20T10:00:00Z", "-"),
        ("99999999", "-"),
        ("9999999999999999999", "-"),
        ("-1", "-"),
        ("-1s", "-"),
        ("1e3", "-"),
        ("NaN", "-"),
        ("inf", "-"),
        ("s", "-"),
        ("5 parsecs", "-"),
        ("1s2", "-"),
        ("..s", "-"),
        ("soon", "-"),
    ];
    for (text, reset) in cases {
        let all =
            told(&format!("x-ratelimit-limit-requests: 60\nx-ratelimit-reset-requests: {text}"));
        let expected = format!("Requests 60/- - {reset} x-ratelimit-limit-requests");
        assert_eq!(all, [expected], "{text:?}");
    }
}

#[test]
fn every_family_is_read() {
    let openai = "x-ratelimit-limit-requests: 60\nx-ratelimit-limit-tokens: 150000
        x-ratelimit-remaining-requests: 59\nx-ratelimit-remaining-tokens: 149984
        x-ratelimit-reset-requests: 1s\nx-ratelimit-reset-tokens: 6m0s";
    assert_eq!(
        told(openai),
        [
            "Requests 60/- 59 1 x-ratelimit-limit-requests",
            "Tokens 150000/- 149984 360 x-ratelimit-limit-tokens",
        ]
    );
    let anthropic = "anthropic-ratelimit-requests-limit: 50
        anthropic-ratelimit-requests-remaining: 49
        anthropic-ratelimit-requests-reset: 2026-11-20T10:00:01Z
        anthropic-ratelimit-input-tokens-limit: 40000
        anthropic-ratelimit-input-tokens-remaining: 39000
        anthropic-ratelimit-output-tokens-remaining: 8000";
    assert_eq!(
        told(anthropic),
        [
            "Requests 50/60 49 1 anthropic-ratelimit-requests-limit",
            "Tokens 40000/60 39000 - anthropic-ratelimit-input-tokens-limit",
            "Tokens -/60 8000 - anthropic-ratelimit-output-tokens-remaining",
        ]
    );
    let by_day = "x-ratelimit-limit-requests-day: 14400
        x-ratelimit-remaining-requests-day: 14370\nx-ratelimit-reset-requests-day: 33011.38
        x-ratelimit-limit-tokens-minute: 60000\nx-ratelimit-remaining-tokens-minute: 59000";
    assert_eq!(
        told(by_day),
        [
            "Tokens 60000/60 59000 - x-ratelimit-limit-tokens-minute",
            "Requests 14400/86400 14370 33011.38 x-ratelimit-limit-requests-day",
        ]
    );
    let plain = "X-RateLimit-Limit: 20\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1795168830000";
    assert_eq!(told(plain), ["Requests 20/- 0 30 x-ratelimit-limit"]);
    let standard = "RateLimit-Limit: 100, 100;w=60, 1000;w=3600\nRateLimit-Remaining: 50
        RateLimit-Reset: 30";
    assert_eq!(told(standard), ["Requests 100/60 50 30 ratelimit-limit"]);
}

#[test]
fn structured_fields_are_read_in_their_newer_and_their_older_form() {
    let newer = "RateLimit-Policy: \"burst, short\";q=100;w=10, \"day\";q=5000;w=86400
        RateLimit-Policy: \"much\";q=90000;w=60;qu=\"tokens\", \"big\";q=9;qu=\"content-bytes\"
        RateLimit: \"burst, short\";r=50;t=3, \"other\";r=7";
    assert_eq!(
        told(newer),
        [
            "Requests 100/10 50 3 ratelimit-policy",
            "Requests 5000/86400 - - ratelimit-policy",
            "Tokens 90000/60 - - ratelimit-policy",
            "Requests -/- 7 - ratelimit",
        ]
    );
    let older = "RateLimit: limit=100, remaining=50, reset=5\nRateLimit-Policy: 100;w=60";
    assert_eq!(
        told(older),
        ["Requests 100/60 50 5 ratelimit", "Requests 100/60 - - ratelimit-policy"]
    );
}

#[test]
fn what_says_nothing_is_not_learned_and_the_count_has_a_bound() {
    for bad in ["-1", "NaN", "inf", "", "1e9", "0x10", "unlimited", "99999999999999999999", "0"] {
        let all = told(&format!("x-ratelimit-limit-tokens: {bad}\nratelimit-limit: {bad}"));
        assert!(all.is_empty(), "{bad:?}: {all:?}");
    }
    assert!(told("x-ratelimit-reset-requests: 1s\nretry-after: 1").is_empty());
    // A limit of nothing is no limit, whatever is left of it.
    assert!(told("x-ratelimit-limit: 0\nx-ratelimit-remaining: 0").is_empty());
    assert_eq!(
        told("x-ratelimit-limit: ten\nx-ratelimit-remaining: 0"),
        ["Requests -/- 0 - x-ratelimit-remaining"]
    );
    let many: Vec<String> = (0..200).map(|it| format!("\"{it}\";q=1")).collect();
    let text = many.join(",");
    assert!(told(&format!("ratelimit-policy: {text}")).is_empty(), "too long to be read");
    assert_eq!(told(&format!("ratelimit-policy: {}", &text[..500])).len(), ITEMS_MAX);
    assert!(told("ratelimit: \"a;r=1\nratelimit-policy: ;;;=,,\"").is_empty());
}

#[test]
fn times_are_measured_against_the_servers_own_clock() {
    let all = told(
        "date: Sat, 21 Nov 2026 10:00:00 GMT\nanthropic-ratelimit-tokens-limit: 5
        anthropic-ratelimit-tokens-reset: 2026-11-21T10:00:04Z",
    );
    assert_eq!(all, ["Tokens 5/60 - 4 anthropic-ratelimit-tokens-limit"]);
}

proptest::proptest! {
    #[test]
    fn hostile_headers_bring_only_sane_numbers(values in proptest::collection::vec(".{0,60}", 6)) {
        let names = ["ratelimit", "ratelimit-policy", "ratelimit-limit", "x-ratelimit-reset",
            "x-ratelimit-remaining", "x-ratelimit-limit-tokens"];
        let pair = |(name, it): (&&str, &String)| {
            Some((name.parse().ok()?, http::HeaderValue::from_bytes(it.as_bytes()).ok()?))
        };
        let headers = names.iter().zip(&values).filter_map(pair);
        for it in learned(&headers.collect(), NOW) {
            for number in [it.limit, it.window_s, it.remaining, it.reset_s].into_iter().flatten() {
                proptest::prop_assert!((0.0..=MOST).contains(&number));
            }
        }
    }
}
