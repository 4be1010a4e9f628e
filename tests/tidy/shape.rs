//! How long things may be, how they open, and how they are named.

use std::collections::BTreeSet;

use proc_macro2::Delimiter;

use crate::source::{Kind, Source, Token, closing};
use crate::uses::{How, mentions};

/// Lines of product in one file.
pub(crate) const FILE_LINES_MAX: usize = 400;
/// Lines of one function, from `fn` to its closing brace.
pub(crate) const FUNCTION_LINES_MAX: usize = 70;
/// Columns of one line.
pub(crate) const LINE_COLUMNS_MAX: usize = 110;
/// Names that a room's door offers, before people lose the overview.
pub(crate) const DOOR_NAMES_WANTED: usize = 15;
/// Names that a room's door may offer at all.
pub(crate) const DOOR_NAMES_MAX: usize = 25;
/// Words that say nothing about what a file does.
const BANNED_NAMES: &[&str] = &[
    "manager", "managers", "service", "services", "util", "utils", "helper", "helpers", "common",
    "misc", "types",
];

/// A file that does not open with its sentence.
pub(crate) fn opening(path: &str, text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|it| !it.trim().is_empty());
    (!says)
        .then(|| format!("{path}:1: open with one `//!` sentence that says what this file is for"))
}

/// A path with a banned word in a folder or file name.
pub(crate) fn name(path: &str) -> Option<String> {
    let words = path.trim_end_matches(".rs").split(['/', '_', '-', '.']);
    let banned = words.into_iter().find(|word| BANNED_NAMES.contains(word))?;
    Some(format!("{path}: `{banned}` says nothing; name it after what it does"))
}

/// What is too long or too wide in a file.
pub(crate) fn sizes(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut found = Vec::new();
    let n_lines = source.product_lines();
    if n_lines > FILE_LINES_MAX {
        found.push(format!(
            "{path}: {n_lines} lines without tests, at most {FILE_LINES_MAX}; split it along what it does"
        ));
    }
    for (at, line) in source.text.lines().enumerate() {
        let n_columns = line.chars().count();
        if n_columns > LINE_COLUMNS_MAX {
            let line = at + 1;
            found.push(format!(
                "{path}:{line}: {n_columns} columns, at most {LINE_COLUMNS_MAX}; break it"
            ));
        }
    }
    for function in functions(&source.tokens) {
        let n_lines = function.end - function.start + 1;
        if n_lines > FUNCTION_LINES_MAX {
            found.push(format!(
                "{path}:{}: `{}` has {n_lines} lines, at most {FUNCTION_LINES_MAX}; take a part out by its name",
                function.start, function.name
            ));
        }
    }
    found
}

/// The names a room's `lib.rs` offers, or the findings that keep them from being counted.
pub(crate) fn door(source: &Source) -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    for mention in mentions(&source.tokens) {
        let How::Exported(alias) = mention.how else { continue };
        if alias == "*" {
            let (path, line) = (&source.path, mention.line);
            return Err(format!(
                "{path}:{line}: `pub use ..::*` hides what the room offers; name each"
            ));
        }
        names.insert(alias);
    }
    names.extend(public_items(&source.tokens));
    Ok(names)
}

struct Function {
    name: String,
    start: usize,
    end: usize,
}

fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let [Token { kind: Kind::Word(keyword), line }, Token { kind: Kind::Word(name), .. }] =
            &tokens[at..(at + 2).min(tokens.len())]
        else {
            continue;
        };
        if keyword != "fn" {
            continue;
        }
        if let Some(end) = body_end(tokens, at) {
            found.push(Function { name: name.clone(), start: *line, end });
        }
    }
    found
}

/// The line of the closing brace of the function at `at`; none if it has no body.
fn body_end(tokens: &[Token], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        match tokens.get(at)?.kind {
            Kind::Mark(';') => return None,
            Kind::Open(Delimiter::Brace) => return Some(tokens[closing(tokens, at)].line),
            Kind::Open(_) => at = closing(tokens, at),
            Kind::Close(_) | Kind::Word(_) | Kind::Mark(_) | Kind::Literal(_) => {}
        }
        at += 1;
    }
}

/// Items written in the door itself that are `pub` without any narrowing.
fn public_items(tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if matches!(tokens[at].kind, Kind::Open(_)) {
            at = closing(tokens, at);
        }
        if tokens[at].kind == Kind::Word("pub".to_owned()) {
            let words: Vec<&String> = tokens[at + 1..]
                .iter()
                .map_while(|it| match &it.kind {
                    Kind::Word(word) => Some(word),
                    Kind::Mark(_) | Kind::Literal(_) | Kind::Open(_) | Kind::Close(_) => None,
                })
                .collect();
            match words.as_slice() {
                [first, ..] if *first == "use" => {}
                [.., name] => found.push((*name).clone()),
                [] => {}
            }
        }
        at += 1;
    }
    found
}

mod cases {
    use super::{door, name, opening, sizes};
    use crate::source::Source;

    fn source(text: &str) -> Source {
        Source::parse("room/a.rs", text).expect("the text is Rust")
    }

    fn function(n_lines: usize) -> String {
        format!("fn long(\n    a: u8,\n) {{\n{}}}\n", "    f();\n".repeat(n_lines - 4))
    }

    #[test]
    fn a_function_may_have_seventy_lines_and_not_one_more() {
        assert_eq!(sizes(&source(&function(70))), [""; 0]);
        let found = sizes(&source(&format!("//! Doc.\n\nimpl A {{\n{}}}\n", function(71))));
        assert_eq!(
            found,
            ["room/a.rs:4: `long` has 71 lines, at most 70; take a part out by its name"]
        );
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_are_not_counted() {
        let tests =
            format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    const A: u8 = 1;\n".repeat(300));
        let fits = "const A: u8 = 1;\n".repeat(400);
        assert_eq!(sizes(&source(&format!("{fits}{tests}"))), [""; 0]);
        let found = sizes(&source(&format!("{fits}const B: u8 = 1;\n{tests}")));
        assert!(
            found[0].starts_with("room/a.rs: 401 lines without tests, at most 400"),
            "{found:?}"
        );
    }

    #[test]
    fn a_wide_line_is_found() {
        let found = sizes(&source(&format!("// {}\n", "x".repeat(108))));
        assert_eq!(found, ["room/a.rs:1: 111 columns, at most 110; break it"]);
    }

    #[test]
    fn a_file_opens_with_a_sentence() {
        assert!(opening("room/a.rs", "//! What it is for.\n").is_none());
        for text in ["", "//!\n", "// A comment.\n", "use x;\n//! Late.\n"] {
            assert!(opening("room/a.rs", text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        for path in ["a/utils.rs", "a/run_manager.rs", "a/common/x.rs", "a/types.rs", "a/helper.rs"]
        {
            assert!(name(path).is_some(), "{path}");
        }
        assert!(name("store/queue.rs").is_none());
        assert!(name("store/commons_sense.rs").is_none());
    }

    #[test]
    fn the_door_is_counted_by_what_others_can_name() {
        let text = "mod a;\npub mod b;\npub use a::{A, B as C};\npub(crate) fn d() {}\n\
                    pub const fn e() { pub struct Inner; }\n";
        let names = door(&source(text)).expect("no glob");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["A", "C", "b", "e"]);
        assert!(door(&source("pub use a::*;")).is_err());
    }
}
