//! The built binary over HTTP, spoken to in raw bytes: good requests, bad ones, and floods of them.
#![expect(clippy::panic, reason = "a client of tests says what it missed and fails")]
#![cfg(unix)]

#[path = "http/asks.rs"]
mod asks;
#[path = "http/bodies.rs"]
mod bodies;
#[path = "http/floods.rs"]
mod floods;
#[path = "http/guards.rs"]
mod guards;
#[path = "http/house.rs"]
mod house;
#[path = "http/sessions.rs"]
mod sessions;
#[path = "http/tokens.rs"]
mod tokens;
#[path = "http/wire.rs"]
mod wire;
