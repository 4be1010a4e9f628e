//! When two calls ask for the same: the parts of a call as one hash, without what does not matter.

use icu_normalizer::ComposingNormalizerBorrowed;
use sha2::{Digest, Sha256};

/// A hash over the parts of a call, in a fixed order; a part that was left out is an empty one.
/// Blanks at the ends of a part do not count, nor in which of its forms a letter was written.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfc();
    let mut hash = Sha256::new();
    for part in parts {
        let part = composed.normalize(part.trim());
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|it| format!("{it:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_changes_nothing() {
        let plain = fingerprint(["coder", "caf\u{e9}", ""]);
        let same = [
            ["coder", "  caf\u{e9}\n", ""],
            ["coder", "cafe\u{301}", " "],
            ["coder", "\u{3000}cafe\u{301}\t", "\r\n"],
        ];
        for parts in same {
            assert_eq!(fingerprint(parts), plain, "{parts:?}");
        }
    }

    #[test]
    fn what_matters_makes_another_call() {
        let all = [
            ["coder", "cafe", ""],
            ["coder", "caf\u{e9}", ""],
            ["coder", "Cafe", ""],
            ["coder", "ca fe", ""],
            ["coder", "", "cafe"],
            ["code", "rcafe", ""],
            ["coder", "cafe", "x"],
        ];
        let hashes: std::collections::HashSet<String> = all.map(fingerprint).into();
        assert_eq!(hashes.len(), all.len());
    }

    /// A store keeps keys for a day: what needs no mending keeps the hash it always had.
    #[test]
    fn a_plain_call_has_the_hash_it_always_had() {
        let mut hash = Sha256::new();
        for part in ["coder", "do it", ""] {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        let before: String = hash.finalize().iter().map(|it| format!("{it:02x}")).collect();
        assert_eq!(fingerprint(["coder", "do it", ""]), before);
    }
}
