//! "Did you mean": the known name nearest to a misspelt one.

/// The end of a message: `; did you mean "reviewer"?`, or what there is.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    otherwise: &str,
) -> String {
    match nearest(name, known.clone()) {
        Some(it) => format!("; did you mean \"{it}\"?"),
        None => format!("; {otherwise} {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// A name as it may be quoted in a message: short, and every odd character escaped.
pub(crate) fn quoted(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    let dots = if short.len() < name.len() { "…" } else { "" };
    format!("\"{}{dots}\"", short.escape_debug())
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = loose(name);
    let most = if wanted.chars().count() < 4 { 1 } else { 2 };
    known
        .map(|it| (strsim::osa_distance(&wanted, &loose(it)), it))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// `IntegrationTester` and `integration-tester` are one name; no name has more than 64 letters.
fn loose(name: &str) -> String {
    name.chars()
        .take(64)
        .filter(|it| !matches!(it, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_or_all_of_them() {
        let known = ["coder", "reviewer"];
        let of = |name: &str| did_you_mean(name, known.into_iter(), "there are");
        assert_eq!(of("reviwer"), "; did you mean \"reviewer\"?");
        assert_eq!(of("Re-Viewer"), "; did you mean \"reviewer\"?");
        assert_eq!(of("poet"), "; there are coder, reviewer");
    }

    #[test]
    fn a_quoted_name_is_short_and_shows_every_character() {
        assert_eq!(quoted("a\u{202e}\"b\n"), "\"a\\u{202e}\\\"b\\n\"");
        assert_eq!(quoted(&"x".repeat(1 << 20)).chars().count(), 67);
    }
}
