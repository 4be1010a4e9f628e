//! Words that may stand in one place only, so that one place can be trusted with what they do.

use crate::source::{Kind, Source};
use crate::uses::{How, Mention, mentions};

/// A group of signs, where they may stand, and what to do elsewhere.
struct OnePlace {
    signs: &'static [Sign],
    places: &'static [&'static str],
    instead: &'static str,
}

/// What betrays that a file does something.
enum Sign {
    /// A path with this name in it.
    Name(&'static str),
    /// A path with these two names side by side.
    Pair(&'static str, &'static str),
    /// A call of this macro.
    Macro(&'static str),
    /// A text that holds these words in this order.
    Text(&'static [&'static str]),
}

const PLACES: &[OnePlace] = &[
    OnePlace {
        signs: &[Sign::Name("rmcp")],
        places: &["server/", "agents/toolbox/mcp/"],
        instead: "say it in our own words; the protocol is spoken in server/ and agents/toolbox/mcp/",
    },
    OnePlace {
        signs: &[Sign::Name("axum"), Sign::Name("hyper"), Sign::Name("hyper_util")],
        places: &["server/"],
        instead: "return a value; server/ carries it over HTTP",
    },
    OnePlace {
        signs: &[Sign::Name("async_openai")],
        places: &["agents/model/"],
        instead: "ask agents/model/, the only place that knows a model endpoint",
    },
    OnePlace {
        signs: &[Sign::Name("reqwest")],
        places: &[
            "agents/model/",
            "agents/toolbox/mcp/",
            "agents/toolbox/egress.rs",
            "server/http/jwks.rs",
        ],
        instead: "ask agents/model/ or agents/toolbox/mcp/, whose clients have deadlines and follow no redirect",
    },
    OnePlace {
        signs: &[
            Sign::Name("rusqlite"),
            Sign::Name("tokio_postgres"),
            Sign::Text(&["SELECT ", " FROM "]),
            Sign::Text(&["INSERT INTO "]),
            Sign::Text(&["UPDATE ", " SET "]),
            Sign::Text(&["DELETE FROM "]),
            Sign::Text(&["CREATE TABLE "]),
            Sign::Text(&["PRAGMA "]),
        ],
        places: &["store/"],
        instead: "add a method to the store; SQL is written in store/ only",
    },
    OnePlace {
        signs: &[
            Sign::Pair("env", "var"),
            Sign::Pair("env", "var_os"),
            Sign::Pair("env", "vars"),
            Sign::Pair("env", "vars_os"),
        ],
        places: &["config/load.rs"],
        instead: "take the value from the loaded team; config/load.rs reads the environment",
    },
    OnePlace {
        signs: &[Sign::Pair("SystemTime", "now")],
        places: &["scheduler/clock.rs"],
        instead: "take `now` as an argument; scheduler/clock.rs reads the clock",
    },
    OnePlace {
        signs: &[
            Sign::Name("getrandom"),
            Sign::Name("rand"),
            Sign::Name("fastrand"),
            Sign::Name("RandomState"),
            Sign::Pair("Uuid", "new_v4"),
        ],
        places: &["scheduler/chance.rs"],
        instead: "take the number as an argument; scheduler/chance.rs rolls the dice",
    },
    OnePlace {
        signs: &[
            Sign::Macro("print"),
            Sign::Macro("println"),
            Sign::Macro("eprint"),
            Sign::Macro("eprintln"),
        ],
        places: &["server/"],
        instead: "return a value or write a tracing event; server/ speaks to people",
    },
];

/// One finding for each word that stands where it may not.
pub(crate) fn misplaced(source: &Source) -> Vec<String> {
    let elsewhere: Vec<&OnePlace> = PLACES
        .iter()
        .filter(|it| !it.places.iter().any(|place| stands_in(source, place)))
        .collect();
    let mut found = Vec::new();
    for mention in mentions(&source.tokens) {
        for (place, sign) in signs(&elsewhere).filter(|(_, sign)| sign.is_in_path(&mention)) {
            found.push(told(source, mention.line, &sign.shown(), place));
        }
    }
    for token in &source.tokens {
        let Kind::Literal(text) = &token.kind else { continue };
        for (place, sign) in signs(&elsewhere).filter(|(_, sign)| sign.is_in_text(text)) {
            found.push(told(source, token.line, &sign.shown(), place));
        }
    }
    found
}

fn stands_in(source: &Source, place: &str) -> bool {
    if place.ends_with('/') { source.path.starts_with(place) } else { source.path == place }
}

fn signs<'a>(places: &'a [&OnePlace]) -> impl Iterator<Item = (&'a OnePlace, &'static Sign)> {
    places.iter().flat_map(|place| place.signs.iter().map(|sign| (*place, sign)))
}

