//! The proof on one machine that another node is dead: the kernel has let go of its lock.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StoreError;
use crate::error::Result;
use crate::open::make_private;
use crate::sqlite::io;

/// Where the proof comes from.
pub(crate) enum Locks {
    /// The lock files of all nodes, and our own lock, held from the opening to the end.
    Files { folder: PathBuf, own: PathBuf, _held: Option<File> },
    /// Whoever simulates the nodes knows which of them are dead.
    Told(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

/// What a node's lock says of it.
pub(crate) enum Life {
    /// It lives, in the process of that number if it is known.
    Alive(Option<u32>),
    Ended,
    /// It has no lock here: it is of another machine or data folder.
    Unknown,
}

/// A dead node's lock in our hand: as long as it lives nobody else takes the node for dead.
pub(crate) struct Proof(Option<(PathBuf, File)>);

impl Locks {
    /// Takes our own lock. A file system without locks leaves it at the slow proof, by time.
    pub(crate) fn take(data: &Path, node: &str) -> Result<Locks> {
        let folder = data.join("nodes");
        make_private(&folder)?;
        let own = path_of(&folder, node)?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&own).map_err(|it| io("make", &own, &it))?;
        let held = match file.try_lock() {
            Ok(()) => {
                // For who has to stop it; nothing else depends on it.
                let _ = file.set_len(0).and_then(|()| write!(&file, "{}", std::process::id()));
                Some(file)
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Db(format!(
                    "node {node} is open already; nodes need names of their own"
                )));
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "no file locks here: a dead node is known by time only");
                None
            }
        };
        Ok(Locks::Files { folder, own, _held: held })
    }

    /// The proof that a node is dead, if there is one. A missing file proves nothing.
    pub(crate) fn dead(&self, node: &str) -> Option<Proof> {
        let folder = match self {
            Locks::Files { folder, .. } => folder,
            Locks::Told(is_dead) => return is_dead(node).then_some(Proof(None)),
        };
        let path = path_of(folder, node).ok()?;
        let lock = File::options().write(true).open(&path).ok()?;
        lock.try_lock().ok()?;
        Some(Proof(Some((path, lock))))
    }

    /// The orderly end: nothing of this node is left in the store.
    pub(crate) fn leave(&self) {
        if let Locks::Files { own, .. } = self {
            // If it stays, a sweep finds no row for it and nothing is lost.
            let _ = fs::remove_file(own);
        }
    }
}

impl Proof {
    /// The node's runs are taken back: its file is of no more use.
    pub(crate) fn bury(self) {
        if let Some((path, _lock)) = self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Looks at a node's lock from outside.
pub(crate) fn life(data: &Path, node: &str) -> Life {
    let Ok(path) = path_of(&data.join("nodes"), node) else { return Life::Unknown };
    let Ok(lock) = File::options().write(true).open(&path) else { return Life::Unknown };
    match lock.try_lock() {
        Ok(()) => Life::Ended,
        Err(TryLockError::WouldBlock) => {
            Life::Alive(fs::read_to_string(&path).ok().and_then(|it| it.trim().parse().ok()))
        }
        Err(TryLockError::Error(_)) => Life::Unknown,
    }
}

fn path_of(folder: &Path, node: &str) -> Result<PathBuf> {
    let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'_' || it == b'-';
    if node.is_empty() || !node.bytes().all(plain) {
        return Err(StoreError::Db(format!(
            "{node:?} is no name for a node; use letters, digits, _ and -"
        )));
    }
    Ok(folder.join(format!("{node}.lock")))
}
