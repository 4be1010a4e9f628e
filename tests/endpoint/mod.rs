//! A working model of an OpenAI-compatible server on loopback, which can also misbehave.
//!
//! ```ignore
//! let endpoint = Endpoint::start(by_agent([
//!     ("You are a researcher", vec![Act::call("handoff", json!({"to": "coder"}))]),
//!     ("You are a coder", vec![Act::status(429).header("retry-after", "1"), Act::say("done")]),
//! ]))
//! .await;
//! let base_url = endpoint.base_url();
//! assert_eq!(endpoint.requests().len(), 3);
//! ```
#![allow(dead_code, unused_imports, reason = "each test uses the part of it that it needs")]

mod act;
mod ask;
mod pieces;
mod responses;
mod server;

pub(crate) use act::Act;
pub(crate) use ask::{Ask, by_agent};
pub(crate) use server::{Endpoint, Request};
