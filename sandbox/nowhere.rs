//! Systems without Landlock: nothing is enforced here, so nothing runs.

use std::io;

use crate::{Jail, Watch};

/// Why nothing runs.
const REFUSED: &str = "programs run in a sandbox on Linux only";

/// Never there on this system.
#[derive(Debug)]
pub enum Scope {}

impl Scope {
    /// Always refuses.
    ///
    /// # Errors
    /// Always.
    pub fn enter() -> Result<Scope, String> {
        Err(REFUSED.to_owned())
    }

    /// Never called.
    pub fn kill_all(&self) {
        match *self {}
    }
}

/// Never begun on this system.
#[derive(Debug)]
pub enum Watched {}

impl Watch {
    /// Always refuses.
    ///
    /// # Errors
    /// Always.
    pub fn begin(&self) -> Result<Watched, String> {
        Err(REFUSED.to_owned())
    }
}

impl Watched {
    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub fn end(self) -> io::Result<Vec<String>> {
        match self {}
    }
}

/// What is enforced on this system.
///
/// # Errors
/// Always: nothing is.
pub fn enforced() -> Result<String, String> {
    Err(REFUSED.to_owned())
}

/// Always refuses.
///
/// # Errors
/// Always.
pub fn enter(_: &Jail) -> Result<(), String> {
    Err(REFUSED.to_owned())
}
