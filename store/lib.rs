//! Where is it kept, and who holds it? The database seam, journal, queue, leases, pace, blobs.
//!
//! Knows no agent, no model and no tool: it keeps runs and their records, and says who may write them.

mod advance;
mod alike;
mod beat;
mod blob;
mod bodies;
mod busy;
mod callers;
mod chain;
mod claim;
mod compare;
pub mod copy;
mod copying;
#[cfg(test)]
mod damage;
mod db;
mod dialect;
mod ears;
mod ends;
mod error;
mod gate;
pub mod gates;
mod gauge;
mod give;
mod held;
mod holds;
mod ink;
mod journal;
mod known;
mod ledger;
pub mod look;
mod memory;
#[cfg(test)]
mod memory_tests;
mod new;
mod newest;
mod news;
mod node;
mod open;
mod opener;
mod own;
mod postgres;
mod rank;
mod read;
mod recall;
pub mod retain;
mod schema;
mod seal;
mod seats;
mod share;
mod signal;
pub mod simulated;
mod spawn;
mod sqlite;
mod standing;
mod step;
mod store;
mod submit;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod threads;
mod under;
mod unfinished;
mod verify;
mod writer;

pub use beat::Beat;
pub use busy::{Busy, Recent};
pub use callers::{Listens, Unread, Word};
pub use claim::{Lease, Wanted};
pub use error::StoreError;
pub use new::{NewRun, Submitted};
pub use postgres::{Address, Probe, probe};
pub use read::{Counts, List, RunRow, RunState};
pub use share::{EXEMPT_FROM, Shares};
pub use step::{Advance, Advanced, Next};
pub use store::{OpenOptions, Store};
pub use verify::{Break, Verdict};
