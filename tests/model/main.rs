//! Model endpoints behind the whole house: every fault in every place, what goes back to them, and
//! whether the journal holds every exchange.
#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

#[path = "../endpoint/mod.rs"]
mod endpoint;
#[path = "../stage/mod.rs"]
mod stage;

mod circuit;
mod coverage;
mod echo;
mod faults;
mod gone;
mod matrix;
