//! When a provider says to come back: seconds, milliseconds, or a date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

/// The pause that the headers ask for, cut to `most`; `None` where they say nothing usable.
///
/// `now` is in microseconds since 1970. A date is measured against the server's own clock where the
/// reply tells it, so that a wrong clock here does not lengthen the pause.
pub(crate) fn retry_after(headers: &HeaderMap, now: i64, most: Duration) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::trim);
    let millis = text("retry-after-ms").and_then(|it| span(it, 1_000.0));
    let pause = millis.or_else(|| {
        let wanted = text("retry-after")?;
        let server = text("date").and_then(|it| httpdate::parse_http_date(it).ok());
        let now = server.or_else(|| clock(now))?;
        span(wanted, 1.0).or_else(|| until(wanted, now))
    })?;
    Some(pause.min(most))
}

fn span(text: &str, per_second: f64) -> Option<Duration> {
    let digits = text.bytes().all(|it| it.is_ascii_digit() || it == b'.') && !text.is_empty();
    let seconds = text.parse::<f64>().ok().filter(|_| digits)? / per_second;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// A date that has passed asks for nothing.
fn until(text: &str, now: SystemTime) -> Option<Duration> {
    httpdate::parse_http_date(text).ok()?.duration_since(now).ok()
}

fn clock(micros: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(micros).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20 10:00:00 UTC.
    const NOW: i64 = 1_795_168_800_000_000;

    fn asked(pairs: &[(&'static str, &str)]) -> Option<u128> {
        let headers =
            pairs.iter().map(|(name, it)| ((*name).parse().unwrap(), it.parse().unwrap()));
        retry_after(&headers.collect(), NOW, Duration::from_hours(1)).map(|it| it.as_millis())
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_read_and_cut_and_garbage_is_not() {
        let cases = [
            ("2", Some(2_000)),
            (" 2 ", Some(2_000)),
            ("0", Some(0)),
            ("1.5", Some(1_500)),
            ("999999", Some(3_600_000)),
            ("99999999999999999999999999", Some(3_600_000)),
            ("-1", None),
            ("abc", None),
            ("", None),
            ("1e3", None),
            ("inf", None),
            ("NaN", None),
            ("Fri, 20 Nov 2026 10:00:05 GMT", Some(5_000)),
            ("Friday, 20-Nov-26 10:00:05 GMT", Some(5_000)),
            ("Fri, 20 Nov 2026 09:59:00 GMT", None),
            ("Wed, 20 Nov 2126 10:00:00 GMT", Some(3_600_000)),
            ("Fri, 99 Nov 2026 10:00:00 GMT", None),
        ];
        for (text, expected) in cases {
            assert_eq!(asked(&[("retry-after", text)]), expected, "{text:?}");
        }
    }

    #[test]
    fn milliseconds_are_taken_before_seconds() {
        assert_eq!(asked(&[("retry-after", "7"), ("retry-after-ms", "250")]), Some(250));
        assert_eq!(asked(&[("retry-after", "7"), ("retry-after-ms", "soon")]), Some(7_000));
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn a_date_is_measured_against_the_servers_own_clock() {
        let date = ("date", "Sat, 21 Nov 2026 10:00:00 GMT");
        let asked = asked(&[("retry-after", "Sat, 21 Nov 2026 10:00:09 GMT"), date]);
        assert_eq!(asked, Some(9_000));
    }
}
