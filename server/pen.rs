//! The sandbox from outside: what its keeper holds, and the way in for the program.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{Permissions, read_dir, read_link, read_to_string, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use callboard_sandbox::{Jail, Scope, enter};
use tempfile::TempDir;

/// This very program, whatever stands in its place on the disk by now.
const ITSELF: &str = "/proc/self/exe";
/// A shell that closes files of any number.
const CLOSER: &str = "/bin/bash";

/// One sandbox, with a folder of its own that goes with it.
pub(crate) struct Pen {
    scope: Scope,
    home: TempDir,
    /// What it may do, for the process that enters it.
    jail: String,
    processes: usize,
}

impl Pen {
    /// Makes the folder, and a scope out of which this process sends no signal.
    pub(crate) fn new(jail: &Jail) -> Result<Pen, String> {
        let scope = Scope::enter()?;
        let mut wanted = tempfile::Builder::new();
        wanted.prefix("callboard-").permissions(Permissions::from_mode(0o700));
        let home = wanted.tempdir();
        let home = home.map_err(|it| format!("a private folder cannot be made: {it}"))?;
        let mut jail = jail.clone();
        jail.write.push(home.path().canonicalize().map_err(|it| it.to_string())?);
        jail.watch = None;
        let processes = jail.bounds.processes;
        let jail = serde_json::to_string(&jail).map_err(|it| it.to_string())?;
        Ok(Pen { scope, home, jail, processes })
    }

    /// How a program of it is started.
    pub(crate) fn command(&self, program: &OsString) -> Command {
        let mut start = Command::new(ITSELF);
        start.args(["keep", "--inside", &self.jail, "--"]).arg(program);
        start.env("HOME", self.home.path()).env("TMPDIR", self.home.path());
        start
    }

    /// Whether more processes and threads are in it than may be.
    pub(crate) fn is_crowded(&self) -> bool {
        let (mut found, mut at, mut tasks) = (children("self"), 0, 0);
        while let Some(pid) = found.get(at).map(i32::to_string) {
            tasks += read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
            if tasks > self.processes {
                return true;
            }
            found.extend(children(&pid));
            at += 1;
        }
        false
    }

    /// Kills all that is in it.
    pub(crate) fn kill_all(&self) {
        self.scope.kill_all();
    }
}

impl Drop for Pen {
    /// Opens what a program locked in its folder, so that it can be removed.
    fn drop(&mut self) {
        let mut folders = vec![self.home.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            let _ = set_permissions(&folder, Permissions::from_mode(0o700));
            let entries = read_dir(&folder).into_iter().flatten().flatten();
            let inner = entries.filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
            folders.extend(inner.map(|it| it.path()));
        }
    }
}

/// Enters a sandbox and becomes the program.
///
/// # Errors
/// Why it does not: nothing was started then.
pub(crate) fn inside(
    jail: &str,
    program: &OsString,
    arguments: &[OsString],
) -> Result<Infallible, String> {
    let jail: Jail = serde_json::from_str(jail).map_err(|it| format!("no sandbox: {it}"))?;
    let open = left_open();
    enter(&jail).map_err(|it| format!("the sandbox cannot be entered: {it}"))?;
    let mut start = Command::new(program);
    if !open.is_empty() {
        // Nothing but a shell closes a file by its number without unsafe code.
        let close = open.iter().map(|it| format!(" {it}>&-")).collect::<String>();
        start = Command::new(CLOSER);
        start.args(["-c", &format!("exec{close}; exec \"$@\""), CLOSER]).arg(program);
    }
    let error = start.args(arguments).exec();
    Err(format!("{} cannot be started: {error}", program.display()))
}

/// Files that whoever started all of this left open for its children: they are not for the program.
fn left_open() -> Vec<u32> {
    let listed = read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<u32> = listed
        .filter_map(|it| it.file_name().to_str()?.parse().ok())
        .filter(|it| *it > 2)
        .collect();
    let is_open = |it: &u32| read_link(format!("/proc/self/fd/{it}")).is_ok();
    numbers.into_iter().filter(is_open).collect()
}

/// The children of a process, whichever thread they belong to.
pub(crate) fn children(of: &str) -> Vec<i32> {
    let tasks = read_dir(format!("/proc/{of}/task")).into_iter().flatten();
    let lists = tasks.filter_map(|it| read_to_string(it.ok()?.path().join("children")).ok());
    lists
        .flat_map(|it| it.split_whitespace().filter_map(|it| it.parse().ok()).collect::<Vec<_>>())
        .collect()
}
