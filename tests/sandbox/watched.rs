//! What commands can write and must not: it is as before when they have ended, however they try.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::bash::{WORK, run, stage, stage_of};
use super::left::eventually;
use super::stage::{Stage, ask, caller};

/// Has Git do something in the folder that agents work in, as its owner.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=b@c"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is there");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn repository(stage: &Stage) -> std::path::PathBuf {
    let work = stage.team().join(WORK);
    git(&work, &["init", "-q", "-b", "main"]);
    std::fs::write(work.join(".git/hooks/post-commit"), "#!/bin/sh\necho mine\n").expect("a hook");
    std::fs::write(work.join("README.md"), "hello\n").expect("a file");
    work
}

fn all(commands: &[String]) -> Vec<Value> {
    commands.iter().map(|it| json!({"command": it})).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn git_works_and_runs_nothing_that_an_agent_wrote() {
    let pwned = tempfile::tempdir().expect("a folder").path().join("pwned");
    let evil = format!("printf '#!/bin/sh\\ntouch {}\\n'", pwned.display());
    let commands = [
        "git -c user.name=a -c user.email=b@c add README.md && git -c user.name=a -c \
         user.email=b@c commit -qm first && git log --format=%s && git branch -q other && \
         git checkout -q other && git status --short"
            .to_owned(),
        format!("{evil} > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit"),
        format!(
            "git config core.fsmonitor 'touch {}'; chmod +x .git/hooks/post-commit",
            pwned.display()
        ),
        "rm .git/hooks/post-commit; mkdir .git/hooks/deep; echo a > .git/hooks/deep/a".to_owned(),
        format!(
            "mkdir evil; {evil} > evil/pre-commit; chmod +x evil/pre-commit; mv .git/hooks away; \
                 ln -s ../evil .git/hooks; echo ../evil > .git/commondir"
        ),
        "echo '{}' > .mcp.json; mkdir -p .vscode .claude; echo x > .vscode/tasks.json; \
         echo x > .claude/settings.json; echo fine > fine.txt"
            .to_owned(),
        "(cd .git/hooks; i=0; while [ $i -lt 100 ]; do mkdir d; cd d; i=$((i+1)); done); \
         head -c 9M /dev/zero > .git/hooks/pre-push; mkfifo .git/hooks/pre-rebase"
            .to_owned(),
    ];
    let stage = stage(&all(&commands), "");
    let work = repository(&stage);
    let read = |name: &str| std::fs::read(work.join(name)).unwrap_or_default();
    let before = (read(".git/config"), read(".git/hooks/post-commit"));
    let told = run(&stage).await;
    assert!(told[0].1.ends_with("first\n"), "commits are made: {}", told[0].1);
    for (at, names) in [
        (1, ".git/hooks/pre-commit"),
        (2, ".git/config, .git/hooks/post-commit"),
        (3, ".git/hooks/deep, .git/hooks/deep/a, .git/hooks/post-commit"),
        (5, ".claude, .claude/settings.json, .mcp.json, .vscode, .vscode/tasks.json"),
        (6, ".git/hooks"),
    ] {
        assert!(told[at].1.contains(&format!("[put back as it was: {names}")), "{}", told[at].1);
    }
    assert!(told[4].1.contains(".git/commondir, .git/hooks, .git/hooks/"), "{}", told[4].1);
    assert_eq!((read(".git/config"), read(".git/hooks/post-commit")), before);
    for gone in
        [".git/hooks/pre-commit", ".git/hooks/pre-push", ".git/commondir", ".mcp.json", ".claude"]
    {
        assert!(!work.join(gone).exists(), "{gone}");
    }
    assert_eq!(read("fine.txt"), b"fine\n");
    let said = git(&work, &["commit", "-q", "--allow-empty", "-m", "mine"]);
    assert!(!pwned.exists() && !said.contains("fatal"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_is_swapped_for_another_is_not_believed() {
    let outside = tempfile::tempdir().expect("a folder");
    let other = outside.path().join("config");
    std::fs::write(&other, "of others\n").expect("a file");
    let link = format!("mv .git was; ln -s {} .git", outside.path().display());
    let commands = [
        "mkdir .git; echo '[core] fsmonitor = touch x' > .git/config".to_owned(),
        "rm -rf .git; git init -q; ls .git".to_owned(),
        "echo 'gitdir: evil' > a; mv .git was0; mv a .git".to_owned(),
        "mv was0 .git; true".to_owned(),
        link,
        "rm -rf was; ls -A".to_owned(),
    ];
    let stage = stage(&all(&commands), "");
    let work = stage.team().join(WORK);
    let told = run(&stage).await;
    for (at, names) in
        [(0, ".git/config;"), (1, ".git/config, .git/hooks"), (2, ".git;"), (4, ".git;")]
    {
        assert!(told[at].1.contains(&format!("[put back as it was: {names}")), "{at}: {told:?}");
    }
    assert_eq!(told[5].1, "");
    assert!(!work.join(".git").exists());
    assert_eq!(std::fs::read_to_string(&other).expect("it is there"), "of others\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_side_by_side_do_not_take_each_others_changes_for_given() {
    // The second begins when the first has written, and ends after it.
    let turn = all(&[
        "echo evil >> .git/config; echo evil > .git/hooks/pre-commit; echo a > first; \
         until [ -e second ]; do sleep 0.05; done"
            .to_owned(),
        "until [ -e first ]; do sleep 0.05; done; cat .git/hooks/pre-commit; echo b > second; sleep 1"
            .to_owned(),
    ]);
    let stage = stage_of(&[turn, all(&["cat .git/config".to_owned()])], "roots: [work]\n");
    let work = repository(&stage);
    let before = std::fs::read_to_string(work.join(".git/config")).expect("it is there");
    let told = run(&stage).await;
    assert!(told.iter().any(|it| it.1.contains("put back")), "{told:?}");
    assert_eq!(told[2].1, before);
    assert!(!work.join(".git/hooks/pre-commit").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_command_leaves_nothing_either() {
    let command = "echo evil > .git/hooks/pre-commit; echo a > begun; sleep 600".to_owned();
    let stage = stage(&all(&[command]), "");
    let work = repository(&stage);
    let node = stage.node().await;
    let run = node.desk().submit(ask("writer", "go")).await.expect("taken in").run;
    eventually("it runs", || work.join("begun").exists()).await;
    let cancel = callboard_trace::Control {
        action: callboard_trace::Action::Cancel,
        value: Value::Null,
        reason: String::new(),
    };
    node.desk().control(&run, cancel, &caller()).await.expect("cancelled");
    eventually("it is put back", || !work.join(".git/hooks/pre-commit").exists()).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_to_be_watched_is_not_worked_beside() {
    let stage = stage(&all(&["echo done".to_owned()]), "");
    let work = repository(&stage);
    std::fs::write(work.join(".git/hooks/large"), vec![b'x'; 5 << 20]).expect("a file");
    let told = run(&stage).await;
    assert!(
        !told[0].0 && told[0].1.contains("holds too much that no command may change"),
        "{told:?}"
    );
}
