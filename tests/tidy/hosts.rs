//! Traces of one machine in what is published: its folders, and the hosts it gets packages from.

/// What may not stand in a tracked file, each split so that this file does not hold it.
const TRACES: &[(&str, &str)] = &[
    (
        concat!("/wo", "rk/"),
        "a folder of one machine; write the path from the top of the repository",
    ),
    (
        concat!("/ro", "ot/"),
        "a folder of one machine; write the path from the top of the repository",
    ),
    (concat!("../sh", "ared"), "a folder beside the repository; say it here"),
    (concat!("crates", ".io"), "the host of a package registry; name the package"),
    (concat!("py", "pi.org"), "the host of a package registry; name the package"),
    (concat!("python", "hosted.org"), "the host of a package registry; name the package"),
    (concat!("npm", "js.org"), "the host of a package registry; name the package"),
    (concat!("npm", "js.com"), "the host of a package registry; name the package"),
    (concat!("proxy.golang", ".org"), "the host of a package registry; name the package"),
];

/// Files that a tool writes and that name their registry by design.
const WRITTEN_BY_TOOLS: &[&str] = &["Cargo.lock"];

/// One finding for each trace of one machine in a file.
pub(crate) fn traces(path: &str, text: &str) -> Vec<String> {
    if WRITTEN_BY_TOOLS.iter().any(|it| path.ends_with(it)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (sign, way_out) in TRACES.iter().filter(|(sign, _)| holds(line, sign)) {
            found.push(format!("{path}:{}: `{sign}` is {way_out}", at + 1));
        }
    }
    found
}

/// A sign counts where it begins a word, so that `docs` + a folder of that name is free.
fn holds(line: &str, sign: &str) -> bool {
    let begins = |at: usize| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|it| it.is_alphanumeric() || "-_}".contains(it))
    };
    line.match_indices(sign).any(|(at, _)| begins(at))
}

mod cases {
    use super::{TRACES, traces};

    #[test]
    fn every_trace_is_found_with_its_line() {
        for (sign, _) in TRACES {
            let found = traces("README.md", &format!("# Title\nsee {sign}x\n"));
            assert_eq!(found.len(), 1, "{sign}");
            assert!(found[0].starts_with("README.md:2: "), "{found:?}");
        }
    }

    #[test]
    fn the_lock_file_and_longer_words_are_free() {
        let (sign, _) = TRACES[0];
        assert_eq!(traces("Cargo.lock", sign), [""; 0]);
        assert_eq!(traces("README.md", &format!("docs{sign}plan.md")), [""; 0]);
    }
}
