//! Randomness: the one place where it is taken from the system.

use callboard_trace::{RunId, spell};

/// 128 random bits.
///
/// # Panics
/// If the system has no randomness: names would no longer be unguessable.
pub(crate) fn bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    u128::from_le_bytes(bytes)
}

/// A new run's name.
pub(crate) fn run() -> RunId {
    RunId::new(bits())
}

/// A new name with that prefix.
pub(crate) fn name(prefix: &str) -> String {
    spell(prefix, bits())
}

/// A number from 0 up to, not including, `below`; 0 if that is 0.
pub(crate) fn below(below: u64) -> u64 {
    let low = bits() & u128::from(u64::MAX);
    u64::try_from(low).unwrap_or_default().checked_rem(below).unwrap_or_default()
}
