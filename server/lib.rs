//! How do they reach us? Transports, the protocol, the command line.
//!
//! Decides nothing: bytes and words become calls of the desk, and answers become bytes and words.

mod asking;
mod calls;
mod changes;
mod cli;
mod deadline;
mod demo;
mod detached;
mod ending;
mod era;
mod host;
mod http;
#[cfg(unix)]
mod keep;
mod kept;
mod line;
mod mcp;
mod open;
mod paint;
#[cfg(unix)]
mod pen;
mod pipe;
#[cfg(unix)]
mod private;
mod progress;
mod questions;
mod resources;
mod scan;
mod seal;
mod serve;
mod shared;
mod shown;
mod stdout;
mod tasks;
mod trace_context;
mod veil;
mod who;
mod wire;

pub use cli::main;
pub use host::Server;
pub use http::{HttpOptions, serve_http};
pub use serve::serve_stream;
