//! The tools an agent has inside a run: what the model is told of each, and who may use it.

mod acts;
mod bash;
mod board;
mod card;
mod cards;
mod catalogue;
mod changed;
mod command_line;
mod dispatch;
mod egress;
mod fetching;
mod ground;
mod html;
mod kept;
mod kit;
mod mcp;
mod place;
mod reach;
mod reading;
mod searching;
mod secret_names;
mod shell;
mod shown;
mod tape;
mod todo;
mod used;
mod walk;
mod writing;

pub(crate) use acts::{deed_of, is_risky};
pub(crate) use bash::patience;
pub use board::{Answer, Board};
pub(crate) use catalogue::{Kind, Tool, is_repeatable, kind, looks, tools_of, written};
pub(crate) use dispatch::use_tool;
pub(crate) use ground::Ground;
pub(crate) use kit::{Kit, Known};
pub(crate) use mcp::Errand;
pub use mcp::ToolServers;
pub(crate) use shown::left;
pub(crate) use todo::todo;

#[cfg(test)]
mod tests;
