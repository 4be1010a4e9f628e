//! The hash that ties a record to the one before it.

use sha2::{Digest, Sha256};

/// What a record's hash covers beside the record before it. The body enters as its own hash, so
/// that the big work is done before the writer's turn.
pub(crate) struct Link<'a> {
    pub(crate) prev: &'a str,
    pub(crate) run: &'a str,
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) v: u16,
    pub(crate) attempt: u32,
    pub(crate) author: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) body: &'a str,
}

/// SHA-256 in hex over the fields in order, each text behind its length.
pub(crate) fn link(it: &Link<'_>) -> String {
    let mut hash = Sha256::new();
    for text in [it.prev, it.run, it.author, it.kind, it.body] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(it.seq.to_be_bytes());
    hash.update(it.at.to_be_bytes());
    hash.update(it.v.to_be_bytes());
    hash.update(it.attempt.to_be_bytes());
    hex(&hash.finalize())
}

/// SHA-256 in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits =
        bytes.iter().flat_map(|it| [DIGITS[usize::from(it >> 4)], DIGITS[usize::from(it & 15)]]);
    digits.map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_in_hex() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(b"abc"), known);
    }

    #[test]
    fn moving_a_letter_between_fields_changes_the_hash() {
        let one = Link {
            prev: "",
            run: "r_a",
            seq: 1,
            at: 1,
            v: 1,
            attempt: 1,
            author: "x",
            kind: "yz",
            body: "b",
        };
        let other = Link { author: "xy", kind: "z", ..Link { ..one } };
        let changed = link(&other);
        assert_ne!(changed, link(&Link { author: "x", kind: "yz", ..other }));
    }
}
