//! When, and within which limits? Claims runs, drives them, and answers questions about them.
//!
//! Only this room takes steps, each as one write. It speaks neither MCP nor HTTP.

mod answer;
mod ask;
mod batch;
mod begin;
mod board;
mod chance;
mod clock;
mod conduct;
mod control;
mod crew;
mod cue;
mod desk;
mod drive;
mod hands;
mod house;
mod intake;
mod journal;
mod lead;
mod look;
mod node;
mod onward;
mod plan;
mod refusal;
mod rehearsal;
mod replay;
mod retry;
mod sight;
mod watch;
mod way;

pub use ask::{AgentLine, Ask, Board, HandedOver, HandoffAsk, Page, QueueLine, RunLine, Submitted};
pub use crew::Reloads;
pub use desk::Desk;
pub use lead::PlanLine;
pub use node::{Node, NodeOptions, StartError};
pub use plan::{PlanAsk, TaskAsk};
pub use refusal::{Refusal, RefusalCode};
pub use rehearsal::playbook_problems;
pub use replay::Replayed;
pub use way::Departure;
