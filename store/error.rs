//! What can go wrong with the store, said to the one who has to act.

use std::fmt;

use callboard_trace::RunId;

/// What the store did, or why not.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store did not do it. A lower-case fragment with the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The run is no longer this lease's: drop it and write nothing more.
    Fenced,
    /// The same key was used with other arguments.
    Conflict {
        /// The run that has the key.
        run: RunId,
    },
    /// Too many root tasks are open.
    OverCapacity {
        /// How many are open.
        open: u64,
        /// How many may be.
        cap: u64,
    },
    /// Whether the write happened is not known: drop the run, its journal tells.
    Unknown,
    /// No room on the disk, or the store's own limit is reached.
    Full,
    /// The file is damaged, or is no store of ours.
    Corrupt(String),
    /// The file was written by a newer program.
    Newer {
        /// The version in the file.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// The file is of an earlier format, and whoever asks leaves it as it is.
    Older {
        /// The version in the file.
        found: u32,
        /// The one that whoever works on it brings it to.
        known: u32,
    },
    /// The database does not answer, for as long as that is worth waiting for; nothing was kept.
    Away(String),
    /// The store is shut, or this node has left it.
    Closed,
    /// Anything else the database or the file system said.
    Db(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Fenced => f.write_str("the run is held by another node now; drop it here"),
            StoreError::Conflict { run } => {
                write!(f, "the key belongs to run {run} with other arguments; use another key")
            }
            StoreError::OverCapacity { open, cap } => {
                write!(f, "{open} tasks are open and {cap} may be; try again when some have ended")
            }
            StoreError::Unknown => f.write_str(
                "the database did not say whether it kept the write; read the run's journal to know",
            ),
            StoreError::Full => {
                f.write_str("the disk of the data folder is full; free some space and try again")
            }
            StoreError::Corrupt(what) => f.write_str(what),
            StoreError::Newer { found, known } => write!(
                f,
                "the store has format {found} and this program knows up to {known}; \
                 use the newer program, or another data folder"
            ),
            StoreError::Older { found, known } => write!(
                f,
                "the store has format {found} and is to have {known}; `callboard status` on it brings it \
                 there"
            ),
            StoreError::Away(why) => write!(
                f,
                "the database does not answer ({why}); nothing was kept, try again when it does"
            ),
            StoreError::Closed => f.write_str("the store is closed; start the program again"),
            StoreError::Db(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {}
