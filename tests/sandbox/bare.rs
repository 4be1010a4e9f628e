//! Where the kernel cannot enforce it: no command runs.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;

use seccompiler::{SeccompAction, SeccompFilter, apply_filter};

const JAIL: &str = r#"{"write":["/tmp"],"guarded":[],"read":[],"network":false,"bounds":{"cpu_s":null,
    "memory_mib":512,"file_mib":8,"files":64,"processes":64}}"#;

/// Starts a keeper from a thread whose system seems to know no such call.
fn kept_without(call: i64, error: i32) -> (String, String) {
    let tried = thread::spawn(move || {
        let arch = std::env::consts::ARCH.try_into().expect("an architecture");
        let rules = BTreeMap::from([(call, vec![])]);
        let told = SeccompAction::Errno(error.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, told, arch).expect("a filter");
        let program: Vec<_> = filter.try_into().expect("a program");
        apply_filter(&program).expect("applied");
        let mut keeper = Command::new(env!("CARGO_BIN_EXE_callboard"))
            .args(["keep", "--once", "--jail", JAIL, "--", "/bin/sh", "-c", "echo it ran"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let _held = keeper.stdin.take();
        let output = keeper.wait_with_output().expect("it ends");
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        (text(&output.stdout), text(&output.stderr))
    });
    tried.join().expect("no panic")
}

#[test]
fn without_landlock_nothing_runs() {
    for error in [libc::ENOSYS, libc::EOPNOTSUPP] {
        let (said, told) = kept_without(libc::SYS_landlock_create_ruleset, error);
        assert_eq!(said, "");
        let why = "the kernel cannot keep programs in a sandbox: it takes Linux 6.12 or newer with \
                   Landlock switched on";
        assert_eq!(told, format!("{{\"refused\":\"{why}\"}}"));
    }
    let (said, told) = kept_without(libc::SYS_landlock_add_rule, libc::EINVAL);
    assert!(said.contains("the sandbox cannot be entered") && !said.contains("it ran"), "{said}");
    assert_eq!(told, r#"{"code":1}"#);
}

#[test]
fn without_seccomp_nothing_runs() {
    let (said, told) = kept_without(libc::SYS_setpriority, libc::ENOSYS);
    assert_eq!(
        (said.as_str(), told.as_str()),
        ("it ran\n", r#"{"code":0}"#),
        "by this way it runs"
    );
    let (said, told) = kept_without(libc::SYS_seccomp, libc::EINVAL);
    assert!(said.contains("the sandbox cannot be entered") && !said.contains("it ran"), "{said}");
    assert_eq!(told, r#"{"code":1}"#);
}

#[test]
fn files_that_were_left_open_are_closed() {
    // What started the server forgot to close two files.
    let mut keeper = Command::new("/bin/bash")
        .args(["-c", "exec 9</etc/shadow 13</etc/shadow; exec \"$@\"", "bash"])
        .args([env!("CARGO_BIN_EXE_callboard"), "keep", "--once", "--jail", JAIL, "--"])
        .args(["/bin/bash", "-c", "cat <&9; cat <&13; echo \"$0\" \"$1\"", "a b", "c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let _held = keeper.stdin.take();
    let output = keeper.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.matches("Bad file descriptor").count(), 2, "{said}");
    assert!(said.ends_with("a b c\n") && !said.contains("root:"), "{said}");
}
