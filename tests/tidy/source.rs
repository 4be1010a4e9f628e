//! One Rust file, read as lines and as tokens, with the parts that only tests see set aside.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A Rust file of the house.
pub(crate) struct Source {
    /// Path from the top of the repository, with forward slashes.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// The tokens of the product: no comments, no `#[cfg(test)]` items.
    pub(crate) tokens: Vec<Token>,
    /// Lines that belong to `#[cfg(test)]` items, 1-based.
    pub(crate) test_lines: Vec<RangeInclusive<usize>>,
    /// Modules declared as `#[cfg(test)] mod name;`, whose files are tests as a whole.
    pub(crate) test_modules: Vec<String>,
}

/// One token and the line it stands on, 1-based.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// What a token is, as far as the plan of the house needs to know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Word(String),
    Mark(char),
    /// A literal exactly as it is written, quotes included.
    Literal(String),
    Open(Delimiter),
    Close(Delimiter),
}

impl Source {
    /// Reads the text of a file; the error is a finding that names the file and the line.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, String> {
        let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
            let line = error.span().start().line;
            format!("{path}:{line}: this is not Rust yet: {error}")
        })?;
        let mut all = Vec::new();
        flatten(stream, &mut all);
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens: Vec::new(),
            test_lines: Vec::new(),
            test_modules: Vec::new(),
        };
        source.set_tests_aside(&all);
        Ok(source)
    }

    /// Lines of the product in this file.
    pub(crate) fn product_lines(&self) -> usize {
        let in_tests: usize = self.test_lines.iter().map(|it| it.end() - it.start() + 1).sum();
        self.text.lines().count() - in_tests
    }

    /// Lines of the product that hold more than a comment; a text over several lines counts as one.
    pub(crate) fn code_lines(&self) -> usize {
        self.tokens.iter().map(|it| it.line).collect::<BTreeSet<_>>().len()
    }

    fn set_tests_aside(&mut self, all: &[Token]) {
        let mut at = 0;
        while at < all.len() {
            if let Some(after) = after_doc(all, at) {
                at = after;
                continue;
            }
            if !opens_test_item(&all[at..]) {
                self.tokens.push(all[at].clone());
                at += 1;
                continue;
            }
            let end = end_of_item(all, at);
            let item = &all[at..=end];
            self.test_lines.push(all[at].line..=all[end].line);
            if let [
                ..,
                Token { kind: Kind::Word(keyword), .. },
                Token { kind: Kind::Word(name), .. },
                last,
            ] = item
                && keyword == "mod"
                && last.kind == Kind::Mark(';')
            {
                self.test_modules.push(name.clone());
            }
            at = end + 1;
        }
    }
}

/// Every `.rs` file below a folder, as paths from the top, in a fixed order.
pub(crate) fn rust_files(top: &Path, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![top.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(|it| Some(it.ok()?.path())) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(shown(top, &path));
            }
        }
    }
    found.sort();
    found
}

/// The index of the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => depth -= 1,
            Kind::Word(_) | Kind::Mark(_) | Kind::Literal(_) => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

fn shown(top: &Path, path: &Path) -> String {
    let inside: PathBuf = path.strip_prefix(top).unwrap_or(path).to_path_buf();
    inside.to_string_lossy().replace('\\', "/")
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let kind = match tree {
            TokenTree::Ident(it) => Kind::Word(it.to_string().trim_start_matches("r#").to_owned()),
            TokenTree::Punct(it) => Kind::Mark(it.as_char()),
            TokenTree::Literal(it) => Kind::Literal(it.to_string()),
            TokenTree::Group(it) => {
                into.push(Token { line, kind: Kind::Open(it.delimiter()) });
                flatten(it.stream(), into);
                let line = it.span_close().end().line;
                into.push(Token { line, kind: Kind::Close(it.delimiter()) });
                continue;
            }
        };
        into.push(Token { line, kind });
    }
}

/// The index after the doc comment that stands at `at`; comments mention nothing.
fn after_doc(tokens: &[Token], at: usize) -> Option<usize> {
    let is_inner = tokens.get(at + 1)?.kind == Kind::Mark('!');
    let open = at + 1 + usize::from(is_inner);
    let is_doc = tokens[at].kind == Kind::Mark('#')
        && tokens.get(open)?.kind == Kind::Open(Delimiter::Bracket)
        && tokens.get(open + 1)?.kind == Kind::Word("doc".to_owned());
    is_doc.then(|| closing(tokens, open) + 1)
}

fn opens_test_item(tokens: &[Token]) -> bool {
    let word = |at: usize, text: &str| matches!(tokens.get(at), Some(Token { kind: Kind::Word(it), .. }) if it == text);
    let is = |at: usize, kind: Kind| tokens.get(at).is_some_and(|it| it.kind == kind);
    is(0, Kind::Mark('#'))
        && is(1, Kind::Open(Delimiter::Bracket))
        && word(2, "cfg")
        && is(3, Kind::Open(Delimiter::Parenthesis))
        && word(4, "test")
        && is(5, Kind::Close(Delimiter::Parenthesis))
}

/// The last token of the item whose first attribute starts at `start`.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Mark(';' | ',') => return at,
            Kind::Open(Delimiter::Brace) => return closing(tokens, at),
            Kind::Open(_) => at = closing(tokens, at),
            Kind::Close(_) => return at - 1,
            Kind::Word(_) | Kind::Mark(_) | Kind::Literal(_) => {}
        }
        at += 1;
    }
    tokens.len() - 1
}

mod cases {
    use super::Source;

    #[test]
    fn tests_are_set_aside_and_the_rest_is_kept() {
        let text = "//! Doc.\nfn a() {}\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::parse("a.rs", text).expect("the text is Rust");
        assert_eq!(source.test_lines, [3..=7]);
        assert_eq!((source.product_lines(), source.code_lines()), (3, 2));
        assert!(format!("{:?}", source.tokens).contains("\"c\""));
        assert!(!format!("{:?}", source.tokens).contains("\"b\""));
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_known() {
        let source = Source::parse("a.rs", "#[cfg(test)]\nmod cases;\nmod real;\n").expect("Rust");
        assert_eq!(source.test_modules, ["cases"]);
        assert_eq!(source.product_lines(), 1);
    }

    #[test]
    fn text_that_is_not_rust_is_a_finding_with_its_line() {
        let error = Source::parse("a.rs", "fn a() {\n").err().expect("an open brace is refused");
        assert!(error.starts_with("a.rs:"), "{error}");
    }
}
