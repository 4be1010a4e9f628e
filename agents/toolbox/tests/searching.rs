//! What stands in files, and how they are called.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::yard::Yard;

fn yard() -> Yard {
    let yard = Yard::new();
    yard.write("src/main.rs", "fn main() {\n    run();\n}\n\nfn run() {}\n");
    yard.write("src/deep/lib.rs", "pub fn run_all() {}\n// Run\n");
    yard.write("notes.md", "# Run it\n");
    yard.write("built/out.rs", "fn run() {}\n");
    yard.write(".gitignore", "built/\n*.log\n!keep.log\n");
    yard.write("a.log", "run\n");
    yard.write("keep.log", "run\n");
    yard.write("src/.gitignore", "hidden.rs\n");
    yard.write("src/hidden.rs", "run\n");
    yard.write(".github/ci.yml", "run: all\n");
    yard.write(".git/config", "run\n");
    yard.write("image.bin", b"run\0run\n");
    yard
}

#[tokio::test]
async fn matches_are_told_as_grep_tells_them() {
    let yard = yard();
    let files = yard.told("Grep", json!({"pattern": r"\brun\b"})).await;
    assert_eq!(files, ".github/ci.yml\nkeep.log\nsrc/main.rs");
    let grep = json!({"pattern": "run", "output_mode": "content", "glob": "*.rs", "-C": 1});
    assert_eq!(
        yard.told("Grep", grep).await,
        "src/deep/lib.rs:1:pub fn run_all() {}\nsrc/deep/lib.rs-2-// Run\n--\n\
         src/main.rs-1-fn main() {\nsrc/main.rs:2:    run();\nsrc/main.rs-3-}\n\
         src/main.rs-4-\nsrc/main.rs:5:fn run() {}"
    );
    let count = json!({"pattern": "run", "-i": true, "output_mode": "count", "type": "rust"});
    assert_eq!(yard.told("Grep", count).await, "src/deep/lib.rs:2\nsrc/main.rs:2");
    let one =
        json!({"pattern": "run", "path": "src/main.rs", "output_mode": "content", "-n": false});
    assert_eq!(yard.told("Grep", one).await, "src/main.rs:    run();\nsrc/main.rs:fn run() {}");
    let span =
        json!({"pattern": r"main\(\) \{.*?run", "multiline": true, "output_mode": "content"});
    let told = yard.told("Grep", span).await;
    assert_eq!(told, "src/main.rs:1:fn main() {\nsrc/main.rs:2:    run();");
    let none = yard.told("Grep", json!({"pattern": "nowhere"})).await;
    assert_eq!(none, "no match");
    let head = json!({"pattern": "run", "output_mode": "content", "head_limit": 1, "path": "src"});
    let told = yard.told("Grep", head).await;
    assert_eq!(
        told,
        "src/deep/lib.rs:1:pub fn run_all() {}\n[the first 1 lines; 2 files have matches]"
    );
    let left_out = json!({"pattern": "run", "glob": "!*.rs"});
    assert_eq!(yard.told("Grep", left_out).await, ".github/ci.yml\nkeep.log");
}

#[tokio::test]
async fn rules_hold_below_the_folder_that_is_named_and_not_for_a_file_that_is() {
    let yard = yard();
    let told = yard.told("Grep", json!({"pattern": "run", "path": "src"})).await;
    assert_eq!(told, "src/deep/lib.rs\nsrc/main.rs");
    let told = yard.told("Grep", json!({"pattern": "run", "path": "built/out.rs"})).await;
    assert_eq!(told, "built/out.rs");
}

#[tokio::test]
async fn patterns_that_are_none_are_told() {
    let yard = yard();
    for (call, why) in [
        (json!({"pattern": "("}), "the pattern cannot be used"),
        (json!({"pattern": "a\\nb"}), "`multiline` lets a match span lines"),
        (json!({"pattern": "(a{1000}){1000}"}), "the pattern cannot be used"),
        (json!({"pattern": "a", "glob": "[", "path": ""}), "is no glob"),
        (json!({"pattern": "a", "type": "nonsense"}), "nonsense"),
        (json!({"pattern": "a", "path": "nowhere"}), "`nowhere` is not there"),
    ] {
        let told = yard.refused("Grep", call.clone()).await;
        assert!(told.contains(why), "{call}: {told}");
    }
    assert!(yard.refused("Glob", json!({"pattern": "["})).await.contains("is no glob"));
}

#[tokio::test]
async fn files_are_found_by_their_paths_newest_first() {
    let yard = yard();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let file = std::fs::File::options().append(true).open(yard.root().join("src/main.rs"));
    file.expect("a file").set_modified(old).expect("set");
    let glob = async |pattern: &str| yard.told("Glob", json!({"pattern": pattern})).await;
    assert_eq!(glob("**/*.rs").await, "src/deep/lib.rs\nsrc/main.rs");
    assert_eq!(glob("*.rs").await, "src/deep/lib.rs\nsrc/main.rs");
    assert_eq!(glob("src/*.rs").await, "src/main.rs");
    assert_eq!(glob("./src/*.rs").await, "src/main.rs");
    assert_eq!(glob("*.py").await, "no file fits");
    let whole = format!("{}/src/**/*.rs", yard.root().display());
    assert_eq!(glob(&whole).await, "src/deep/lib.rs\nsrc/main.rs");
    let told = yard.told("Glob", json!({"pattern": "*.rs", "path": "src/deep"})).await;
    assert_eq!(told, "src/deep/lib.rs");
}

#[tokio::test]
async fn rules_that_are_traps_are_no_rules() {
    let yard = Yard::new();
    yard.write("a/run.txt", "run\n");
    let pipe = yard.root().join(".gitignore");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs");
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", yard.root().join("a/.gitignore")).expect("a link");
    yard.write("a/.ignore", format!("{}\nnothing\n", "[".repeat(1 << 20)));
    assert_eq!(yard.told("Grep", json!({"pattern": "run"})).await, "a/run.txt");
}

#[tokio::test]
async fn long_output_is_cut_and_kept() {
    let yard = Yard::new();
    let text: String = (0..4_000).map(|it| format!("match number {it} of many\n")).collect();
    yard.write("many.txt", text);
    let grep = json!({"pattern": "match", "output_mode": "content"});
    let used = yard.uses("Grep", grep).await.expect("found");
    let (told, whole) = (used.result.as_str().expect("a text"), used.whole.expect("kept"));
    assert!(told.len() < (64 << 10) + 200 && told.contains("`read` a_"), "{}", told.len());
    assert_eq!(whole.as_str().expect("a text").lines().count(), 4_000);
}
