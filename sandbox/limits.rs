//! How much of the machine a process may use, and what is left of a superuser's rights.

use std::os::linux::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Resource, Rlimit, Uid, geteuid, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
};

use crate::Jail;

/// A process reserves far more addresses than it uses memory.
const ADDRESSES: u64 = 16;

/// Sets the limits of this process; none is raised.
pub(crate) fn set(jail: &Jail) -> Result<(), String> {
    let bounds = &jail.bounds;
    let mib = |it: u64| it.saturating_mul(1 << 20);
    let memory = mib(bounds.memory_mib);
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, mib(bounds.file_mib))?;
    limit(Resource::Nofile, bounds.files)?;
    limit(Resource::Data, memory)?;
    limit(Resource::As, memory.saturating_mul(ADDRESSES))?;
    if let Some(seconds) = bounds.cpu_s {
        limit(Resource::Cpu, seconds)?;
    }
    if geteuid().is_root() {
        // The kernel counts no processes of the superuser: the keeper does.
        return drop_capabilities(jail);
    }
    limit(Resource::Nproc, (tasks_of_user() + bounds.processes) as u64)
}

fn limit(resource: Resource, most: u64) -> Result<(), String> {
    let most = getrlimit(resource).maximum.map_or(most, |it| it.min(most));
    let both = Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(resource, both).map_err(|it| format!("a limit cannot be set: {it}"))
}

/// Processes and threads of this user by now: the kernel counts them all, and not only ours.
fn tasks_of_user() -> usize {
    let user = geteuid().as_raw();
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let tasks = all.filter_map(|it| it.path().join("task").metadata().ok());
    // A folder has two links besides those of the folders in it.
    let own = tasks.filter(|it| it.st_uid() == user).map(|it| it.st_nlink().saturating_sub(2));
    usize::try_from(own.sum::<u64>()).unwrap_or(usize::MAX)
}

/// A superuser without rights over files of others, but where its folders are in theirs: to open them
/// there. What leads out of the paths is not opened then either.
fn drop_capabilities(jail: &Jail) -> Result<(), String> {
    let of_others = |it: &Path| it.metadata().is_ok_and(|it| it.st_uid() != Uid::ROOT.as_raw());
    let mut given = jail.write.iter().chain(&jail.read).flat_map(|it| it.ancestors());
    let is_guest = given.any(of_others);
    let kept = if is_guest { CapabilitySet::DAC_OVERRIDE } else { CapabilitySet::empty() };
    for capability in (CapabilitySet::all() - kept).iter() {
        match remove_capability_from_bounding_set(capability) {
            // An older kernel does not know all of them.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(format!("a capability cannot be dropped: {error}")),
        }
    }
    // What is not in the bounding set is gone with the next program, but for what is inherited.
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(|it| format!("capabilities cannot be dropped: {it}"))
}
