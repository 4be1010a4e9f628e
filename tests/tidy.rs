//! The plan of the house as a test: which room may know which, what stands where, how long things may be.
#![expect(clippy::panic, reason = "where the house cannot be read, the test says so and fails")]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/hosts.rs"]
mod hosts;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/uses.rs"]
mod uses;
#[path = "tidy/words.rs"]
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use source::Source;

/// Every room, and the rooms it may know. A new arrow is a change of design: it is made here first.
const ROOMS: &[(&str, &[&str])] = &[
    ("sandbox", &[]),
    ("config", &[]),
    ("trace", &["config"]),
    ("store", &["trace"]),
    ("agents", &["config", "trace", "sandbox"]),
    ("scheduler", &["config", "trace", "store", "agents"]),
    ("tools", &["config", "trace", "scheduler"]),
    ("server", &["config", "trace", "scheduler", "tools", "sandbox"]),
];

/// Folders beside the rooms whose Rust files must open and be named like all others.
const BESIDE: &[&str] = &["tests", "examples", "benches", "fuzz/fuzz_targets"];

/// Lines of code of the product: without its tests, blank lines and comments.
const PRODUCT_LINES_MAX: usize = 54_000;

/// The vocabularies of all rooms above them: what a team is made of, every kind of record, and what is
/// asked of the store.
const VOCABULARIES: [(&str, usize); 3] = [("config", 37), ("store", 32), ("trace", 56)];

#[test]
fn rooms_know_only_the_rooms_below() {
    let found = ROOMS.iter().flat_map(|(room, may_know)| {
        let path = manifest_of(room);
        manifest::arrows(room, &path, &read(&path), may_know)
    });
    none(found.collect());
}

#[test]
fn every_member_of_the_workspace_is_a_room() {
    let folders: BTreeSet<String> = fs::read_dir(top())
        .expect("the top of the repository can be read")
        .filter_map(|it| it.ok()?.file_name().into_string().ok())
        .filter(|it| top().join(it).join("Cargo.toml").is_file() && it != "fuzz")
        .collect();
    let planned: BTreeSet<String> =
        ROOMS.iter().map(|(room, _)| (*room).to_owned()).filter(|it| it != "server").collect();
    assert_eq!(
        folders, planned,
        "a new room is a change of design: make it in tests/tidy.rs first"
    );
}

#[test]
fn modules_need_each_other_in_no_circle() {
    let found = ROOMS.iter().flat_map(|(room, _)| {
        let sources = product(room);
        circles::circles(room, &sources.iter().collect::<Vec<_>>())
    });
    none(found.collect());
}

#[test]
fn every_file_opens_with_its_sentence_and_bears_a_telling_name() {
    let folders = ROOMS.iter().map(|(room, _)| *room).chain(BESIDE.iter().copied());
    let paths = folders.flat_map(|folder| source::rust_files(top(), folder));
    none(
        paths
            .flat_map(|path| [shape::opening(&path, &read(&path)), shape::name(&path)])
            .flatten()
            .collect(),
    );
}

#[test]
fn files_functions_and_lines_fit_the_eye() {
    none(ROOMS.iter().flat_map(|(room, _)| all(room)).flat_map(|it| shape::sizes(&it)).collect());
}

#[test]
fn some_words_stand_in_one_place_only() {
    none(
        ROOMS
            .iter()
            .flat_map(|(room, _)| product(room))
            .flat_map(|it| words::misplaced(&it))
            .collect(),
    );
}

#[test]
fn a_door_offers_few_names() {
    let mut found = Vec::new();
    for (room, _) in ROOMS {
        let path = format!("{room}/lib.rs");
        match shape::door(&parse(&path)) {
            Err(finding) => found.push(finding),
            Ok(names) if names.len() > door_max(room) => found.push(format!(
                "{path}: offers {} names, at most {}; keep inside what no other room asks for: {names:?}",
                names.len(),
                door_max(room)
            )),
            Ok(names) if names.len() > shape::DOOR_NAMES_WANTED => println!(
                "{path}: offers {} names, {} are wanted",
                names.len(),
                shape::DOOR_NAMES_WANTED
            ),
            Ok(_) => {}
        }
    }
    none(found);
}

