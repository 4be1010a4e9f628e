//! Nobody else looks into this process: keys stand in its environment and in its memory.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Leaves no core dumps, and on Linux shuts `/proc` and debuggers out, for all but the superuser: a
/// tool server is a program of the same user and would read every key there. What the system does
/// not let us shut stays as it is.
pub(crate) fn shut() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
    };
}
