//! What may a program do that we start? Landlock, seccomp and limits, put on by the process itself.
//!
//! Knows no other room. A process restricts itself and then becomes the program, so that no code
//! runs between `fork` and `exec` and none of it is unsafe. What the kernel cannot enforce is
//! refused: no program runs with less.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod enter;
mod jail;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(not(target_os = "linux"))]
mod nowhere;
#[cfg(target_os = "linux")]
mod paths;
#[cfg(target_os = "linux")]
mod scope;
#[cfg(target_os = "linux")]
mod watch;

#[cfg(target_os = "linux")]
pub use enter::{enforced, enter};
pub use jail::{Bounds, Ended, Jail, Watch};
#[cfg(not(target_os = "linux"))]
pub use nowhere::{Scope, Watched, enforced, enter};
#[cfg(target_os = "linux")]
pub use scope::Scope;
#[cfg(target_os = "linux")]
pub use watch::Watched;
