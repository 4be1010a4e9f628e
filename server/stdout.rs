//! Keeps stdout for the protocol: what anything else prints there goes to stderr.

use std::fs::File;
use std::io;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stdout, stderr, stdin, stdout};

/// The first descriptor that no program takes for one of the three it was born with.
const BEYOND: i32 = 3;

/// Our private stdin and stdout. From here on descriptor 1 is stderr, for this process and for
/// every child: a stray print is a line of log and not a broken message.
///
/// # Errors
/// When a descriptor is closed or there are none left.
pub(crate) fn take() -> io::Result<(File, File)> {
    let ours = fcntl_dupfd_cloexec(stdout(), BEYOND)?;
    let input = fcntl_dupfd_cloexec(stdin(), BEYOND)?;
    dup2_stdout(stderr())?;
    Ok((File::from(input), File::from(ours)))
}
