//! Tables over the rules: a run is told what happened, and says in the words of its story what
//! it does next.

mod answers;
mod approvals;
mod asked_back;
mod budgets;
mod calls;
mod cast;
mod checks;
mod circles;
mod doubt;
mod failed_handoffs;
mod handoffs;
mod judges;
mod leave;
mod limits;
mod listing;
mod noting;
mod once;
mod order;
mod outside;
mod people;
mod plans;
mod play;
mod progress;
mod prompts;
mod retries;
mod rounds;
mod shares;
mod tame;
mod triggers;
