//! The tools an agent has inside a run: what the model is told of each, and who may use it.

mod board;
mod catalogue;
mod mcp;

pub(crate) use board::use_tool;
pub use board::{Answer, Board};
pub(crate) use catalogue::{Kind, Tool, kind, tools_of};
pub(crate) use mcp::Errand;
pub use mcp::ToolServers;
