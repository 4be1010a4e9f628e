//! "Did you mean": the known name nearest to a misspelt one.

/// The known name within two letters of `name`, ignoring case, `-` and `_`.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = loose(name);
    let most = if wanted.chars().count() < 4 { 1 } else { 2 };
    known
        .into_iter()
        .map(|it| (strsim::osa_distance(&wanted, &loose(it)), it))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// The end of a message: `; did you mean "reviewer"?`, or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |it| format!("; did you mean \"{it}\"?"))
}

/// A name as it is compared: `IntegrationTester` and `integration-tester` are one.
pub(crate) fn loose(name: &str) -> String {
    name.chars().filter(|it| !matches!(it, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}
