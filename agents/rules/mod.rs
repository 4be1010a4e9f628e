//! The rules, one subject a file: each a pure function from a run to maybe a step.

pub(crate) mod answer;
pub(crate) mod asked_back;
pub(crate) mod asking;
pub(crate) mod budget;
pub(crate) mod calls;
pub(crate) mod checks;
pub(crate) mod child;
pub(crate) mod doubt;
pub(crate) mod fallback;
pub(crate) mod growth;
pub(crate) mod handoff;
mod judge;
pub(crate) mod leave;
pub(crate) mod limits;
pub(crate) mod listing;
pub(crate) mod loops;
pub(crate) mod memory;
pub(crate) mod noting;
pub(crate) mod outside;
pub(crate) mod owner;
pub(crate) mod plan;
pub(crate) mod planning;
mod rejected;
pub(crate) mod repair;
pub(crate) mod trigger;
mod verdict;

#[cfg(test)]
mod tests;
