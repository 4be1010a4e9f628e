//! The keeper of one tool server: starts a program in a group of its own, and sees to it that
//! nothing of it is left when it ends, when it is asked to go, or when whoever wanted it is gone.
//!
//! Whoever holds the other end of stdin keeps the program: the end of the input, also by `kill -9`
//! of its writer, is the word to go. The program reads the same input and may go by itself; then
//! it is asked by a signal, then killed, and all that it started with it, wherever that hid.

use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};
use rustix::stdio::{dup2_stdout, stderr, stdin};

/// How long the end of its input is left to work.
const BY_ITSELF: Duration = Duration::from_millis(500);
/// How long a signal to end is left to work.
const BY_SIGNAL: Duration = Duration::from_secs(2);
/// Between two looks for what is left.
const LOOK: Duration = Duration::from_millis(10);
/// Looks before it is given up: what cannot be killed by then is stuck in the kernel.
const LOOKS: u32 = 500;

/// What happens to the program.
enum News {
    /// It ended, with this code.
    Ended(u8),
    /// Nothing that it started is left.
    Alone,
    /// Nobody wants it any more.
    Unwanted,
}

/// Runs a program to its end and answers with its code; all its descendants end with it.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn keep(program: &OsString, arguments: &[OsString]) -> io::Result<u8> {
    adopt()?;
    let mut start = Command::new(program);
    std::os::unix::process::CommandExt::process_group(&mut start, 0);
    let started = start.args(arguments).spawn()?;
    // Its output is its own: the pipe ends when the program lets go of it.
    dup2_stdout(stderr())?;
    let pid = i32::try_from(started.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the system gave it no id"))?;
    let (tell, news) = channel();
    let wanted = tell.clone();
    thread::spawn(move || reap(pid, &tell));
    thread::spawn(move || watch(&wanted));
    let code = match news.recv() {
        Ok(News::Ended(code)) => Some(code),
        Ok(News::Unwanted | News::Alone) | Err(_) => wind_down(pid, &news),
    };
    sweep(pid, code.is_none(), &news);
    Ok(code.unwrap_or_default())
}

/// Asks the program to go; its code if it did.
fn wind_down(pid: Pid, news: &Receiver<News>) -> Option<u8> {
    let ended = |within: Duration| match news.recv_timeout(within) {
        Ok(News::Ended(code)) => Some(code),
        Ok(News::Unwanted | News::Alone) | Err(_) => None,
    };
    if let Some(code) = ended(BY_ITSELF) {
        return Some(code);
    }
    // It may be gone just now, and then there is nobody to ask.
    let _ = kill_process_group(pid, Signal::TERM);
    ended(BY_SIGNAL)
}

/// Kills everything that is left, until nothing is.
fn sweep(pid: Pid, is_there: bool, news: &Receiver<News>) {
    if is_there {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    for _ in 0..LOOKS {
        for left in children() {
            let _ = kill_process(left, Signal::KILL);
        }
        match news.recv_timeout(LOOK) {
            Ok(News::Alone) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(News::Ended(_) | News::Unwanted) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Waits for every child and every orphan of one, so that none stays a zombie.
fn reap(pid: Pid, tell: &Sender<News>) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => {
                let _ = tell.send(News::Ended(code(status)));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => {
                let _ = tell.send(News::Alone);
                return;
            }
        }
    }
}

/// Waits until nobody holds the other end of the input. What stands in it is the program's.
fn watch(tell: &Sender<News>) {
    let input = stdin();
    loop {
        let mut watched = [PollFd::new(&input, PollFlags::empty())];
        match poll(&mut watched, None) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) | Err(_) => break,
        }
    }
    let _ = tell.send(News::Unwanted);
}

fn code(status: WaitStatus) -> u8 {
    let by_signal = status.terminating_signal().map(|it| 128 + it);
    let code = status.exit_status().or(by_signal).unwrap_or_default();
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Makes every orphan among the descendants a child of this process.
#[cfg(target_os = "linux")]
fn adopt() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// The children of this process, whichever thread they belong to.
#[cfg(target_os = "linux")]
fn children() -> Vec<Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let lists =
        tasks.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("children")).ok());
    let numbers = |list: String| -> Vec<Pid> {
        let ids = list.split_whitespace().filter_map(|it| it.parse().ok());
        ids.filter_map(Pid::from_raw).collect()
    };
    lists.flat_map(numbers).collect()
}

/// Elsewhere only the program's own group can be found.
#[cfg(not(target_os = "linux"))]
fn adopt() -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn children() -> Vec<Pid> {
    Vec::new()
}
