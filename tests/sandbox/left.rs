//! What is left of a command: processes that bear its mark, wherever they hid, zombies, and files.
#![allow(dead_code, reason = "each test uses its part of it")]

use std::fs::{read, read_dir, read_link, read_to_string};
use std::path::Path;
use std::time::Duration;

/// Between two looks, and how many: longer than anything here may take.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1_500;

/// A number that only this process's commands bear: a time to sleep, or a part of a name.
pub(crate) fn mark(number: u32) -> String {
    format!("{number}.{:08}", std::process::id())
}

/// Waits until no process of the machine names this anywhere on its command line.
pub(crate) async fn until_gone(mark: &str) {
    eventually(&format!("nothing of {mark} is left"), || with(mark).is_empty()).await;
}

/// Waits until one does.
pub(crate) async fn until_there(mark: &str) {
    eventually(&format!("{mark} is there"), || !with(mark).is_empty()).await;
}

/// The processes that name this on their command lines.
pub(crate) fn with(mark: &str) -> Vec<u32> {
    let all = read_dir("/proc").expect("a list of processes").flatten();
    let numbers = all.filter_map(|it| it.file_name().to_str()?.parse().ok());
    let names = |it: &u32| {
        let line = read(format!("/proc/{it}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    };
    numbers.filter(|it| *it != std::process::id() && names(it)).collect()
}

/// Children of this process that ended and that nobody waited for.
pub(crate) fn zombies() -> usize {
    let tasks = read_dir("/proc/self/task").expect("the threads of this process").flatten();
    let lists = tasks.filter_map(|it| read_to_string(it.path().join("children")).ok());
    let all: Vec<String> =
        lists.flat_map(|it| it.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let is_zombie = |pid: &&String| {
        let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|it| it.trim_start().starts_with('Z'))
    };
    all.iter().filter(is_zombie).count()
}

/// Files that this process has open.
pub(crate) fn files() -> usize {
    let all = read_dir("/proc/self/fd").expect("the files of this process").flatten();
    all.filter(|it| read_link(it.path()).is_ok()).count()
}

/// Whether a folder is there that a command had for itself.
pub(crate) fn is_there(path: &str) -> bool {
    Path::new(path).exists()
}

/// Waits for something that has to come.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("in vain: {what}");
}
