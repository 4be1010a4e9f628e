//! Paths that lead astray: each is refused in one sentence, and none of them hangs a call.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use super::yard::Yard;

const EVERY: [&str; 3] = ["Read", "Write", "Edit"];

/// A call of any of the tools on that path.
fn of(path: &str) -> serde_json::Value {
    json!({"file_path": path, "content": "x", "old_string": "of", "new_string": "x"})
}

#[tokio::test]
async fn what_is_no_regular_file_beneath_a_root_is_refused() {
    let yard = Yard::new();
    let outside = yard.outside();
    yard.write("plain.txt", "of us\n");
    yard.write("folder/inner.txt", "of us\n");
    symlink(outside.join("secret.txt"), yard.root().join("link.txt")).expect("a link");
    symlink("plain.txt", yard.root().join("inward.txt")).expect("a link");
    symlink(&outside, yard.root().join("away")).expect("a link");
    symlink("/proc/self/root", yard.root().join("top")).expect("a link");
    symlink("loop", yard.root().join("loop")).expect("a link");
    let made = Command::new("mkfifo").arg(yard.root().join("pipe")).status().expect("it runs");
    assert!(made.success());
    let _socket = UnixListener::bind(yard.root().join("socket")).expect("a socket");
    let whole = outside.join("secret.txt");
    let long = "a".repeat(4_096);
    let name = "b".repeat(300);
    for (path, why) in [
        ("../outside/secret.txt", "`..`"),
        ("folder/../../outside/secret.txt", "`..`"),
        ("folder/../plain.txt", "`..`"),
        (whole.to_str().expect("UTF-8"), "outside of what may be seen"),
        ("/etc/passwd", "outside of what may be seen"),
        ("link.txt", "is a link"),
        ("inward.txt", "is a link"),
        ("loop", "is a link"),
        ("away/secret.txt", "is a link"),
        ("top/etc/passwd", "is a link"),
        ("pipe", "a pipe, a socket or a device"),
        ("socket", "a pipe, a socket or a device"),
        ("folder", "is a folder"),
        ("", "is a folder"),
        (".", "is a folder"),
        ("plain.txt/inner.txt", "is no folder"),
        (long.as_str(), "names no file"),
        (name.as_str(), "cannot be used"),
        ("zero\0byte", "names no file"),
    ] {
        for tool in EVERY {
            let told = yard.refused(tool, of(path)).await;
            assert!(told.contains(why), "{tool} {path}: {told}");
            assert!(told.len() < 500 && !told.contains('\n'), "{tool} {path}: {told}");
        }
    }
    for path in ["away", "top", "../outside"] {
        for tool in ["LS", "Grep", "Glob"] {
            yard.refused(tool, json!({"path": path, "pattern": "of"})).await;
        }
    }
    assert_eq!(std::fs::read_to_string(whole).expect("a file"), "of others\n");
}

#[tokio::test]
async fn devices_and_the_way_through_proc_are_refused_though_everything_may_be_seen() {
    let mut yard = Yard::new();
    yard.ground.roots = vec!["/".into()];
    for (path, why) in [
        ("/dev/zero", "a pipe, a socket or a device"),
        ("/dev/null", "a pipe, a socket or a device"),
        ("/proc/self/root/etc/passwd", "is a link"),
        ("/proc/self/cwd/Cargo.toml", "is a link"),
        ("/dev/stdin", "is a link"),
    ] {
        let told = yard.refused("Read", of(path)).await;
        assert!(told.contains(why), "{path}: {told}");
    }
}

