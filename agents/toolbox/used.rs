//! What came of a call of a built-in tool, and the thread that what blocks is done on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use callboard_trace::Touched;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ground::Ground;
use super::shown;

/// What came of a call that went well.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Used {
    /// What the model is told.
    pub(crate) result: Value,
    /// The whole text, where the model is shown only its beginning.
    pub(crate) whole: Option<Value>,
    /// Hashes of the files and pages it brought.
    pub(crate) documents: Vec<String>,
    /// The files it read or wrote.
    pub(crate) files: Vec<Touched>,
}

impl Used {
    /// A text, cut to what a model is shown; `bytes` is its size before anything was left out.
    pub(crate) fn told(text: String, bytes: usize, ground: &Ground) -> Used {
        let (text, whole) = shown::cut(text, bytes, ground.limits.tool_output_bytes);
        Used { result: json!(text), whole, ..Used::default() }
    }
}

/// A file with these bytes.
pub(crate) fn touched(path: &Path, bytes: &[u8], wrote: bool) -> Touched {
    let (path, size) = (path.to_string_lossy().into_owned(), bytes.len() as u64);
    Touched { path, bytes: size, hash: hash(bytes), wrote }
}

/// SHA-256 in hex.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}

/// Says to work on another thread that nobody waits for it any more.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// # Errors
    /// When nobody waits any more.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) { Err("nobody waits any more".into()) } else { Ok(()) }
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

struct Stopping(Stop);

/// Does what blocks on a thread of its own, which hears of it when this future is dropped.
///
/// # Errors
/// Those of the work.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let stop = Stop::default();
    let _stopping = Stopping(stop.clone());
    match tokio::task::spawn_blocking(move || work(&stop)).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(error.to_string()),
    }
}
