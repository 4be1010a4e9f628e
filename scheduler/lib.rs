//! When, and within which limits? Claims runs, drives them, and answers questions about them.
//!
//! Only this room takes steps, each as one write. It speaks neither MCP nor HTTP.

mod admit;
mod ahead;
mod answer;
mod ask;
mod batch;
mod begin;
mod board;
mod busy;
mod callers;
mod chance;
mod checkup;
mod claim;
mod clients;
mod clock;
mod conduct;
mod control;
mod crew;
mod cue;
mod day;
mod desk;
mod drive;
mod folds;
mod foresee;
mod gated;
mod gates;
mod hands;
mod heirs;
mod house;
mod intake;
mod journal;
mod lead;
mod listen;
mod load;
mod look;
mod memory;
mod moving;
mod news;
mod node;
mod onward;
mod patience;
mod pause;
mod pending;
mod plan;
mod points;
mod purse;
mod put;
mod rank;
mod refusal;
mod rehearsal;
mod relay;
mod replay;
mod report;
mod resume;
mod retain;
mod retry;
mod route;
mod same;
mod scores;
mod sight;
mod split;
mod standing;
mod survey;
mod throttle;
mod watch;
mod way;
mod why;
mod world;

pub use ask::{
    AgentLine, Ask, Board, HandedOver, HandoffAsk, Page, PlanAsk, QueueLine, RunLine, Submitted,
    TaskAsk,
};
pub use callboard_store::Listens;
pub use crew::Reloads;
pub use desk::Desk;
pub use lead::PlanLine;
pub use listen::Listening;
pub use node::{Node, NodeOptions, StartError};
pub use refusal::{Refusal, RefusalCode};
pub use rehearsal::playbook_problems;
pub use replay::Replayed;
pub use way::Departure;
pub use world::World;
