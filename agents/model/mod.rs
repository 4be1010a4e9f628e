//! How is one model asked? One attempt each: sent, watched, decoded, and classified when it fails.
//!
//! Everything that speaks to a model endpoint is here; who retries, waits or falls back is not.

mod asking;
mod assembly;
mod body;
mod calls;
mod classify;
mod complaint;
mod decode;
mod dialect;
mod echo;
mod embed;
mod exchange;
mod fault;
mod filter;
mod items;
mod learned;
mod lenient;
mod manners;
mod miss;
mod models;
mod playbook;
mod redact;
mod rehearsal;
mod responses;
mod retry_after;
mod rule;
mod sample;
mod spoken;
mod survey;
mod transport;
mod tried;
mod trying;
mod usage;
mod wire;

pub(crate) use echo::echoed;
pub use exchange::{JsonList, Reply, Request};
pub use fault::{Fault, backoff};
pub use learned::{Counted, Learned};
pub use models::Models;
pub use playbook::Playbook;
pub use survey::{Finding, Subjects, Survey, survey};
