//! What a program in the sandbox may reach and use, and how it came to its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What every program needs to run at all, and nothing of anybody's own. What is not there is left
/// out.
pub(crate) const SYSTEM: [&str; 36] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/dev/random",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/sys/devices/system/cpu",
];

/// All that a program may reach besides the system's own programs and libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jail {
    /// Folders and files it may read and write: whole paths without links.
    pub write: Vec<PathBuf>,
    /// What it may not write, also inside of those; what is not there yet is not made either.
    pub guarded: Vec<PathBuf>,
    /// Folders and files it may read, and run programs from.
    pub read: Vec<PathBuf>,
    /// Whether it reaches the network.
    pub network: bool,
    /// How much of the machine it may use.
    pub bounds: Bounds,
    /// What is put back after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
}

/// Files and folders that a program can write and must not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Where it is kept how they were, without an ending: a place that no program writes.
    pub kept: PathBuf,
    /// Their paths, by the folder in which each begins.
    pub files: BTreeMap<PathBuf, Vec<PathBuf>>,
}

impl Jail {
    /// Whether a program in it may read what is at this path, links resolved.
    pub fn reads(&self, path: &Path) -> bool {
        let system = SYSTEM.iter().map(Path::new);
        let given = self.read.iter().chain(&self.write).map(PathBuf::as_path);
        system.chain(given).any(|it| path.starts_with(it))
    }
}

/// How much of the machine a program may use, each process of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Seconds of processor time; `None` = as long as it runs.
    pub cpu_s: Option<u64>,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The largest file it may write, in MiB.
    pub file_mib: u64,
    /// Open files.
    pub files: u64,
    /// Processes and threads, all of it together.
    pub processes: usize,
}

/// How a program came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was stopped: it had more processes than it may have.
    Crowd,
    /// It was stopped: nobody wanted it any more.
    Unwanted,
    /// It was not started, and why.
    Refused(String),
}
