//! The tools of other programs: the one place of this room that speaks MCP.

mod calling;
mod child;
mod connection;
mod line;
mod listing;
mod reply;
mod servers;

pub(crate) use servers::Errand;
pub use servers::ToolServers;
