//! What the manifests say: which room knows which, and which libraries the house leans on.

use std::collections::BTreeSet;

/// The rooms a manifest depends on outside of its tests.
pub(crate) fn rooms_known(manifest: &str) -> BTreeSet<String> {
    let lines = lines_of(manifest, |section| {
        let last = section.rsplit('.').next().unwrap_or_default();
        let is_workspace = section.starts_with("workspace.");
        let in_table = section.contains("dependencies.") && last.starts_with(PREFIX);
        let is_dev = section.contains("dev-dependencies");
        !is_workspace && !is_dev && (last.ends_with("dependencies") || in_table)
    });
    let words = lines.iter().flat_map(|line| {
        line.split(|it: char| !it.is_ascii_alphanumeric() && it != '-').filter_map(room)
    });
    words.collect()
}

/// The libraries of `[workspace.dependencies]`, our own rooms left out.
pub(crate) fn libraries(manifest: &str) -> Vec<String> {
    lines_of(manifest, |section| section == "workspace.dependencies")
        .iter()
        .filter_map(|line| line.split_once('=').map(|it| it.0.trim().to_owned()))
        .filter(|it| !it.is_empty() && room(it).is_none())
        .collect()
}

/// Whether any section of a manifest takes this library.
pub(crate) fn takes(manifest: &str, library: &str) -> bool {
    lines_of(manifest, |section| {
        section.contains("dependencies") && !section.starts_with("workspace.")
    })
    .iter()
    .any(|line| {
        let key = line.split(['=', '.', ' ', ']']).next().unwrap_or_default();
        key == library || line.trim_end_matches(']').ends_with(&format!("dependencies.{library}"))
    })
}

/// Rooms that a manifest knows against the plan, with the way out.
pub(crate) fn arrows(room: &str, path: &str, manifest: &str, may_know: &[&str]) -> Vec<String> {
    let allowed =
        if may_know.is_empty() { "no other room".to_owned() } else { may_know.join(", ") };
    rooms_known(manifest)
        .into_iter()
        .filter(|known| !may_know.contains(&known.as_str()))
        .map(|known| {
            format!(
                "{path}: {room} may not know {known}, only {allowed}; \
                 a new arrow is a change of design: make it in tests/tidy.rs first"
            )
        })
        .collect()
}

/// Libraries that the page does not give a reason for.
pub(crate) fn unexplained(libraries: &[String], page: &str) -> Vec<String> {
    let explained = |name: &String| {
        let quoted = format!("`{name}`");
        page.lines().any(|line| line.contains(&quoted) && line.len() >= quoted.len() + REASON_MIN)
    };
    libraries
        .iter()
        .filter(|name| !explained(name))
        .map(|name| {
            format!("ARCHITECTURE.md: no line about `{name}`; say in one line what for, and why this one")
        })
        .collect()
}

const PREFIX: &str = "callboard-";

/// A reason shorter than this is none.
const REASON_MIN: usize = 20;

fn room(package: &str) -> Option<String> {
    package.strip_prefix(PREFIX).map(str::to_owned)
}

/// The lines of the wanted sections, each section's own header among them, without comments.
fn lines_of(manifest: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut is_wanted = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(|it| it.split('#').next().unwrap_or_default().trim()) {
        if line.starts_with('[') && line.ends_with(']') {
            is_wanted = wanted(&line.trim_matches(['[', ']']).replace(['\'', '"'], ""));
        }
        if is_wanted && !line.is_empty() {
            found.push(line.to_owned());
        }
    }
    found
}

mod cases {
    use super::{arrows, libraries, rooms_known, takes, unexplained};

    const MANIFEST: &str = "[workspace.dependencies]\ncallboard-store = { path = \"store\" }\nserde = \"1\"\n\
        tokio = { version = \"1\" }\n\n[package]\nname = \"callboard-tools\"\n\n[dependencies]\n\
        callboard-config.workspace = true\n# callboard-trace.workspace = true\nserde.workspace = true\n\n\
        [dev-dependencies]\ncallboard-agents.workspace = true\n";

    #[test]
    fn an_arrow_against_the_plan_is_found() {
        assert_eq!(rooms_known(MANIFEST).into_iter().collect::<Vec<_>>(), ["config"]);
        assert_eq!(arrows("tools", "tools/Cargo.toml", MANIFEST, &["config", "trace"]), [""; 0]);
        let found = arrows("tools", "tools/Cargo.toml", MANIFEST, &["trace"]);
        assert!(found[0].starts_with("tools/Cargo.toml: tools may not know config, only trace"));
    }

    #[test]
    fn no_way_of_writing_hides_an_arrow() {
        for text in [
            "[dependencies]\nx = { package = \"callboard-store\", path = \"../store\" }\n",
            "[dependencies.callboard-store]\nworkspace = true\n",
            "[target.'cfg(unix)'.dependencies]\ncallboard-store.workspace = true\n",
            "[build-dependencies]\ncallboard-store = { workspace = true }\n",
        ] {
            assert!(rooms_known(text).contains("store"), "{text}");
        }
    }

    #[test]
    fn a_library_without_a_reason_is_found() {
        assert_eq!(libraries(MANIFEST), ["serde", "tokio"]);
        let page =
            "| `serde` | records and results as JSON, the field's standard |\n| `tokio` | |\n";
        let found = unexplained(&libraries(MANIFEST), page);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("`tokio`"), "{found:?}");
    }

    #[test]
    fn a_library_nobody_takes_is_known() {
        assert!(takes(MANIFEST, "serde"));
        assert!(!takes(MANIFEST, "tokio"));
    }
}
