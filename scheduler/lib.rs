//! When, and within which limits? Claims runs, drives them, and answers questions about them.
//!
//! Only this room takes steps, each as one write. It speaks neither MCP nor HTTP.

mod answer;
mod ask;
mod batch;
mod begin;
mod board;
mod callers;
mod chance;
mod clients;
mod clock;
mod conduct;
mod control;
mod crew;
mod cue;
mod desk;
mod drive;
mod gated;
mod gates;
mod hands;
mod house;
mod intake;
mod journal;
mod lead;
mod listen;
mod look;
mod news;
mod node;
mod onward;
mod patience;
mod plan;
mod purse;
mod refusal;
mod rehearsal;
mod replay;
mod retry;
mod same;
mod sight;
mod watch;
mod way;
mod why;
mod world;

pub use ask::{AgentLine, Ask, Board, HandedOver, HandoffAsk, Page, QueueLine, RunLine, Submitted};
pub use callboard_store::Listens;
pub use crew::Reloads;
pub use desk::Desk;
pub use lead::PlanLine;
pub use listen::Listening;
pub use node::{Node, NodeOptions, StartError};
pub use plan::{PlanAsk, TaskAsk};
pub use refusal::{Refusal, RefusalCode};
pub use rehearsal::playbook_problems;
pub use replay::Replayed;
pub use way::Departure;
pub use world::World;
