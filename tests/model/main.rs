//! Model endpoints behind the whole house: every fault in every place, what goes back to them, and
//! whether the journal holds every exchange.

#[path = "../endpoint/mod.rs"]
mod endpoint;
#[path = "../stage/mod.rs"]
mod stage;

mod coverage;
mod echo;
mod matrix;