#[test]
fn the_product_stays_small() {
    let mut total = 0;
    for (room, _) in ROOMS {
        let sources = product(room);
        let n_lines: usize = sources.iter().map(Source::product_lines).sum();
        let n_code: usize = sources.iter().map(Source::code_lines).sum();
        println!("{room:<10} {n_lines:>6} lines without tests, {n_code:>6} of them code");
        total += n_code;
    }
    println!("{:<10} {total:>6} of at most {PRODUCT_LINES_MAX}", "product");
    assert!(
        total <= PRODUCT_LINES_MAX,
        "{total} lines of code, at most {PRODUCT_LINES_MAX}; drop what nobody asked for, or let a crate do it"
    );
}

#[test]
fn every_library_has_its_reason() {
    let page = fs::read_to_string(top().join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md stands at the top and gives every library one line: what for, why this one");
    none(manifest::unexplained(&manifest::libraries(&read("Cargo.toml")), &page));
}

#[test]
fn every_library_is_taken_by_a_room() {
    let manifests: Vec<String> = ROOMS.iter().map(|(room, _)| read(&manifest_of(room))).collect();
    let libraries = manifest::libraries(&read("Cargo.toml"));
    let idle =
        libraries.iter().filter(|name| !manifests.iter().any(|it| manifest::takes(it, name)));
    none(idle.map(|name| format!("Cargo.toml: no room takes `{name}`; drop the line")).collect());
}

#[test]
fn nothing_published_speaks_of_one_machine() {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(top())
        .output()
        .expect("git lists the tracked files");
    assert!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout);
    let paths = listed.split('\0').filter(|it| !it.is_empty());
    none(paths.filter_map(|path| Some(hosts::traces(path, &text_of(path)?))).flatten().collect());
}

fn door_max(room: &str) -> usize {
    let found = VOCABULARIES.iter().find(|it| it.0 == room);
    found.map_or(shape::DOOR_NAMES_MAX, |it| it.1)
}

/// Fails with every finding, one a line.
fn none(found: Vec<String>) {
    assert!(found.is_empty(), "{} to mend:\n{}", found.len(), found.join("\n"));
}

/// The files of a room that are not tests as a whole.
fn product(room: &str) -> Vec<Source> {
    let all = all(room);
    let tests: Vec<String> = all.iter().flat_map(test_files).collect();
    let is_test = |path: &str| {
        let inside = &path[room.len()..];
        let is_apart =
            ["/tests/", "/benches/", "/examples/"].iter().any(|it| inside.starts_with(it));
        is_apart
            || tests
                .iter()
                .any(|it| path == format!("{it}.rs") || path.starts_with(&format!("{it}/")))
    };
    all.into_iter().filter(|it| !is_test(&it.path)).collect()
}

fn all(room: &str) -> Vec<Source> {
    source::rust_files(top(), room).iter().map(|path| parse(path)).collect()
}

/// Where the modules lie that a file declares for tests only, without `.rs`.
fn test_files(source: &Source) -> Vec<String> {
    let folder = match source.path.rsplit_once('/') {
        Some((folder, "lib.rs" | "main.rs" | "mod.rs")) => folder,
        Some(_) | None => source.path.trim_end_matches(".rs"),
    };
    source.test_modules.iter().map(|it| format!("{folder}/{it}")).collect()
}

fn parse(path: &str) -> Source {
    Source::parse(path, &read(path)).unwrap_or_else(|finding| panic!("{finding}"))
}

fn manifest_of(room: &str) -> String {
    if room == "server" { "Cargo.toml".to_owned() } else { format!("{room}/Cargo.toml") }
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text of a tracked file; none if it is gone or no text.
fn text_of(path: &str) -> Option<String> {
    String::from_utf8(fs::read(top().join(path)).ok()?).ok()
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
