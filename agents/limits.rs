//! What bounds a run beside its rules: its own budget, and what a refused creation leads to.

pub use crate::afford::{Afford, LEAST_OUTPUT, affords, alert, kept_back};
pub use crate::alert::{Alert, LANDING, NEAR};
pub use crate::rules::growth::creation_refused;
