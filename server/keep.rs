//! The keeper of one program: starts it in a group of its own, in the sandbox if it is to be there,
//! and sees to it that nothing of it is left when it ends, when it is asked to go, or when whoever
//! wanted it is gone.
//!
//! Whoever holds the other end of stdin keeps the program: the end of the input, also by `kill -9`
//! of its writer, is the word to go. A tool server reads the same input and may go by itself; then
//! it is asked by a signal, then killed, and all that it started with it, wherever that hid.
//! A command that runs once reads nothing and is killed at once.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use callboard_sandbox::{Ended, Jail, Watch, Watched};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};
use rustix::stdio::{dup2_stdout, stderr, stdin, stdout};

use crate::pen::Pen;

/// How long the end of its input is left to work.
const BY_ITSELF: Duration = Duration::from_millis(500);
/// How long a signal to end is left to work.
const BY_SIGNAL: Duration = Duration::from_secs(2);
/// Between two looks for what is left.
const LOOK: Duration = Duration::from_millis(10);
/// Looks before it is given up: what cannot be killed by then is stuck in the kernel.
const LOOKS: u32 = 500;
/// Between two counts of what a program in the sandbox has started.
const COUNT: Duration = Duration::from_millis(50);

/// What is to be kept, and how.
pub(crate) struct Kept<'a> {
    pub(crate) program: &'a OsString,
    pub(crate) arguments: &'a [OsString],
    /// The sandbox it runs in.
    pub(crate) jail: Option<Jail>,
    /// It reads nothing, says all of it on stdout, and how it ended is told on stderr.
    pub(crate) once: bool,
}

/// What happens to the program.
enum News {
    /// It ended.
    Ended(WaitStatus),
    /// Nothing that it started is left.
    Alone,
    /// Nobody wants it any more.
    Unwanted,
}

/// Runs a program to its end and answers with its code; all its descendants end with it.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn keep(kept: &Kept<'_>) -> io::Result<u8> {
    let (ended, undone) = match watched(kept) {
        Err(error) if kept.once => (Ended::Refused(error.to_string()), Vec::new()),
        ended => ended?,
    };
    if kept.once {
        let mut told = serde_json::to_string(&ended)?;
        if !undone.is_empty() {
            told = format!("{told}\n{}", serde_json::to_string(&undone)?);
        }
        rustix::io::write(stderr(), told.as_bytes())?;
    }
    let code = match ended {
        Ended::Code(code) => code,
        Ended::Signal(signal) => 128 + signal,
        Ended::Crowd | Ended::Unwanted | Ended::Refused(_) => 0,
    };
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Runs it, and puts back what it was not to change.
fn watched(kept: &Kept<'_>) -> io::Result<(Ended, Vec<String>)> {
    let watch = kept.jail.as_ref().and_then(|it| it.watch.as_ref());
    let watched = watch.map(Watch::begin).transpose().map_err(io::Error::other)?;
    let ended = run(kept)?;
    let undone = watched.map_or_else(|| Ok(Vec::new()), Watched::end);
    Ok((ended, undone.unwrap_or_else(|error| vec![format!("nothing could be put back: {error}")])))
}

fn run(kept: &Kept<'_>) -> io::Result<Ended> {
    adopt()?;
    let pen = kept.jail.as_ref().map(Pen::new).transpose().map_err(io::Error::other)?;
    let mut start = match &pen {
        Some(pen) => pen.command(kept.program),
        None => Command::new(kept.program),
    };
    // In the sandbox it makes a session of its own.
    if pen.is_none() {
        start.process_group(0);
    }
    if kept.once {
        start.stdin(Stdio::null()).stderr(stdout().try_clone_to_owned()?);
    }
    let started = start.args(kept.arguments).spawn()?;
    // Its output is its own: the pipe ends when the program lets go of it.
    drop(start);
    dup2_stdout(stderr())?;
    let pid = i32::try_from(started.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the system gave it no id"))?;
    let (tell, news) = channel();
    let wanted = tell.clone();
    thread::spawn(move || reap(pid, &tell));
    thread::spawn(move || watch(&wanted));
    let mut ended = end(pen.as_ref(), &news);
    let mut is_there = matches!(ended, Ended::Crowd | Ended::Unwanted);
    if ended == Ended::Unwanted && !kept.once {
        let went = wind_down(pid, &news);
        is_there = went.is_none();
        ended = went.unwrap_or(Ended::Code(0));
    }
    sweep(pid, is_there, pen.as_ref(), &news);
    Ok(ended)
}

/// Waits for the end of the program, or for a reason to make one.
fn end(pen: Option<&Pen>, news: &Receiver<News>) -> Ended {
    loop {
        let told = match pen {
            Some(_) => news.recv_timeout(COUNT),
            None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match told {
            Ok(News::Ended(status)) => return how(status),
            Err(RecvTimeoutError::Timeout) => {
                if pen.is_some_and(Pen::is_crowded) {
                    return Ended::Crowd;
                }
            }
            Ok(News::Unwanted | News::Alone) | Err(RecvTimeoutError::Disconnected) => {
                return Ended::Unwanted;
            }
        }
    }
}

/// Asks the program to go; how it ended if it did.
fn wind_down(pid: Pid, news: &Receiver<News>) -> Option<Ended> {
    let ended = |within: Duration| match news.recv_timeout(within) {
        Ok(News::Ended(status)) => Some(how(status)),
        Ok(News::Unwanted | News::Alone) | Err(_) => None,
    };
    if let Some(ended) = ended(BY_ITSELF) {
        return Some(ended);
    }
    // It may be gone just now, and then there is nobody to ask.
    let _ = kill_process_group(pid, Signal::TERM);
    ended(BY_SIGNAL)
}

/// Kills everything that is left, until nothing is.
fn sweep(pid: Pid, is_there: bool, pen: Option<&Pen>, news: &Receiver<News>) {
    if is_there {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    for _ in 0..LOOKS {
        if let Some(pen) = pen {
            pen.kill_all();
        }
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
                let _ = tell.send(News::Ended(status));
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

fn how(status: WaitStatus) -> Ended {
    match status.terminating_signal() {
        Some(signal) => Ended::Signal(signal),
        None => Ended::Code(status.exit_status().unwrap_or_default()),
    }
}

/// Makes every orphan among the descendants a child of this process.
#[cfg(target_os = "linux")]
fn adopt() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// The children of this process, whichever thread they belong to.
#[cfg(target_os = "linux")]
fn children() -> Vec<Pid> {
    crate::pen::children("self").into_iter().filter_map(Pid::from_raw).collect()
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
