//! Work that goes on without its client: one process a data folder, which ends when it is done.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Held by the one worker that goes on; in the data folder.
const LOCK: &str = "worker.lock";
/// What it has to say; in the data folder.
const LOG: &str = "worker.log";
/// Bytes of the log, after which it begins anew.
const LOG_MAX: u64 = 1 << 20;

/// Starts a process of its own that works until nothing is left to do. A second one ends at once.
/// It finds its secrets where this process did; none is on its command line. A team that was found
/// and not named is found again: naming it would trust what it wants to run.
///
/// # Errors
/// When the program cannot be started again.
pub(crate) fn work_on(named: Option<&Path>, data: &Path, store: Option<&str>) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["work", "--until-idle", "--alone"]);
    if let Some(team) = named {
        command.arg("--team").arg(std::path::absolute(team)?);
    }
    command.arg("--data").arg(std::path::absolute(data)?);
    // As it was typed, and so without a password.
    command.args(store.map(|it| ["--store", it]).into_iter().flatten());
    let log = private().append(true).open(data.join(LOG))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // What is sent to the client's group, such as Ctrl-C, does not reach it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    #[cfg(windows)]
    std::os::windows::process::CommandExt::creation_flags(&mut command, 0x0000_0208);
    command.spawn().map(drop)
}

/// The right to be the one that goes on; `None` if another is.
pub(crate) fn alone(data: &Path) -> Option<File> {
    let file = private().write(true).open(data.join(LOCK)).ok()?;
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => None,
        // Where there are no locks two may work: the leases keep them apart.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Some(file),
    }
}

/// Keeps the log within its size.
pub(crate) fn trim(data: &Path) {
    let log: PathBuf = data.join(LOG);
    if std::fs::metadata(&log).is_ok_and(|it| it.len() > LOG_MAX) {
        // What cannot be shortened now is looked at again.
        let _ = OpenOptions::new().write(true).open(log).and_then(|it| it.set_len(0));
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
