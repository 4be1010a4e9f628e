//! Which files can be read and written, by Landlock: everything else is refused.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
    make_bitflags,
};
use rustix::fs::{Mode, OFlags, open};

use crate::Jail;
use crate::jail::SYSTEM;
use crate::scope::LEAST;

/// Devices that keep nothing.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];
/// Entries of a folder that is not given as a whole.
const ENTRIES_MAX: usize = 4_096;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir});
/// All but devices: whoever could make one would read the disk.
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    Execute | ReadFile | ReadDir | WriteFile | Truncate | RemoveDir | RemoveFile | MakeDir | MakeReg
        | MakeSock | MakeFifo | MakeSym | Refer | ResolveUnix
});
/// What makes sense for a file.
const OF_FILE: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{Execute | ReadFile | WriteFile | Truncate | ResolveUnix});

/// Restricts this thread and all it starts; the version of Landlock that does it.
pub(crate) fn restrict(jail: &Jail) -> Result<ABI, String> {
    let mut rules = rules();
    let told = |it: landlock::RulesetError| format!("the files cannot be kept apart: {it}");
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))
        .and_then(|it| it.scope(Scope::from_all(LEAST)))
        .map_err(told)?;
    if !jail.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(LEAST)).map_err(told)?;
    }
    // What only newer kernels know is taken where it is there.
    let ruleset = ruleset.set_compatibility(CompatLevel::BestEffort);
    let ruleset = ruleset.handle_access(AccessFs::ResolveUnix).map_err(told)?;
    let mut ruleset = ruleset.create().map_err(told)?;
    rules.extend(jail.read.iter().map(|it| (it.clone(), READ)));
    for path in &jail.write {
        if !path.exists() {
            return Err(format!("{} is not there", path.display()));
        }
        writable(path, &jail.guarded, &mut rules)?;
    }
    for (path, access) in rules {
        ruleset = allow(ruleset, &path, access).map_err(told)?;
    }
    let status = ruleset.restrict_self().map_err(told)?;
    if let LandlockStatus::Available { effective_abi, .. } = status.landlock
        && status.ruleset != RulesetStatus::NotEnforced
        && status.no_new_privs
    {
        return Ok(effective_abi);
    }
    Err("the files cannot be kept apart by this kernel".to_owned())
}

fn rules() -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile});
    let system = SYSTEM.iter().map(|it| (PathBuf::from(it), READ));
    system.chain(DEVICES.iter().map(|it| (PathBuf::from(it), device))).collect()
}

/// Allows what is there; what is not there is not allowed.
fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    // What may be written has its place in its own name: no link leads elsewhere.
    let follow = if access == READ { OFlags::empty() } else { OFlags::NOFOLLOW };
    let Ok(file) = open(path, OFlags::PATH | OFlags::CLOEXEC | follow, Mode::empty()) else {
        return Ok(ruleset);
    };
    let is_folder = rustix::fs::fstat(&file)
        .is_ok_and(|it| rustix::fs::FileType::from_raw_mode(it.st_mode).is_dir());
    let access = if is_folder { access } else { access & OF_FILE };
    ruleset.add_rule(PathBeneath::new(file, access))
}

/// A folder as a whole; one that holds what is kept off, entry by entry. Nothing can be made in
/// that itself but folders, since it could not be told from what must not be there.
fn writable(
    path: &Path,
    guarded: &[PathBuf],
    rules: &mut Vec<(PathBuf, BitFlags<AccessFs>)>,
) -> Result<(), String> {
    if guarded.iter().any(|it| path.starts_with(it)) {
        rules.push((path.to_owned(), READ));
        return Ok(());
    }
    if !guarded.iter().any(|it| it.starts_with(path)) {
        rules.push((path.to_owned(), WRITE));
        return Ok(());
    }
    rules.push((path.to_owned(), READ | AccessFs::MakeDir));
    let entries = read_dir(path).map_err(|it| format!("{}: {it}", path.display()))?;
    for (count, entry) in entries.flatten().enumerate() {
        if count == ENTRIES_MAX {
            let said = "holds files of the team and too many others beside them";
            return Err(format!("{} {said}", path.display()));
        }
        if entry.file_type().is_ok_and(|it| !it.is_symlink()) {
            writable(&entry.path(), guarded, rules)?;
        }
    }
    Ok(())
}
