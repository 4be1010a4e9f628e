//! What can happen, and what does it add up to? Records and their folds.
//!
//! Does no IO and decides nothing: a fold takes records and returns a value.

mod artifact;
mod begin;
mod brief;
mod cost;
mod end;
mod erasable;
mod event;
mod handoff;
mod id;
pub mod memory;
mod plan;
pub mod rank;
mod record;
pub mod secrets;
mod spend;
mod step;
mod story;
mod taint;
mod todo;
mod tree;
mod used;
mod view;
mod withheld;

pub use begin::{Caller, Fuses, Growth, Purse, Started, Task};
pub use cost::{Spent, spent};
pub use end::{EndState, Finished, Missing, Stop, Trouble};
pub use event::Event;
pub use handoff::{ArtifactRef, Handoff, MadeBy, Summary};
pub use id::{RunId, spell};
pub use plan::{PlanStep, Totals};
pub use record::{FORMAT, Fact, Record};
pub use spend::{Share, Spend};
pub use step::{
    Action, Bound, Call, Control, Failure, FailureCode, Finish, ModelReplied, Purpose, StepBegun,
    Touched, Usage, Waiting, Work,
};
pub use story::{short, story, story_line};
pub use taint::Taint;
pub use tree::{Branch, Tree, progress_line};
pub use view::{Cost, Question, Queued, RunView, State};
