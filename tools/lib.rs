//! What may a caller ask for? One published tool a file: name, arguments, checks, apply.
//!
//! Knows no transport: a call comes in as values and leaves as one JSON value.

mod agent;
mod answer;
mod call;
mod check;
mod control;
mod excerpt;
mod fields;
mod follow;
mod handoff;
mod handoffs;
mod meta;
mod nearest;
mod published;
mod read;
mod resource;
mod run;
mod status;
mod steps;
mod surface;
mod toolset;
mod uri;
mod window;

pub use call::{Call, Ear, Outcome, Patience, UnknownTool};
pub use control::ACTIONS;
pub use published::{Annotations, Published};
pub use resource::{Excerpted, Reading, read};
pub use surface::{SURFACE_TOKENS, surface_tokens};
pub use toolset::{Profile, Toolset};