fn told(source: &Source, line: usize, sign: &str, place: &OnePlace) -> String {
    let places = place.places.join(" or ");
    format!("{}:{line}: {sign} may stand in {places} only; {}", source.path, place.instead)
}

impl Sign {
    fn is_in_path(&self, mention: &Mention) -> bool {
        let names = &mention.names;
        match self {
            Self::Name(name) => names.iter().any(|it| it == name),
            Self::Pair(a, b) => names.windows(2).any(|it| it[0] == *a && it[1] == *b),
            Self::Macro(name) => {
                mention.how == How::Called && names.last().is_some_and(|it| it == name)
            }
            Self::Text(_) => false,
        }
    }

    fn is_in_text(&self, text: &str) -> bool {
        let Self::Text(words) = self else { return false };
        let text = text.replace("\\n", " ").replace('\n', " ");
        let mut rest = text.as_str();
        words.iter().all(|word| {
            let at = rest.find(word);
            rest = at.map_or("", |at| &rest[at + word.trim_end().len()..]);
            at.is_some()
        })
    }

    fn shown(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Pair(a, b) => format!("`{a}::{b}`"),
            Self::Macro(name) => format!("`{name}!`"),
            Self::Text(words) => {
                let words: Vec<&str> = words.iter().map(|it| it.trim()).collect();
                format!("SQL (`{}`)", words.join(" .. "))
            }
        }
    }
}

mod cases {
    use super::misplaced;
    use crate::source::Source;

    fn found(path: &str, text: &str) -> Vec<String> {
        misplaced(&Source::parse(path, text).expect("the text is Rust"))
    }

    #[test]
    fn every_sign_is_caught_outside_its_place_and_allowed_in_it() {
        let cases = [
            ("use rmcp::model::Tool;", "server/mcp.rs"),
            ("fn f() { let _ = rmcp::serve(); }", "agents/toolbox/mcp/line.rs"),
            ("use axum::Router;", "server/http.rs"),
            ("use async_openai::Client;", "agents/model/wire.rs"),
            ("fn f(c: &reqwest::Client) {}", "agents/model/wire.rs"),
            ("use rusqlite::Connection;", "store/sqlite.rs"),
            ("const Q: &str = \"SELECT seq\\n FROM journal\";", "store/journal.rs"),
            ("const Q: &str = \"UPDATE runs SET state = ?\";", "store/queue.rs"),
            ("const Q: &str = r#\"insert; INSERT INTO runs\"#;", "store/queue.rs"),
            ("const Q: &str = \"CREATE TABLE runs (id TEXT)\";", "store/sqlite.rs"),
            ("fn f() { let _ = std::env::var(\"HOME\"); }", "config/load.rs"),
            ("use std::env::{self, vars};", "config/load.rs"),
            ("fn f() { let _ = std::time::SystemTime::now(); }", "scheduler/clock.rs"),
            ("fn f() { let _ = getrandom::u64(); }", "scheduler/chance.rs"),
            ("fn f() { println!(\"{}\", 1); }", "server/main.rs"),
        ];
        for (text, home) in cases {
            assert_eq!(found("trace/story.rs", text).len(), 1, "not caught: {text}");
            assert_eq!(found(home, text), [""; 0], "{text} belongs in {home}");
        }
    }

    #[test]
    fn a_finding_names_file_line_and_the_way_out() {
        let found = found("tools/ask.rs", "//! Doc.\n\nfn f() { println!(\"a\"); }\n");
        assert_eq!(
            found,
            ["tools/ask.rs:3: `println!` may stand in server/ only; \
              return a value or write a tracing event; server/ speaks to people"]
        );
    }

    #[test]
    fn comments_tests_and_ordinary_words_are_free() {
        let text = "//! rmcp and SELECT a FROM b.\nfn f() -> &'static str { \"update the set\" }\n\
                    fn g() { env::args(); env!(\"X\"); }\n\
                    #[cfg(test)]\nmod tests { fn f() { println!(\"a\"); } }\n";
        assert_eq!(found("tools/ask.rs", text), [""; 0]);
    }
}
