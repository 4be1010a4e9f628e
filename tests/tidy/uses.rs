//! The paths a file mentions: every `a::b::C`, with `use` groups opened into single paths.

use proc_macro2::Delimiter;

use crate::source::{Kind, Token, closing};

/// One path as written, for example `crate::run::Run`.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    pub(crate) names: Vec<String>,
    pub(crate) how: How,
    /// How many inline `mod x { .. }` blocks stand around it; each costs one `super`.
    pub(crate) depth: usize,
}

/// The way a path is mentioned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum How {
    /// In code, or in a signature.
    Named,
    /// In code, as a macro: `name!(..)`.
    Called,
    /// In a `use`, under the name it gets here.
    Imported(String),
    /// In a `pub(..) use`, under the name it gets for the crate.
    Shared(String),
    /// In a `pub use`, under the name it gets for everybody.
    Exported(String),
}

/// Every path mentioned, in the order of the file.
pub(crate) fn mentions(tokens: &[Token]) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut blocks: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        blocks.retain(|end| at < *end);
        let Kind::Word(word) = &tokens[at].kind else {
            at += 1;
            continue;
        };
        if word == "use" && !is_capture_bound(tokens, at) {
            let mut tree = Tree {
                tokens,
                how: visibility(tokens, at),
                depth: blocks.len(),
                found: &mut found,
            };
            at = tree.open(at + 1, &[]);
            continue;
        }
        if let Some(open) = inline_module(tokens, at) {
            blocks.push(closing(tokens, open));
        }
        let (end, names) = chain(tokens, at);
        let how = if is_macro(tokens, end) { How::Called } else { How::Named };
        if !continues_path(tokens, at) {
            found.push(Mention { line: tokens[at].line, names, how, depth: blocks.len() });
        }
        at = end;
    }
    found
}

/// A `use` tree on its way to single paths.
struct Tree<'a> {
    tokens: &'a [Token],
    how: fn(String) -> How,
    depth: usize,
    found: &'a mut Vec<Mention>,
}

impl Tree<'_> {
    /// Reads one tree that starts at `at` below `prefix`; returns the index after it.
    fn open(&mut self, at: usize, prefix: &[String]) -> usize {
        let mut names = prefix.to_vec();
        let mut at = at;
        let line = self.tokens.get(at).map_or(0, |it| it.line);
        while let Some(token) = self.tokens.get(at) {
            match &token.kind {
                Kind::Word(word) if word == "as" => {
                    let alias = word_at(self.tokens, at + 1).unwrap_or("_").to_owned();
                    self.keep(line, names, alias);
                    return at + 2;
                }
                Kind::Word(word) => names.push(word.clone()),
                Kind::Mark('*') => names.push("*".to_owned()),
                Kind::Mark(':') => {}
                Kind::Open(Delimiter::Brace) => return self.group(at, &names),
                Kind::Mark(_) | Kind::Open(_) | Kind::Close(_) | Kind::Literal(_) => break,
            }
            at += 1;
        }
        if names.last().is_some_and(|it| it == "self") {
            names.pop();
        }
        let alias = names.last().cloned().unwrap_or_default();
        self.keep(line, names, alias);
        at
    }

    fn group(&mut self, open: usize, prefix: &[String]) -> usize {
        let end = closing(self.tokens, open);
        let mut at = open + 1;
        while at < end {
            if self.tokens[at].kind == Kind::Mark(',') {
                at += 1;
            } else {
                at = self.open(at, prefix).max(at + 1);
            }
        }
        end + 1
    }

    fn keep(&mut self, line: usize, names: Vec<String>, alias: String) {
        self.found.push(Mention { line, names, how: (self.how)(alias), depth: self.depth });
    }
}

/// `a::b::c` from `at`: the index after it and its names.
fn chain(tokens: &[Token], at: usize) -> (usize, Vec<String>) {
    let mut names = Vec::new();
    let mut at = at;
    while let Some(word) = word_at(tokens, at) {
        names.push(word.to_owned());
        at += 1;
        if !(is_mark(tokens, at, ':') && is_mark(tokens, at + 1, ':')) {
            break;
        }
        if word_at(tokens, at + 2).is_none() {
            break;
        }
        at += 2;
    }
    (at, names)
}

