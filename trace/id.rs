//! Names of things: a prefix that says what it is, and 128 random bits in 26 base-32 characters.

use serde::{Deserialize, Serialize};

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The name of a run (`r_…`). A root task and its first run share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Makes the name out of 128 random bits.
    pub fn new(bits: u128) -> RunId {
        RunId(spell("r_", bits))
    }

    /// Takes what a caller wrote or a store kept. Whether such a run exists is the store's to say.
    pub fn from_text(text: impl Into<String>) -> RunId {
        RunId(text.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Spells 128 random bits as 26 lower-case base-32 characters behind a prefix such as `h_`.
pub fn spell(prefix: &str, bits: u128) -> String {
    let mut text = String::with_capacity(prefix.len() + 26);
    text.push_str(prefix);
    for at in (0..26).rev() {
        let index = (bits >> (at * 5)) & 31;
        text.push(char::from(LETTERS[index as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_prefix_and_26_letters() {
        assert_eq!(spell("h_", 0), format!("h_{}", "a".repeat(26)));
        assert_eq!(RunId::new(u128::MAX).as_str().len(), 28);
        assert_ne!(RunId::new(1), RunId::new(1 << 127));
    }
}
