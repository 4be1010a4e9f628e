//! A small repository with a fault in it, whose own tests find it.

use std::path::PathBuf;
use std::process::{Command, Output};

const GREET: &str = r#"#!/bin/sh
# greet.sh [NAME]: a line of greeting; without a name it greets the world.
name=$1
echo "hello, $name"
"#;

/// As many begin as `tests/begun` has lines, and none ends while `tests/hold` is there.
const TESTS: &str = r#"#!/bin/sh
# Each greeting against what it should be; ends with the number of those that are wrong.
cd "$(dirname "$0")/.." || exit 99
echo begun >> tests/begun
while [ -e tests/hold ]; do sleep 0.05; done
wrong=0
is() {
    if [ "$1" = "$2" ]; then echo "ok: $1"; else echo "wrong: $2"; wrong=$((wrong + 1)); fi
}
is "hello, ada" "$(sh greet.sh ada)"
is "hello, world" "$(sh greet.sh)"
exit "$wrong"
"#;

/// What lies outside of it, where nobody may.
const OF_OTHERS: &str = "of others\n";

pub(crate) struct Project {
    root: PathBuf,
}

impl Project {
    /// Makes it in a folder that is not there yet, beside a file of others.
    pub(crate) fn new(root: PathBuf) -> Project {
        std::fs::create_dir_all(root.join("tests")).expect("a folder");
        let project = Project { root };
        for (name, text) in [
            ("greet.sh", GREET),
            ("tests/run.sh", TESTS),
            ("README.md", "# greet\n\nGreets by name.\n"),
            (".gitignore", "tests/begun\ntests/hold\n"),
            ("../of_others", OF_OTHERS),
        ] {
            std::fs::write(project.path(name), text).expect("a file");
        }
        project.git(&["init", "--quiet"]);
        project.git(&["add", "."]);
        let by = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c"];
        let commit = ["commit.gpgSign=false", "commit", "--quiet", "--message", "greet"];
        project.git(&[&by[..], &commit].concat());
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// How often its tests began.
    pub(crate) fn begun(&self) -> usize {
        self.text("tests/begun").lines().count()
    }

    /// Its own tests, run by us and outside of every sandbox: what they say, and their code.
    pub(crate) fn tested(&self) -> (String, Option<i32>) {
        let Output { stdout, status, .. } = ran(Command::new("sh").arg(self.path("tests/run.sh")));
        (String::from_utf8(stdout).expect("UTF-8"), status.code())
    }

    /// What changed in it.
    pub(crate) fn diff(&self) -> String {
        let said = self.git(&["diff", "--unified=0"]);
        let is_change = |it: &&str| {
            it.starts_with(['+', '-']) && !it.starts_with("+++") && !it.starts_with("---")
        };
        said.lines().filter(is_change).map(|it| format!("{it}\n")).collect()
    }

    /// What nobody may touch is as it was.
    pub(crate) fn outside_is_untouched(&self) {
        assert_eq!(self.text("../of_others"), OF_OTHERS);
    }

    fn git(&self, words: &[&str]) -> String {
        let said = ran(Command::new("git")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .arg("-C")
            .arg(&self.root)
            .args(words));
        let told = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "git {words:?}: {told}");
        String::from_utf8(said.stdout).expect("UTF-8")
    }
}

fn ran(command: &mut Command) -> Output {
    command.output().expect("it runs")
}
