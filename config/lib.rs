//! What did the owner write? Files become one checked `Team`, or all problems at once.
//!
//! Knows no other room. Only `load` reads files and the environment; nothing here waits.

mod limits;
mod problem;
mod provider;
mod team;

pub use limits::Limits;
pub use problem::{Problem, Problems, Severity};
pub use provider::{Endpoint, Provider, ProviderKind};
pub use secrecy::{ExposeSecret, SecretString};
pub use team::{Act, Agent, AgentName, Class, Edge, Grants, Mode, Model, SourceFile, Team, Verdict};
