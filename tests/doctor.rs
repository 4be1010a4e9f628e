//! What `callboard doctor` tells: of agent files as other products write them, of endpoints and of stores.

#![expect(clippy::panic, reason = "a test says why and fails")]

#[path = "doctor/corpus.rs"]
mod corpus;
mod endpoint;
#[path = "doctor/endpoints.rs"]
mod endpoints;
#[path = "doctor/files.rs"]
mod files;
mod shell;
#[path = "doctor/stores.rs"]
mod stores;
