//! What is planted, and where.

use std::collections::BTreeMap;

/// Each secret by where it is planted.
pub(crate) type Secrets = BTreeMap<&'static str, String>;

/// A word that is nobody's secret, made of a prefix and so many letters, different for each seed.
pub(crate) fn made(prefix: &str, seed: u8, length: usize) -> String {
    let letters = b"aB3dE5gH7jK9mN2pQ4rS6tU8vW";
    let mut state = u32::from(seed) + 1;
    let mut pick = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        letters[(state >> 16) as usize % letters.len()] as char
    };
    format!("{prefix}{}", (0..length).map(|_| pick()).collect::<String>())
}

/// Where each is planted, and what it looks like.
pub(crate) fn planted() -> Secrets {
    let upper = |seed| made("", seed, 16).to_uppercase().replace(['8', '9'], "A");
    let jwt = format!("{}.{}.{}", made("eyJ", 1, 20), made("eyJ", 2, 30), made("", 3, 40));
    let pem =
        format!("-----BEGIN {0}-----\n{1}\n-----END {0}-----", "PRIVATE KEY", made("MII", 4, 60));
    BTreeMap::from([
        ("task", made("ghp_", 5, 36)),
        ("context", format!("AKIA{}", upper(6).replace(['3', '5', '7', '2', '4', '6'], "Q"))),
        ("agent file", made("xoxb-", 7, 40)),
        ("environment", made("plain words for the endpoint ", 8, 20)),
        ("tool result", made("glpat-", 9, 24)),
        ("model reply", jwt),
        ("provider error", made("sk-proj-", 10, 48)),
        ("header", made("a header of the provider ", 11, 20)),
        ("schema", made("sk_live_", 12, 30)),
        ("note", made("npm_", 13, 36)),
        ("handoff", made("AIza", 14, 35)),
        ("artifact", pem),
        ("server", made("what the tool server was given ", 15, 20)),
        ("file", made("gsk_", 16, 40)),
        ("memory", made("hf_", 17, 34)),
        ("answer", made("hvs.", 18, 30)),
        ("command", made("gho_", 19, 36)),
        ("message", made("xapp-1-", 20, 30)),
        ("refused call", made("xai-", 21, 44)),
        ("typed memory", made("rk_live_", 22, 30)),
        ("token", made("of-whoever-comes-over-http-", 23, 20)),
        ("bash", made("what commands are given ", 24, 20)),
    ])
}

/// Variables of the environment, and what they hold.
pub(crate) const VARIABLES: [(&str, &str); 5] = [
    ("PLANTED_KEY", "environment"),
    ("PLANTED_HEADER", "header"),
    ("PLANTED_SERVER", "server"),
    ("PLANTED_TOKEN", "token"),
    ("PLANTED_BASH_TOKEN", "bash"),
];

/// What is looked for of a secret: its last letters, however it is quoted or cut.
pub(crate) fn core(name: &str, secret: &str) -> String {
    let core = if name == "artifact" { secret.lines().nth(1).unwrap_or_default() } else { secret };
    core[core.len().saturating_sub(14)..].to_owned()
}
