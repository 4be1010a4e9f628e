//! What did the owner write? Files become one checked `Team`, or all problems at once.
//!
//! Knows no other room. Only `load` reads the team's files and the environment; nothing here waits.

mod absent;
mod agent;
pub mod amounts;
mod answer;
mod assemble;
pub mod budget;
mod class;
mod codex;
pub mod database;
mod edges;
mod fields;
mod form;
mod front_matter;
mod gather;
pub mod guards;
pub mod hands;
mod hidden;
pub mod http;
mod imports;
mod judges;
mod limits;
pub mod load;
mod member;
pub mod memory;
mod model;
mod models;
mod nearest;
pub mod origins;
mod pack;
mod pattern;
mod permission;
pub mod permit;
mod pins;
mod place;
pub mod policy;
mod problem;
mod provider;
mod providers;
mod sandbox;
pub mod schema;
mod secret;
mod select;
pub mod servers;
mod team;
mod trust;
mod units;
mod written_agent;
mod written_applies;
mod written_budget;
mod written_edge;
mod written_fetch;
mod written_guard;
mod written_http;
mod written_limits;
mod written_permission;
mod written_policy;
mod written_prices;
mod written_resource;
mod written_server;
mod written_team;
mod yaml;

pub use agent::{Agent, AgentName, Edge, Kind, Mode};
pub use class::Class;
pub use limits::Limits;
#[cfg(test)]
pub(crate) use load::load;
pub use load::{environment, holds_a_team, load_here};
pub use model::Model;
pub use pack::write;
pub use permission::{Act, Verdict};
pub use problem::{Problem, Problems, Severity};
pub use provider::{Endpoint, Provider, ProviderKind};
pub use secrecy::{ExposeSecret, SecretString};
pub use team::{SourceFile, Team};

#[cfg(test)]
mod agent_tests;
#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod database_tests;
#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod hands_tests;
#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod import_tests;
#[cfg(test)]
mod output_tests;
#[cfg(test)]
mod permission_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod team_tests;
#[cfg(test)]
mod testing;
