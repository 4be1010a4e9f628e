//! Lines that can be told and lines that cannot, and a real bash that says whether it is true.

use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::words;

fn told(line: &str) -> Vec<String> {
    let told = words(line).unwrap_or_else(|why| panic!("{line:?} is not told: {why}"));
    told.iter().map(|it| it.join("·")).collect()
}

#[test]
fn what_can_be_told() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("  # nothing here", &[]),
        ("git status", &["git·status"]),
        ("git  commit -m 'a; b' # why", &["git·commit·-m·a; b"]),
        (
            "cargo test && cargo clippy || true; ls|wc -l &",
            &["cargo·test", "cargo·clippy", "true", "ls", "wc·-l"],
        ),
        ("a\nb\\\n c", &["a", "b·c"]),
        (r#"echo "a \"b\" \\ \n" 'c"d' e\ f"g"h"#, &[r#"echo·a "b" \ \n·c"d·e fgh"#]),
        ("NO_COLOR=1 LANG=C ls", &["ls"]),
        ("ls >/dev/null 2>&1", &["ls"]),
        ("ls 2> /dev/null &> /dev/null >&2 <&- a", &["ls·a"]),
        ("(cd src; ls) && { make; }", &["cd·src", "ls", "make"]),
        ("if test -f a; then b; elif ! c; then d; else e; fi", &["test·-f·a", "b", "c", "d", "e"]),
        ("while [ -e a ]; do b; done", &["[·-e·a·]", "b"]),
        ("echo if then 'if'", &["echo·if·then·if"]),
        ("'if' a", &["if·a"]),
        ("git show HEAD~1 a=b x#y", &["git·show·HEAD~1·a=b·x#y"]),
        ("grep 'x$' a && echo 5$ \"$\"", &["grep·x$·a", "echo·5$·$"]),
        ("echo {} + 2>&1", &["echo·{}·+"]),
        ("äöü 'ß'", &["äöü·ß"]),
    ];
    for (line, expected) in cases {
        assert_eq!(told(line), *expected, "{line:?}");
    }
}

#[test]
fn what_cannot_be_told() {
    let lines = "echo $HOME|$x a|echo `id`|echo $(id)|echo \"$(id)\"|echo \"${x@P}\"|cat <(id)|cat >(id)\
        |cat <<E|cat <<< a|ls > a|ls >> a|ls 2>a|ls &>a|ls >&a|ls < a|eval id|exec id|sh -c id\
        |/bin/bash -c id|env id|xargs rm|find . -exec rm {} +|sudo id|. a|source a|command id\
        |PATH=/a git status|PATH+=:/a|LD_PRELOAD=a ls|x=1|a=(1 2)|f() { id; }|function f { id; }\
        |for x in a; do id; done|case a in a) id;; esac|select x in a; do id; done|coproc id\
        |((x))|[[ -f a ]]|ls *.rs|ls a?|ls [ab]|ls ~|ls ~/a|a=~ b|ls a{b,c}|ls {a..c}|echo 'a\
        |echo \"a|echo \\|echo $'a'|echo $\"a\"|alias ls=id|trap id EXIT|set -x|shopt -s a\
        |export PATH=a|read PATH|printf -v PATH a|test -v 'a[0]'|[ -v a ]|timeout 1 id|time id\
        |'eval' id|e\\val id|\"sh\" a|mapfile -C id a|unset a|wait -p a";
    for line in lines.split('|') {
        assert!(words(line).is_err(), "{line:?} is told: {:?}", words(line));
    }
    assert_eq!(words(&"true; ".repeat(257)), Err("very many commands"));
    assert_eq!(words(&"true; ".repeat(256)).map(|it| it.len()), Ok(256));
    for line in ["a\0b", "a\rb", "a\u{7f}", "a\u{1}"] {
        assert!(words(line).is_err(), "{line:?} is told");
    }
}

/// What a bash runs of a line, each command as its words. No program is there to be run.
fn run(line: &str) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let note = "() { printf '%s\\0' \"$#\" \"$@\" >> \"$LOG\"; }";
    let ended = Command::new("/bin/bash")
        .args(["-c", line])
        .env_clear()
        .envs([("PATH", "/nowhere"), ("LC_ALL", "C.UTF-8")])
        .env("BASH_FUNC_command_not_found_handle%%", note)
        .env("LOG", &log)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output();
    ended.expect("a bash");
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    let mut parts = log.split_terminator('\0').map(str::to_owned);
    let mut ran = Vec::new();
    while let Some(count) = parts.next() {
        ran.push(parts.by_ref().take(count.parse().expect("a count")).collect());
    }
    ran
}

#[test]
fn a_bash_runs_exactly_what_is_told() {
    for line in [
        "one a 'b c' \"d\"\\ e; two && three\n four | five\\\n six",
        "NO_COLOR=1 one -- x=y \"\" '' '*' \"~\" \\~ a~b {} # two",
        "(one; two) >/dev/null 2>&1 && { three 2>/dev/null; } && if four; then five; fi",
        "! one\n'if' two; 'e'lse; \\if three",
        "one 2>&1 >/dev/null 3<&- a2>/dev/null b",
        "one \"a \\$b \\`c\\` \\\" \\\\ \\d\" 'e\\' \"f\\\ng\"",
        "one `true` || two",
    ] {
        let Ok(mut told) = words(line) else {
            assert!(line.contains('`') && !line.contains('\\'), "{line:?} is not told");
            continue;
        };
        let mut ran = run(line);
        told.sort();
        ran.sort();
        assert_eq!(ran, told, "{line:?}");
    }
}

/// Bits of lines, so that many of them make a line that a shell takes.
const BITS: [&str; 58] = [
    "one",
    "two",
    " ",
    " ",
    " ",
    "\t",
    "\n",
    ";",
    "; ",
    "&&",
    "||",
    "|",
    "|&",
    "& ",
    "(",
    ")",
    "{ ",
    "; }",
    "if ",
    "; then ",
    "; fi",
    "'a b'",
    "\"c d\"",
    "\\ ",
    "\\\n",
    "x=1 ",
    "TZ=1 ",
    ">/dev/null",
    "2>&1",
    "&>/dev/null",
    ">&2",
    "#",
    " #",
    "~",
    "$",
    "$x",
    "=",
    ":",
    "!",
    "! ",
    "[",
    "]",
    "{}",
    "{",
    "}",
    ",",
    "-a",
    "0",
    "2",
    ">",
    "<",
    "'",
    "\"",
    "\\",
    "é",
    "%",
    "+",
    "..",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn no_line_breaks_it(line in any::<String>()) {
        let _ = words(&line);
    }

    #[test]
    fn whatever_a_bash_runs_was_told(bits in prop::collection::vec(prop::sample::select(&BITS), 1..14)) {
        let line = format!("one{}", bits.concat());
        if let Ok(told) = words(&line) {
            for ran in run(&line) {
                prop_assert!(told.contains(&ran), "{:?} runs {:?}, told: {:?}", line, ran, told);
            }
        }
    }
}

fn cases() -> u32 {
    let asked = callboard_config::environment("CALLBOARD_LINES");
    asked.and_then(|it| it.parse().ok()).unwrap_or(1_000)
}
