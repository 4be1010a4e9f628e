//! What did the owner write? Files become one checked `Team`, or all problems at once.
//!
//! Knows no other room. Only `load` reads files and the environment; nothing here waits.

mod answer;
mod assemble;
mod edges;
mod fields;
mod front_matter;
mod limits;
mod load;
mod member;
mod models;
mod nearest;
mod place;
mod problem;
mod provider;
mod providers;
mod secret;
mod team;
mod units;
mod written_agent;
mod written_limits;
mod written_team;
mod yaml;

pub use answer::answer_schema;
pub use limits::Limits;
pub use load::{environment, load, load_here};
pub use problem::{Problem, Problems, Severity};
pub use provider::{Endpoint, Provider, ProviderKind};
pub use secrecy::{ExposeSecret, SecretString};
pub use team::{
    Act, Agent, AgentName, Class, Edge, Grants, Mode, Model, SourceFile, Team, Verdict,
};
