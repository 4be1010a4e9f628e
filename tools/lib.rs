//! What may a caller ask for? One published tool a file: name, arguments, checks, apply.
//!
//! Knows no transport: a call comes in as values and leaves as one JSON value.

mod agent;
mod answer;
mod call;
mod card;
mod check;
mod complete;
mod control;
mod delegate;
mod effective;
mod excerpt;
mod fields;
mod follow;
mod handoff;
mod handoffs;
mod listing;
mod meta;
mod nearest;
mod new_agent;
mod paging;
mod policies;
mod postmortem;
mod prompt;
mod prompts;
mod published;
mod read;
mod resource;
mod run;
mod status;
mod steps;
mod surface;
mod toolset;
mod uri;
mod watched;
mod window;

pub use call::{Call, Ear, Outcome, Patience, UnknownTool};
pub use complete::{Blank, Subject};
pub use control::{ACTIONS, ALL};
pub use listing::{Listed, Listing};
pub use paging::page;
pub use prompt::{Argument, Prompt};
pub use prompts::Told;
pub use published::{Annotations, Published};
pub use resource::{Excerpted, Reading, read};
pub use surface::{SURFACE_TOKENS, surface_tokens};
pub use toolset::{Profile, Toolset};
pub use watched::Watched;
