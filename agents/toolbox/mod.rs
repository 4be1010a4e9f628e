//! The tools an agent has inside a run: what the model is told of each, and who may use it.

mod board;
mod catalogue;
mod dispatch;
mod ground;
mod kit;
mod mcp;
mod shown;
mod used;

pub use board::{Answer, Board};
pub(crate) use catalogue::{Kind, Tool, is_repeatable, kind, tools_of};
pub(crate) use dispatch::use_tool;
pub use ground::Ground;
pub(crate) use kit::{Kit, Known};
pub(crate) use mcp::Errand;
pub use mcp::ToolServers;
pub(crate) use shown::left;
