//! What bounds a run beside its rules: its own budget, and what a refused creation leads to.

pub use crate::afford::{Afford, affords, alert};
pub use crate::alert::{Alert, LANDING, NEAR, kept_back};
pub use crate::perform::LEAST_OUTPUT;
pub use crate::rules::fallback::instead_of;
pub use crate::rules::growth::creation_refused;
