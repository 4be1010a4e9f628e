//! Randomness: the one place where it is taken from the system.

/// 128 random bits.
///
/// # Panics
/// If the system has no randomness: names would no longer be unguessable.
pub(crate) fn bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    u128::from_le_bytes(bytes)
}