/// The word at `at` is the tail of a path that was broken by generics, as in `Vec::<u8>::new`.
fn continues_path(tokens: &[Token], at: usize) -> bool {
    at >= 3
        && is_mark(tokens, at - 1, ':')
        && is_mark(tokens, at - 2, ':')
        && is_mark(tokens, at - 3, '>')
}

fn is_macro(tokens: &[Token], at: usize) -> bool {
    is_mark(tokens, at, '!')
        && matches!(tokens.get(at + 1), Some(Token { kind: Kind::Open(_), .. }))
}

/// `use<'a>` in a return type captures lifetimes and imports nothing.
fn is_capture_bound(tokens: &[Token], at: usize) -> bool {
    is_mark(tokens, at + 1, '<')
}

/// Who else gets the names of the `use` at `at`.
fn visibility(tokens: &[Token], at: usize) -> fn(String) -> How {
    let Some(before) = at.checked_sub(1) else { return How::Imported };
    if word_at(tokens, before) == Some("pub") {
        return How::Exported;
    }
    let open = (0..before).rev().find(|at| tokens[*at].kind == Kind::Open(Delimiter::Parenthesis));
    let is_narrowed = tokens[before].kind == Kind::Close(Delimiter::Parenthesis)
        && open.and_then(|it| it.checked_sub(1)).and_then(|it| word_at(tokens, it)) == Some("pub");
    if is_narrowed { How::Shared } else { How::Imported }
}

fn inline_module(tokens: &[Token], at: usize) -> Option<usize> {
    let is_block = tokens.get(at + 2).is_some_and(|it| it.kind == Kind::Open(Delimiter::Brace));
    (word_at(tokens, at) == Some("mod") && word_at(tokens, at + 1).is_some() && is_block)
        .then_some(at + 2)
}

fn word_at(tokens: &[Token], at: usize) -> Option<&str> {
    match &tokens.get(at)?.kind {
        Kind::Word(word) => Some(word),
        Kind::Mark(_) | Kind::Literal(_) | Kind::Open(_) | Kind::Close(_) => None,
    }
}

fn is_mark(tokens: &[Token], at: usize, mark: char) -> bool {
    tokens.get(at).is_some_and(|it| it.kind == Kind::Mark(mark))
}

mod cases {
    use super::{How, mentions};
    use crate::source::Source;

    fn paths(text: &str) -> Vec<String> {
        let source = Source::parse("a.rs", text).expect("the text is Rust");
        let named = |it: super::Mention| match it.how {
            How::Named => it.names.join("::"),
            How::Called => format!("{}!", it.names.join("::")),
            How::Imported(alias) => format!("use {} as {alias}", it.names.join("::")),
            How::Shared(alias) => format!("pub(crate) use {} as {alias}", it.names.join("::")),
            How::Exported(alias) => format!("pub use {} as {alias}", it.names.join("::")),
        };
        mentions(&source.tokens).into_iter().map(named).collect()
    }

    #[test]
    fn groups_over_several_lines_are_opened() {
        let text = "use crate::{\n    a::{self, B},\n    c::D as E,\n    F,\n};\npub(crate) use super::g::*;\n";
        let expected = [
            "use crate::a as a",
            "use crate::a::B as B",
            "use crate::c::D as E",
            "use crate::F as F",
        ];
        let found = paths(text);
        assert_eq!(found[..4], expected);
        assert!(found.contains(&"pub(crate) use super::g::* as *".to_owned()), "{found:?}");
    }

    #[test]
    fn paths_in_code_and_macros_are_seen() {
        let found =
            paths("fn f() { x!(crate::a::b(1)); std::io::y::<crate::c::D>(); println!(\"\"); }");
        for path in ["x!", "crate::a::b", "crate::c::D", "println!"] {
            assert!(found.contains(&path.to_owned()), "{path} is missing in {found:?}");
        }
    }

    #[test]
    fn comments_and_texts_mention_nothing() {
        let found =
            paths("/// See `crate::a::B`.\nfn f() -> &'static str { \"crate::c\" } // crate::d\n");
        assert!(found.iter().all(|it| !it.starts_with("crate")), "{found:?}");
    }
}