#[tokio::test]
async fn a_file_with_a_second_name_is_read_and_not_written() {
    let yard = Yard::new();
    std::fs::hard_link(yard.outside().join("secret.txt"), yard.root().join("twin.txt"))
        .expect("a link");
    yard.told("Read", of("twin.txt")).await;
    for tool in ["Write", "Edit"] {
        assert!(yard.refused(tool, of("twin.txt")).await.contains("a second name"));
    }
    let text = std::fs::read_to_string(yard.outside().join("secret.txt")).expect("a file");
    assert_eq!(text, "of others\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_swapped_for_a_link_leads_nowhere() {
    let yard = Yard::new();
    yard.write("d/secret.txt", "of us\n");
    let (root, outside) = (yard.root().to_path_buf(), yard.outside());
    symlink(&outside, root.join("other")).expect("a link");
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let (d, other, mut swaps) = (root.join("d"), root.join("other"), 0_u64);
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &d, CWD, &other, RenameFlags::EXCHANGE).expect("swapped");
                swaps += 1;
            }
            swaps
        })
    };
    let (mut read, mut wrote) = (0, 0);
    for nth in 0..300 {
        match yard.uses("Read", of("d/secret.txt")).await {
            Ok(used) => {
                assert_eq!(used.result, "     1\tof us\n");
                read += 1;
            }
            Err(why) => assert!(!why.contains("of others"), "{why}"),
        }
        let call = json!({"file_path": format!("d/new_{nth}.txt"), "content": "x"});
        wrote += u32::from(yard.uses("Write", call).await.is_ok());
        let grep = json!({"pattern": "of", "output_mode": "content"});
        let told = yard.told("Grep", grep).await;
        assert!(!told.contains("of others"), "{told}");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapping.join().expect("it ends") > 100 && read > 0 && wrote > 0);
    let names: Vec<_> = std::fs::read_dir(outside).expect("a folder").collect();
    assert_eq!(names.len(), 1, "nothing was written outside: {names:?}");
}

#[tokio::test]
async fn what_decides_over_agents_is_never_written() {
    let yard = Yard::new();
    yard.write("team.yaml", "entry: of\n");
    let data = yard.outside().with_file_name("data");
    for path in [
        "team.yaml",
        "TEAM.YAML",
        "./team.yaml",
        "agents/new.md",
        "agents/deep/new.md",
        "Agents/new.md",
        ".claude/settings.json",
        ".git/hooks/pre-commit",
        "inner/.GIT/config",
    ] {
        for tool in ["Write", "Edit"] {
            let told = yard.refused(tool, of(path)).await;
            assert!(told.contains("not written by agents"), "{tool} {path}: {told}");
        }
    }
    let mut yard = yard;
    yard.ground.roots = vec![data.parent().expect("a parent").to_path_buf()];
    let told = yard.refused("Write", of("data/callboard.db")).await;
    assert!(told.contains("not written by agents"), "{told}");
    assert!(std::fs::read_dir(data).expect("a folder").next().is_none());
}

#[tokio::test]
async fn what_looks_like_a_secret_is_shown_only_to_who_may_see_it() {
    let yard = Yard::new();
    yard.write(".env", "KEY=of\n");
    yard.write("deploy/.env", "KEY=of\n");
    yard.write("plain.txt", "KEY=of\n");
    for tool in EVERY {
        assert!(yard.refused(tool, of(".env")).await.contains("looks like a secret"));
    }
    let grep = json!({"pattern": "KEY", "output_mode": "content"});
    let told = yard.told("Grep", grep.clone()).await;
    assert_eq!(told, "plain.txt:1:KEY=of\n[2 files that look like secrets were left out]");
    let yard = yard.with_tool("Read(deploy/.env)");
    assert!(yard.told("Read", of("deploy/.env")).await.contains("KEY=of"));
    assert!(yard.refused("Read", of(".env")).await.contains("looks like a secret"));
    assert!(yard.told("Grep", grep).await.contains("deploy/.env:1:KEY=of"));
}

#[tokio::test]
async fn a_team_without_folders_is_told_so() {
    let mut yard = Yard::new();
    yard.ground.roots.clear();
    for tool in ["Read", "LS", "Grep", "Glob", "Write", "Edit"] {
        let told = yard.refused(tool, json!({"file_path": "a", "pattern": "a"})).await;
        assert!(told.contains("`roots`"), "{tool}: {told}");
    }
}
