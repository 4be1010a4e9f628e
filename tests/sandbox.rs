//! Commands in the sandbox: what they say, what they cannot do, and that nothing of them is left.
#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

#[path = "sandbox/bare.rs"]
mod bare;
#[path = "sandbox/bash.rs"]
mod bash;
#[path = "sandbox/ends.rs"]
mod ends;
#[path = "sandbox/left.rs"]
mod left;
#[path = "sandbox/refused.rs"]
mod refused;
#[path = "sandbox/servers.rs"]
mod servers;
mod stage;
#[path = "sandbox/watched.rs"]
mod watched;
