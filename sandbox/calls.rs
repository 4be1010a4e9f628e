//! Which calls of the kernel are refused, by seccomp: ways out, ways in, and what concerns others.

use std::collections::BTreeMap;

use libc::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, c_long};
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{self, Eq, MaskedEq, Ne};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter, sock_filter,
};

/// Never allowed.
const REFUSED: [c_long; 54] = [
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Other views of the machine.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // Code in the kernel, and calls that it makes unseen.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    // Keys of the user.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Whose files are: no folder bounds it.
    libc::SYS_fchown,
    libc::SYS_fchownat,
    // The machine as a whole.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];
/// A call that is too new for the list of numbers; the same everywhere, as are those below.
const FCHMODAT2: c_long = 452;
/// What files are beside their content and mode, access lists among it. Programs that copy them go
/// on where a file system has none.
const ATTRIBUTES: [c_long; 9] = [
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    463, // setxattrat
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    466, // removexattrat
    469, // file_setattr
];
/// The bits that have others run a file as its owner or group.
const AS_OTHERS: u64 = 0o6000;
/// Calls that take the mode of a file, and the place of that among their arguments.
const MODES: [(c_long, u8); 5] = [
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_openat, 3),
    (libc::SYS_mknodat, 2),
];
/// The same of calls that newer machines do not have.
#[cfg(target_arch = "x86_64")]
const OLD_MODES: [(c_long, u8); 4] =
    [(libc::SYS_chmod, 1), (libc::SYS_open, 2), (libc::SYS_creat, 1), (libc::SYS_mknod, 1)];
#[cfg(not(target_arch = "x86_64"))]
const OLD_MODES: [(c_long, u8); 0] = [];
#[cfg(target_arch = "x86_64")]
const OLD_REFUSED: [c_long; 2] = [libc::SYS_chown, libc::SYS_lchown];
#[cfg(not(target_arch = "x86_64"))]
const OLD_REFUSED: [c_long; 0] = [];
/// New views of the machine, as flags of a new process.
const APART: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// The first number of the calls that x86-64 has a second time, for 32-bit addresses.
#[cfg(target_arch = "x86_64")]
const TWIN: u32 = 0x4000_0000;

/// Refuses calls to this thread and all it starts. Sockets of the file system are allowed only where
/// Landlock says which: others lead to services of the user that do as they are told.
pub(crate) fn restrict(network: bool, unix: bool) -> Result<(), String> {
    let told = |it: &dyn std::fmt::Display| format!("calls of the kernel cannot be refused: {it}");
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|it| told(&it))?;
    let refused = rules(network, unix).map_err(|it| told(&it))?;
    // Their flags and modes are out of sight. Whoever is told that there is no such call takes the
    // older one.
    let unseen = [libc::SYS_clone3, libc::SYS_openat2].map(|it| (it, Vec::new())).into();
    let none = ATTRIBUTES.map(|it| (it, Vec::new())).into();
    let all = [(refused, libc::EPERM), (unseen, libc::ENOSYS), (none, libc::EOPNOTSUPP)];
    for (rules, error) in all {
        let action = SeccompAction::Errno(error.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch);
        let program: Result<BpfProgram, _> = filter.and_then(TryInto::try_into);
        apply_filter(&program.map_err(|it| told(&it))?).map_err(|it| told(&it))?;
    }
    #[cfg(target_arch = "x86_64")]
    apply_filter(&twins()).map_err(|it| told(&it))?;
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(network: bool, unix: bool) -> Result<Rules, seccompiler::BackendError> {
    let is = |argument: u8, how: SeccompCmpOp, value: i32| {
        SeccompCondition::new(argument, Dword, how, u64::from(value.unsigned_abs()))
    };
    let refused = REFUSED.iter().chain(&OLD_REFUSED);
    let mut rules: Rules = refused.map(|it| (*it, Vec::new())).collect();
    for (call, argument) in MODES.into_iter().chain(OLD_MODES) {
        rules.insert(call, as_others(argument)?);
    }
    let mut families = Vec::new();
    if network {
        families.extend([AF_INET, AF_INET6, AF_NETLINK]);
    }
    if unix {
        families.push(AF_UNIX);
    }
    let others: Result<Vec<_>, _> = families.iter().map(|it| is(0, Ne, *it)).collect();
    let others = if families.is_empty() { vec![] } else { vec![SeccompRule::new(others?)?] };
    rules.insert(libc::SYS_socket, others);
    let apart = APART.iter().map(|it| {
        let flag = it.unsigned_abs();
        SeccompRule::new(vec![is(0, MaskedEq(flag.into()), *it)?])
    });
    rules.insert(libc::SYS_clone, apart.collect::<Result<_, _>>()?);
    // Only its own.
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![is(0, Ne, 0)?])?]);
    let of_user = i32::try_from(libc::PRIO_USER).unwrap_or_default();
    let priority =
        vec![SeccompRule::new(vec![is(1, Ne, 0)?])?, SeccompRule::new(vec![is(0, Eq, of_user)?])?];
    rules.insert(libc::SYS_setpriority, priority);
    Ok(rules)
}

/// A mode with one of the bits, or with both.
fn as_others(argument: u8) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let bits = [0o4000, 0o2000, AS_OTHERS].into_iter();
    let is = |it| SeccompCondition::new(argument, Dword, MaskedEq(AS_OTHERS), it);
    bits.map(|it| SeccompRule::new(vec![is(it)?])).collect()
}

/// Refuses the second set of calls, which no list of numbers covers.
#[cfg(target_arch = "x86_64")]
fn twins() -> BpfProgram {
    let step = |code: u32, jt: u8, jf: u8, k: u32| {
        let code = u16::try_from(code).unwrap_or_default();
        sock_filter { code, jt, jf, k }
    };
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    vec![
        // The number of the call stands first in what a filter sees.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, TWIN),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refused),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
