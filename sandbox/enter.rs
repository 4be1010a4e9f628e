//! The way into the sandbox, in the order that lets each step be taken.

use std::thread;

use landlock::ABI;
use rustix::process::{Signal, geteuid, nice, set_parent_process_death_signal, setsid};

use crate::{Jail, Scope, calls, limits, paths};

/// How much less the programs in it are worth than the one that keeps them, of 19.
const NICE: i32 = 5;
/// Where the kernel is told whom to end first when memory is short, and the word for it.
const FIRST: (&str, &str) = ("/proc/self/oom_score_adj", "1000");
/// From this version on, Landlock decides which sockets of the file system are reached.
const SOCKETS: ABI = ABI::V9;

/// Restricts this process, which must have one thread, and all it becomes and starts.
///
/// # Errors
/// What cannot be enforced. The process is of no use then: it may be half inside.
pub fn enter(jail: &Jail) -> Result<(), String> {
    // It has a session of its own already, or gets one: no terminal is within reach.
    let _ = setsid();
    let _ = std::fs::write(FIRST.0, FIRST.1);
    let _ = nice(NICE);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|it| it.to_string())?;
    limits::set(jail)?;
    let abi = paths::restrict(jail)?;
    calls::restrict(jail.network, abi >= SOCKETS)
}

/// What is enforced on this machine, in one line. It is tried, on a thread that ends with it.
///
/// # Errors
/// Why nothing would be started.
pub fn enforced() -> Result<String, String> {
    let tried = thread::spawn(|| -> Result<ABI, String> {
        let abi = Scope::enter().map(|it| it.abi())?;
        paths::restrict(&Jail::default())?;
        calls::restrict(false, abi >= SOCKETS)?;
        Ok(abi)
    });
    let abi = tried.join().map_err(|_| "the sandbox could not be tried".to_owned())??;
    let sockets = if abi >= SOCKETS { ", sockets in the folders" } else { "" };
    let user = if geteuid().is_root() {
        "the superuser, without its rights over files of others"
    } else {
        "the user"
    };
    Ok(format!(
        "Landlock {} (files, network, signals{sockets}), seccomp, limits; programs run as {user}",
        abi as i32
    ))
}
